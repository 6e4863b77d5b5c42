"""Content as it lies in the store, whatever its size: written, found, read and checked.

    up to 64 KiB     in its row: one sync makes content and row durable
    up to 4 MiB      a record in a segment, synced before the row is
    above            a file of its own, written as the content comes, synced before the row is
    versioned        chunks, each an object of its own: see `_chunks`

Measured: the row and the content in one transaction cost 1.2 times the sync of 4 KiB; a segment
and then the row half of what a new file and its folder cost at 1 MiB.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from symphony.commons.database import Database
from symphony.commons.files import DiskFull, FileMissing
from symphony.pit.artifacts._body import PIECE, bound, decode, write_body
from symphony.pit.artifacts._files import LargeFiles
from symphony.pit.artifacts._ids import HashName, digest_of, new_hasher
from symphony.pit.artifacts._records import HEADER_SIZE, SALT_AT, Header
from symphony.pit.artifacts._segments import Place, Segments, aligned
from symphony.pit.artifacts._vault import PLAIN, Damaged, Vault

#: Content up to this size lies in the database.
INLINE_LIMIT = 64 * 1024
#: Content up to this size lies in a segment.
SEGMENT_LIMIT = 4 * 1024 * 1024
INLINE, SEGMENT, FILE, CHUNKS, SHREDDED = range(5)

COLUMNS = "number, size, stored, place, segment, start, file, epoch, salt, content, key"
#: Finding by key is what every read does: the statement is not put together again.
_BY_KEY = f"SELECT {COLUMNS} FROM objects WHERE key = ?"  # noqa: S608 - a constant
#: And most reads are of small content: fewer columns, less to convert.
_INLINE = "SELECT size, epoch, salt, content FROM objects WHERE key = ? AND place = 0"
_BY_NUMBER = f"SELECT {COLUMNS} FROM objects WHERE number = ?"  # noqa: S608
_MANIFEST_ITEM = 8


class ObjectRow(NamedTuple):
    """Where an object is and how it is encrypted."""

    number: int
    size: int
    stored: int
    place: int
    segment: int | None
    start: int | None
    file: str | None
    epoch: int
    salt: bytes
    content: bytes | None
    key: bytes

    @property
    def in_segment(self) -> Place:
        return Place(self.segment or 0, self.start or 0)


class NewObject(NamedTuple):
    """An object that is on the disk, or in hand, and has no row yet."""

    digest: bytes
    key: bytes
    size: int
    stored: int
    place: int
    epoch: int
    salt: bytes
    content: bytes | None = None
    segment: int | None = None
    start: int | None = None
    file: str | None = None


class _Buffers(threading.local):
    """A record is put together in memory that stays: fresh pages cost more than encrypting."""

    def __init__(self) -> None:
        self.record = bytearray()

    def of(self, size: int) -> memoryview:
        if len(self.record) < size:
            self.record = bytearray(size)
        return memoryview(self.record)[:size]


_buffers = _Buffers()


class Objects:
    """Every method may be called from any thread."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        segments: Segments,
        files: LargeFiles,
        hash_: HashName,
    ) -> None:
        self.database = database
        self.vault = vault
        self.segments = segments
        self.files = files
        self.hash: HashName = hash_

    def inline(self, digest: bytes, content: bytes | memoryview) -> NewObject:
        """For content of up to INLINE_LIMIT; nothing is written yet."""
        key, epoch, salt = self._fresh(digest)
        buffer = _buffers.of(bound(len(content)))
        cipher = self.vault.cipher(epoch, salt)
        used = write_body(content, key, cipher, buffer, dense=False)
        body = bytes(buffer[:used])
        return NewObject(digest, key, len(content), used, INLINE, epoch, salt, body)

    def record(self, digest: bytes, content: bytes | memoryview) -> NewObject:
        """For content of up to SEGMENT_LIMIT; on return it is durable.

        Where a disk has no room for another segment there may be some for the content alone.
        """
        try:
            return self.records([(digest, content)], dense=False)[0]
        except DiskFull:
            return self.file([content[at : at + PIECE] for at in range(0, len(content), PIECE)])

    def records(
        self, contents: Sequence[tuple[bytes, bytes | memoryview]], *, dense: bool = True
    ) -> list[NewObject]:
        """For several contents of up to SEGMENT_LIMIT together: one write, one sync. `dense`
        compresses better, and slower."""
        if not contents:
            return []
        room = sum(aligned(HEADER_SIZE + bound(len(content))) for _, content in contents)
        buffer, at, new = _buffers.of(room), 0, []
        for digest, content in contents:
            written = self._write_record(digest, content, buffer[at:], dense=dense)
            new.append(written._replace(start=at))
            at = aligned(at + written.stored)
        end = (new[-1].start or 0) + new[-1].stored
        place = self.segments.append(buffer[:end])
        return [
            each._replace(segment=place.segment, start=place.start + (each.start or 0))
            for each in new
        ]

    def _write_record(
        self, digest: bytes, content: bytes | memoryview, into: memoryview, *, dense: bool
    ) -> NewObject:
        key, epoch, salt = self._fresh(digest)
        cipher = self.vault.cipher(epoch, salt)
        used = write_body(content, key, cipher, into[HEADER_SIZE:], dense=dense)
        into[:HEADER_SIZE] = Header(epoch, len(content), used, key, salt).pack()
        stored = HEADER_SIZE + used
        return NewObject(digest, key, len(content), stored, SEGMENT, epoch, salt)

    def file(self, pieces: Iterable[bytes | memoryview]) -> NewObject:
        """For content of any size, in pieces as `LargeFiles.write` takes them; durable too."""
        written = self.files.write(pieces)
        key = self.vault.blind(written.digest)
        return NewObject(
            written.digest,
            key,
            written.size,
            written.stored,
            FILE,
            written.epoch,
            written.salt,
            file=written.file,
        )

    def manifest(self, digest: bytes, size: int, chunks: list[int]) -> NewObject:
        """For content that lies in objects with these numbers, in this order."""
        packed = b"".join(number.to_bytes(_MANIFEST_ITEM, "little") for number in chunks)
        key = self.vault.blind(digest)
        return NewObject(digest, key, size, len(packed), CHUNKS, PLAIN, b"", packed)

    def find(self, key: bytes) -> ObjectRow | None:
        return self.database.query(lambda db: select_object(db, key))

    def read_inline(self, key: bytes, limit: int) -> bytes | None:
        """Content of up to `limit` bytes that lies in its row; None if it does not."""
        found = self.database.query(lambda db: db.execute(_INLINE, (key,)).fetchone())
        if found is None or found[0] > limit:
            return None
        size, epoch, salt, body = found
        content = decode(body, size, key, self.vault.cipher(epoch, salt))
        if epoch == PLAIN and self._digest_differs(key, content):
            raise Damaged("its hash differs")
        return content

    def read(self, row: ObjectRow) -> bytes:
        """All of an object, checked; raises Damaged."""
        if row.place == SHREDDED:
            raise Damaged("it was shredded")
        if row.place > SEGMENT:
            return b"".join(self.stream(row))
        body = row.content if row.place == INLINE else self._record_body(row)
        content = decode(body or b"", row.size, row.key, self.vault.cipher(row.epoch, row.salt))
        if row.epoch == PLAIN and self._digest_differs(row.key, content):
            raise Damaged("its hash differs")
        return content

    def read_moving(self, row: ObjectRow) -> bytes:
        """Like `read`; what was moved since the row was read is read where it is now."""
        while True:
            try:
                return self.read(row)
            except Damaged as damage:
                row = self._moved(row, damage)

    def stream(self, row: ObjectRow) -> Iterator[bytes]:
        """An object piece by piece; raises Damaged, at the latest after the last piece. Whoever
        used the earlier ones must drop them then."""
        begun = False
        try:
            for piece in self._stream(row):
                begun = True
                yield piece
        except Damaged as damage:
            if begun:
                raise
            yield from self.stream(self._moved(row, damage))

    def _moved(self, row: ObjectRow, damage: Damaged) -> ObjectRow:
        """Where an object is now that was not where `row` says; raises `damage` if it is there."""
        now = self.find(row.key)
        if now is None or now == row:
            raise damage
        return now

    def _stream(self, row: ObjectRow) -> Iterator[bytes]:
        if row.place in (INLINE, SEGMENT, SHREDDED):
            yield self.read(row)
        elif row.place == CHUNKS:
            yield from self._hashed(row, self._chunks(row))
        elif row.epoch == PLAIN:
            yield from self._hashed(row, self._file(row))
        else:
            yield from self._file(row)

    def rehashed(self, row: ObjectRow) -> bytes:
        """Read all and hash it, which is more than `read` does where a tag vouches for the rest:
        returns the digest; raises Damaged."""
        hasher = new_hasher(self.hash)
        for piece in self._stream(row):
            hasher.update(piece)
        return hasher.digest()

    def is_whole(self, row: ObjectRow) -> bool:
        try:
            for _ in self._stream(row):
                pass
        except Damaged:
            return False
        return True

    def drop(self, item: ObjectRow | NewObject) -> None:
        """Remove the file of an object that no row points to any more. What no row points to in a
        segment is written over in time."""
        if item.place == FILE and item.file is not None:
            self.files.drop(item.file)

    def _fresh(self, digest: bytes) -> tuple[bytes, int, bytes]:
        return self.vault.blind(digest), self.vault.epoch, self.vault.new_salt()

    def _record_body(self, row: ObjectRow) -> memoryview:
        record = self.segments.read(row.in_segment, row.stored)
        if len(record) < row.stored:
            raise Damaged("its segment is gone or cut short")
        return memoryview(record)[HEADER_SIZE:]

    def _file(self, row: ObjectRow) -> Iterator[bytes]:
        try:
            yield from self.files.read(row.file or "", row.size, row.key, row.epoch, row.salt)
        except FileMissing as error:
            raise Damaged("its file is gone") from error

    def _chunks(self, row: ObjectRow) -> Iterator[bytes]:
        for number in chunk_numbers(row.content or b""):
            chunk = self.database.query(partial(select_number, number=number))
            if chunk is None:
                raise Damaged("a chunk of it is gone")
            yield self.read_moving(chunk)

    def _hashed(self, row: ObjectRow, pieces: Iterator[bytes]) -> Iterator[bytes]:
        hasher = new_hasher(self.hash)
        for piece in pieces:
            hasher.update(piece)
            yield piece
        if self.vault.blind(hasher.digest()) != row.key:
            raise Damaged("its hash differs")

    def _digest_differs(self, key: bytes, content: bytes) -> bool:
        return self.vault.blind(digest_of(self.hash, content)) != key


def salts_of(rows: Iterable[ObjectRow]) -> list[Place]:
    """Where in segments the salts of these objects stand. They may be overwritten as long as the
    rows are there: then nobody else writes to these places."""
    return [
        Place(row.in_segment.segment, row.in_segment.start + SALT_AT)
        for row in rows
        if row.place == SEGMENT
    ]


def chunk_numbers(manifest: bytes) -> list[int]:
    return [
        int.from_bytes(manifest[at : at + _MANIFEST_ITEM], "little")
        for at in range(0, len(manifest), _MANIFEST_ITEM)
    ]


def select_object(db: sqlite3.Connection, key: bytes) -> ObjectRow | None:
    found = db.execute(_BY_KEY, (key,)).fetchone()
    return None if found is None else ObjectRow._make(found)


def select_number(db: sqlite3.Connection, number: int) -> ObjectRow | None:
    found = db.execute(_BY_NUMBER, (number,)).fetchone()
    return None if found is None else ObjectRow._make(found)
