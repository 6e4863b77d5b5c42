"""The thread that waits for the disk: syncs of the write-ahead log, and checkpoints."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypeAlias

from symphony.commons.sqlite import database_errors

_fdatasync: Final = getattr(os, "fdatasync", os.fsync)
#: Called in the thread, with what went wrong.
Told: TypeAlias = Callable[[BaseException | None], None]


class Syncer:
    """Makes what was committed to the database at `path` survive a power cut.

    One sync serves everybody who asked before it began. The thread starts with the first request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requests: SimpleQueue[Told | str] = SimpleQueue()
        self._thread: Thread | None = None

    def sync(self, told: Told) -> None:
        self._ask(told)

    def checkpoint(self) -> None:
        """Soon, and beside whoever reads and writes; without it the log would grow."""
        self._ask("checkpoint")

    def close(self) -> None:
        """Return when all that was asked for is done."""
        if self._thread is not None:
            self._requests.put("stop")
            self._thread.join()

    def _ask(self, request: Told | str) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="symphony-sync", daemon=True)
            self._thread.start()
        self._requests.put(request)

    def _serve(self) -> None:
        request = self._requests.get()
        while request != "stop":
            group: list[Told] = []
            while callable(request):
                group.append(request)
                request = "" if self._requests.empty() else self._requests.get()
            if group:
                fault = self._sync()
                for told in group:
                    told(fault)
            if request == "checkpoint":
                self._checkpoint()
            if request != "stop":
                request = self._requests.get()

    def _sync(self) -> BaseException | None:
        # SQLite syncs the log itself before it begins it anew, so that one sync of it is enough.
        try:
            with database_errors(self._path):
                log = os.open(f"{self._path}-wal", os.O_RDWR)
                try:
                    _fdatasync(log)
                finally:
                    os.close(log)
        except Exception as error:  # noqa: BLE001 - the boundary of the thread: it goes to who asked
            return error
        return None

    def _checkpoint(self) -> None:
        """If it fails, say on a full disk, the log grows, and the next one tries again."""
        try:
            connection = sqlite3.connect(self._path)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()
        except sqlite3.Error:
            return
