"""The hot cache: contents that were read and checked lately, in memory, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

#: Larger content is soon read again from the system's own cache, and would push out too much.
_LARGEST = 256 * 1024


class HotCache:
    """Every method may be called from any thread. The least recently used go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, id_: str) -> bytes | None:
        content = self._contents.get(id_)
        if content is not None:
            try:
                self._contents.move_to_end(id_)
            except KeyError:  # another thread has just put it out
                return content
        return content

    def add(self, id_: str, content: bytes) -> None:
        if len(content) > min(_LARGEST, self._limit):
            return
        with self._lock:
            self._bytes += len(content) - len(self._contents.pop(id_, b""))
            self._contents[id_] = content
            while self._bytes > self._limit:
                self._bytes -= len(self._contents.popitem(last=False)[1])

    def drop(self, id_: str) -> None:
        with self._lock:
            self._bytes -= len(self._contents.pop(id_, b""))
