"""Collecting garbage: found and marked first, gone only when it has stayed marked for a while.

What is kept: every version of every name; what is pinned or leased; what steps of the given runs
made or were given; what was put or named lately; and the chunks of all these. A tag keeps nothing.
Until the sweep a marked artifact can be read; putting, naming, pinning or handing it out takes the
mark away, in the same transaction that does so, and the sweep looks again before it deletes: so
no acknowledged put is lost to a collection that goes on beside it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeAlias

import msgspec

from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._ids import id_of
from symphony.pit.artifacts._objects import (
    CHUNKS,
    COLUMNS,
    FILE,
    ObjectRow,
    chunk_numbers,
    salts_of,
)
from symphony.pit.artifacts._segments import Place
from symphony.pit.artifacts._vault import SALT_SIZE

_BATCH = 5000
#: A file without a row for so long is no put that goes on.
_ORPHAN_SECONDS = 3600.0
#: A segment with a smaller share of live bytes is emptied, to be written again.
_SPARSE = 0.5

_GARBAGE = """
    WITH kept_steps AS (
        SELECT number FROM steps WHERE hex(run) IN (SELECT value FROM json_each(:runs))
    )
    SELECT number, stored FROM objects
    WHERE chunk = 0 AND touched < :before
    AND number NOT IN (SELECT object FROM versions)
    AND number NOT IN (SELECT object FROM pins)
    AND number NOT IN (SELECT object FROM leases WHERE until > :now)
    AND number NOT IN (SELECT object FROM uses WHERE step IN kept_steps)
    AND (step IS NULL OR step NOT IN kept_steps)
"""


_MARKED = f"SELECT {COLUMNS} FROM objects WHERE number = ? AND marked IS NOT NULL"  # noqa: S608
_MANIFESTS = f"SELECT number, content FROM objects WHERE place = {CHUNKS}"  # noqa: S608
_FILES = f"SELECT file FROM objects WHERE place = {FILE}"  # noqa: S608
_IN_SEGMENT = f"SELECT {COLUMNS} FROM objects WHERE segment = ? ORDER BY start"  # noqa: S608
_DELETE_LONE_STEPS = """
    DELETE FROM steps WHERE number NOT IN (SELECT step FROM uses)
    AND number NOT IN (SELECT step FROM objects WHERE step IS NOT NULL)
"""

#: By the number of an object, the bytes that it takes on the disk.
_Sizes: TypeAlias = dict[int, int]


class Keep(msgspec.Struct, frozen=True):
    """What a collection leaves alone beside what is named, pinned or leased."""

    #: Runs whose artifacts are still needed: those that go on, at least.
    runs: frozenset[str] = frozenset()
    #: What was put or referred to in the last so many seconds.
    seconds: float = 30 * 24 * 3600.0


class Garbage(msgspec.Struct, frozen=True):
    """What nobody needs. `bytes` is what its removal frees on the disk."""

    ids: list[str]
    chunks: int
    bytes: int


class Swept(msgspec.Struct, frozen=True):
    objects: int
    bytes: int
    #: Files that no row knew, left by processes that were killed.
    orphans: int
    #: Segments that were emptied because little in them was alive.
    segments: int


def find_garbage(store: BlockingStore, keep: Keep) -> Garbage:
    """A dry run: nothing is changed."""
    return store.database.query(lambda db: _told(store, db, *_garbage(store, db, keep)))


def mark_garbage(store: BlockingStore, keep: Keep) -> Garbage:
    """Mark what nobody needs, to be swept later."""
    found = Garbage([], 0, 0)

    def mark(db: sqlite3.Connection) -> None:
        nonlocal found
        artifacts, sizes = _garbage(store, db, keep)
        found = _told(store, db, artifacts, sizes)
        update = "UPDATE objects SET marked = ? WHERE number = ? AND marked IS NULL"
        now = time.time()
        db.executemany(update, ((now, number) for number in sizes))

    store.database.apply(mark)
    return found


def unmark_garbage(store: BlockingStore) -> int:
    """Take all marks away; returns how many there were."""
    count = 0

    def unmark(db: sqlite3.Connection) -> None:
        nonlocal count
        update = "UPDATE objects SET marked = NULL, touched = ? WHERE marked IS NOT NULL"
        count = db.execute(update, (time.time(),)).rowcount

    store.database.apply(unmark)
    return count


def sweep_garbage(store: BlockingStore, keep: Keep, marked_for_s: float) -> Swept:
    """Delete what has been marked for so long and is still garbage; free what it leaves behind."""
    before = time.time() - marked_for_s
    query = "SELECT number FROM objects WHERE marked <= ?"
    marked = [row[0] for row in store.database.query(lambda db: list(db.execute(query, (before,))))]
    objects = freed = 0
    with store.upkeep():
        for batch in _batches(marked):
            swept = _sweep(store, keep, set(batch))
            objects, freed = objects + len(swept), freed + sum(row.stored for row in swept)
        return Swept(objects, freed, _drop_orphans(store), _empty_sparse_segments(store))


def pin(store: BlockingStore, artifact: ArtifactRef | str, why: str = "") -> None:
    """Keep an artifact until it is unpinned."""

    def change(db: sqlite3.Connection) -> None:
        number = store.catalog.number_of(db, id_of(artifact))
        store.catalog.claim(db, number)
        sealed = store.vault.seal(why.encode(), b"pin")
        db.execute("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", (number, time.time(), sealed))

    store.database.apply(change)


def unpin(store: BlockingStore, artifact: ArtifactRef | str) -> bool:
    """Whether it was pinned."""
    found = False

    def change(db: sqlite3.Connection) -> None:
        nonlocal found
        number = store.catalog.number_of(db, id_of(artifact))
        found = bool(db.execute("DELETE FROM pins WHERE object = ?", (number,)).rowcount)

    store.database.apply(change)
    return found


def lease(store: BlockingStore, artifacts: Iterable[ArtifactRef | str], seconds: float) -> None:
    """Keep artifacts for some time: for whoever holds references to them and no name. All or
    none; raises ArtifactMissing."""
    ids = [id_of(artifact) for artifact in artifacts]

    def change(db: sqlite3.Connection) -> None:
        now = time.time()
        db.execute("DELETE FROM leases WHERE until < ?", (now,))
        for number in store.catalog.numbers_of(db, ids):
            store.catalog.claim(db, number)
            insert = "INSERT INTO leases (object, until) VALUES (?, ?)"
            db.execute(insert, (number, now + seconds))

    store.database.apply(change)


def _garbage(store: BlockingStore, db: sqlite3.Connection, keep: Keep) -> tuple[set[int], _Sizes]:
    """Artifacts that nobody needs; and all that goes with them, chunks too, with their bytes."""
    now = time.time()
    runs = [store.catalog.steps.run_key(run).hex().upper() for run in keep.runs]
    before = now - keep.seconds
    values = {"runs": msgspec.json.encode(runs).decode(), "before": before, "now": now}
    artifacts: _Sizes = dict(db.execute(_GARBAGE, values).fetchall())
    return set(artifacts), artifacts | _loose_chunks(db, artifacts, before)


def _loose_chunks(db: sqlite3.Connection, garbage: _Sizes, before: float) -> _Sizes:
    """Chunks of nothing but garbage."""
    kept: set[int] = set()
    for number, manifest in db.execute(_MANIFESTS):
        if number not in garbage:
            kept.update(chunk_numbers(manifest))
    query = "SELECT number, stored FROM objects WHERE chunk = 1 AND touched < ?"
    return {number: stored for number, stored in db.execute(query, (before,)) if number not in kept}


def _told(
    store: BlockingStore, db: sqlite3.Connection, artifacts: set[int], sizes: _Sizes
) -> Garbage:
    ids = [store.catalog.info(db, number).id for number in sorted(artifacts)]
    return Garbage(ids, len(sizes) - len(artifacts), sum(sizes.values()))


def _sweep(store: BlockingStore, keep: Keep, numbers: set[int]) -> list[ObjectRow]:
    swept: list[ObjectRow] = []
    ids: list[str] = []

    def sweep(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA secure_delete = ON")
        _, garbage = _garbage(store, db, keep)
        doomed = sorted(numbers & garbage.keys())
        found = (db.execute(_MARKED, (number,)).fetchone() for number in doomed)
        swept[:] = [ObjectRow._make(row) for row in found if row is not None]
        ids[:] = [store.catalog.description_id(db, each.number) for each in swept]
        # While the rows are there, nobody writes to where these records lie.
        store.objects.segments.overwrite(salts_of(swept), bytes(SALT_SIZE))
        for each in swept:
            _delete(store, db, each.number)
        db.execute(_DELETE_LONE_STEPS)

    store.database.apply(sweep)
    for id_ in ids:
        store.forget(id_)
    for each in swept:
        if each.place == FILE:
            store.objects.drop(each)
    return swept


def _delete(store: BlockingStore, db: sqlite3.Connection, number: int) -> None:
    for table in ("tags", "uses", "leases"):
        db.execute(f"DELETE FROM {table} WHERE object = ?", (number,))  # noqa: S608
    db.execute("DELETE FROM objects WHERE number = ?", (number,))
    store.catalog.note_change(db, number)


def _drop_orphans(store: BlockingStore) -> int:
    known = store.database.query(lambda db: {row[0] for row in db.execute(_FILES)})
    old = time.time() - _ORPHAN_SECONDS
    files = store.objects.files
    unknown = (name for name in files.names() if name not in known)
    orphans = [name for name in unknown if files.path(name).stat().st_mtime < old]
    for name in orphans:
        files.drop(name)
    return len(orphans)


def _empty_sparse_segments(store: BlockingStore) -> int:
    query = """
        SELECT segment, MAX(start + stored) AS used, SUM(stored) AS live FROM objects
        WHERE segment IS NOT NULL GROUP BY segment
    """
    known = store.database.query(lambda db: db.execute(query).fetchall())
    sparse = [segment for segment, used, live in known if live < used * _SPARSE]
    return sum(_empty(store, segment) for segment in sparse)


def _empty(store: BlockingStore, segment: int) -> bool:
    """Move what is alive in a segment elsewhere; False if another process writes to it."""
    segments = store.objects.segments
    with segments.claimed(segment) as ours:
        if not ours:
            return False
        found = store.database.query(lambda db: db.execute(_IN_SEGMENT, (segment,)).fetchall())
        rows = [ObjectRow._make(row) for row in found]
        for row in rows:
            record = segments.read(row.in_segment, row.stored)
            _move(store, row, segments.append(memoryview(record)))
        segments.overwrite(salts_of(rows), bytes(SALT_SIZE))
    return True


def _move(store: BlockingStore, row: ObjectRow, place: Place) -> None:
    update = """
        UPDATE objects SET segment = ?, start = ? WHERE number = ? AND segment = ? AND start = ?
    """
    values = (*place, row.number, row.segment, row.start)

    def move(db: sqlite3.Connection) -> None:
        db.execute(update, values)

    store.database.apply(move)


def _batches(numbers: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(numbers)
    while batch := list(islice(rest, _BATCH)):
        yield batch
