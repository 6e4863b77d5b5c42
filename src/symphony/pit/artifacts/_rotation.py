"""New keys for what is there, and content made unreadable at once.

A new epoch is in force for all that is written from then on. What is older is written again, object
by object and row by row, each in a transaction of its own: whoever is interrupted goes on where it
was, and readers notice nothing. When nothing is left under an old key, the key is forgotten.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import NamedTuple

from symphony.commons.sqlite import database_errors
from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._ids import id_of
from symphony.pit.artifacts._keys import KeySource
from symphony.pit.artifacts._objects import (
    CHUNKS,
    COLUMNS,
    FILE,
    INLINE,
    SHREDDED,
    NewObject,
    ObjectRow,
    chunk_numbers,
    salts_of,
    select_number,
)
from symphony.pit.artifacts._vault import PLAIN, SALT_SIZE, Damaged, StaleEpoch

_BATCH = 200


class _Sealed(NamedTuple):
    """A column with sealed data, what it is sealed for, and what identifies its rows."""

    table: str
    column: str
    purpose: bytes
    key: str


_SEALED = (
    _Sealed("objects", "about", b"object", "number"),
    _Sealed("names", "sealed", b"name", "number"),
    _Sealed("versions", "sealed", b"version", "name, number"),
    _Sealed("aliases", "sealed", b"alias", "name, key"),
    _Sealed("tags", "sealed", b"tag", "object, key"),
    _Sealed("steps", "sealed", b"step", "number"),
    _Sealed("uses", "sealed", b"use", "step, output, object, key"),
    _Sealed("pins", "sealed", b"pin", "object"),
)


class Progress(NamedTuple):
    """How many objects and rows were written again, and how many objects cannot be: damaged ones,
    which keep their old key alive."""

    objects: int
    rows: int
    damaged: int


def change_key(store: BlockingStore, source: KeySource) -> None:
    """From now on the store opens with `source` alone. Nothing is written again but the keys."""
    store.keys.replace_slots(source)


def add_key(store: BlockingStore, source: KeySource) -> None:
    """The store opens with `source` too."""
    store.keys.add_slot(source)


def begin_epoch(store: BlockingStore) -> int:
    """A new key for all that is written from now on, by any process; returns its number."""
    number = store.keys.begin_epoch()
    store.vault.refresh()
    _announce(store)
    return number


def reencrypt(store: BlockingStore) -> Progress:
    """Write again what older keys have encrypted, and forget those keys. May be interrupted and
    called again; other processes may read and write meanwhile."""
    objects = damaged = 0
    last = -1
    with store.upkeep():
        store.vault.refresh()
        _announce(store)
        while batch := store.database.query(lambda db: _old_objects(store, db, last)):  # noqa: B023
            for row in batch:
                done = _rewrite(store, row)
                objects, damaged = objects + done, damaged + (not done)
            last = batch[-1].number
        rows = sum(_reseal(store, each) for each in _SEALED)
        if not store.database.query(lambda db: _old_objects(store, db, -1)):
            store.keys.forget_epochs({store.vault.epoch})
            store.vault.refresh()
    return Progress(objects, rows, damaged)


def shred(store: BlockingStore, artifact: ArtifactRef | str) -> None:
    """Make content unreadable at once, for whoever holds the keys too: what each object was
    encrypted with is overwritten, in the database, its log, segments and files. The artifact's
    row, names and lineage stay; storing the content again brings it back.

    Chunks that other artifacts need stay. In a store without encryption, and on disks that write
    elsewhere what is overwritten, the content itself may be found for some time by who looks for
    deleted data; so is what other processes have in memory. Raises ArtifactMissing.
    """
    doomed: list[ObjectRow] = []

    def change(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA secure_delete = ON")
        number = store.catalog.number_of(db, id_of(artifact))
        doomed[:] = _with_own_chunks(db, number)
        store.objects.segments.overwrite(salts_of(doomed), bytes(SALT_SIZE))
        for row in doomed:
            db.execute(_SHRED, (SHREDDED, row.number))

    with store.upkeep():
        store.database.apply(change)
        for row in doomed:
            if row.place == FILE:
                store.objects.drop(row)
        store.forget(id_of(artifact))
        _empty_log(store)


_SHRED = """
    UPDATE objects SET place = ?, stored = 0, segment = NULL, start = NULL, file = NULL,
                       salt = zeroblob(length(salt)), content = NULL
    WHERE number = ?
"""


def _announce(store: BlockingStore) -> None:
    """From this transaction on, no process can write under an older epoch."""
    update = "UPDATE state SET epoch = max(epoch, ?)"

    def announce(db: sqlite3.Connection) -> None:
        db.execute(update, (store.vault.epoch,))

    store.database.apply(announce)


def _old_objects(store: BlockingStore, db: sqlite3.Connection, last: int) -> list[ObjectRow]:
    query = f"""
        SELECT {COLUMNS} FROM objects WHERE epoch NOT IN ({PLAIN}, ?) AND number > ?
        AND place != {SHREDDED} ORDER BY number LIMIT {_BATCH}
    """  # noqa: S608 - constants
    rows = db.execute(query, (store.vault.epoch, last)).fetchall()
    return [ObjectRow._make(row) for row in rows]


def _rewrite(store: BlockingStore, row: ObjectRow) -> bool:
    """False if it is damaged. What has changed meanwhile is left to who changed it."""
    try:
        new = _copy(store, row)
    except Damaged:
        return False
    moved = False

    def move(db: sqlite3.Connection) -> None:
        nonlocal moved
        moved = select_number(db, row.number) == row
        if moved:
            store.objects.segments.overwrite(salts_of([row]), bytes(SALT_SIZE))
            store.catalog.replace(db, row.number, new)

    try:
        store.database.apply(move)
    except StaleEpoch:  # another process has begun yet another epoch: this is for its turn
        moved = False
    stale = row if moved else new
    if stale.place == FILE or not moved:
        store.objects.drop(stale)
    return True


def _copy(store: BlockingStore, row: ObjectRow) -> NewObject:
    if row.place == FILE:
        return store.objects.file(store.objects.stream(row))
    content = store.objects.read(row)
    digest = store.database.query(lambda db: store.catalog.description(db, row.number)).digest
    if row.place == INLINE:
        return store.objects.inline(digest, content)
    return store.objects.record(digest, content)


def _reseal(store: BlockingStore, what: _Sealed) -> int:
    done = 0

    def reseal(db: sqlite3.Connection) -> None:
        nonlocal done
        rows = db.execute(_older(what), (store.vault.mark_of_epoch,)).fetchall()
        where = " AND ".join(f"{column} = ?" for column in what.key.split(", "))
        update = f"UPDATE {what.table} SET {what.column} = ? WHERE {where}"  # noqa: S608
        for sealed, *key in rows:
            opened = store.vault.unseal(sealed, what.purpose)
            db.execute(update, (store.vault.seal(opened, what.purpose), *key))
        done = len(rows)

    total = 0
    while True:
        store.database.apply(reseal)
        if not done:
            return total
        total += done


def _older(what: _Sealed) -> str:
    return f"""
        SELECT {what.column}, {what.key} FROM {what.table}
        WHERE {what.column} != x'' AND substr({what.column}, 1, 2) != ? LIMIT {_BATCH}
    """  # noqa: S608 - constants


def _with_own_chunks(db: sqlite3.Connection, number: int) -> list[ObjectRow]:
    """An object, and those of its chunks that no other object has."""
    row = select_number(db, number)
    assert row is not None  # noqa: S101 - its number has just been found
    if row.place != CHUNKS:
        return [row]
    query = "SELECT content FROM objects WHERE place = ? AND number != ?"
    needed = {
        chunk
        for (manifest,) in db.execute(query, (CHUNKS, number))
        for chunk in chunk_numbers(manifest)
    }
    chunks = (select_number(db, each) for each in set(chunk_numbers(row.content or b"")) - needed)
    own = "SELECT chunk FROM objects WHERE number = ?"
    return [row, *(c for c in chunks if c and db.execute(own, (c.number,)).fetchone()[0])]


def _empty_log(store: BlockingStore) -> None:
    """What was overwritten in the database still stands in its log."""
    path = store.database.path
    with database_errors(path), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
