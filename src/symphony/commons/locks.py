"""A lock between processes, held by a file; the system frees it when its holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import make_folder, translated


class LockHeld(SymphonyError):
    """Someone else held the lock for all of `waited` seconds; `holder` is the process, if known."""

    code = "locks.held"
    category = Category.CONFLICT

    def __init__(self, path: Path, holder: int | None, waited: float) -> None:
        self.path = path
        self.holder = holder
        self.waited = waited
        who = "another process" if holder is None else f"process {holder}"
        super().__init__(
            f"{path} is locked by {who} (waited {waited:g} s).",
            hint="Wait until it is done, or end it, and try again.",
        )


@contextmanager
def locked(path: Path, *, timeout: float = 0) -> Iterator[None]:
    """Hold the lock file `path` (created with its folder, never removed) for the block.

    Waits `timeout` seconds at most, then raises LockHeld; it blocks, so not on the event loop.
    Not re-entrant: a second `locked` on the same path waits even within the process.
    """
    make_folder(path.parent)
    lock = FileLock(path)
    try:
        with translated(path):
            lock.acquire(timeout=timeout)
    except Timeout as error:
        raise LockHeld(path, _holder(path), timeout) from error
    try:
        _note_holder(path)
        yield
    finally:
        lock.release()


def _note_path(path: Path) -> Path:
    """Beside the lock: Windows lets nobody else read a locked file."""
    return path.with_name(path.name + ".pid")


def _note_holder(path: Path) -> None:
    with translated(path):
        _note_path(path).write_text(str(os.getpid()), encoding="ascii")


def _holder(path: Path) -> int | None:
    try:
        return int(_note_path(path).read_bytes())
    except (OSError, ValueError):
        return None
