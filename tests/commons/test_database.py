from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # what another function takes

import pytest

from symphony.commons.database import Database, open_shared_database, served_database
from symphony.commons.files import DiskFull, FileNotPermitted
from symphony.commons.sqlite import open_database

MIGRATIONS = ("CREATE TABLE notes (text TEXT PRIMARY KEY) STRICT;",)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    async with open_shared_database(
        folder / "notes.db", application_id=7, migrations=MIGRATIONS, synchronous="NORMAL"
    ) as database:
        yield database


def add(text: str) -> Callable[[sqlite3.Connection], None]:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))

    return change


def texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT text FROM notes ORDER BY rowid")]


def held(entered: threading.Event, release: threading.Event) -> Callable[[object], None]:
    def change(_: object) -> None:
        entered.set()
        release.wait(timeout=10)

    return change


def test_written_change_is_there_for_the_next_read_and_the_next_opening(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as database:
            await database.write(add("a"))
            assert await database.read(texts) == ["a"]
        async with opened(tmp_path) as database:
            assert await database.read(texts) == ["a"]

    asyncio.run(main())


def test_changes_are_committed_in_the_order_of_their_submission(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as database:
            wanted = [f"{number:04}" for number in range(1500)]
            for text in wanted[:-1]:
                database.submit(add(text))
            await database.write(add(wanted[-1]))
            assert await database.read(texts) == wanted

    asyncio.run(main())


def test_leaving_the_block_commits_what_was_submitted(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as database:
            last = [database.submit(add(str(number))) for number in range(700)][-1]
        assert last.done()
        async with opened(tmp_path) as database:
            assert len(await database.read(texts)) == 700

    asyncio.run(main())


def test_changes_that_wait_share_a_transaction_and_a_bad_one_fails_alone(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()
    transactions: list[str] = []

    def trace(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(
            lambda sql: transactions.append(sql) if sql.startswith("BEGIN") else None
        )

    async def main() -> None:
        async with opened(tmp_path) as database:
            await database.write(trace)
            database.submit(held(entered, release))
            await asyncio.to_thread(entered.wait, 10)
            waiting = [database.submit(add(text)) for text in "abcd"]
            release.set()
            await asyncio.gather(*map(asyncio.wrap_future, waiting))
            assert len(transactions) == 2
            twice = database.submit(add("a"))
            after = database.submit(add("e"))
            with pytest.raises(sqlite3.IntegrityError):
                await asyncio.wrap_future(twice)
            await asyncio.wrap_future(after)
            assert await database.read(texts) == ["a", "b", "c", "d", "e"]

    asyncio.run(main())


def test_bad_change_is_undone_alone_within_a_group(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    async def main() -> None:
        async with opened(tmp_path) as database:
            database.submit(held(entered, release))
            await asyncio.to_thread(entered.wait, 10)
            group = [database.submit(add(text)) for text in "abac"]
            release.set()
            outcomes = await asyncio.gather(
                *map(asyncio.wrap_future, group), return_exceptions=True
            )
            assert [type(each) for each in outcomes] == [
                type(None),
                type(None),
                sqlite3.IntegrityError,
                type(None),
            ]
            assert await database.read(texts) == ["a", "b", "c"]

    asyncio.run(main())


def test_failing_disk_fails_every_change_of_the_transaction_and_nothing_is_tried_again(
    tmp_path: Path,
) -> None:
    entered, release = threading.Event(), threading.Event()
    faults = [DiskFull(tmp_path)]

    def fails_once(_: object) -> None:
        while faults:
            raise faults.pop()

    async def main() -> None:
        async with opened(tmp_path) as database:
            database.submit(held(entered, release))
            await asyncio.to_thread(entered.wait, 10)
            group = [database.submit(change) for change in (add("a"), fails_once, add("b"))]
            release.set()
            outcomes = await asyncio.gather(
                *map(asyncio.wrap_future, group), return_exceptions=True
            )
            assert [type(each) for each in outcomes] == [DiskFull] * 3
            assert await database.read(texts) == []

    asyncio.run(main())


def test_change_cancelled_in_the_queue_is_not_made(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    async def main() -> None:
        async with opened(tmp_path) as database:
            database.submit(held(entered, release))
            await asyncio.to_thread(entered.wait, 10)
            unwanted = asyncio.create_task(database.write(add("unwanted")))
            await asyncio.sleep(0)
            unwanted.cancel()
            with pytest.raises(asyncio.CancelledError):
                await unwanted
            release.set()
            await database.write(add("wanted"))
            assert await database.read(texts) == ["wanted"]

    asyncio.run(main())


def test_reader_cannot_write(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as database:
            with pytest.raises(FileNotPermitted):
                await database.read(add("a"))
            assert await database.read(texts) == []

    asyncio.run(main())


def test_leaving_the_block_leaves_one_file_with_everything_in_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as database:
            await database.write(add("a"))
            assert await database.read(texts) == ["a"]

    asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.db"]


def test_cancel_while_it_is_opened_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[sqlite3.Connection] = []
    entered, release = threading.Event(), threading.Event()

    def slowly(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connections.append(open_database(*args, **kwargs))
        held(entered, release)(None)
        return connections[0]

    async def main() -> None:
        opening = asyncio.create_task(opened(tmp_path).__aenter__())
        await asyncio.to_thread(entered.wait)
        opening.cancel()
        release.set()
        await asyncio.wait([opening])
        assert opening.cancelled()

    monkeypatch.setattr("symphony.commons.database.open_database", slowly)
    asyncio.run(main())
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connections[0].execute("SELECT 1")


def test_change_applied_by_its_own_thread_is_committed_and_raises_what_it_raises(
    tmp_path: Path,
) -> None:
    with served_database(
        tmp_path / "notes.db", application_id=7, migrations=MIGRATIONS, synchronous="FULL"
    ) as database:
        database.apply(add("a"))
        with pytest.raises(sqlite3.IntegrityError):
            database.apply(add("a"))
        assert database.query(texts) == ["a"]


def test_applied_change_comes_after_what_was_submitted_before(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()
    with served_database(
        tmp_path / "notes.db", application_id=7, migrations=MIGRATIONS, synchronous="NORMAL"
    ) as database:
        database.submit(held(entered, release))
        database.submit(add("first"))
        entered.wait(timeout=10)
        threading.Timer(0.01, release.set).start()
        database.apply(add("second"))
        assert database.query(texts) == ["first", "second"]


def test_threads_that_apply_at_once_all_get_their_turn(tmp_path: Path) -> None:
    with served_database(
        tmp_path / "notes.db", application_id=7, migrations=MIGRATIONS, synchronous="NORMAL"
    ) as database:

        def work(lane: int) -> None:
            for number in range(50):
                database.apply(add(f"{lane}-{number}"))

        threads = [threading.Thread(target=work, args=(lane,)) for lane in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(database.query(texts)) == 400
