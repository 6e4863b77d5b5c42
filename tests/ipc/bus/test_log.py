from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from symphony.commons.clock import SystemClock
from symphony.commons.files import DiskFull
from symphony.commons.locks import LockHeld
from symphony.commons.sqlite import DatabaseCorrupt
from symphony.ipc.bus import _log
from symphony.ipc.bus._errors import ResumeGap
from symphony.ipc.bus._log import Entry, Excerpt, Kept, LogLimits, MessageLog, open_log
from symphony.testing import FakeClock

ALL = LogLimits()
DAY = 24 * 3600.0


def entry(number: int, body: bytes = b"", *, publisher: str = "p", topic: str = "t") -> Entry:
    return Entry(publisher, number, topic, 1, body or b"%d" % number)


@asynccontextmanager
async def opened(
    folder: Path, limits: LogLimits = ALL, clock: FakeClock | None = None
) -> AsyncIterator[MessageLog]:
    async with open_log(folder / "bus.db", limits, clock or SystemClock()) as log:
        yield log


async def read(
    log: MessageLog,
    after: int = 0,
    *,
    messages: int = 10_000,
    size: int = 2**30,
    wanted: Callable[[str], bool] = lambda _: True,
) -> Excerpt:
    return await log.read(
        after, log.epoch, limit_messages=messages, limit_bytes=size, wanted=wanted
    )


async def bodies(log: MessageLog, after: int = 0) -> list[bytes]:
    return [kept.body for kept in (await read(log, after)).messages]


def test_what_was_appended_is_read_in_order_of_position(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            assert (log.oldest, log.newest) == (1, 0)
            assert await log.append([Entry("p", 1, "a", 0x21, b"one", "me"), entry(2)]) == [1, 2]
            assert await log.append([entry(1, b"three", publisher="q")]) == [3]
            assert await log.append([]) == []
            assert (log.oldest, log.newest) == (1, 3)
            expected = [
                Kept(1, "a", 0x21, b"one", "me"),
                Kept(2, "t", 1, b"2"),
                Kept(3, "t", 1, b"three"),
            ]
            assert await read(log) == Excerpt(expected, 3)
            assert await read(log, 2) == Excerpt(expected[2:], 3)
            assert await read(log, 3) == Excerpt([], 3)

    asyncio.run(main())


def test_what_is_sent_again_has_its_old_position_and_is_not_doubled(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(1), entry(2)])
            again = [entry(1), entry(2), entry(3), entry(3), entry(1, publisher="q")]
            assert await log.append(again) == [1, 2, 3, 3, 4]
            assert await bodies(log) == [b"1", b"2", b"3", b"1"]
        async with opened(tmp_path) as log:
            assert await log.append(again) == [1, 2, 3, 3, 4]
            assert len(await bodies(log)) == 4

    asyncio.run(main())


def test_numbers_may_skip_some_which_then_come_too_late(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            assert await log.append([entry(3), entry(9), entry(2**53)]) == [1, 2, 3]
            late = [entry(4), entry(9), entry(0), entry(2**53 + 1), entry(2**64 - 1)]
            assert await log.append(late) == [0, 2, 0, 0, 0]
            assert len(await bodies(log)) == 3

    asyncio.run(main())


def test_batch_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            unfit = [entry(1), entry(2, topic="\udcff")]
            good = entry(1, publisher="q")
            outcomes = await asyncio.gather(
                log.append([good]), log.append(unfit), log.append([]), return_exceptions=True
            )
            assert [type(outcome) for outcome in outcomes] == [list, UnicodeEncodeError, list]
            assert await log.append([entry(1)]) == [2]
            assert await bodies(log) == [b"1", b"1"]

    asyncio.run(main())


def test_appends_at_one_time_get_positions_in_their_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            batches = [[entry(n), entry(n + 1)] for n in range(1, 400, 2)]
            positions = await asyncio.gather(*map(log.append, batches))
            assert positions == [[n, n + 1] for n in range(1, 400, 2)]
            assert log.newest == 400

    asyncio.run(main())


def test_reading_stops_at_a_limit_and_goes_on_behind_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(n, bytes(99)) for n in range(1, 11)])
            excerpt = await read(log, 2, messages=3)
            assert ([kept.position for kept in excerpt.messages], excerpt.through) == ([3, 4, 5], 5)
            excerpt = await read(log, 5, size=250)
            assert ([kept.position for kept in excerpt.messages], excerpt.through) == ([6, 7], 7)
            excerpt = await read(log, 7, size=1)
            assert ([kept.position for kept in excerpt.messages], excerpt.through) == ([8], 8)

    asyncio.run(main())


def test_reading_by_topic_says_how_far_it_has_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_MAX_LOOKED_AT", 4)
    topics = ["x", "t", "t", "x", "t", "t", "t", "t", "x", "t"]

    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(n, topic=topic) for n, topic in enumerate(topics, start=1)])
            looks = []
            through = 0
            while through < log.newest:
                excerpt = await read(log, through, wanted="x".__eq__)
                through = excerpt.through
                looks.append(([kept.position for kept in excerpt.messages], through))
            assert looks == [([1, 4], 4), ([], 8), ([9], 10)]
            excerpt = await read(log, 0, wanted="x".__eq__, messages=1)
            assert ([kept.position for kept in excerpt.messages], excerpt.through) == ([1], 3)

    asyncio.run(main())


def test_what_is_pruned_during_a_read_is_still_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, LogLimits(messages=5)) as log:
            await log.append([entry(n) for n in range(1, 6)])
            loop = asyncio.get_running_loop()

            def prune(sql: str) -> None:
                if "length(body)" in sql:
                    more = log.append([entry(n) for n in range(6, 11)])
                    asyncio.run_coroutine_threadsafe(more, loop).result(timeout=10)

            await log._database.read(lambda db: db.set_trace_callback(prune))
            excerpt = await read(log)
            assert ([kept.position for kept in excerpt.messages], excerpt.through) == (
                [1, 2, 3, 4, 5],
                5,
            )
            assert log.oldest == 6

    asyncio.run(main())


def test_position_that_cannot_be_gone_on_from_is_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, LogLimits(messages=3)) as log:
            await log.append([entry(n) for n in range(1, 6)])
            assert (log.oldest, log.newest) == (3, 5)
            assert len((await read(log, 2)).messages) == 3
            for asked, reason in ((1, "before position 3"), (6, "ends at position 5")):
                with pytest.raises(ResumeGap, match=reason) as caught:
                    await read(log, asked)
                assert (caught.value.asked, caught.value.oldest) == (asked, 3)
            with pytest.raises(ResumeGap, match="another log"):
                await log.read(4, "e", limit_messages=1, limit_bytes=1, wanted=bool)
            assert caught.value.record().code == "ipc.resume_gap"

    asyncio.run(main())


def test_epoch_stays_with_the_file_and_is_another_in_another(tmp_path: Path) -> None:
    async def main() -> None:
        epochs = []
        for folder in ("a", "a", "b"):
            async with opened(tmp_path / folder) as log:
                epochs.append(log.epoch)
        assert epochs[0] == epochs[1] != epochs[2]
        assert len(epochs[0]) == 32

    asyncio.run(main())


def test_positions_lost_in_a_power_cut_are_never_given_out_again(tmp_path: Path) -> None:
    async def main() -> None:
        before, after = tmp_path / "before", tmp_path / "after"
        async with opened(before) as log:
            await log.append([entry(1)])
            # What the disk has when the power fails.
            shutil.copytree(before, after)
            (lost,) = await log.append([entry(2)])
        async with opened(after) as log:
            assert await bodies(log) == [b"1"]
            assert await read(log, lost) == Excerpt([], log.newest)
            (position,) = await log.append([entry(2)])
            assert position > lost
            assert await bodies(log, lost) == [b"2"]
            assert await bodies(log, 1) == [b"2"]

    asyncio.run(main())


def test_oldest_messages_give_way_to_a_limit_on_their_number(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, LogLimits(messages=100)) as log:
            for n in range(1, 251):
                await log.append([entry(n)])
                assert min(n, 100) <= log.newest - log.oldest + 1 <= 101
            assert await bodies(log, log.oldest - 1) == [b"%d" % n for n in range(log.oldest, 251)]
            assert await log.append([entry(1), entry(250)]) == [0, 250]

    asyncio.run(main())


def test_oldest_messages_give_way_to_a_limit_on_their_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, LogLimits(bytes=1000)) as log:
            await log.append([entry(n, bytes(99)) for n in range(1, 11)])
            assert log.oldest == 1
            await log.append([entry(11, bytes(249))])
            assert log.oldest == 4
            await log.append([entry(12, bytes(5000))])
            assert (log.oldest, log.newest) == (13, 12)
            assert await read(log, 12) == Excerpt([], 12)
            assert await log.append([entry(13)]) == [13]
            assert await bodies(log, 12) == [b"13"]

    asyncio.run(main())


def test_messages_older_than_the_limit_go_with_the_next_append_or_opening(tmp_path: Path) -> None:
    async def main() -> None:
        clock, limits = FakeClock(), LogLimits(age_s=DAY)
        async with opened(tmp_path, limits, clock) as log:
            await log.append([entry(1)])
            await clock.advance(DAY / 2)
            await log.append([entry(2)])
            assert log.oldest == 1
            await clock.advance(DAY * 0.6)
            await log.append([entry(3)])
            assert log.oldest == 2
            await clock.advance(2 * DAY)
        async with opened(tmp_path, limits, clock) as log:
            assert log.oldest == 4
            assert await bodies(log, 3) == []

    asyncio.run(main())


def test_stricter_limits_hold_from_the_opening_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(n) for n in range(1, 1001)])
        async with opened(tmp_path, LogLimits(messages=10)) as log:
            assert log.oldest == 991
            assert len(await bodies(log, 990)) == 10

    asyncio.run(main())


def rows(folder: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(folder / "bus.db")) as db:
        return [name for (name,) in db.execute(f"SELECT name FROM {table} ORDER BY name")]


def test_publishers_are_forgotten_when_old_or_many_but_not_before_their_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_MAX_REMEMBERED", 3)

    async def main() -> None:
        clock, limits = FakeClock(), LogLimits(messages=4, age_s=DAY)
        async with opened(tmp_path, limits, clock) as log:
            for name in "abcdefg":
                await clock.advance(1)
                await log.append([entry(1, publisher=name)])
            assert rows(tmp_path, "publishers") == ["d", "e", "f", "g"]
            assert await log.append([entry(1, publisher="d")]) == [4]
            await log.append([entry(n, publisher="z") for n in range(1, 5)])
            assert rows(tmp_path, "publishers") == ["d", "g", "z"]
            assert await log.append([entry(1, publisher="d")]) == [0]
            await clock.advance(2 * DAY)
            await log.append([entry(5, publisher="z")])
            assert rows(tmp_path, "publishers") == ["z"]

    asyncio.run(main())


def test_durable_subscription_never_goes_back_nor_beyond_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(n) for n in range(1, 10)])
            assert await log.position("s") is None
            for acknowledged, remembered in ((3, 3), (2, 3), (5, 5), (7**20, 9), (1, 9)):
                await log.acknowledge("s", acknowledged)
                assert await log.position("s") == remembered
            await asyncio.gather(*(log.acknowledge("u", n) for n in (4, 6, 5)))
        async with opened(tmp_path) as log:
            assert [await log.position(name) for name in "su"] == [9, 6]

    asyncio.run(main())


def test_many_acknowledgements_share_few_commits(tmp_path: Path) -> None:
    commits: list[str] = []

    def trace(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(n) for n in range(1, 1001)])
            await log._database.write(trace)
            commits.clear()
            calls = [(name, n) for n in range(1, 501) for name in ("a", "b")]
            await asyncio.gather(*(log.acknowledge(*call) for call in calls))
            assert len(commits) <= 2
            assert [await log.position(name) for name in "ab"] == [500, 500]

    asyncio.run(main())


def test_durable_subscriptions_without_number_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_MAX_REMEMBERED", 3)

    async def main() -> None:
        clock = FakeClock()
        async with opened(tmp_path, ALL, clock) as log:
            for name in "abcda":
                await clock.advance(1)
                await log.acknowledge(name, 0)
            assert rows(tmp_path, "subscriptions") == ["a", "c", "d"]

    asyncio.run(main())


class Model:
    """The log as a list."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept: list[Kept] = []
        self.highest: dict[str, int] = {}
        self.given: dict[tuple[str, int], int] = {}
        self.newest = 0

    def append(self, entries: list[Entry]) -> list[int]:
        positions = []
        for publisher, number, topic, flags, body, _ in entries:
            if number > self.highest.get(publisher, 0):
                self.newest += 1
                self.highest[publisher] = number
                self.given[publisher, number] = self.newest
                self.kept.append(Kept(self.newest, topic, flags, body))
            positions.append(self.given.get((publisher, number), 0))
        known = {kept.position for kept in self.kept}
        del self.kept[: -self.limit]
        return [position if position in known else 0 for position in positions]


@pytest.mark.parametrize("seed", range(3))
def test_log_does_what_a_list_does(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    model = Model(limit=40)

    def some_entry() -> Entry:
        publisher = chance.choice("pqr")
        last = model.highest.get(publisher, 0)
        number = max(1, last + chance.choice((1, 1, 1, 2, 0, -1, -5)))
        return entry(number, publisher=publisher, topic=chance.choice("tu"))

    async def main() -> None:
        async with opened(tmp_path, LogLimits(messages=40)) as log:
            for _ in range(60):
                batch = [some_entry() for _ in range(chance.choice((1, 2, 7)))]
                assert await log.append(batch) == model.append(batch)
                wanted = chance.choice((lambda _: True, "t".__eq__))
                oldest = model.kept[0].position
                assert (log.oldest, log.newest) == (oldest, model.newest)
                after = chance.randint(oldest - 1, model.newest)
                expected = [k for k in model.kept if k.position > after and wanted(k.topic)]
                excerpt = await read(log, after, wanted=wanted)
                assert excerpt == Excerpt(expected, model.newest)

    asyncio.run(main())


def test_second_process_is_told_who_has_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(1)])
            with pytest.raises(LockHeld):
                async with opened(tmp_path):
                    pass
            assert await log.append([entry(2)]) == [2]
        async with opened(tmp_path) as log:
            assert len(await bodies(log)) == 2

    asyncio.run(main())


def test_file_that_is_no_log_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    path.write_bytes(b"garbage" * 1000)

    async def main() -> None:
        with pytest.raises(DatabaseCorrupt):
            async with opened(tmp_path):
                pass

    asyncio.run(main())
    assert path.read_bytes() == b"garbage" * 1000


def test_damage_in_the_middle_is_told_to_whoever_comes_upon_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as log:
            await log.append([entry(n, bytes(500)) for n in range(1, 200)])
        path = tmp_path / "bus.db"
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(path.read_bytes())
        content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
        path.write_bytes(content)
        async with opened(tmp_path) as log:
            with pytest.raises(DatabaseCorrupt):
                await read(log)

    asyncio.run(main())


def test_full_disk_is_an_error_to_the_appender_and_passes_when_there_is_space(
    tiny_disk: Path,
) -> None:
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(1024 * 1024))

    async def main() -> None:
        async with opened(tiny_disk) as log:
            await log.append([entry(1)])
            large = [entry(n, bytes(100_000)) for n in range(2, 10)]
            with pytest.raises(DiskFull):
                await log.append([*large, entry(10, bytes(500_000))])
            assert log.newest == 1
            assert await bodies(log) == [b"1"]
            ballast.unlink()
            assert await log.append(large[:3]) == [2, 3, 4]
            await log.acknowledge("s", 4)
            assert len(await bodies(log)) == 4
        async with opened(tiny_disk) as log:
            assert len(await bodies(log)) == 4
            assert await log.position("s") == 4

    asyncio.run(main())


APPENDING = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from symphony.commons.clock import SystemClock
    from symphony.ipc.bus._log import Entry, LogLimits, open_log

    async def publish(log, name, first):
        number = first
        while True:
            batch = [Entry(name, number + n, "t", 0, b"%s %d" % (name.encode(), number + n))
                     for n in range(number % 5 + 1)]
            positions = await log.append(batch)
            for entry, position in zip(batch, positions):
                print(name, entry.number, position, flush=True)
            await log.acknowledge(name, positions[-1])
            number += len(batch)

    async def main():
        async with open_log(Path(sys.argv[1]), LogLimits(), SystemClock()) as log:
            await asyncio.gather(publish(log, "p", 1), publish(log, "q", 1))

    asyncio.run(main())
    """
)


def killed_while_appending(path: Path, lines: int) -> list[tuple[str, int, int]]:
    """What was acknowledged before the process was killed."""
    command = [sys.executable, "-c", APPENDING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        # The last line may be cut.
        seen += [line for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    return [(name, int(number), int(at)) for name, number, at in (line.split() for line in seen)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
@pytest.mark.parametrize("lines", [1, 40, 333])
def test_killed_while_appending_loses_and_doubles_nothing(tmp_path: Path, lines: int) -> None:
    acknowledged = killed_while_appending(tmp_path / "bus.db", lines)

    async def main() -> None:
        async with opened(tmp_path) as log:
            kept = {message.position: message.body for message in (await read(log)).messages}
            for name, number, position in acknowledged:
                assert kept[position] == f"{name} {number}".encode()
            for name in "pq":
                await send_again(log, name, [n for p, n, _ in acknowledged if p == name])
            found = await bodies(log)
            assert len(found) == len(set(found))
            for name in "pq":
                mine = [body for body in found if body.startswith(name.encode())]
                assert mine == [b"%s %d" % (name.encode(), n + 1) for n in range(len(mine))]
                assert await log.position(name) in (None, *(at for p, _, at in acknowledged))

    async def send_again(log: MessageLog, name: str, numbers: list[int]) -> None:
        last = max(numbers, default=0)
        rest = [
            entry(n, b"%s %d" % (name.encode(), n), publisher=name)
            for n in range(last + 1, last + 20)
        ]
        positions = await log.append(rest)
        assert 0 not in positions
        assert positions == sorted(positions)

    asyncio.run(main())
