"""Content by its hash: small in SQLite, large in files, each put durable before it is answered.

    <folder>/artifacts.db     every artifact's row, the content of those up to INLINE_LIMIT, and
                              which run used which artifact where
    <folder>/objects/ab/...   larger content, one file each, named by its hash
    <folder>/incoming/        content on its way in; what a killed process left is swept later

A small put is one transaction, and so one sync. For a large one the file is in its place before
the row says so: after a crash there may be a file without a row, which the next put of the same
content takes over, but never a row without its file.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3

from symphony.commons import blocking
from symphony.commons.database import Database, open_shared_database
from symphony.commons.files import FileMissing, open_atomic, open_regular, translated
from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._errors import ArtifactCorrupt, ArtifactMissing, ArtifactTooLarge
from symphony.pit.artifacts._objects import Kept, ObjectFolder, steps

#: Content up to this size lies in the database, where one sync makes it durable; a file needs more.
INLINE_LIMIT = 64 * 1024
_PREFIX = "blake3:"
_APPLICATION_ID = 0x53796D41  # "SymA"
_MIGRATIONS = (
    """
    CREATE TABLE artifacts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        created REAL NOT NULL,
        content BLOB  -- NULL: in a file
    ) STRICT;
    CREATE TABLE uses (
        run TEXT NOT NULL,
        node TEXT NOT NULL,
        port TEXT NOT NULL,
        artifact INTEGER NOT NULL REFERENCES artifacts,
        name TEXT NOT NULL,
        PRIMARY KEY (run, node, port, artifact)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uses_of_artifact ON uses (artifact);
    """,
)
# Storing content again costs no write where it is whole, and repairs it where it is damaged.
_ADD = """
    INSERT INTO artifacts (id, size, media_type, created, content) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET content = excluded.content
    WHERE content IS NOT excluded.content
"""


class ArtifactInfo(msgspec.Struct, frozen=True):
    """What is known of stored content. `created` is in seconds since the epoch, `media_type` is
    what the first put said."""

    id: str
    size: int
    media_type: str
    created: float


class _Row(NamedTuple):
    id: str
    size: int
    content: bytes | None

    @property
    def digest(self) -> str:
        return self.id.removeprefix(_PREFIX)


class ArtifactStore:
    """Get one from `open_store`. Several processes may have the same folder open."""

    def __init__(self, database: Database, objects: ObjectFolder) -> None:
        self._database = database
        self._objects = objects

    async def put(self, data: bytes, media_type: str, name: str = "") -> ArtifactRef:
        """Keep `data`; on return it survives a power cut. Content that is there is not kept twice.

        Raises DiskFull and other errors of `commons.files` and `commons.sqlite`; nothing half
        written remains. After a cancellation the content may be stored or not.
        """
        if len(data) <= INLINE_LIMIT:
            kept = Kept(blake3(data).hexdigest(), len(data))
            return await self._add(kept, media_type, name, data)
        return await self._add(await blocking.run(self._keep, data), media_type, name)

    async def put_file(self, path: Path, media_type: str, name: str = "") -> ArtifactRef:
        """Keep a copy of a file as it is now; like `put`, in little memory."""
        taken = await blocking.run(self._take, path)
        if isinstance(taken, bytes):
            return await self.put(taken, media_type, name)
        return await self._add(taken, media_type, name)

    async def get(self, artifact: ArtifactRef | str, limit: int | None = None) -> bytes:
        """The content, checked against its hash; ArtifactTooLarge if it exceeds `limit` bytes.

        Raises ArtifactMissing or ArtifactCorrupt, never returns wrong bytes.
        """
        id_ = _id_of(artifact)
        return await self._database.read(lambda db: self._get(db, id_, limit))

    async def export(self, artifact: ArtifactRef | str, path: Path) -> None:
        """Write the content to `path`, atomically, in little memory; raises what `get` raises."""
        id_ = _id_of(artifact)
        await self._database.read(lambda db: self._export(db, id_, path))

    async def stat(self, artifact: ArtifactRef | str) -> ArtifactInfo:
        """What is known of an artifact, without reading it; raises ArtifactMissing."""
        id_ = _id_of(artifact)
        query = "SELECT id, size, media_type, created FROM artifacts WHERE id = ?"
        found = await self._database.read(lambda db: db.execute(query, (id_,)).fetchone())
        if found is None:
            raise ArtifactMissing(id_)
        return ArtifactInfo(*found)

    async def note_use(
        self, run_id: str, node: str, uses: Iterable[tuple[str, ArtifactRef]]
    ) -> None:
        """Record that a node handed out artifacts, each at a port: what a run still refers to.

        All are recorded or none; raises ArtifactMissing if the store does not have one.
        """
        rows = [(run_id, node, port, ref.name, ref.id) for port, ref in uses]
        await self._database.write(lambda db: _insert_uses(db, rows))

    async def _add(
        self, kept: Kept, media_type: str, name: str, content: bytes | None = None
    ) -> ArtifactRef:
        ref = ArtifactRef(_PREFIX + kept.digest, media_type, kept.size, name)
        row = (ref.id, ref.size, media_type, time.time(), content)
        await self._database.write(lambda db: _insert(db, row))
        return ref

    def _keep(self, data: bytes) -> Kept:
        kept = Kept(blake3(data).hexdigest(), len(data))
        return kept if self._objects.holds(kept.digest) else self._objects.keep([data])

    def _take(self, path: Path) -> bytes | Kept:
        """The content of a small file; a large one goes to its place as it is read."""
        with open_regular(path) as file, translated(path):
            start = file.read(INLINE_LIMIT + 1)
            if len(start) <= INLINE_LIMIT:
                return start
            return self._objects.keep(chain([start], steps(file)))

    def _get(self, db: sqlite3.Connection, id_: str, limit: int | None) -> bytes:
        row = _select(db, id_)
        if limit is not None and row.size > limit:
            raise ArtifactTooLarge(id_, row.size, limit)
        return b"".join(self._verified(row))

    def _export(self, db: sqlite3.Connection, id_: str, path: Path) -> None:
        row = _select(db, id_)
        with open_atomic(path) as file:
            for piece in self._verified(row):
                file.write(piece)

    def _verified(self, row: _Row) -> Iterator[bytes]:
        """The content in steps. Whoever used the earlier ones must drop them if the last raises."""
        hasher = blake3()
        try:
            for piece in (
                [row.content] if row.content is not None else self._objects.read(row.digest)
            ):
                hasher.update(piece)
                yield piece
        except FileMissing as error:
            raise ArtifactCorrupt(row.id, "its file is gone") from error
        if hasher.hexdigest() != row.digest:
            raise ArtifactCorrupt(row.id, "its hash differs")


def _id_of(artifact: ArtifactRef | str) -> str:
    return artifact.id if isinstance(artifact, ArtifactRef) else artifact


def _select(db: sqlite3.Connection, id_: str) -> _Row:
    query = "SELECT id, size, content FROM artifacts WHERE id = ?"
    found = db.execute(query, (id_,)).fetchone()
    if found is None:
        raise ArtifactMissing(id_)
    return _Row(*found)


def _insert(db: sqlite3.Connection, row: tuple[str, int, str, float, bytes | None]) -> None:
    db.execute(_ADD, row)


def _insert_uses(db: sqlite3.Connection, rows: list[tuple[str, str, str, str, str]]) -> None:
    for *use, id_ in rows:
        found = db.execute("SELECT number FROM artifacts WHERE id = ?", (id_,)).fetchone()
        if found is None:
            raise ArtifactMissing(id_)
        insert = (
            "INSERT OR IGNORE INTO uses (run, node, port, name, artifact) VALUES (?, ?, ?, ?, ?)"
        )
        db.execute(insert, (*use, found[0]))


@asynccontextmanager
async def open_store(folder: Path) -> AsyncIterator[ArtifactStore]:
    """The store in `folder`, created if it is not there. All puts have ended when the block has."""
    objects = ObjectFolder(folder)
    await blocking.run(objects.prepare)
    async with open_shared_database(
        folder / "artifacts.db",
        application_id=_APPLICATION_ID,
        migrations=_MIGRATIONS,
        synchronous="FULL",
    ) as database:
        yield ArtifactStore(database, objects)
