from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

from symphony.commons.clock import Clock, SystemClock
from symphony.testing import FakeClock


def test_both_clocks_keep_the_promises_of_the_protocol() -> None:
    async def check(clock: Clock) -> None:
        before = clock.monotonic()
        assert clock.now().utcoffset() == timedelta(0)
        assert clock.now().tzinfo is UTC
        await clock.sleep(0)
        await clock.sleep(-1)
        assert clock.monotonic() >= before

    for clock in (SystemClock(), FakeClock()):
        asyncio.run(check(clock))


def test_sleep_of_the_system_clock_lasts_as_long_as_it_says() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    asyncio.run(clock.sleep(0.02))
    assert 0.02 <= clock.monotonic() - before < 5


def test_sleep_of_zero_lets_another_task_run() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def other() -> None:
            order.append("other")

        for clock in (SystemClock(), FakeClock()):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(other())
                await clock.sleep(0)
                order.append("after")
        return order

    assert asyncio.run(main()) == ["other", "after", "other", "after"]
