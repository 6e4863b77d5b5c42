"""A SQLite database shared by many coroutines: one writer thread, readers beside it.

A commit costs the same for one change as for a hundred, and SQLite admits one writer at a time
anyhow. So callers hand their changes to a thread; while it commits one transaction the next one
gathers. Nobody waits for a timer: a change that comes alone is committed alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from symphony.commons import blocking
from symphony.commons.files import FileError
from symphony.commons.sqlite import (
    DatabaseError,
    database_errors,
    open_database,
    open_reader,
    transaction,
)

#: So that one transaction does not grow without bound under a steady stream of changes.
GROUP_LIMIT = 512

T = TypeVar("T")
Change: TypeAlias = Callable[[sqlite3.Connection], None]


class _Job(NamedTuple):
    change: Change
    committed: Future[None]


class Database:
    """Get one from `open_shared_database`."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, before: Change = lambda _: None
    ) -> None:
        self.path = path
        self._connection = connection
        self._before = before
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._idle_readers: list[sqlite3.Connection] = []
        self._committing = Lock()
        self._counting = Lock()
        self._submitted = 0  # and not settled yet
        self._crowded = False

    def submit(self, change: Change) -> Future[None]:
        """Queue a change, from any thread; the future is done once it is committed.

        Changes are applied in the order in which they came. One that raises is undone alone and
        its error is the future's: for that the others of its transaction are applied once more,
        so a change must bear that. A failing disk fails the whole transaction.
        """
        committed: Future[None] = Future()
        with self._counting:
            self._submitted += 1
        self._jobs.put(_Job(change, committed))
        return committed

    async def write(self, change: Change) -> None:
        """Like `submit`, and wait. After a cancellation the change may be committed or not."""
        await asyncio.wrap_future(self.submit(change))

    def apply(self, change: Change) -> None:
        """Like `submit`, and block until it is committed.

        The caller commits by itself if nobody else is about to: handing a lone change to another
        thread and waking up again would cost a fifth of its sync. Where changes have just come
        together they do so again: then one that went ahead would make two syncs of one.
        """
        if not self._crowded and not self._submitted and self._committing.acquire(blocking=False):
            try:
                fault = self._apply([_Job(change, Future())])
            finally:
                self._committing.release()
            if fault is not None:
                raise fault
        else:
            self.submit(change).result()

    def query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `query`, called here and now with a connection that cannot write."""
        return self._read(query)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `query`, called in a thread with a connection that cannot write."""
        return await blocking.run(self._read, query)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._idle_readers.pop()
        except IndexError:
            connection = open_reader(self.path)
        try:
            with database_errors(self.path):
                return query(connection)
        finally:
            self._idle_readers.append(connection)

    def stop(self) -> None:
        """Let `serve` return once what has been submitted so far is committed."""
        self._jobs.put(None)

    def serve(self) -> None:
        """Commit what is submitted, until `stop`; then close every connection, the one that writes
        last: those that only read cannot bring the write-ahead log into the database."""
        while (first := self._jobs.get()) is not None:
            group = self._gather(first)
            self._settle([job for job in group if job.committed.set_running_or_notify_cancel()])
            with self._counting:
                self._submitted -= len(group)
            self._crowded = len(group) > 1
        for connection in (*self._idle_readers, self._connection):
            connection.close()

    def _gather(self, first: _Job) -> list[_Job]:
        group = [first]
        while len(group) < GROUP_LIMIT:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self.stop()
                break
            group.append(job)
        return group

    def _settle(self, group: Sequence[_Job]) -> None:
        with self._committing:
            fault = self._apply(group)
        if fault is None:
            for job in group:
                job.committed.set_result(None)
        elif len(group) == 1 or isinstance(fault, (DatabaseError, FileError)):
            for job in group:
                job.committed.set_exception(fault)
        else:
            for job in group:
                self._settle([job])

    def _apply(self, group: Sequence[_Job]) -> Exception | None:
        try:
            with database_errors(self.path), transaction(self._connection):
                self._before(self._connection)
                for job in group:
                    job.change(self._connection)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: it goes to the submitter
            return error
        return None


@asynccontextmanager
async def open_shared_database(
    path: Path,
    *,
    application_id: int,
    migrations: Sequence[str],
    synchronous: Literal["NORMAL", "FULL"],
) -> AsyncIterator[Database]:
    """As `commons.sqlite.open_database`. What was submitted inside the block is committed, or its
    future told why not, when the block has ended."""
    stack = ExitStack()
    served = served_database(
        path,
        application_id=application_id,
        migrations=migrations,
        synchronous=synchronous,
    )
    try:
        yield await blocking.run(stack.enter_context, served)
    finally:  # also of a cancel that came while it was opened
        await blocking.run(stack.close)


@contextmanager
def served_database(
    path: Path,
    *,
    application_id: int,
    migrations: Sequence[str],
    synchronous: Literal["NORMAL", "FULL"],
    before: Change = lambda _: None,
) -> Iterator[Database]:
    """As `open_shared_database`, for a thread that may block. `before` begins every transaction:
    for what must hold of all changes in it."""
    connection = open_database(
        path, application_id=application_id, migrations=migrations, synchronous=synchronous
    )
    database = Database(path, connection, before)
    writer = Thread(target=database.serve, name=f"symphony-{path.stem}", daemon=True)
    writer.start()
    try:
        yield database
    finally:
        database.stop()
        writer.join()
