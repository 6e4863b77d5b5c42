from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.tasks import task_scope
from symphony.ipc.transport._errors import PoolClosed
from symphony.ipc.transport._pool import Pool
from symphony.testing import FakeClock


class Item:
    def __init__(self, number: int) -> None:
        self.number = number
        self.broken = False
        self.lent = False


class Maker:
    """Opens items, and knows which are open."""

    def __init__(self) -> None:
        self.made = 0
        self.open: set[int] = set()
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Item]:
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        item = Item(self.made)
        self.made += 1
        self.open.add(item.number)
        self.most = max(self.most, len(self.open))
        try:
            yield item
        finally:
            await asyncio.sleep(0)
            self.open.remove(item.number)


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_an_item_is_used_again_and_closed_in_the_end() -> None:
    async def main() -> None:
        maker = Maker()
        async with Pool(maker, limit=3, idle_s=10) as pool:
            for _ in range(3):
                async with pool.lease() as item:
                    assert item.number == 0
            assert maker.open == {0}
        assert maker.open == set()

    asyncio.run(main())


def test_no_more_than_the_limit_are_open_and_those_who_wait_stand_in_line() -> None:
    async def main() -> None:
        maker = Maker()
        served: list[int] = []

        async def borrow(number: int) -> None:
            async with pool.lease():
                served.append(number)
                await asyncio.sleep(0)

        async with Pool(maker, limit=2, idle_s=10) as pool, task_scope() as tasks:
            for number in range(20):
                tasks.create_task(borrow(number))
        assert served == list(range(20))
        assert maker.most == 2

    asyncio.run(main())


def test_idle_items_are_closed_after_their_time_and_the_busy_stay() -> None:
    async def main() -> None:
        maker = Maker()
        clock = FakeClock()
        async with Pool(maker, limit=3, idle_s=10, clock=clock) as pool:
            async with pool.lease(), pool.lease():
                await clock.advance(100)
                assert maker.open == {0, 1}
            await clock.advance(6)
            async with pool.lease() as used_last:
                assert used_last.number == 0
            await clock.advance(6)
            assert maker.open == {0}
            await clock.advance(3)
            assert maker.open == {0}
            await clock.advance(1)
            assert maker.open == set()
            async with pool.lease() as fresh:
                assert fresh.number == 2

    asyncio.run(main())


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])
def test_an_item_whose_use_failed_is_not_lent_again(error: type[BaseException]) -> None:
    async def main() -> None:
        maker = Maker()
        async with Pool(maker, limit=1, idle_s=10) as pool:
            with pytest.raises(error):
                async with pool.lease():
                    raise error
            async with pool.lease() as item:
                assert item.number == 1
                assert maker.open == {1}
        assert maker.most == 1

    asyncio.run(main())


def test_an_item_that_broke_while_idle_is_not_lent_again() -> None:
    async def main() -> None:
        maker = Maker()
        async with Pool(maker, limit=1, idle_s=10, usable=lambda item: not item.broken) as pool:
            async with pool.lease() as item:
                pass
            item.broken = True
            async with pool.lease() as item:
                assert item.number == 1

    asyncio.run(main())


def test_an_item_with_tasks_of_its_own_is_left_by_who_entered_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As an endpoint is: a failure inside ends it, while nobody uses it."""

    @asynccontextmanager
    async def endpoint() -> AsyncIterator[asyncio.Event]:
        async def work() -> None:
            await fail.wait()
            raise LookupError("the connection broke")

        fail = asyncio.Event()
        async with task_scope() as tasks:
            working = tasks.create_task(work())
            yield fail
            working.cancel()

    async def main() -> None:
        async with Pool(endpoint, limit=1, idle_s=10) as pool:
            async with pool.lease() as first:
                pass
            async with pool.lease() as again:
                assert again is first
            first.set()
            await turns()
            async with pool.lease() as fresh:
                assert fresh is not first

    asyncio.run(main())
    assert "an item of a pool failed" in caplog.text


def test_what_opening_raises_is_the_borrower_s_and_takes_no_place() -> None:
    async def main() -> None:
        maker = Maker()
        maker.fault = LookupError("nobody there")
        async with Pool(maker, limit=1, idle_s=10) as pool:
            for _ in range(3):
                with pytest.raises(LookupError, match="nobody there"):
                    async with pool.lease():
                        pass
            maker.fault = None
            async with pool.lease() as item:
                assert item.number == 0

    asyncio.run(main())


def test_leaving_waits_for_what_is_lent_and_turns_the_waiting_away_at_once() -> None:
    async def main() -> None:
        maker = Maker()
        finish = asyncio.Event()
        lent = asyncio.Event()
        turned_away = asyncio.Event()

        async def borrow() -> None:
            async with pool.lease():
                lent.set()
                await finish.wait()

        async def wait() -> None:
            with pytest.raises(PoolClosed):
                async with pool.lease():
                    pass
            turned_away.set()

        async def own() -> None:
            async with pool:
                await leave.wait()

        pool = Pool(maker, limit=1, idle_s=10)
        leave = asyncio.Event()
        async with task_scope() as tasks:
            owner = tasks.create_task(own())
            tasks.create_task(borrow())
            await lent.wait()
            for _ in range(3):
                tasks.create_task(wait())
            await turns()
            leave.set()
            await turned_away.wait()
            await turns()
            assert not owner.done()
            assert maker.open == {0}
            finish.set()
        assert maker.open == set()
        with pytest.raises(PoolClosed):
            async with pool.lease():
                pass

    asyncio.run(main())


def test_an_owner_that_fails_closes_what_is_lent() -> None:
    async def main() -> None:
        maker = Maker()
        pool = Pool(maker, limit=1, idle_s=10)

        async def borrow() -> None:
            async with pool.lease():
                await asyncio.Event().wait()

        async with task_scope() as tasks:
            with pytest.raises(LookupError):  # noqa: PT012 - the block is what fails
                async with pool:
                    borrowing = tasks.create_task(borrow())
                    await turns()
                    raise LookupError
            assert maker.open == set()
            borrowing.cancel()

    asyncio.run(main())


def test_an_owner_that_fails_turns_away_who_waits_for_an_item_to_open() -> None:
    async def main() -> None:
        maker = Maker()
        maker.gate.clear()
        pool = Pool(maker, limit=1, idle_s=10)

        async def borrow() -> None:
            with pytest.raises(PoolClosed):
                async with pool.lease():
                    pass

        async with task_scope() as tasks:
            with pytest.raises(LookupError):  # noqa: PT012 - the block is what fails
                async with pool:
                    tasks.create_task(borrow())
                    await turns()
                    raise LookupError

    asyncio.run(main())


def test_a_borrower_cancelled_while_it_opens_leaves_its_place() -> None:
    async def main() -> None:
        maker = Maker()
        maker.gate.clear()
        async with Pool(maker, limit=1, idle_s=10) as pool:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0), pool.lease():
                    pass
            maker.gate.set()
            async with pool.lease() as item:
                assert item.number == 0

    asyncio.run(main())


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=30), st.integers(1, 4))
def test_whoever_is_cancelled_no_place_is_lost(
    borrowers: list[tuple[int, bool]], limit: int
) -> None:
    """Cancelled after any number of turns of the loop: waiting, opening, using, giving back."""

    async def main() -> None:
        maker = Maker()

        async def borrow() -> None:
            async with pool.lease() as item:
                assert not item.lent
                item.lent = True
                await asyncio.sleep(0)
                item.lent = False

        async def cancel(task: asyncio.Task[None], after: int) -> None:
            await turns(after)
            task.cancel()

        async with Pool(maker, limit=limit, idle_s=10) as pool:
            async with task_scope() as tasks:
                for after, cancelled in borrowers:
                    task = tasks.create_task(borrow())
                    if cancelled:
                        tasks.create_task(cancel(task, after))
            async with task_scope() as tasks:
                for _ in range(limit):
                    tasks.create_task(borrow())
        assert maker.most <= limit
        assert maker.open == set()

    asyncio.run(main())


def test_a_pool_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a pool of 0"):
        Pool(lambda: nullcontext(1), limit=0, idle_s=1)
