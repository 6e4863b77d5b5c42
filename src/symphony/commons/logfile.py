"""The log file: whole lines, put aside when it has grown, shared by several processes.

The standard library's rotating handler loses lines when two processes write to one file: each
renames it under the other. Here a writer looks before each line whether the name still stands for
the file that it has open, and only the holder of a lock renames.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from symphony.commons.files import FileError, make_folder, translated


class RotatingFile(logging.Handler):
    """Appends to `path`; before it grows above `max_bytes` it becomes `path.1`, and so on.

    A line that cannot be written is lost; the first of a row of such lines is told on stderr.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._failing = False
        self._rotating = False
        make_folder(path.parent, mode=0o700)
        with translated(path):
            self._descriptor = self._open()
        super().__init__()  # after what can fail: from here on the interpreter's end closes it

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        try:
            self._append(line)
        except (OSError, FileError) as error:
            self._tell(error)
        else:
            self._failing = False

    def close(self) -> None:
        if self._descriptor >= 0:  # the interpreter closes every handler once more at its end
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def _append(self, line: bytes) -> None:
        if not self._is_current():
            self._reopen()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(line) > self._max_bytes:
            self._rotate()
        written = 0
        while written < len(line):
            written += os.write(self._descriptor, line[written:])

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _reopen(self) -> None:
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def _is_current(self) -> bool:
        """Whether the name still stands for the open file: nobody has rotated or removed it."""
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))

    def _rotate(self) -> None:
        """Put the file aside, unless another process is doing so or has done so just now."""
        from symphony.commons.locks import LockHeld, locked

        if self._rotating:  # the lock's own debug messages come through here
            return
        self._rotating = True
        try:
            with locked(self._path.with_suffix(".lock")):
                if self._is_current():
                    self._put_aside()
        except LockHeld:
            return
        finally:
            self._rotating = False
        self._reopen()

    def _put_aside(self) -> None:
        names = [self._path, *(self._numbered(number + 1) for number in range(self._backups))]
        for older, newer in reversed(list(zip(names[1:], names, strict=False))):
            if newer.exists():
                newer.replace(older)
        if not self._backups:
            self._path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _tell(self, error: OSError | FileError) -> None:
        if not self._failing:
            sys.stderr.write(f"The log file {self._path} cannot be written: {error}\n")
        self._failing = True
