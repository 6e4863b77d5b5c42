"""Every event of every run, one a row, in the order in which it happened: the truth about runs.

Commit level `process`: what is recorded is written by one thread, a transaction for what queued up
during the last one, not synced to the disk. If the process is killed, the journal of a run is a
prefix of what happened, without gaps, short of at most the events of its last moments; `flush`
makes that zero. A power cut can take more, never the order.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from symphony.commons.database import Database, open_shared_database
from symphony.execution import (
    Event,
    Recorded,
    RunCancelling,
    RunCreated,
    RunFinished,
    RunState,
    decode,
    encode,
    kind_of,
)
from symphony.pit.tracker._errors import RunExists, RunMissing

_APPLICATION_ID = 0x53796D4A  # "SymJ"
_MIGRATIONS = (
    """
    CREATE TABLE workflows (
        fingerprint TEXT PRIMARY KEY,
        document TEXT NOT NULL
    ) STRICT;
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        run TEXT NOT NULL UNIQUE,
        fingerprint TEXT NOT NULL REFERENCES workflows
    ) STRICT;
    CREATE TABLE events (
        run TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (run, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX milestones ON events (run, seq) WHERE kind LIKE 'run.%';
    """,
)
_LATEST = "SELECT run FROM runs ORDER BY number DESC LIMIT ?"
# Left to itself SQLite reads every event of the run.
_MILESTONES = """
    SELECT body FROM events INDEXED BY milestones WHERE kind LIKE 'run.%' AND run = ? ORDER BY seq
"""
_EVENTS = "SELECT body FROM events WHERE run = ? ORDER BY seq"
_DOCUMENT = "SELECT document FROM runs JOIN workflows USING (fingerprint) WHERE run = ?"


class RunSummary(msgspec.Struct, frozen=True):
    """A run in a list of runs. Times are seconds since the epoch. A `state` that is not final
    says that the run goes on, or that its process died."""

    run_id: str
    workflow_id: str
    workflow_name: str
    state: RunState
    nodes: int
    created_at: float
    finished_at: float | None


class _Row(NamedTuple):
    run: str
    seq: int
    at: float
    kind: str
    body: bytes


class Journal:
    """Get one from `open_journal`. Several runs and processes may write to one journal at a time.

    When a write fails, the journal is broken for good: nothing is tried again and believed.
    Everybody in `watch`, and every `flush` from then on, gets the error.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queued: deque[_Row] = deque()
        self._in_hand: list[_Row] = []
        self._scheduled = False
        self._loop = asyncio.get_running_loop()
        self._broken = asyncio.Event()
        self._fault: BaseException | None = None

    async def begin(self, run_id: str, fingerprint: str, document: str) -> None:
        """Make room for a new run, and keep what it runs; RunExists if the id is taken.

        `document` is the workflow's text: a later session can go on with the run without its file.
        """
        await self._database.write(lambda db: _begin(db, run_id, fingerprint, document))

    def append(self, run_id: str, recorded: Recorded) -> None:
        """Queue an event of a run that has begun; it is committed soon, see `flush`. A broken
        journal drops it: that is told by `flush` and `watch`, never here."""
        if self._fault is not None:
            return
        kind = kind_of(recorded.event)
        self._queued.append(_Row(run_id, recorded.seq, recorded.at, kind, encode(recorded)))
        if not self._scheduled:
            self._scheduled = True
            self._database.submit(self._insert).add_done_callback(self._inserted)

    async def flush(self) -> None:
        """Return when everything appended so far is committed; raises what kept it from being."""
        await self._database.write(lambda _: None)
        if self._fault is not None:
            raise self._fault

    async def watch(self) -> NoReturn:
        """Raise what broke the journal, as soon as something does."""
        await self._broken.wait()
        raise self._fault or AssertionError("a broken journal has a fault")

    async def read(self, run_id: str) -> list[Recorded]:
        """The committed events of a run, from the first; raises RunMissing."""
        rows = await self._database.read(lambda db: db.execute(_EVENTS, (run_id,)).fetchall())
        if not rows:
            raise RunMissing(run_id)
        return [decode(body) for (body,) in rows]

    async def knows(self, run_id: str) -> bool:
        """Whether the id of a run is taken."""
        query = "SELECT 1 FROM runs WHERE run = ?"
        row = await self._database.read(lambda db: db.execute(query, (run_id,)).fetchone())
        return row is not None

    async def document(self, run_id: str) -> str:
        """The text of the workflow that a run performs; raises RunMissing."""
        row = await self._database.read(lambda db: db.execute(_DOCUMENT, (run_id,)).fetchone())
        if row is None:
            raise RunMissing(run_id)
        return str(row[0])

    async def runs(self, limit: int = 100) -> list[RunSummary]:
        """The latest runs, the newest first."""
        return await self._database.read(lambda db: list(_summaries(db, limit)))

    def _insert(self, db: sqlite3.Connection) -> None:
        """In the writer's thread. `_in_hand` outlives a call whose transaction is applied again."""
        self._scheduled = False
        while self._queued:
            self._in_hand.append(self._queued.popleft())
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", self._in_hand)

    def _inserted(self, committed: Future[None]) -> None:
        self._in_hand.clear()
        fault = committed.exception()
        if fault is not None and self._fault is None:
            self._fault = fault
            self._loop.call_soon_threadsafe(self._broken.set)


def _begin(db: sqlite3.Connection, run_id: str, fingerprint: str, document: str) -> None:
    db.execute("INSERT OR IGNORE INTO workflows VALUES (?, ?)", (fingerprint, document))
    try:
        db.execute("INSERT INTO runs (run, fingerprint) VALUES (?, ?)", (run_id, fingerprint))
    except sqlite3.IntegrityError as error:
        raise RunExists(run_id) from error


def _summaries(db: sqlite3.Connection, limit: int) -> Iterator[RunSummary]:
    for (run_id,) in db.execute(_LATEST, (limit,)).fetchall():
        milestones = [decode(body) for (body,) in db.execute(_MILESTONES, (run_id,))]
        if milestones and isinstance(created := milestones[0].event, RunCreated):
            yield RunSummary(
                run_id,
                created.workflow_id,
                created.workflow_name,
                _state_after(milestones[-1].event),
                len(created.nodes),
                milestones[0].at,
                milestones[-1].at if isinstance(milestones[-1].event, RunFinished) else None,
            )


def _state_after(event: Event) -> RunState:
    match event:
        case RunFinished(state=state):
            return state
        case RunCancelling():
            return RunState.CANCELLING
        case RunCreated():
            return RunState.PENDING
        case _:
            return RunState.RUNNING


@asynccontextmanager
async def open_journal(path: Path) -> AsyncIterator[Journal]:
    """The journal at `path`, created if it is not there. What was appended is committed, unless
    it broke, when the block has ended."""
    async with open_shared_database(
        path, application_id=_APPLICATION_ID, migrations=_MIGRATIONS, synchronous="NORMAL"
    ) as database:
        yield Journal(database)
