"""Every event of every run in the order of their happening, a turn of the tracker a row.

What a commit survives is its `Level`. The commit itself, without a sync, costs some 20 us and is
done on the spot: handing it to a thread costs more, and up to 80 us where one node waits for the
other. If another process has the database, a thread waits for it instead; syncs and checkpoints are
done by a thread always. If the process is killed, the journal of a run is what happened, without
gaps; a power cut can take more (at `process`), never the order.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from symphony.commons import blocking
from symphony.commons.database import Database, open_shared_database
from symphony.commons.errors import SymphonyError
from symphony.commons.sqlite import database_errors, open_database
from symphony.execution import (
    STATE_AFTER,
    Event,
    Recorded,
    RunCreated,
    RunFinished,
    RunState,
    RunStatus,
    decode,
    decode_turn,
    encode_turn,
)
from symphony.pit.tracker._errors import RunExists, RunMissing
from symphony.pit.tracker._syncer import Syncer

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
    """
    CREATE TABLE turns (
        run TEXT NOT NULL,
        seq INTEGER NOT NULL,
        last INTEGER NOT NULL,
        state TEXT,
        body BLOB NOT NULL,
        PRIMARY KEY (run, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX turning_points ON turns (run, seq) WHERE state IS NOT NULL;
    CREATE TABLE snapshots (
        run TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    """,
)
_LATEST = "SELECT run FROM runs ORDER BY number DESC LIMIT ?"
# Left to itself SQLite reads every event of the run.
_MILESTONES = """
    SELECT body FROM events INDEXED BY milestones WHERE kind LIKE 'run.%' AND run = ? ORDER BY seq
"""
_EVENTS = "SELECT body FROM events WHERE run = ? ORDER BY seq"
_TURNS = "SELECT seq, body FROM turns WHERE run = ? AND last > ? ORDER BY seq"
_INSERT = "INSERT INTO turns VALUES (?, ?, ?, ?, ?)"
# The first turn and the last one that changed the state of the run.
_TURNING_POINTS = """
    SELECT seq, body FROM turns INDEXED BY turning_points WHERE state IS NOT NULL AND run = ?1
    AND seq IN (
        SELECT min(seq) FROM turns INDEXED BY turning_points
        WHERE state IS NOT NULL AND run = ?1
        UNION SELECT max(seq) FROM turns INDEXED BY turning_points
        WHERE state IS NOT NULL AND run = ?1
    ) ORDER BY seq
"""
_KEEP_SNAPSHOT = "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)"
_BEGUN = """
    SELECT EXISTS (SELECT 1 FROM turns WHERE run = ?1)
    OR EXISTS (SELECT 1 FROM events WHERE run = ?1)
"""
_SNAPSHOT = "SELECT body FROM snapshots WHERE run = ?"
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CHECKPOINT_EACH = 1000
#: At level `power`: a sync for so many turns, or for those of so long.
_GROUP = 100
_GROUP_SECONDS = 0.005
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


class Level(StrEnum):
    """What a run survives: `memory` nothing; `process` the death of its process; `power` also a
    power cut, short of the last moments (what leaves the run waits for the sync: its end, the start
    of a `once` node); `strict` a power cut at any moment, at the price of a sync a turn."""

    MEMORY = "memory"
    PROCESS = "process"
    POWER = "power"
    STRICT = "strict"


class Journal:
    """Get one from `open_journal`. Several runs and processes may write to one journal at a time.

    When a write fails, the journal is broken for good: nothing is tried again and believed.
    Everybody in `watch`, and every `flush` from then on, gets the error.
    """

    def __init__(self, database: Database, connection: sqlite3.Connection, syncer: Syncer) -> None:
        self._database = database
        self._connection = connection
        self._syncer = syncer
        #: Turns that the thread has, or waits to get.
        self._queued = 0
        self._since_checkpoint = 0
        self._sync_due: asyncio.TimerHandle | None = None
        self._unsynced = 0
        self._loop = asyncio.get_running_loop()
        self._broken = asyncio.Event()
        self._fault: BaseException | None = None

    @property
    def path(self) -> Path:
        return self._database.path

    @property
    def fault(self) -> BaseException | None:
        """What broke it."""
        return self._fault

    async def begin(self, run_id: str, fingerprint: str, document: str) -> None:
        """Make room for a new run, and keep what it runs; RunExists if the id is taken.

        `document` is the workflow's text: a later session can go on with the run without its file.
        """
        await self._database.write(lambda db: _begin(db, run_id, fingerprint, document))

    def append(
        self,
        run_id: str,
        turn: Sequence[Recorded],
        state: RunState | None,
        then: Callable[[], None],
        *,
        level: Level = Level.PROCESS,
    ) -> None:
        """Commit events of a run that has begun, and call `then` when they are: before this
        returns, or later in the loop's thread. `state` is that of the run, if they change it. A
        broken journal drops them: that is told by `flush` and `watch`, never here."""
        if self._fault is not None:
            return
        if level is Level.STRICT:
            then = partial(self._sync_then, then)
        row = (run_id, turn[0].seq, turn[-1].seq, state, encode_turn(turn))
        if self._queued:
            self._hand_over(row, then)
            return
        try:
            self._connection.execute(_INSERT, row)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in _BUSY:
                self._hand_over(row, then)
            else:
                self._break_with(error)
            return
        except sqlite3.Error as error:
            self._break_with(error)
            return
        self._committed(level)
        then()

    def _committed(self, level: Level) -> None:
        self._since_checkpoint += 1
        if self._since_checkpoint >= _CHECKPOINT_EACH:
            self._since_checkpoint = 0
            self._syncer.checkpoint()
        if level is Level.POWER:
            self._unsynced += 1
            if self._unsynced >= _GROUP:
                self._sync_group()
            elif self._sync_due is None:
                self._sync_due = self._loop.call_later(_GROUP_SECONDS, self._sync_group)

    def _sync_group(self) -> None:
        if self._sync_due is not None:
            self._sync_due.cancel()
            self._sync_due = None
        self._unsynced = 0
        self._sync_then(_nothing)

    def _sync_then(self, then: Callable[[], None]) -> None:
        self._syncer.sync(partial(self._call, self._after_sync, then))

    def _after_sync(self, then: Callable[[], None], fault: BaseException | None) -> None:
        if fault is not None:
            self._break(fault)
        elif self._fault is None:
            then()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """From a thread; the loop may have gone in the meantime."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _hand_over(self, row: tuple[object, ...], then: Callable[[], None]) -> None:
        self._queued += 1
        change = self._database.submit(lambda db: _execute(db, _INSERT, row))
        change.add_done_callback(lambda ended: self._call(self._handed_over, ended, then))

    def _handed_over(self, committed: Future[None], then: Callable[[], None]) -> None:
        self._queued -= 1
        fault = committed.exception()
        if fault is not None:
            self._break(fault)
        elif self._fault is None:
            then()

    def _break_with(self, error: sqlite3.Error) -> None:
        try:
            with database_errors(self._database.path):
                raise error
        except SymphonyError as fault:
            self._break(fault)

    def _break(self, fault: BaseException) -> None:
        if self._fault is None:
            self._fault = fault
            self._broken.set()

    async def flush(self, *, sync: bool = False) -> None:
        """Return when everything appended so far is committed, and synced if asked to be; raises
        what kept it from being."""
        while self._queued and self._fault is None:
            await self._database.write(_no_change)
            await asyncio.sleep(0)
        if sync and self._fault is None:
            synced = asyncio.Event()
            self._sync_then(synced.set)
            waits = [self._loop.create_task(each.wait()) for each in (synced, self._broken)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        if self._fault is not None:
            raise self._fault

    async def watch(self) -> NoReturn:
        """Raise what broke the journal, as soon as something does."""
        await self._broken.wait()
        raise self._fault or AssertionError("a broken journal has a fault")

    async def read(self, run_id: str, after: int = 0) -> list[Recorded]:
        """The committed events of a run, from the one after `after`; raises RunMissing."""
        await self._settled()
        events = await self._database.read(lambda db: list(_events(db, run_id, after)))
        if not events and not after:
            raise RunMissing(run_id)
        return events

    async def status(self, run_id: str) -> RunStatus:
        """What the committed events of a run fold to; raises RunMissing, or what is wrong with
        them. A long journal is read from its last snapshot on."""
        await self._settled()
        kept = await self._database.read(lambda db: db.execute(_SNAPSHOT, (run_id,)).fetchone())
        status = RunStatus()
        if kept is not None:
            with suppress(msgspec.DecodeError):  # of another version: all events are still there
                status = msgspec.json.decode(kept[0], type=RunStatus)
        for recorded in await self.read(run_id, status.seq):
            status.apply(recorded)
        return status

    async def keep_snapshot(self, status: RunStatus) -> None:
        """So that what led to it need not be read again."""
        row = (status.run_id, status.seq, msgspec.json.encode(status))
        await self._database.write(lambda db: _execute(db, _KEEP_SNAPSHOT, row))

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
        await self._settled()
        return await self._database.read(lambda db: list(_summaries(db, limit)))

    async def forget(self, run_id: str) -> None:
        """Delete what is known of a run for good. One that goes on must not be forgotten."""
        await self._database.write(lambda db: _forget(db, run_id))

    async def _settled(self) -> None:
        """Until what was handed to the thread is in the database."""
        if self._queued:
            await self._database.write(_no_change)


def _nothing() -> None:
    pass


def _no_change(_: sqlite3.Connection) -> None:
    pass


def _execute(db: sqlite3.Connection, statement: str, row: tuple[object, ...]) -> None:
    db.execute(statement, row)


def _events(db: sqlite3.Connection, run_id: str, after: int) -> Iterator[Recorded]:
    if not after:
        for (body,) in db.execute(_EVENTS, (run_id,)):
            yield decode(body)
    for seq, body in db.execute(_TURNS, (run_id, after)):
        for recorded in decode_turn(seq, body):
            if recorded.seq > after:
                yield recorded


def _begin(db: sqlite3.Connection, run_id: str, fingerprint: str, document: str) -> None:
    db.execute("INSERT OR IGNORE INTO workflows VALUES (?, ?)", (fingerprint, document))
    try:
        db.execute("INSERT INTO runs (run, fingerprint) VALUES (?, ?)", (run_id, fingerprint))
    except sqlite3.IntegrityError as error:
        if db.execute(_BEGUN, (run_id,)).fetchone()[0]:
            raise RunExists(run_id) from error
        # Its process died before the first event.
        db.execute("UPDATE runs SET fingerprint = ? WHERE run = ?", (fingerprint, run_id))


def _forget(db: sqlite3.Connection, run_id: str) -> None:
    for table in ("events", "turns", "snapshots", "runs"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))  # noqa: S608 - names of ours
    db.execute("DELETE FROM workflows WHERE fingerprint NOT IN (SELECT fingerprint FROM runs)")


def _summaries(db: sqlite3.Connection, limit: int) -> Iterator[RunSummary]:
    for (run_id,) in db.execute(_LATEST, (limit,)).fetchall():
        points = [decode(body) for (body,) in db.execute(_MILESTONES, (run_id,))]
        for seq, body in db.execute(_TURNING_POINTS, (run_id,)).fetchall():
            points.extend(decode_turn(seq, body))
        if points and isinstance(created := points[0].event, RunCreated):
            states = [state for each in points if (state := _state_after(each.event)) is not None]
            ended = isinstance(points[-1].event, RunFinished)
            yield RunSummary(
                run_id,
                created.workflow_id,
                created.workflow_name,
                states[-1],
                len(created.nodes),
                points[0].at,
                points[-1].at if ended else None,
            )


def _state_after(event: Event) -> RunState | None:
    return event.state if isinstance(event, RunFinished) else STATE_AFTER.get(type(event))


@asynccontextmanager
async def open_journal(path: Path) -> AsyncIterator[Journal]:
    """The journal at `path`, created if it is not there. What was appended is committed, unless
    it broke, when the block has ended."""
    async with open_shared_database(
        path, application_id=_APPLICATION_ID, migrations=_MIGRATIONS, synchronous="NORMAL"
    ) as database:
        connection = await blocking.run(_open_unwaiting, path)
        syncer = Syncer(path)
        try:
            yield Journal(database, connection, syncer)
        finally:
            connection.close()
            await blocking.run(syncer.close)


def _open_unwaiting(path: Path) -> sqlite3.Connection:
    """A second connection for the loop's thread: it never waits, neither for another process nor
    for a disk."""
    connection = open_database(path, application_id=_APPLICATION_ID, migrations=_MIGRATIONS)
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection
