"""Which step of which run made what, of what: rows, inside transactions that the caller began."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

import msgspec

from symphony.pit.artifacts._types import Step
from symphony.pit.artifacts._vault import Vault


class _StepNote(msgspec.Struct, array_like=True, frozen=True):
    run: str
    node: str
    model: str
    code: str


class Use(msgspec.Struct, array_like=True, frozen=True):
    """At which port a step gave something, and what it called it."""

    port: str
    name: str


NO_PORT = Use("", "")


class Steps:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._encode = msgspec.msgpack.Encoder().encode

    def note_uses(
        self,
        db: sqlite3.Connection,
        step: Step,
        outputs: Iterable[tuple[int, Use]],
        inputs: Iterable[int],
    ) -> None:
        """That a step made objects, each at a port under a name, of others."""
        number = self.number(db, step)
        for object_, use in outputs:
            self._note_use(db, number, object_, use, output=1)
        for object_ in inputs:
            self._note_use(db, number, object_, NO_PORT, output=0)

    def _note_use(
        self, db: sqlite3.Connection, step: int, object_: int, use: Use, *, output: int
    ) -> None:
        sealed = b"" if use == NO_PORT else self._vault.seal(self._encode(use), b"use")
        key = self._vault.blind(b"port:" + use.port.encode()) if use.port else b""
        insert = "INSERT OR IGNORE INTO uses (step, output, object, key, sealed) VALUES (?,?,?,?,?)"
        db.execute(insert, (step, output, object_, key, sealed))

    def step(self, db: sqlite3.Connection, number: int) -> Step:
        """What is known of a step, without its inputs."""
        query = "SELECT sealed FROM steps WHERE number = ?"
        sealed = db.execute(query, (number,)).fetchone()[0]
        note = msgspec.msgpack.decode(self._vault.unseal(sealed, b"step"), type=_StepNote)
        return Step(note.run, note.node, note.model, note.code)

    def use(self, sealed: bytes) -> Use:
        if not sealed:
            return NO_PORT
        return msgspec.msgpack.decode(self._vault.unseal(sealed, b"use"), type=Use)

    def run_key(self, run: str) -> bytes:
        return self._vault.blind(b"run:" + run.encode())

    def number(self, db: sqlite3.Connection, step: Step) -> int:
        """The step's row; what was not known of it before is added."""
        key = self._vault.blind(f"step:{step.run}\0{step.node}".encode())
        found = db.execute("SELECT number FROM steps WHERE key = ?", (key,)).fetchone()
        if found is None:
            insert = "INSERT INTO steps (key, run, created, sealed) VALUES (?, ?, ?, ?)"
            values = (key, self.run_key(step.run), time.time(), self._sealed(step))
            return db.execute(insert, values).lastrowid or 0
        if step.model or step.code:
            update = "UPDATE steps SET sealed = ? WHERE number = ?"
            db.execute(update, (self._sealed(step), found[0]))
        return int(found[0])

    def _sealed(self, step: Step) -> bytes:
        note = _StepNote(step.run, step.node, step.model, step.code)
        return self._vault.seal(self._encode(note), b"step")
