"""A subscriber whose process stands still: what becomes of its messages, and of its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from tests.ipc.bus.sockets.party import OpenPeer, Peer, Run, count_up, take_numbers, until

from symphony.ipc import (
    Broker,
    BusConfig,
    Endpoint,
    Policy,
    SlowReader,
    SubscriptionInfo,
    connect,
    open_broker,
)

#: Every test here starts a process.
pytestmark = pytest.mark.slow

CREDIT = 100
MANY = 5000


class Stage(NamedTuple):
    broker: Broker
    one: Endpoint
    two: Endpoint
    listener: Peer

    def subscription(self) -> SubscriptionInfo:
        (info,) = (each for each in self.broker.endpoints() if each.name == "listener")
        return info.subscriptions[0]

    async def neighbours_go_on(self) -> None:
        """With what they have to say to each other, on their own connections."""
        async with (
            self.one.subscribe("neighbours") as subscription,
            self.one.serve("echo", lambda request: request.body),
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(count_up(self.two, "neighbours", range(MANY)))
            assert await take_numbers(subscription, MANY) == list(range(MANY))
            asked = [str(number).encode() for number in range(200)]
            answers = await asyncio.gather(*(self.two.request("echo", each) for each in asked))
            assert [each.body for each in answers] == asked


@asynccontextmanager
async def open_stage(
    address: str, open_peer: OpenPeer, policy: Policy, **options: object
) -> AsyncIterator[Stage]:
    """With a listener that stands still from now on."""
    options = {"pattern": "numbers", "policy": policy.value, "credit": CREDIT, **options}
    async with (
        open_broker([address]) as broker,
        connect(address, name="one") as one,
        connect(address, name="two") as two,
        open_peer("listener", **options) as listener,
    ):
        listener.stop()
        yield Stage(broker, one, two, listener)


async def publish_all(address: str) -> None:
    async with connect(address, name="publisher") as publisher:
        await count_up(publisher, "numbers", range(MANY))
        await publisher.stats()


async def received(stage: Stage, count: int) -> list[int]:
    """What the listener has, once it goes on and has got as many."""
    stage.listener.go_on()
    await until(lambda: stage.subscription().delivered >= count)
    while True:
        stage.listener.tell("count")
        if await stage.listener.said() == count:
            break
    stage.listener.tell("report")
    return await stage.listener.numbers()


def test_block_loses_nothing_and_holds_up_its_publisher_alone(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        async with open_stage(address, open_peer, Policy.BLOCK) as stage:
            publishing = asyncio.create_task(publish_all(address))
            await until(lambda: stage.subscription().queued >= BusConfig().publish_frames // 2)
            await stage.neighbours_go_on()
            assert not publishing.done()
            info = stage.subscription()
            assert info.queued <= BusConfig().publish_frames
            assert info.unacknowledged == CREDIT
            assert info.dropped == 0
            assert await received(stage, MANY) == list(range(MANY))
            await publishing

    run(main())


def test_drop_oldest_has_the_newest_in_the_end(address: str, open_peer: OpenPeer, run: Run) -> None:
    async def main() -> None:
        async with open_stage(address, open_peer, Policy.DROP_OLDEST) as stage:
            await publish_all(address)
            await stage.neighbours_go_on()
            info = stage.subscription()
            assert (info.delivered, info.queued) == (CREDIT, CREDIT)
            assert info.dropped == MANY - 2 * CREDIT == stage.broker.stats().dropped
            expected = [*range(CREDIT), *range(MANY - CREDIT, MANY)]
            assert await received(stage, 2 * CREDIT) == expected

    run(main())


def test_drop_newest_has_the_oldest(address: str, open_peer: OpenPeer, run: Run) -> None:
    async def main() -> None:
        async with open_stage(address, open_peer, Policy.DROP_NEWEST) as stage:
            await publish_all(address)
            await stage.neighbours_go_on()
            info = stage.subscription()
            assert (info.delivered, info.queued) == (CREDIT, CREDIT)
            assert info.dropped == MANY - 2 * CREDIT == stage.broker.stats().dropped
            assert await received(stage, 2 * CREDIT) == list(range(2 * CREDIT))

    run(main())


def test_disconnect_cuts_it_off_and_says_why(
    address: str, open_peer: OpenPeer, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_stage(address, open_peer, Policy.DISCONNECT) as stage:
            await publish_all(address)
            await stage.neighbours_go_on()
            await until(lambda: len(stage.broker.endpoints()) == 2)
            assert stage.broker.stats().queued == 0

    run(main())
    (error,) = (each.exc_info[1] for each in caplog.records if each.exc_info)
    assert isinstance(error, SlowReader)
    assert error.endpoint == "listener"


@pytest.mark.parametrize("policy", [Policy.BLOCK, Policy.DROP_OLDEST, Policy.DROP_NEWEST])
def test_what_waits_stays_within_credit_in_bytes(
    policy: Policy, address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        size, space = 10_000, 200_000
        stage_opened = open_stage(address, open_peer, policy, credit=100_000, credit_bytes=space)
        async with stage_opened as stage, connect(address, name="publisher") as publisher:

            async def publish() -> None:
                for number in range(2000):
                    await publisher.publish("numbers", number.to_bytes(4, "big") + bytes(size - 4))

            publishing = asyncio.create_task(publish())
            if policy is Policy.BLOCK:
                await until(lambda: stage.subscription().queued_bytes > 0)
                await stage.neighbours_go_on()
                bound = BusConfig().publish_bytes + size + 100
            else:
                await publishing
                await publisher.stats()
                bound = space
            info = stage.subscription()
            assert 0 < info.queued_bytes <= bound
            assert info.delivered * size <= space + size
            expected = 2000 - info.dropped
            found = await received(stage, expected)
            await publishing
            assert len(found) == expected
            assert found == sorted(set(found))

    run(main())


def test_a_stopped_publisher_or_asker_holds_up_nobody(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_stage(address, open_peer, Policy.DROP_NEWEST) as stage,
            open_peer("publisher", topic="numbers") as publisher,
        ):
            await until(lambda: stage.broker.stats().frames_in > 1000)
            publisher.stop()
            await stage.neighbours_go_on()
            before = stage.broker.stats().frames_in
            publisher.go_on()
            await until(lambda: stage.broker.stats().frames_in > before + 1000)

    run(main())
