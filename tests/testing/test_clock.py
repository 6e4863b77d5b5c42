from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.testing import FakeClock


def test_time_stands_still_until_it_is_moved() -> None:
    async def main() -> None:
        clock = FakeClock(datetime(2030, 5, 1, tzinfo=UTC))
        assert clock.now() == datetime(2030, 5, 1, tzinfo=UTC)
        await clock.advance(90)
        assert clock.now() == datetime(2030, 5, 1, 0, 1, 30, tzinfo=UTC)
        assert clock.monotonic() == 90

    asyncio.run(main())


def test_sleeper_wakes_at_its_moment_and_not_before() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with asyncio.TaskGroup() as tasks:
            sleeper = tasks.create_task(clock.sleep(10))
            await clock.sleepers(1)
            await clock.advance(9.999)
            assert not sleeper.done()
            await clock.advance(0.001)
            assert sleeper.done()

    asyncio.run(main())


def test_one_advance_wakes_those_who_sleep_again_each_at_its_moment() -> None:
    async def main() -> list[float]:
        clock = FakeClock()
        seen: list[float] = []

        async def tick() -> None:
            for _ in range(4):
                await clock.sleep(2.5)
                seen.append(clock.monotonic())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tick())
            await clock.advance(60)
        return seen

    assert asyncio.run(main()) == [2.5, 5.0, 7.5, 10.0]


def test_cancelled_sleeper_is_forgotten() -> None:
    async def main() -> None:
        clock = FakeClock()
        sleeper = asyncio.ensure_future(clock.sleep(5))
        await clock.sleepers(1)
        sleeper.cancel()
        await asyncio.wait([sleeper])
        newcomer = asyncio.ensure_future(clock.sleepers(1))
        await clock.advance(10)
        assert not newcomer.done()
        newcomer.cancel()

    asyncio.run(main())


def test_sleepers_waits_for_as_many_as_are_asked_for() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with asyncio.TaskGroup() as tasks:
            three = tasks.create_task(clock.sleepers(3))
            for _ in range(2):
                tasks.create_task(clock.sleep(1))
            await clock.sleepers(2)
            assert not three.done()
            tasks.create_task(clock.sleep(1))
            await three
            await clock.advance(1)

    asyncio.run(main())


@settings(max_examples=40)
@given(st.lists(st.floats(min_value=0.001, max_value=1e6), max_size=12))
def test_sleepers_wake_in_order_of_time_then_of_arrival(naps: list[float]) -> None:
    async def main() -> list[int]:
        clock = FakeClock()
        woken: list[int] = []

        async def nap(number: int, seconds: float) -> None:
            await clock.sleep(seconds)
            assert clock.now() == FakeClock().now() + timedelta(seconds=seconds)
            woken.append(number)

        async with asyncio.TaskGroup() as tasks:
            for number, seconds in enumerate(naps):
                tasks.create_task(nap(number, seconds))
            await clock.advance(1e6)
        return woken

    assert asyncio.run(main()) == sorted(range(len(naps)), key=lambda number: naps[number])
