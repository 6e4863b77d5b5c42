"""The log of kept messages: what a subscriber that was away catches up from.

One sequence of positions over all topics, so that a subscriber remembers one number. Each publisher
numbers its messages; what it sends again after a broken connection is recognized by that number.

Commit level `process`: an append that has returned survives the death of the process. A power cut
can take the last moments, whose positions a subscriber may have written down elsewhere. So each
session begins far behind the positions of the last: none is given out twice, and whoever goes on
from one that was lost gets all that came later.

One process has the log at a time: what another appended would never reach this one's subscribers.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from symphony.commons import blocking
from symphony.commons.clock import Clock
from symphony.commons.database import Database, open_shared_database
from symphony.commons.locks import locked
from symphony.commons.sqlite import database_errors, open_database, transaction
from symphony.ipc.bus._errors import ResumeGap

_APPLICATION_ID = 0x53796D4D  # "SymM"
_MIGRATIONS = (
    """
    CREATE TABLE log (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch TEXT NOT NULL,
        newest INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        pruned INTEGER NOT NULL,
        pruned_messages INTEGER NOT NULL,
        pruned_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO log VALUES (1, lower(hex(randomblob(16))), 0, 0, 0, 0, 0, 0);
    CREATE TABLE messages (
        position INTEGER PRIMARY KEY,
        publisher INTEGER NOT NULL,
        number INTEGER NOT NULL,
        at REAL NOT NULL,
        messages_before INTEGER NOT NULL,
        bytes_before INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        topic TEXT NOT NULL,
        source TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX numbers ON messages (publisher, number);
    CREATE TABLE publishers (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        number INTEGER NOT NULL,
        used REAL NOT NULL
    ) STRICT;
    CREATE TABLE subscriptions (
        name TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        used REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)

_STATE = "SELECT newest, messages, bytes, pruned, pruned_messages, pruned_bytes FROM log"
_SET_STATE = """
    UPDATE log SET newest = ?, messages = ?, bytes = ?,
        pruned = ?, pruned_messages = ?, pruned_bytes = ?
"""
_INSERT = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SET_PUBLISHER = "UPDATE publishers SET number = ?, used = ? WHERE id = ?"
_POSITION = "SELECT position FROM messages WHERE publisher = ? AND number = ?"
_ACKNOWLEDGE = """
    INSERT INTO subscriptions VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
        SET position = max(position, excluded.position), used = excluded.used
"""
_FIRST_TO_KEEP = """
    SELECT position, messages_before, bytes_before FROM messages
        WHERE messages_before >= ? AND bytes_before >= ? AND at >= ? ORDER BY position LIMIT 1
"""
# A publisher with messages in the log must stay: its numbers are in the index.
_PRUNE_PUBLISHERS = """
    DELETE FROM publishers WHERE id IN (
        SELECT id FROM publishers
            WHERE used < ? OR id NOT IN (SELECT id FROM publishers ORDER BY used DESC LIMIT ?)
    ) AND NOT EXISTS (SELECT 1 FROM messages WHERE publisher = publishers.id)
"""
_PRUNE_SUBSCRIPTIONS = """
    DELETE FROM subscriptions
        WHERE name NOT IN (SELECT name FROM subscriptions ORDER BY used DESC LIMIT ?)
"""
_LOOK = """
    SELECT position, topic, length(topic) + length(body), flags, source FROM messages
        WHERE position > ? ORDER BY position LIMIT ?
"""
_BODY = "SELECT body FROM messages WHERE position = ?"

#: The highest that every language's numbers can hold.
MAX_NUMBER = 2**53
#: More than can be lost: what the system has not written when the power fails.
_SESSION_GAP = 1_000_000
#: Publishers without messages, and durable subscriptions, that are remembered.
_MAX_REMEMBERED = 10_000
#: A read returns after looking at so many messages, wanted or not: some milliseconds.
_MAX_LOOKED_AT = 5_000
#: Limits are exceeded by at most this part before anything is deleted: rarely and much at once.
_SLACK = 64


class LogLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is kept: whatever is reached first. Each may be exceeded by a 64th."""

    messages: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    bytes: Annotated[int, msgspec.Meta(ge=1)] = 256 * 1024 * 1024
    age_s: Annotated[float, msgspec.Meta(gt=0)] = 7 * 24 * 3600.0


class Entry(NamedTuple):
    """What a publisher wants kept. Its numbers, from 1 to MAX_NUMBER, grow; they may skip some.

    `publisher` is what numbers, one instance of an endpoint; `source` is the endpoint's name.
    """

    publisher: str
    number: int
    topic: str
    flags: int
    body: bytes
    source: str = ""


class Kept(NamedTuple):
    position: int
    topic: str
    flags: int
    body: bytes
    source: str = ""


class Excerpt(NamedTuple):
    """Messages in order, and the position up to which there is none but these: go on from there.
    Nothing is left for now if that is the log's `newest`."""

    messages: list[Kept]
    through: int


class _State(NamedTuple):
    """Of messages and bytes: all that ever came, and all that came and are pruned."""

    newest: int
    messages: int
    bytes: int
    pruned: int
    pruned_messages: int
    pruned_bytes: int


class MessageLog:
    """Get one from `open_log`. For one event loop."""

    def __init__(
        self, database: Database, epoch: str, state: _State, limits: LogLimits, clock: Clock
    ) -> None:
        #: Says whose positions these are; another file at the same path has another.
        self.epoch = epoch
        self._database = database
        self._state = state
        self._limits = limits
        self._clock = clock
        self._unsaved: dict[str, int] = {}
        self._saving = asyncio.Lock()

    @property
    def newest(self) -> int:
        """The last position that an `append` has returned, or a session before has reached."""
        return self._state.newest

    @property
    def oldest(self) -> int:
        """The first position whose message may still be there: those before it are pruned."""
        return self._state.pruned + 1

    def check(self, after: int, epoch: str) -> None:
        """Raise ResumeGap if `after` is no position of this log, or messages behind it are
        pruned."""
        if epoch != self.epoch:
            raise ResumeGap(after, self.oldest, "that is a position in another log")
        _check_position(after, self._state)

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        """Keep all of them, or none if it raises; the position of each, once committed.

        What was appended before under the same publisher and number is not appended again: it has
        the position that it had, or 0 if it is pruned. 0 is also for a number below the publisher's
        last, or above MAX_NUMBER.

        After a cancellation they may be kept or not; append them again to know. Raises DiskFull or
        DatabaseError, and the next append tries anew.
        """
        outcome: list[tuple[list[int], _State]] = []
        now = self._clock.now().timestamp()

        def change(db: sqlite3.Connection) -> None:
            outcome[:] = [_append(db, entries, self._limits, now)]

        await self._database.write(change)
        ((positions, self._state),) = outcome
        return positions

    async def read(
        self,
        after: int,
        epoch: str,
        *,
        limit_messages: int,
        limit_bytes: int,
        wanted: Callable[[str], bool],
    ) -> Excerpt:
        """The messages behind `after` whose topic is `wanted`, which is asked in another thread.

        At least one, if one is found, however large. Raises ResumeGap as `check` does.
        """
        self.check(after, epoch)
        query = partial(_read, after=after, wanted=wanted, limits=(limit_messages, limit_bytes))
        return await self._database.read(query)

    async def acknowledge(self, name: str, position: int) -> None:
        """Remember, committed, that the durable subscription `name` has all up to `position`.

        Never goes back, nor beyond `newest`. Calls at one time share a commit.
        """
        position = min(position, self.newest)
        self._unsaved[name] = max(position, self._unsaved.get(name, 0))
        async with self._saving:
            batch = dict(self._unsaved)
            if batch:
                await self._database.write(partial(self._acknowledge, batch=batch))
            for saved in batch.items():
                if saved in self._unsaved.items():
                    del self._unsaved[saved[0]]

    def _acknowledge(self, db: sqlite3.Connection, batch: dict[str, int]) -> None:
        now = self._clock.now().timestamp()
        db.executemany(_ACKNOWLEDGE, [(*item, now) for item in batch.items()])
        (names,) = db.execute("SELECT count(*) FROM subscriptions").fetchone()
        if names > _MAX_REMEMBERED + _MAX_REMEMBERED // _SLACK:
            db.execute(_PRUNE_SUBSCRIPTIONS, (_MAX_REMEMBERED,))

    async def position(self, name: str) -> int | None:
        """What was acknowledged last; None for a name that is new, or long forgotten."""
        unsaved = self._unsaved.get(name)  # it may be committed before the query, or after
        query = "SELECT position FROM subscriptions WHERE name = ?"
        row = await self._database.read(lambda db: db.execute(query, (name,)).fetchone())
        known = [position for position in (unsaved, row and row[0]) if position is not None]
        return max(known, default=None)


@asynccontextmanager
async def open_log(path: Path, limits: LogLimits, clock: Clock) -> AsyncIterator[MessageLog]:
    """The log at `path`, created if it is not there; what is over the limits is pruned.

    Raises LockHeld if another process has it, DatabaseCorrupt if it is damaged, DatabaseNewer.
    """
    # On the loop: it does not wait, and the thread that takes a lock is the one to release it.
    with locked(path.with_name(f"{path.name}.lock")):
        await blocking.run(_begin_session, path, limits, clock.now().timestamp())
        async with open_shared_database(
            path, application_id=_APPLICATION_ID, migrations=_MIGRATIONS, synchronous="NORMAL"
        ) as database:
            epoch, state = await database.read(_epoch_and_state)
            yield MessageLog(database, epoch, state, limits, clock)


def _begin_session(path: Path, limits: LogLimits, now: float) -> None:
    """Written through to the disk: a power cut must not take it."""
    gap = _SESSION_GAP if path.exists() else 0
    connection = open_database(
        path, application_id=_APPLICATION_ID, migrations=_MIGRATIONS, synchronous="FULL"
    )
    with closing(connection) as db, database_errors(path), transaction(db):
        state = _prune(db, _state(db), limits, now)
        db.execute(_SET_STATE, state._replace(newest=state.newest + gap))


def _epoch_and_state(db: sqlite3.Connection) -> tuple[str, _State]:
    with _one_moment(db):
        return str(db.execute("SELECT epoch FROM log").fetchone()[0]), _state(db)


def _state(db: sqlite3.Connection) -> _State:
    return _State(*db.execute(_STATE).fetchone())


@contextmanager
def _one_moment(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _append(
    db: sqlite3.Connection, entries: Sequence[Entry], limits: LogLimits, now: float
) -> tuple[list[int], _State]:
    state = _state(db)
    newest, messages, size, *_ = state
    publishers: dict[str, list[int]] = {}
    rows = []
    again: list[int] = []
    positions: list[int] = []
    for name, number, topic, flags, body, source in entries:
        publisher = publishers.get(name)
        if publisher is None:
            publisher = publishers[name] = _publisher(db, name)
        if not publisher[1] < number <= MAX_NUMBER:
            again.append(len(positions))
            positions.append(0)
            continue
        publisher[1] = number
        newest += 1
        before = (publisher[0], number, now, messages, size)
        rows.append((newest, *before, flags, topic, source, body))
        positions.append(newest)
        messages += 1
        size += len(topic) + len(body)
    db.executemany(_INSERT, rows)
    for place in again:
        name, number = entries[place][:2]
        found = db.execute(_POSITION, (publishers[name][0], min(number, MAX_NUMBER + 1))).fetchone()
        positions[place] = found[0] if found else 0
    db.executemany(_SET_PUBLISHER, [(number, now, id_) for id_, number in publishers.values()])
    state = state._replace(newest=newest, messages=messages, bytes=size)
    state = _prune(db, state, limits, now)
    db.execute(_SET_STATE, state)
    return positions, state


def _publisher(db: sqlite3.Connection, name: str) -> list[int]:
    """Its row's id, and the highest of its numbers."""
    query = "SELECT id, number FROM publishers WHERE name = ?"
    row = db.execute(query, (name,)).fetchone()
    if row is None:
        insert = "INSERT INTO publishers (name, number, used) VALUES (?, 0, 0) RETURNING id, number"
        row = db.execute(insert, (name,)).fetchone()
    return list(row)


def _prune(db: sqlite3.Connection, state: _State, limits: LogLimits, now: float) -> _State:
    """Delete the oldest messages if a limit is exceeded by more than the slack."""
    oldest = db.execute("SELECT at FROM messages ORDER BY position LIMIT 1").fetchone()
    if oldest is None or not (
        state.messages - state.pruned_messages > limits.messages + limits.messages // _SLACK
        or state.bytes - state.pruned_bytes > limits.bytes + limits.bytes // _SLACK
        or oldest[0] < now - limits.age_s - limits.age_s / _SLACK
    ):
        return state
    bounds = (state.messages - limits.messages, state.bytes - limits.bytes, now - limits.age_s)
    kept = db.execute(_FIRST_TO_KEEP, bounds).fetchone()
    first, messages, size = kept or (state.newest + 1, state.messages, state.bytes)
    (last,) = db.execute(
        "SELECT max(position) FROM messages WHERE position < ?", (first,)
    ).fetchone()
    db.execute("DELETE FROM messages WHERE position < ?", (first,))
    # Only so do there come to be publishers without messages.
    db.execute(_PRUNE_PUBLISHERS, (now - limits.age_s, _MAX_REMEMBERED))
    return state._replace(pruned=last, pruned_messages=messages, pruned_bytes=size)


def _read(
    db: sqlite3.Connection, after: int, wanted: Callable[[str], bool], limits: tuple[int, int]
) -> Excerpt:
    with _one_moment(db):
        state = _state(db)
        _check_position(after, state)
        return _collect(db, after, state.newest, lru_cache(maxsize=1024)(wanted), limits)


def _check_position(after: int, state: _State) -> None:
    if after < state.pruned:
        reason = f"messages before position {state.pruned + 1} are no longer kept"
        raise ResumeGap(after, state.pruned + 1, reason)
    if after > state.newest:
        raise ResumeGap(after, state.pruned + 1, f"the log ends at position {state.newest}")


def _collect(
    db: sqlite3.Connection,
    after: int,
    newest: int,
    wanted: Callable[[str], bool],
    limits: tuple[int, int],
) -> Excerpt:
    """Topics first: SQLite reads a body only when it is asked for it."""
    found: list[Kept] = []
    left, room, through = _MAX_LOOKED_AT, limits[1], after
    for position, topic, size, flags, source in db.execute(_LOOK, (after, _MAX_LOOKED_AT)):
        left -= 1
        if wanted(topic):
            room -= size
            if found and (len(found) == limits[0] or room < 0):
                return Excerpt(found, through)
            (body,) = db.execute(_BODY, (position,)).fetchone()
            found.append(Kept(position, topic, flags, body, source))
        through = position
    return Excerpt(found, newest if left else through)
