"""What is said of objects: rows for them, their tags, names and steps. All inside transactions
that the caller has begun; `vault` makes what is found and told of it readable, or not."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from symphony.commons.values import Value
from symphony.pit.artifacts._errors import (
    Ambiguous,
    ArtifactCorrupt,
    ArtifactMissing,
    NameUnknown,
    VersionConflict,
)
from symphony.pit.artifacts._ids import HashName, digest_in
from symphony.pit.artifacts._labels import require_alias, require_label, require_name
from symphony.pit.artifacts._objects import CHUNKS, NewObject, chunk_numbers, select_object
from symphony.pit.artifacts._steps import NO_PORT, Steps
from symphony.pit.artifacts._types import NOTHING, About, ArtifactInfo, Version
from symphony.pit.artifacts._vault import Damaged, Vault

#: Putting or naming what is there renews its time no oftener: that costs a sync.
RENEWAL_SECONDS = 3600.0

_ADD = """
    INSERT INTO objects (key, chunk, size, stored, place, segment, start, file, epoch, salt,
                         created, touched, step, about, content)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO NOTHING
"""
_REPLACE = """
    UPDATE objects SET size = ?, stored = ?, place = ?, segment = ?, start = ?, file = ?,
                       epoch = ?, salt = ?, content = ?
    WHERE number = ?
"""
_VersionRow: TypeAlias = tuple[int, int, float, int | None, bytes]
_INFO = "SELECT number, size, created, about FROM objects WHERE {} AND chunk = 0"


class Description(msgspec.Struct, array_like=True, frozen=True):
    """What is sealed in an object's row."""

    digest: bytes
    media_type: str
    creator: str = ""
    metadata: dict[str, Value] = {}


class _VersionNote(msgspec.Struct, array_like=True, frozen=True):
    message: str
    creator: str


class Catalog:
    def __init__(self, vault: Vault, hash_: HashName) -> None:
        self._vault = vault
        self._hash = hash_
        self._encode = msgspec.msgpack.Encoder().encode
        self.steps = Steps(vault)

    # Objects

    def add(self, db: sqlite3.Connection, new: NewObject, media_type: str, about: About) -> bool:
        """Give an object its row; False, and nothing done, if it has one. Raises StaleEpoch."""
        self._require_current(new)
        now = time.time()
        described = Description(new.digest, media_type, about.creator, about.metadata)
        sealed = self._vault.seal(self._encode(described), b"object")
        step = None if about.step is None else self.steps.number(db, about.step)
        added = db.execute(
            _ADD,
            (
                *(new.key, 0, new.size, new.stored, new.place, new.segment, new.start, new.file),
                *(new.epoch, new.salt, now, now, step, sealed, new.content),
            ),
        )
        if added.rowcount and about is not NOTHING:
            self._tell(db, added.lastrowid or 0, about, made=True)
        return bool(added.rowcount)

    def chunk(self, db: sqlite3.Connection, digest: bytes, new: NewObject | None) -> int | None:
        """The row of a part of other objects, whoever has it; a copy that was just written gets a
        row, or takes the place of what is there. None if there is neither."""
        now = time.time()
        row = select_object(db, self.key(digest))
        if new is not None:
            self._require_current(new)
        if row is None and new is not None:
            sealed = self._sealed(Description(digest, ""))
            place = (new.place, new.segment, new.start, new.file, new.epoch, new.salt)
            values = (new.key, 1, new.size, new.stored, *place, now, now, None, sealed, None)
            return db.execute(_ADD, values).lastrowid
        if row is None:
            return None
        if new is not None:
            self.replace(db, row.number, new)
        renew(db, [row.number], now)
        return row.number

    def replace(self, db: sqlite3.Connection, number: int, new: NewObject) -> None:
        """Let a row point to another copy of its content. Raises StaleEpoch."""
        self._require_current(new)
        db.execute(
            _REPLACE,
            (
                *(new.size, new.stored, new.place, new.segment, new.start, new.file),
                *(new.epoch, new.salt, new.content, number),
            ),
        )

    def _require_current(self, new: NewObject) -> None:
        if new.place != CHUNKS:
            self._vault.require_current(new.epoch)

    def claim(
        self, db: sqlite3.Connection, number: int, media_type: str = "", about: About = NOTHING
    ) -> None:
        """Someone has put or named it again: it is no garbage, and no mere chunk any more."""
        now = time.time()
        query = "SELECT chunk, touched, marked, about, place, content FROM objects WHERE number = ?"
        chunk, touched, marked, sealed, place, content = db.execute(query, (number,)).fetchone()
        if chunk and media_type:
            described = self._description(sealed)
            told = msgspec.structs.replace(
                described, media_type=media_type, creator=about.creator, metadata=about.metadata
            )
            statement = "UPDATE objects SET chunk = 0, created = ?, about = ? WHERE number = ?"
            db.execute(statement, (now, self._sealed(told), number))
            self.note_change(db, number)
        if marked is not None or now - touched > RENEWAL_SECONDS:
            numbers = [number, *(chunk_numbers(content) if place == CHUNKS else ())]
            renew(db, numbers, now)
        if about is not NOTHING:
            self._tell(db, number, about)
            self.note_change(db, number)

    def note_change(self, db: sqlite3.Connection, number: int) -> None:
        db.execute("INSERT INTO outbox (object) VALUES (?)", (number,))

    def number_of(self, db: sqlite3.Connection, id_: str) -> int:
        """The row of an id; raises ArtifactMissing."""
        digest = digest_in(id_, self._hash)
        query = "SELECT number FROM objects WHERE key = ? AND chunk = 0"
        found = None if digest is None else db.execute(query, (self.key(digest),)).fetchone()
        if found is None:
            raise ArtifactMissing(id_)
        return int(found[0])

    def numbers_of(self, db: sqlite3.Connection, ids: Iterable[str]) -> list[int]:
        return [self.number_of(db, id_) for id_ in ids]

    def resolve(self, db: sqlite3.Connection, text: str) -> str:
        """See `BlockingStore.resolve`."""
        prefix = f"{self._hash}:"
        if digest_in(text, self._hash) is not None:
            return self.info(db, self.number_of(db, text)).id
        if not text.startswith(prefix):
            name, _, which = text.partition("@")
            return self.version(db, name, which).id
        found = self._beginning_with(db, text)
        if len(found) > 1:
            raise Ambiguous(text, len(found))
        if not found:
            raise ArtifactMissing(text)
        return found[0]

    def _beginning_with(self, db: sqlite3.Connection, text: str) -> list[str]:
        """Looks at every object: the index knows only what whole ids become."""
        rows = db.execute("SELECT about FROM objects WHERE chunk = 0").fetchall()
        ids = (self.id_of(self._description(row[0]).digest) for row in rows)
        return [id_ for id_ in ids if id_.startswith(text)]

    def key(self, digest: bytes) -> bytes:
        return self._vault.blind(digest)

    def id_of(self, digest: bytes) -> str:
        return f"{self._hash}:{digest.hex()}"

    def info(self, db: sqlite3.Connection, number: int) -> ArtifactInfo:
        row = db.execute(_INFO.format("number = ?"), (number,)).fetchone()
        return self._info(db, row)

    def infos(self, db: sqlite3.Connection, limit: int, tag: str | None) -> list[ArtifactInfo]:
        """The newest artifacts, all or those with a tag."""
        wanted = None if tag is None else self._vault.blind(_tag_key(tag))
        where = "(?1 IS NULL OR number IN (SELECT object FROM tags WHERE key = ?1))"
        query = f"{_INFO.format(where)} ORDER BY created DESC, number DESC LIMIT ?2"
        return [self._info(db, row) for row in db.execute(query, (wanted, limit)).fetchall()]

    def description_id(self, db: sqlite3.Connection, number: int) -> str:
        return self.id_of(self.description(db, number).digest)

    def description(self, db: sqlite3.Connection, number: int) -> Description:
        query = "SELECT about FROM objects WHERE number = ?"
        return self._description(db.execute(query, (number,)).fetchone()[0])

    def describe(
        self,
        db: sqlite3.Connection,
        number: int,
        media_type: str | None,
        metadata: dict[str, Value] | None,
    ) -> None:
        known = self.description(db, number)
        told = Description(
            known.digest,
            known.media_type if media_type is None else media_type,
            known.creator,
            known.metadata if metadata is None else metadata,
        )
        db.execute("UPDATE objects SET about = ? WHERE number = ?", (self._sealed(told), number))
        self.note_change(db, number)

    def tags(self, db: sqlite3.Connection, number: int) -> tuple[str, ...]:
        rows = db.execute("SELECT sealed FROM tags WHERE object = ?", (number,))
        return tuple(sorted(self._vault.unseal(row[0], b"tag").decode() for row in rows))

    def tag(self, db: sqlite3.Connection, number: int, tags: Iterable[str]) -> None:
        for tag in tags:
            require_label(tag, "a tag")
            blinded = self._vault.blind(_tag_key(tag))
            sealed = self._vault.seal(tag.encode(), b"tag")
            insert = "INSERT OR IGNORE INTO tags (object, key, sealed) VALUES (?, ?, ?)"
            db.execute(insert, (number, blinded, sealed))

    def untag(self, db: sqlite3.Connection, number: int, tags: Iterable[str]) -> None:
        for tag in tags:
            blinded = self._vault.blind(_tag_key(tag))
            db.execute("DELETE FROM tags WHERE object = ? AND key = ?", (number, blinded))

    # Names

    def record(
        self,
        db: sqlite3.Connection,
        name: str,
        number: int,
        *,
        message: str = "",
        creator: str = "",
        expected: int | None = None,
    ) -> int:
        """The object becomes the next version of the name; returns which. `expected` is the
        version that must be the newest, 0 for none; raises VersionConflict."""
        self.claim(db, number)
        name_number = self._name(db, name)
        query = "SELECT MAX(number) FROM versions WHERE name = ?"
        newest = db.execute(query, (name_number,)).fetchone()[0] or 0
        if expected is not None and expected != newest:
            raise VersionConflict(name, expected, newest)
        note = self._vault.seal(self._encode(_VersionNote(message, creator)), b"version")
        insert = "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)"
        parent = newest or None
        db.execute(insert, (name_number, newest + 1, number, parent, time.time(), note))
        self.note_change(db, number)
        return int(newest) + 1

    def has_versions(self, db: sqlite3.Connection, name: str) -> bool:
        found = self._find_name(db, name)
        query = "SELECT 1 FROM versions WHERE name = ? LIMIT 1"
        return found is not None and db.execute(query, (found,)).fetchone() is not None

    def history(self, db: sqlite3.Connection, name: str) -> list[Version]:
        """Newest first; raises NameUnknown."""
        query = """
            SELECT number, object, created, parent, sealed FROM versions WHERE name = ?
            ORDER BY number DESC
        """
        found = self._find_name(db, name)
        rows = [] if found is None else db.execute(query, (found,)).fetchall()
        if not rows:
            raise NameUnknown(name)
        return [self._version(db, name, found or 0, row) for row in rows]

    def version(self, db: sqlite3.Connection, name: str, which: str = "") -> Version:
        """`which` is empty for the newest, a number, or an alias; raises NameUnknown."""
        found = self._find_name(db, name)
        number = None if found is None else self._version_number(db, found, which)
        query = """
            SELECT number, object, created, parent, sealed FROM versions
            WHERE name = ? AND number = ?
        """
        row = db.execute(query, (found, number)).fetchone()
        if row is None:
            raise NameUnknown(name, which)
        return self._version(db, name, found or 0, row)

    def names(self, db: sqlite3.Connection) -> list[str]:
        rows = db.execute("SELECT sealed FROM names WHERE number IN (SELECT name FROM versions)")
        return sorted(self._vault.unseal(row[0], b"name").decode() for row in rows)

    def set_alias(self, db: sqlite3.Connection, name: str, alias: str, which: str) -> None:
        """Let an alias stand for a version, wherever it stood before."""
        require_alias(alias)
        version = self.version(db, name, which)
        key = self._vault.blind(b"alias:" + alias.encode())
        values = (self._find_name(db, name), key, self._vault.seal(alias.encode(), b"alias"))
        db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?, ?)", (*values, version.number))

    def drop_alias(self, db: sqlite3.Connection, name: str, alias: str) -> None:
        key = self._vault.blind(b"alias:" + alias.encode())
        where = (self._find_name(db, name), key)
        if not db.execute("DELETE FROM aliases WHERE name = ? AND key = ?", where).rowcount:
            raise NameUnknown(name, alias)

    def forget_name(self, db: sqlite3.Connection, name: str) -> None:
        """Drop a name with all of its history; the contents stay until they are collected."""
        found = self._find_name(db, name)
        if found is None:
            raise NameUnknown(name)
        for table, column in (("aliases", "name"), ("versions", "name"), ("names", "number")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (found,))  # noqa: S608

    def versions_of(self, db: sqlite3.Connection, number: int) -> list[Version]:
        """Every entry of any history that is this object."""
        query = """
            SELECT names.number, names.sealed, versions.number, object, created, parent,
                   versions.sealed
            FROM versions JOIN names ON names.number = name WHERE object = ?
        """
        return [
            self._version(db, self._vault.unseal(row[1], b"name").decode(), row[0], row[2:])
            for row in db.execute(query, (number,)).fetchall()
        ]

    def _tell(
        self, db: sqlite3.Connection, number: int, about: About, *, made: bool = False
    ) -> None:
        """`made`: which step made it stands in its row already."""
        if about.tags:
            self.tag(db, number, about.tags)
        if about.step is not None and (about.step.inputs or not made):
            outputs = [] if made else [(number, NO_PORT)]
            self.steps.note_uses(db, about.step, outputs, self.numbers_of(db, about.step.inputs))
        if about.save_as:
            self.record(db, about.save_as, number, message=about.message, creator=about.creator)

    def _name(self, db: sqlite3.Connection, name: str) -> int:
        require_name(name)
        found = self._find_name(db, name)
        if found is not None:
            return found
        key, sealed = self._name_key(name), self._vault.seal(name.encode(), b"name")
        added = db.execute("INSERT INTO names (key, sealed) VALUES (?, ?)", (key, sealed))
        return added.lastrowid or 0

    def _find_name(self, db: sqlite3.Connection, name: str) -> int | None:
        query = "SELECT number FROM names WHERE key = ?"
        found = db.execute(query, (self._name_key(name),)).fetchone()
        return None if found is None else int(found[0])

    def _name_key(self, name: str) -> bytes:
        return self._vault.blind(b"name:" + name.encode("utf-8", "surrogatepass"))

    def _version_number(self, db: sqlite3.Connection, name: int, which: str) -> int | None:
        if which.isdecimal():
            return int(which) if len(which) < 16 else None
        if which:
            query = "SELECT version FROM aliases WHERE name = ? AND key = ?"
            key = self._vault.blind(b"alias:" + which.encode("utf-8", "surrogatepass"))
            found = db.execute(query, (name, key)).fetchone()
        else:
            query = "SELECT MAX(number) FROM versions WHERE name = ?"
            found = db.execute(query, (name,)).fetchone()
        return None if found is None else found[0]

    def _version(
        self, db: sqlite3.Connection, name: str, name_number: int, row: _VersionRow
    ) -> Version:
        number, object_, created, parent, sealed = row
        opened = self._vault.unseal(sealed, b"version")
        note = msgspec.msgpack.decode(opened, type=_VersionNote)
        info = self.info(db, object_)
        query = "SELECT sealed FROM aliases WHERE name = ? AND version = ?"
        aliases = db.execute(query, (name_number, number)).fetchall()
        return Version(
            name,
            number,
            info.id,
            info.size,
            info.media_type,
            created,
            parent,
            note.message,
            note.creator,
            tuple(sorted(self._vault.unseal(each[0], b"alias").decode() for each in aliases)),
        )

    def _info(self, db: sqlite3.Connection, row: tuple[int, int, float, bytes]) -> ArtifactInfo:
        number, size, created, sealed = row
        known = self._description(sealed)
        return ArtifactInfo(
            self.id_of(known.digest),
            size,
            known.media_type,
            created,
            known.creator,
            known.metadata,
            self.tags(db, number),
        )

    def _description(self, sealed: bytes) -> Description:
        try:
            opened = self._vault.unseal(sealed, b"object")
            return msgspec.msgpack.decode(opened, type=Description)
        except (Damaged, msgspec.DecodeError) as error:
            raise ArtifactCorrupt("(its id cannot be read)", str(error)) from error

    def _sealed(self, description: Description) -> bytes:
        return self._vault.seal(self._encode(description), b"object")


def renew(db: sqlite3.Connection, numbers: Iterable[int], now: float) -> None:
    """These are no garbage."""
    statement = "UPDATE objects SET touched = ?, marked = NULL WHERE number = ?"
    db.executemany(statement, [(now, number) for number in numbers])


def _tag_key(tag: str) -> bytes:
    return b"tag:" + tag.encode("utf-8", "surrogatepass")
