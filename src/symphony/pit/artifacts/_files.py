"""Large content: a file of its own, written in `incoming/`, synced, moved to `objects/`.

    objects/ab/abcd…   header (see `_records`) | body; the name is random, the row knows it

A file in `incoming/` is locked by who writes it. One that can be locked is what a killed process
has left, and goes when a store is opened.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from symphony.commons.files import make_folder, open_regular, sync_data, sync_folder, translated
from symphony.pit.artifacts._body import StreamEncoder, decode_stream
from symphony.pit.artifacts._ids import HashName, new_hasher
from symphony.pit.artifacts._records import HEADER_SIZE, SALT_AT, Header
from symphony.pit.artifacts._vault import Damaged, Vault

if sys.platform != "win32":
    import fcntl


class Written(NamedTuple):
    """What content turned out to be once it had been read, and where it lies."""

    digest: bytes
    size: int
    stored: int
    file: str
    epoch: int
    salt: bytes


class LargeFiles:
    """Every method may be called from any thread."""

    def __init__(self, folder: Path, vault: Vault, hash_: HashName) -> None:
        self.folder = folder / "objects"
        self._incoming = folder / "incoming"
        self._vault = vault
        self._hash = hash_

    def prepare(self) -> None:
        for folder in (self.folder, self._incoming):
            make_folder(folder, mode=0o700)
        with translated(self._incoming):
            for leftover in self._incoming.iterdir():
                _sweep(leftover)

    def write(self, pieces: Iterable[bytes | memoryview]) -> Written:
        """Keep content given in pieces of exactly PIECE bytes, but for the last; on return it is
        durable. A piece is done with when the next one is asked for."""
        token = secrets.token_hex(16)
        staged, place = self._incoming / token, self.path(token)
        try:
            with translated(staged):
                written = self._write(staged, token, pieces)
                make_folder(place.parent, mode=0o700)
                staged.replace(place)
                sync_folder(place.parent)
        except BaseException:
            staged.unlink(missing_ok=True)
            place.unlink(missing_ok=True)
            raise
        return written

    def read(self, file: str, size: int, key: bytes, epoch: int, salt: bytes) -> Iterator[bytes]:
        """The content piece by piece; raises Damaged. What came before is right, and not all."""
        cipher = self._vault.cipher(epoch, salt)
        path = self.path(file)
        with open_regular(path) as source, translated(path):
            source.seek(HEADER_SIZE)
            yield from decode_stream(source.read, size, key, cipher)
            if source.read(1):
                raise Damaged("there is more of it than there should be")

    def drop(self, file: str) -> None:
        """Remove content for good: what it was encrypted with goes first."""
        path = self.path(file)
        with translated(path), suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.pwrite(descriptor, bytes(32), SALT_AT)
                sync_data(descriptor)
            finally:
                os.close(descriptor)
            path.unlink()

    def path(self, file: str) -> Path:
        return self.folder / file[:2] / file

    def names(self) -> Iterator[str]:
        """Every file there is, whether or not a row knows it."""
        with translated(self.folder):
            for folder in self.folder.iterdir():
                if folder.is_dir():
                    yield from (each.name for each in folder.iterdir())

    def _write(self, staged: Path, token: str, pieces: Iterable[bytes | memoryview]) -> Written:
        epoch, salt = self._vault.epoch, self._vault.new_salt()
        encoder = StreamEncoder(self._vault.cipher(epoch, salt))
        hasher, size = new_hasher(self._hash), 0
        with _claimed(staged) as descriptor:
            at = HEADER_SIZE
            for piece, last in _with_last(pieces):
                hasher.update(piece)
                size += len(piece)
                if last:
                    digest = hasher.digest()
                    key = self._vault.blind(digest)
                    encoded = encoder.finish(piece, key)
                else:
                    encoded = encoder.add(piece)
                at += write_at(descriptor, encoded, at)
            header = Header(epoch, size, at - HEADER_SIZE, key, salt)
            write_at(descriptor, header.pack(), 0)
            sync_data(descriptor)
        return Written(digest, size, at, token, epoch, salt)


def _with_last(
    pieces: Iterable[bytes | memoryview],
) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Each piece, and whether it is the last. A piece must outlive the next one's arrival."""
    pending: bytes | memoryview | None = None
    for piece in pieces:
        if pending is not None:
            yield pending, False
        pending = piece
    yield (b"" if pending is None else pending), True


def write_at(descriptor: int, data: bytes | memoryview, at: int) -> int:
    """All of `data`, however little the system takes at once."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done
    return len(data)


@contextmanager
def _claimed(path: Path) -> Iterator[int]:
    """A new file, locked as long as we live."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(descriptor)
        if os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)  # swept between its making and its lock
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sweep(leftover: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError):
        descriptor = os.open(leftover, os.O_RDWR)
        try:
            _lock(descriptor)
            leftover.unlink()
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError if another process has it. Windows protects open files by itself."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def file_pieces(descriptor: int, size: int) -> Iterator[memoryview]:
    """A file from its start in steps of `size`; the last is shorter. A step is overwritten when
    the one after the next is read."""
    at = 0
    for buffer in cycle((bytearray(size), bytearray(size))):
        view, filled = memoryview(buffer), 0
        while filled < size and (done := os.preadv(descriptor, [view[filled:]], at)):
            filled, at = filled + done, at + done
        if filled or not at:
            yield view[:filled]
        if filled < size:
            return


def in_steps(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in steps of `size`; the last is shorter. Nothing comes of nothing."""
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    if pending:
        yield bytes(pending)
