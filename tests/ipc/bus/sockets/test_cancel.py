"""Cancelled at whichever await: nothing vanishes, nothing is left, and the endpoint goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.ipc.bus.sockets.party import (
    Run,
    cancelled_at,
    count_descriptors,
    count_up,
    number_in,
    until,
)

from symphony.ipc import (
    Broker,
    ConnectionLost,
    Endpoint,
    NoResponder,
    Request,
    ResponderGone,
    Subscription,
    connect,
    open_broker,
)

#: Enough to be handed over in shared memory.
LARGE = bytes(512 * 1024)


class Party(NamedTuple):
    broker: Broker
    address: str
    one: Endpoint
    two: Endpoint

    def quiet(self) -> bool:
        """Whether nothing of what was cancelled is left at the broker."""
        stats = self.broker.stats()
        endpoints = self.broker.endpoints()
        asked = sum(each.open_requests + each.answering for each in endpoints)
        return (len(endpoints), stats.subscriptions, stats.servings, asked) == (2, 0, 1, 0)

    async def settle(self) -> None:
        await until(self.quiet)
        assert (await self.one.request("echo", b"alive")).body == b"alive"


@asynccontextmanager
async def open_party(address: str, log_path: Path | None = None) -> AsyncIterator[Party]:
    """Endpoint `two` answers requests for "echo", and never those for anything else."""

    async def answer(request: Request) -> bytes:
        if request.topic != "echo":
            await asyncio.Event().wait()
        return request.body

    async with (
        open_broker([address], log_path=log_path) as broker,
        connect(address, name="one") as one,
        connect(address, name="two") as two,
        two.serve("#", answer),
    ):
        await one.request("echo")
        yield Party(broker, address, one, two)


async def everywhere(
    party: Party, work: Callable[[], Awaitable[object]], *, late: bool, at_least: int = 1
) -> None:
    """Cancel the work at its first await, its second, and so on until it has no more."""
    before = asyncio.all_tasks()
    suspension = 0
    while await cancelled_at(work(), suspension, late=late):
        await party.settle()
        suspension += 1
    await party.settle()
    await until(lambda: asyncio.all_tasks() <= before)
    assert suspension >= at_least


async def failing(request: Awaitable[object]) -> None:
    with pytest.raises((ConnectionLost, ResponderGone, NoResponder)):
        await request


@pytest.fixture(params=["waiting", "just-woken"])
def late(request: pytest.FixtureRequest) -> bool:
    """Whether the cancel comes when what is waited for has just happened."""
    return str(request.param) == "just-woken"


def test_request(address: str, late: bool, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:
            await everywhere(party, lambda: party.one.request("echo", b"hello"), late=late)
            await everywhere(party, lambda: party.one.request("echo", LARGE), late=late, at_least=2)

    run(main())


def test_a_request_that_waits_for_the_responder(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:
            asking = asyncio.create_task(party.one.request("never", timeout_s=0))
            await until(lambda: any(each.answering for each in party.broker.endpoints()))
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await party.settle()
            assert party.broker.stats().cancelled == 1

    run(main())


def test_a_request_and_its_cancel_that_arrive_together(address: str, run: Run) -> None:
    """The responder's coroutine is cancelled before its first step."""

    async def main() -> None:
        async with open_party(address) as party:
            for _ in range(10):
                asking = asyncio.create_task(party.one.request("never", timeout_s=0))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
            await party.settle()

    run(main())


@pytest.mark.slow
def test_a_request_that_waits_for_its_turn(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:
            many = [
                asyncio.create_task(party.one.request("never", timeout_s=0)) for _ in range(4200)
            ]
            await until(lambda: party.broker.stats().requests > 4000)
            waiting = asyncio.create_task(party.one.request("echo", b"in the end"))
            for task in many[4000:]:
                task.cancel()
            assert (await waiting).body == b"in the end"
            for task in many:
                task.cancel()
            await asyncio.wait(many)
            await party.settle()

    run(main())


def test_iterate(address: str, late: bool, run: Run) -> None:
    """However often the iteration is cancelled, the next goes on where it was."""

    async def take(subscription: Subscription, found: list[int]) -> None:
        found += map(number_in, await anext(subscription))

    async def main() -> None:
        found: list[int] = []
        async with (
            open_party(address) as party,
            party.one.subscribe("numbers", credit=7) as subscription,
        ):
            publishing = asyncio.create_task(count_up(party.two, "numbers", range(1000)))
            turn = 0
            while len(found) < 1000:
                # Sometimes it is not cancelled, sometimes at its first await.
                await cancelled_at(take(subscription, found), turn % 3, late=late)
                turn += 1
            await publishing
        assert found == list(range(1000))
        assert turn > 100

    run(main())


def test_publish(address: str, late: bool, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:

            async def full(payload: bytes) -> None:
                """Publish when there is no credit, and have it come back meanwhile."""
                async with party.two.subscribe("numbers", credit=1) as subscription:
                    while party.one.try_publish("numbers", b"0000"):
                        pass
                    publishing = asyncio.create_task(party.one.publish("numbers", payload))
                    await asyncio.sleep(0)
                    reading = asyncio.create_task(read(subscription))
                    try:
                        await publishing
                    finally:
                        publishing.cancel()
                        reading.cancel()
                        await asyncio.wait([publishing, reading])

            async def read(subscription: Subscription) -> None:
                async for _ in subscription:
                    pass

            await everywhere(party, lambda: full(b"more"), late=late)
            await everywhere(party, lambda: party.one.publish("numbers", LARGE), late=late)
            async with party.two.subscribe("numbers") as subscription:
                await party.one.publish("numbers", b"last")
                assert [each.body for each in await anext(subscription)] == [b"last"]

    run(main())


def test_publish_kept(address: str, log_path: Path, late: bool, run: Run) -> None:
    """It may be kept or not then, but once at most, and those after it are."""

    async def main() -> None:
        async with (
            open_party(address, log_path) as party,
        ):
            cancelled = [b"cancelled %d" % number for number in range(20)]
            for number, body in enumerate(cancelled):
                await cancelled_at(party.one.publish_kept("kept", body), number % 2, late=late)
                await party.one.publish_kept("kept", b"whole %d" % number)
            found: list[bytes] = []
            async with party.two.subscribe("kept", after=0, epoch=party.two.epoch) as subscription:
                while not found or found[-1] != b"whole 19":
                    found += [each.body for each in await anext(subscription)]
            whole = [body for body in found if body.startswith(b"whole")]
            assert whole == [b"whole %d" % number for number in range(20)]
            assert len(set(found)) == len(found)
            await party.settle()

    run(main())


def test_connect_and_close(address: str, late: bool, run: Run) -> None:
    async def come_and_go() -> None:
        async with connect(address, name="three") as three:
            await three.publish("numbers", b"hello")

    async def main() -> None:
        async with open_party(address) as party:
            open_files = count_descriptors()
            await everywhere(party, come_and_go, late=late, at_least=4)
            await until(lambda: count_descriptors() <= open_files)

    run(main())


def test_close_with_open_requests_and_handlers(address: str, late: bool, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:

            async def hang(request: Request) -> None:
                await asyncio.Event().wait()

            async def come_and_go() -> None:
                async with asyncio.TaskGroup() as tasks:  # noqa: SIM117 - the tasks outlive it
                    async with connect(address, name="three") as three:
                        stack = AsyncExitStack()
                        await stack.enter_async_context(three.serve("three", hang))
                        tasks.create_task(failing(three.request("never", timeout_s=0)))
                        tasks.create_task(failing(party.one.request("three", timeout_s=0)))
                        await three.stats()

            await everywhere(party, come_and_go, late=late, at_least=4)

    run(main())


def test_subscribe(address: str, late: bool, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:

            async def subscribe() -> None:
                async with party.one.subscribe("numbers") as subscription:
                    await party.two.publish("numbers", b"0001")
                    await anext(subscription)

            await everywhere(party, subscribe, late=late, at_least=2)
            # A subscription that nobody reads would hold up its publishers by now.
            await count_up(party.two, "numbers", range(5000))

    run(main())


def test_subscribe_to_what_is_kept(address: str, log_path: Path, late: bool, run: Run) -> None:
    async def main() -> None:
        async with open_party(address, log_path) as party:

            async def subscribe() -> None:
                async with party.one.subscribe("kept", durable="reader") as subscription:
                    await party.two.publish_kept("kept", b"0001")
                    await anext(subscription)

            await everywhere(party, subscribe, late=late, at_least=2)

    run(main())


def test_serve(address: str, late: bool, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as party:

            async def serve() -> None:
                async with party.one.serve("exact.topic", lambda request: b"from one"):
                    await party.two.request("exact.topic")

            await everywhere(party, serve, late=late, at_least=2)

    run(main())


def test_drain(address: str, late: bool, run: Run) -> None:
    """A drain that was cancelled goes on: what was on its way comes, then the iteration ends."""

    async def main() -> None:
        async with open_party(address) as party:

            async def drain() -> None:
                async with (
                    party.one.subscribe("numbers", credit=10) as subscription,
                    asyncio.TaskGroup() as tasks,
                ):
                    await count_up(party.two, "numbers", range(100))
                    await party.two.stats()
                    work = cancelled_at(party.one.drain(subscription), 0, late=late)
                    draining = tasks.create_task(work)
                    await asyncio.sleep(0)
                    found = [number_in(each) async for batch in subscription for each in batch]
                    assert found == list(range(100))
                    assert await draining

            await drain()
            await everywhere(party, drain, late=late, at_least=2)

    run(main())


@pytest.mark.slow
def test_open_and_close_a_broker(address: str, log_path: Path, late: bool, run: Run) -> None:
    """A broker that was cancelled while it opened or closed has let go of everything."""

    async def open_and_close() -> None:
        async with open_broker([address], log_path=log_path), connect(address) as one:
            await one.publish_kept("kept")

    async def main() -> None:
        before = asyncio.all_tasks()
        await open_and_close()
        open_files = count_descriptors()
        suspension = 0
        while await cancelled_at(open_and_close(), suspension, late=late):
            suspension += 1
            await until(lambda: asyncio.all_tasks() <= before)
            await until(lambda: count_descriptors() <= open_files)
        assert suspension > 10
        await open_and_close()

    run(main())


@pytest.fixture(autouse=True)
def no_socket_is_left(path: Path) -> Iterator[None]:
    yield
    assert not path.exists()
