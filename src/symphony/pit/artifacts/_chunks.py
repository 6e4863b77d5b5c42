"""Content in chunks that are cut by what is in them, so that versions of it share most of theirs.

A change in the middle of a file moves all that follows; cuts at fixed places would find nothing
that is the same. FastCDC cuts where a rolling hash of the content says, here every 32 KiB on
average (8 to 128): an edited 50 MiB file costs some chunks. Only content of 256 KiB and more whose
name has a version already is cut: the first version of most things stays the only one.

Chunks are objects of their own in segments, several in one write and one sync; the object itself
has their numbers in its row. Who reads it checks every chunk, and the hash of the whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from functools import partial

from pyfastcdc import FastCDC

from symphony.pit.artifacts._catalog import Catalog, renew
from symphony.pit.artifacts._ids import digest_of, new_hasher
from symphony.pit.artifacts._objects import NewObject, Objects

#: Smaller content is not worth the rows.
LEAST = 256 * 1024
_AVERAGE, _SMALLEST, _LARGEST = 32 * 1024, 8 * 1024, 128 * 1024
#: Chunks are written together up to so many bytes.
_BATCH = 3 * 1024 * 1024


class ChunkGone(Exception):
    """A chunk that was there has been collected before the content that needs it had its row."""


def write_chunks(
    objects: Objects, catalog: Catalog, pieces: Iterable[bytes | memoryview]
) -> NewObject:
    """Keep content in chunks, in little memory; on return all of them are durable and have rows.
    The content itself has none yet: see `claim_chunks`."""
    hasher, size = new_hasher(objects.hash), 0
    numbers: list[int] = []
    for batch in _batches(pieces):
        for chunk in batch:
            hasher.update(chunk)
            size += len(chunk)
        numbers += _keep(objects, catalog, batch)
    return objects.manifest(hasher.digest(), size, numbers)


def claim_chunks(db: sqlite3.Connection, numbers: Iterable[int], now: float) -> None:
    """To be called in the transaction that gives the content its row; raises ChunkGone."""
    wanted = set(numbers)
    for number in wanted:
        if db.execute("SELECT 1 FROM objects WHERE number = ?", (number,)).fetchone() is None:
            raise ChunkGone
    renew(db, wanted, now)


def _keep(objects: Objects, catalog: Catalog, batch: list[bytes]) -> list[int]:
    digests = [digest_of(objects.hash, chunk) for chunk in batch]
    contents = dict(zip(digests, batch, strict=True))
    missing = [digest for digest in contents if not _is_there(objects, catalog, digest)]
    new = objects.records([(digest, contents[digest]) for digest in missing])
    numbers: dict[bytes, int] = {}
    objects.database.apply(partial(_give_rows, catalog, new, digests, numbers))
    return [numbers[digest] for digest in digests]


def _is_there(objects: Objects, catalog: Catalog, digest: bytes) -> bool:
    row = objects.find(catalog.key(digest))
    return row is not None and objects.is_whole(row)


def _give_rows(
    catalog: Catalog,
    new: list[NewObject],
    digests: list[bytes],
    numbers: dict[bytes, int],
    db: sqlite3.Connection,
) -> None:
    written = {each.digest: each for each in new}
    for digest in digests:
        if digest not in numbers:
            number = catalog.chunk(db, digest, written.get(digest))
            if number is None:
                raise ChunkGone
            numbers[digest] = number


def _batches(pieces: Iterable[bytes | memoryview]) -> Iterator[list[bytes]]:
    chunker = FastCDC(_AVERAGE, min_size=_SMALLEST, max_size=_LARGEST)
    batch: list[bytes] = []
    size = 0
    for chunk in chunker.cut_stream(_Source(pieces)):
        batch.append(bytes(chunk.data))
        size += len(batch[-1])
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Source:
    """What the chunker reads from."""

    def __init__(self, pieces: Iterable[bytes | memoryview]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
