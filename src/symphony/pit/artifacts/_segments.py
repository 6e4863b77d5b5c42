"""Segments: files written once beforehand, into which records go without growing them.

Growing a file makes the file system journal its length at each sync, which costs as much as the
sync itself; overwriting what is there does not. So a segment is filled with zeros when it is made
(8 MiB for the first, twice as much for each next one, up to 128), the next one in the background
before the last is full. A segment in which no object is left is written again from its start.

One process writes to a segment: the one that holds its lock file. Where it stopped, the database
says: behind the last record that has a row nothing was ever acknowledged. A write or sync that
fails poisons the segment: after a failed sync nobody knows what is on the disk, and a second sync
would say "done" (that is how Linux does it), so nothing more is written there.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from symphony.commons.database import Database
from symphony.commons.files import make_folder, sync_data, sync_folder, translated

if TYPE_CHECKING:
    from filelock import FileLock

_FIRST_SIZE = 8 * 1024 * 1024
_LARGEST_SIZE = 128 * 1024 * 1024
_ZEROS = bytes(1024 * 1024)
#: Records begin at multiples of this, so that a scan for them need not look at every byte.
ALIGNMENT = 512
#: Segments that stay open for reading; the others are opened for each read.
_OPEN_READERS = 64
#: With less than this share of a segment left, the next one is made.
_NEARLY_FULL = 0.3


def aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


class Place(NamedTuple):
    segment: int
    start: int


class _Open:
    """The segment that this process writes to, with its lock."""

    def __init__(self, number: int, size: int, used: int, path: Path, lock: FileLock) -> None:
        self.number = number
        self.size = size
        self.path = path
        self._used = used
        self._lock = lock
        self._descriptor = os.open(path, os.O_RDWR)
        self._counting = threading.Lock()
        self._syncing = threading.Lock()
        self._written = 0
        self._synced = 0
        self._failed: OSError | None = None

    @property
    def room(self) -> int:
        return self.size - self._used

    def reserve(self, length: int) -> int:
        start = self._used
        self._used = start + aligned(length)
        return start

    def write(self, record: memoryview, start: int) -> None:
        """On return the record is durable; one sync serves all whose writes came before it."""
        try:
            while record:
                done = os.pwrite(self._descriptor, record, start)
                record, start = record[done:], start + done
            with self._counting:
                self._written += 1
                mine = self._written
            with self._syncing:
                if self._failed is None and self._synced < mine:
                    covered = self._written
                    sync_data(self._descriptor)
                    self._synced = covered
        except OSError as error:
            self._failed = error
            raise
        if self._failed is not None:
            raise self._failed

    @property
    def failed(self) -> bool:
        return self._failed is not None

    def close(self) -> None:
        os.close(self._descriptor)
        self._lock.release()


class Segments:
    """All segments of a store. Every method may be called from any thread."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._lock = threading.Lock()
        self._current: _Open | None = None
        self._next: Future[_Open] | None = None
        self._maker: ThreadPoolExecutor | None = None
        self._retired: list[_Open] = []
        self._readers: dict[int, int] = {}

    def append(self, record: memoryview) -> Place:
        """Write a record; on return it is durable, and nothing points to it yet."""
        with self._lock, translated(self._folder):
            segment = self._with_room(len(record))
            start = segment.reserve(len(record))
        with translated(segment.path):
            try:
                segment.write(record, start)
            except OSError:
                self._poison(segment)
                raise
        return Place(segment.number, start)

    def read(self, place: Place, length: int) -> bytes:
        """Up to `length` bytes; fewer if the segment ends, or is gone."""
        with translated(self._path(place.segment)), suppress(FileNotFoundError):
            descriptor = self._readers.get(place.segment)
            if descriptor is not None:
                return os.pread(descriptor, length, place.start)
            descriptor = os.open(self._path(place.segment), os.O_RDONLY)
            try:
                return os.pread(descriptor, length, place.start)
            finally:
                self._keep_open(place.segment, descriptor)
        return b""

    def overwrite(self, places: Iterable[Place], data: bytes) -> None:
        """Change bytes of records, durably: what is to be shredded."""
        by_segment: dict[int, list[int]] = {}
        for segment, start in places:
            by_segment.setdefault(segment, []).append(start)
        for segment, starts in by_segment.items():
            path = self._path(segment)
            with translated(path), suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    for start in starts:
                        os.pwrite(descriptor, data, start)
                    sync_data(descriptor)
                finally:
                    os.close(descriptor)

    @contextmanager
    def claimed(self, number: int) -> Iterator[bool]:
        """Nobody writes to a segment for the length of the block; False if somebody does."""
        lock = self._try_lock(number)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def close(self) -> None:
        """Nobody may be appending."""
        if self._maker is not None:
            self._maker.shutdown()
        if self._next is not None and self._next.exception() is None:
            self._retired.append(self._next.result())
        for segment in (*self._retired, *([self._current] if self._current else [])):
            segment.close()
        for descriptor in self._readers.values():
            os.close(descriptor)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08}.seg"

    def _keep_open(self, number: int, descriptor: int) -> None:
        kept = len(self._readers) < _OPEN_READERS and self._readers.setdefault(number, descriptor)
        if kept != descriptor:
            os.close(descriptor)

    def _with_room(self, length: int) -> _Open:
        current = self._current
        if current is None or current.failed or current.room < length:
            if current is not None:
                self._retired.append(current)
            self._current = current = self._take(length)
        if current.room < current.size * _NEARLY_FULL and self._next is None:
            self._maker = self._maker or ThreadPoolExecutor(1, "symphony-segments")
            self._next = self._maker.submit(self._make, min(current.size * 2, _LARGEST_SIZE))
        return current

    def _take(self, length: int) -> _Open:
        """The one made beforehand, one that an ended process has left, or a new one."""
        following, self._next = self._next, None
        if following is not None:
            return following.result()
        known = self._database.query(_known)
        for number, size, used in known:
            room = size - aligned(used)
            if room >= length and (found := self._adopted(number)) is not None:
                return found
        largest = max((size for _, size, _ in known), default=_FIRST_SIZE // 2)
        return self._make(min(largest * 2, _LARGEST_SIZE))

    def _adopted(self, number: int) -> _Open | None:
        """A segment that nobody else writes to; asked again once we hold it."""
        lock = self._try_lock(number)
        if lock is None:
            return None
        for found, size, used in self._database.query(_known):
            if found == number and self._path(number).exists():
                end = aligned(used)
                return _Open(number, size, end, self._path(number), lock)
        lock.release()
        return None

    def _make(self, size: int) -> _Open:
        """What a killed process left half made is made again: it has no row, and no lock."""
        make_folder(self._folder, mode=0o700)
        number = max((known for known, _, _ in self._database.query(_all)), default=0)
        while True:
            number += 1
            lock = self._try_lock(number)
            if lock is None:
                continue
            if not any(known == number for known, _, _ in self._database.query(_all)):
                break
            lock.release()
        path = self._path(number)
        try:
            with translated(path):
                _fill(path, size)
                sync_folder(self._folder)
            self._database.apply(lambda db: _insert(db, number, size))
            return _Open(number, size, 0, path, lock)
        except BaseException:
            path.unlink(missing_ok=True)
            lock.release()
            raise

    def _try_lock(self, number: int) -> FileLock | None:
        # Imported late: most runs write nothing of this size.
        from filelock import FileLock, Timeout

        lock = FileLock(self._folder / f"{number:08}.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        return lock

    def _poison(self, segment: _Open) -> None:
        statement = "UPDATE segments SET poisoned = 1 WHERE number = ?"
        self._database.submit(lambda db: _ignore(db.execute(statement, (segment.number,))))


def _fill(path: Path, size: int) -> None:
    """In steps, so that a put whose sync comes in between waits for one of them at most."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        remaining = size
        while remaining:
            remaining -= os.write(descriptor, _ZEROS[:remaining])
            sync_data(descriptor)
    finally:
        os.close(descriptor)


def _ignore(_: object) -> None:
    pass


def _insert(db: sqlite3.Connection, number: int, size: int) -> None:
    db.execute("INSERT INTO segments (number, size, poisoned) VALUES (?, ?, 0)", (number, size))


def _known(db: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """Number, size and used bytes of every segment that may be written to."""
    return [row for row in _all(db) if row[2] >= 0]


def _all(db: sqlite3.Connection) -> list[tuple[int, int, int]]:
    query = """
        SELECT number, size, CASE WHEN poisoned THEN -1 ELSE COALESCE(
            (SELECT MAX(start + stored) FROM objects WHERE segment = segments.number), 0) END
        FROM segments ORDER BY number
    """
    return db.execute(query).fetchall()
