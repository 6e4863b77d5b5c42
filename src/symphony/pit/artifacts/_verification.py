"""Reading everything and hashing it again, and mending what is damaged from another copy."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._errors import ArtifactCorrupt, ArtifactMissing
from symphony.pit.artifacts._objects import CHUNKS, COLUMNS, SHREDDED, ObjectRow, chunk_numbers
from symphony.pit.artifacts._vault import Damaged

_PAGE = 200


class Damage(msgspec.Struct, frozen=True):
    """An artifact that cannot be read, and why. `id` is empty if not even that can be told."""

    id: str
    reason: str


class Report(msgspec.Struct, frozen=True):
    """`checked` objects of `bytes` bytes were read; chunks count as objects."""

    checked: int
    bytes: int
    damaged: list[Damage]

    @property
    def whole(self) -> bool:
        return not self.damaged


def verify(store: BlockingStore, share: float = 1.0) -> Report:
    """Read all objects, or a random share of them (0 to 1), and compare their hashes.

    Reports exactly the artifacts that cannot be read whole, those with a damaged chunk among
    them. Takes as long as reading the store does; nothing else waits for it.
    """
    bad: dict[int, str] = {}
    checked = size = 0
    for row in _objects(store):
        if row.place in (CHUNKS, SHREDDED) or (share < 1 and random.random() >= share):  # noqa: S311
            continue
        checked, size = checked + 1, size + row.size
        if reason := _fault(store, row):
            bad[row.number] = reason
    damaged = store.database.query(lambda db: _artifacts(store, db, bad))
    return Report(checked, size, damaged)


def repair(store: BlockingStore, source: BlockingStore, damaged: Iterable[Damage]) -> list[str]:
    """Take the artifacts that a report names from another store; returns the ids mended. What the
    other one does not have, or has damaged too, stays as it is."""
    return [damage.id for damage in damaged if damage.id and _mended(store, source, damage.id)]


def _mended(store: BlockingStore, source: BlockingStore, id_: str) -> bool:
    try:
        ref: ArtifactRef = store.put_stream(source.stream(id_), store.stat(id_).media_type)
    except (ArtifactMissing, ArtifactCorrupt):
        return False
    return ref.id == id_


def _objects(store: BlockingStore) -> Iterator[ObjectRow]:
    """Page by page, so that no read of the database lasts as long as the verification."""
    query = f"SELECT {COLUMNS} FROM objects WHERE number > ? ORDER BY number LIMIT {_PAGE}"  # noqa: S608
    last = -1
    while rows := store.database.query(lambda db: db.execute(query, (last,)).fetchall()):  # noqa: B023
        for each in rows:
            yield ObjectRow._make(each)
        last = rows[-1][0]


def _fault(store: BlockingStore, row: ObjectRow) -> str:
    """What is wrong with an object; empty if nothing is, or if it has gone or moved meanwhile."""
    try:
        right = store.catalog.key(store.objects.rehashed(row)) == row.key
        reason = "" if right else "its hash differs"
    except Damaged as damage:
        reason = damage.reason
    if reason and store.objects.find(row.key) != row:
        now = store.objects.find(row.key)
        return _fault(store, now) if now is not None else ""
    return reason


def _artifacts(store: BlockingStore, db: sqlite3.Connection, bad: dict[int, str]) -> list[Damage]:
    found: list[Damage] = []
    query = f"SELECT number, chunk, content FROM objects WHERE place = {CHUNKS} OR number IN ({{}})"  # noqa: S608
    rows = db.execute(query.format(",".join(map(str, bad)))).fetchall()
    present = {row[0] for row in db.execute("SELECT number FROM objects")}
    for number, chunk, manifest in rows:
        reason = bad.get(number, "")
        if not reason:
            parts = chunk_numbers(manifest)
            gone = any(part not in present for part in parts)
            hurt = next((bad[part] for part in parts if part in bad), "")
            reason = "a chunk of it is gone" if gone else hurt and f"a chunk of it: {hurt}"
        if reason and not chunk:
            found.append(_damage(store, db, number, reason))
    return found


def _damage(store: BlockingStore, db: sqlite3.Connection, number: int, reason: str) -> Damage:
    try:
        return Damage(store.catalog.info(db, number).id, reason)
    except ArtifactCorrupt:
        return Damage("", reason)
