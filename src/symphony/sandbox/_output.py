"""What a process prints, as lines of bounded length."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from symphony.commons.secrets import cut_place

READ_SIZE = 64 * 1024
MAX_LINE = 64 * 1024
#: How much of a line's continuation is looked at before it is cut, in characters: no secret of at
#: most this length is parted.
LOOK_AHEAD = 8 * 1024


class LineSplitter:
    """Bytes in, lines out. A line over `MAX_LINE` bytes comes in pieces, so that a process that
    never ends its line costs no memory. A secret is never cut in two, and so whoever scrubs each
    piece misses none. Bytes that are not UTF-8 come out as escapes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line)]
        *pieces, self._rest = _pieces(self._rest)
        return [_text(line) for line in lines + pieces]

    def finish(self) -> list[str]:
        """The last line, if it had no end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    """`line` in pieces of at most `MAX_LINE` bytes; only the last may yet grow."""
    pieces = []
    while len(line) > MAX_LINE:
        text = line[:MAX_LINE].decode(errors="surrogateescape")
        wanted = len(text) - LOOK_AHEAD
        at = cut_place(text, wanted) or wanted  # what is longer than a piece cannot stay whole
        pieces.append(text[:at].encode(errors="surrogateescape"))
        line = line[len(pieces[-1]) :]
    return [*pieces, line]


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="backslashreplace")


class OutputPump:
    """Reads a pipe as the loop finds data in it, and hands on its lines."""

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        self.ended = asyncio.Event()
        self._descriptor = descriptor
        self._on_line = on_line
        self._lines = LineSplitter()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        data = os.read(self._descriptor, READ_SIZE)
        for line in self._lines.feed(data) if data else self._lines.finish():
            self._on_line(line)
        if not data:
            self.stop()

    def stop(self) -> None:
        """Stop reading; the descriptor stays the caller's to close."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self.ended.set()
