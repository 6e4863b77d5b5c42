"""Large content as files named by their hash. Everything here blocks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from symphony.commons.files import (
    FileMissing,
    make_folder,
    open_atomic,
    open_regular,
    sync_folder,
    translated,
)

_STEP = 1024 * 1024
#: A file in `incoming` that nobody has written to for so long belongs to a process that died.
_STALE_SECONDS = 24 * 3600.0


class Kept(NamedTuple):
    """What content turned out to be once it had been read."""

    digest: str
    size: int


class ObjectFolder:
    """`objects/ab/cd...` holds whole files only; they are written in `incoming`, synced, moved."""

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        self._incoming = folder / "incoming"

    def prepare(self) -> None:
        for folder in (self._objects, self._incoming):
            make_folder(folder, mode=0o700)
        stale = time.time() - _STALE_SECONDS
        with translated(self._incoming):
            for leftover in self._incoming.iterdir():
                with suppress(FileNotFoundError):  # another process has put it in its place
                    if leftover.stat().st_mtime < stale:
                        leftover.unlink()

    def keep(self, pieces: Iterable[bytes]) -> Kept:
        """Write content whose hash is known only at its end; on return it is durable."""
        staged = self._incoming / secrets.token_hex(16)
        try:
            kept = _write(staged, pieces)
            place = self._place(kept.digest)
            make_folder(place.parent, mode=0o700)
            with translated(place):
                staged.replace(place)
        finally:
            staged.unlink(missing_ok=True)
        sync_folder(place.parent)
        return kept

    def holds(self, digest: str) -> bool:
        """Whether the content is there and undamaged; reads all of it."""
        hasher = blake3()
        try:
            for piece in self.read(digest):
                hasher.update(piece)
        except FileMissing:
            return False
        return hasher.hexdigest() == digest

    def read(self, digest: str) -> Iterator[bytes]:
        """The content in steps, not checked."""
        path = self._place(digest)
        with open_regular(path) as file, translated(path):
            yield from steps(file)

    def _place(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest[2:]


def _write(path: Path, pieces: Iterable[bytes]) -> Kept:
    hasher, size = blake3(), 0
    with open_atomic(path, mode=0o400) as file:
        for piece in pieces:
            file.write(piece)
            hasher.update(piece)
            size += len(piece)
    return Kept(hasher.hexdigest(), size)


def steps(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_STEP):
        yield piece
