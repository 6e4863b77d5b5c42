"""Kept messages: they survive the broker, and whoever resumes gets each once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from symphony.commons.backoff import Backoff
from symphony.ipc import (
    Action,
    BusConfig,
    Endpoint,
    FrameTooLarge,
    LogLimits,
    Message,
    NameTaken,
    NotKept,
    NotPermitted,
    Policy,
    ResumeGap,
    Subscription,
    connect,
    open_broker,
)
from tests.ipc.bus.sockets.party import OpenPeer, Run, number_in, take_numbers, until

SOON = Backoff(initial=0.005, factor=1.0, ceiling=0.005, attempts=None)


async def keep(endpoint: Endpoint, topic: str, numbers: range) -> None:
    """As fast as it can be: many at a time, in order."""
    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(endpoint.publish_kept(topic, number.to_bytes(4, "big")))


async def take(subscription: Subscription, count: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < count:
        found += await anext(subscription)
    return found


def test_what_is_kept_reaches_who_listens_now_and_who_comes_later(
    address: str, log_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_broker([address], log_path=log_path) as broker,
            connect(address) as one,
            connect(address) as two,
            one.subscribe("kept.*") as live,
            one.subscribe("kept.*", after=0, epoch=one.epoch, credit=10) as resumed,
        ):
            await keep(two, "kept.a", range(500))
            await two.publish("kept.a", b"not kept")
            assert await take_numbers(resumed, 500) == list(range(500))
            found = await take(live, 501)
            assert [number_in(each) for each in found[:500]] == list(range(500))
            assert [each.sequence for each in found[:500]] == list(range(1, 501))
            assert found[500].sequence == 0
            assert resumed.position < 500  # the last batch has not been dealt with yet
            async with two.subscribe("kept.a", after=490, epoch=two.epoch) as later:
                assert await take_numbers(later, 10) == list(range(490, 500))
                await two.publish_kept("kept.a", (500).to_bytes(4, "big"))
                await two.publish_kept("other", b"")
                await two.publish_kept("kept.a", (501).to_bytes(4, "big"))
                assert await take_numbers(later, 2) == [500, 501]
            assert broker.stats().kept == 503

    run(main())


def test_it_survives_the_broker(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        async with open_broker([address], log_path=log_path), connect(address) as one:
            epoch = one.epoch
            await keep(one, "kept", range(100))
        async with open_broker([address], log_path=log_path), connect(address) as one:
            assert one.epoch == epoch
            await keep(one, "kept", range(100, 200))
            async with one.subscribe("kept", after=50, epoch=epoch) as subscription:
                assert await take_numbers(subscription, 150) == list(range(50, 200))

    run(main())


def test_a_resumed_subscription_goes_on_over_restarts_of_the_broker(
    address: str, log_path: Path, run: Run
) -> None:
    """Ten times it goes away, in the middle of whatever there is."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(AsyncExitStack())
            await broker.enter_async_context(open_broker([address], log_path=log_path))
            one = await stack.enter_async_context(connect(address, name="one", reconnect=SOON))
            two = await stack.enter_async_context(connect(address, name="two", reconnect=SOON))
            called: list[int] = []
            opened = one.subscribe("kept", after=0, epoch=one.epoch, credit=20)
            iterated = await stack.enter_async_context(opened)
            await stack.enter_async_context(
                one.subscribe("kept", lambda message: called.append(number_in(message)), durable="d")
            )
            keeping = asyncio.create_task(keep(two, "kept", range(3000)))
            found: list[int] = []
            while len(found) < 3000:
                found += await take_numbers(iterated, 1)
                if len(found) > 300 * (stops := broker_stops(found)) and stops < 10:
                    pass
                if len(found) // 300 > restarts(broker):
                    await broker.aclose()
                    await broker.enter_async_context(open_broker([address], log_path=log_path))
            await keeping
            assert found == list(range(3000))
            await until(lambda: len(called) >= 3000)
            assert called == found

    run(main())
