"""Kept messages: they survive the broker, and whoever resumes gets each once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.ipc.bus.sockets.party import SOON, OpenPeer, Run, begin, number_in, take_numbers, until

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


@pytest.mark.slow
def test_a_resumed_subscription_goes_on_over_restarts_of_the_broker(
    address: str, log_path: Path, run: Run
) -> None:
    """Ten times it goes away, in the middle of whatever there is."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker, one = await begin(stack, address, log_path=log_path)
            two = await stack.enter_async_context(connect(address, name="two", reconnect=SOON))
            called: list[int] = []
            opened = one.subscribe("kept", after=0, epoch=one.epoch, credit=20)
            iterated = await stack.enter_async_context(opened)
            await stack.enter_async_context(
                one.subscribe(
                    "kept", lambda message: called.append(number_in(message)), durable="d"
                )
            )
            keeping = asyncio.create_task(keep(two, "kept", range(3000)))
            found: list[int] = []
            for enough in range(300, 3300, 300):
                while len(found) < enough:
                    found += await take_numbers(iterated, 1)
                if enough < 3000:
                    await broker.aclose()
                    await broker.enter_async_context(open_broker([address], log_path=log_path))
            await keeping
            assert found == list(range(3000))
            await until(lambda: len(called) >= 3000)
            assert called == found

    run(main())


def test_a_publisher_sends_again_what_was_not_acknowledged(
    address: str, log_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker, one = await begin(stack, address, log_path=log_path)
            first = asyncio.create_task(one.publish_kept("kept", b"first"))
            await asyncio.sleep(0)  # it has been handed to the connection
            second = asyncio.create_task(one.publish_kept("kept", b"second"))
            await broker.aclose()
            third = asyncio.create_task(one.publish_kept("kept", b"third"))
            await asyncio.sleep(0)
            await stack.enter_async_context(open_broker([address], log_path=log_path))
            await asyncio.gather(first, second, third)
            async with one.subscribe("kept", after=0, epoch=one.epoch) as subscription:
                found = [each.body for each in await take(subscription, 3)]
                assert found == [b"first", b"second", b"third"]

    run(main())


# Where to go on.


def test_behind_what_is_no_longer_there_is_a_gap(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        limits = LogLimits(messages=10)
        async with (
            open_broker([address], log_path=log_path, limits=limits),
            connect(address) as one,
        ):
            await keep(one, "kept", range(100))
            with pytest.raises(ResumeGap) as caught:
                async with one.subscribe("kept", after=5, epoch=one.epoch):
                    raise AssertionError("what is pruned was promised")
            assert caught.value.asked == 5
            assert 80 < caught.value.oldest <= 91
            behind = caught.value.oldest - 1
            async with one.subscribe("kept", after=behind, epoch=one.epoch) as subscription:
                assert await take_numbers(subscription, 100 - behind) == list(range(behind, 100))
            with pytest.raises(ResumeGap):
                async with one.subscribe("kept", after=101, epoch=one.epoch) as subscription:
                    await anext(subscription)

    run(main())


def test_one_that_falls_behind_what_is_kept_is_told(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        limits = LogLimits(messages=10)
        async with (
            open_broker([address], log_path=log_path, limits=limits) as broker,
            connect(address) as one,
            connect(address) as two,
            two.subscribe("kept", after=0, epoch=one.epoch, credit=4) as subscription,
        ):
            await keep(one, "kept", range(4))
            assert await take_numbers(subscription, 4) == [0, 1, 2, 3]
            await keep(one, "kept", range(4, 100))
            with pytest.raises(ResumeGap):
                await take_numbers(subscription, 1)
            assert broker.stats().subscriptions == 0

    run(main())


def test_a_position_in_another_log_means_nothing(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker, one = await begin(stack, address, log_path=log_path)
            resumed = one.subscribe("kept", after=0, epoch=one.epoch)
            subscription = await stack.enter_async_context(resumed)
            await one.publish_kept("kept", b"0000")
            await take(subscription, 1)
            with pytest.raises(ResumeGap):
                async with one.subscribe("kept", after=0, epoch="another"):
                    pass
            await broker.aclose()
            another = log_path.with_name("another.db")
            await stack.enter_async_context(open_broker([address], log_path=another))
            with pytest.raises(ResumeGap, match="another log"):
                await anext(subscription)

    run(main())


def test_a_bus_without_a_log_says_so(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_broker([address]) as broker, connect(address) as one:
            with pytest.raises(NotKept):
                await one.publish_kept("kept")
            with pytest.raises(NotKept):
                async with one.subscribe("kept", after=0):
                    pass
            with pytest.raises(NotKept):
                async with one.subscribe("kept", durable="d"):
                    pass
            assert broker.stats().subscriptions == 0
            await one.publish("kept")

    run(main())


def test_what_cannot_be_kept_is_an_error_and_those_after_it_are_kept(
    address: str, log_path: Path, run: Run
) -> None:
    def permit(endpoint: str, action: Action, topic: str) -> bool:
        return topic != "secret"

    async def main() -> None:
        async with (
            open_broker(
                [address], BusConfig(max_frame_bytes=4096), log_path=log_path, permit=permit
            ),
            connect(address, reconnect=SOON) as one,
        ):
            with pytest.raises(NotPermitted):
                await one.publish_kept("secret")
            with pytest.raises(FrameTooLarge):
                await one.publish_kept("kept", bytes(4096))
            several = [one.publish_kept(topic) for topic in ("kept", "secret", "kept")]
            outcomes = await asyncio.gather(*several, return_exceptions=True)
            assert [type(each) for each in outcomes] == [type(None), NotPermitted, type(None)]
            async with one.subscribe("kept", after=0, epoch=one.epoch) as subscription:
                assert len(await take(subscription, 2)) == 2

    run(main())


# A name under which the broker remembers.


def test_a_durable_subscription_goes_on_behind_what_was_dealt_with(
    address: str, log_path: Path, run: Run
) -> None:
    async def main() -> None:
        for session in range(4):
            async with (
                open_broker([address], log_path=log_path),
                connect(address) as one,
                connect(address) as two,
            ):
                found: list[int] = []
                async with one.subscribe("kept", durable="reader", credit=16) as subscription:
                    await keep(two, "kept", range(session * 50, session * 50 + 50))
                    async for batch in subscription:
                        found += map(number_in, batch)
                        if found[-1] == session * 50 + 49:
                            break
                    # Asking for more says that the last is dealt with.
                    asking = asyncio.create_task(anext(subscription))
                    await one.stats()  # the broker has heard it
                    asking.cancel()
                    await asyncio.wait([asking])
                assert found == list(range(session * 50, session * 50 + 50))

    run(main())


def test_what_was_not_dealt_with_comes_again(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address], log_path=log_path),
            connect(address) as one,
            connect(address) as two,
        ):
            async with one.subscribe("kept", durable="reader", credit=10) as subscription:
                await keep(two, "kept", range(10))
                first = await anext(subscription)
            async with one.subscribe("kept", durable="reader") as subscription:
                assert number_in((await anext(subscription))[0]) == number_in(first[0])

    run(main())


def test_what_came_before_a_break_and_was_dealt_with_after_it_counts(
    address: str, log_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker, one = await begin(stack, address, log_path=log_path)
            async with one.subscribe("kept", durable="reader") as subscription:
                await keep(one, "kept", range(3))
                assert [number_in(each) for each in await take(subscription, 3)] == [0, 1, 2]
                await broker.aclose()
                running = await stack.enter_async_context(open_broker([address], log_path=log_path))
                await until(lambda: running.stats().subscriptions)
                more = asyncio.create_task(anext(subscription))
                await one.publish_kept("kept", (3).to_bytes(4, "big"))
                assert [number_in(each) for each in await more] == [3]
                assert subscription.position >= 3
            async with one.subscribe("kept", durable="reader") as subscription:
                assert [number_in(each) for each in await anext(subscription)] == [3]

    run(main())


def test_what_a_drained_subscription_deals_with_counts(
    address: str, log_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_broker([address], log_path=log_path),
            connect(address) as one,
            connect(address) as two,
        ):
            async with one.subscribe("kept", durable="reader"):
                pass  # from now on it is remembered
            found: list[int] = []
            await keep(two, "kept", range(100))
            while len(found) < 100:
                async with one.subscribe("kept", durable="reader", credit=20) as subscription:
                    found += map(number_in, await anext(subscription))
                    await one.drain(subscription)
                    async for batch in subscription:
                        found += map(number_in, batch)

            assert found == list(range(100))

    run(main())


def test_two_cannot_have_one_durable_name_at_once(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address], log_path=log_path) as broker,
            connect(address) as one,
            connect(address) as two,
        ):

            async def listen(endpoint: Endpoint) -> None:
                async with endpoint.subscribe("kept", durable="reader"):
                    await two.stats()

            for _ in range(20):
                both = await asyncio.gather(listen(one), listen(one), return_exceptions=True)
                refused = [each for each in both if isinstance(each, NameTaken)]
                assert len(refused) == 1
            # When one has left, its name is free, whether it said goodbye or not.
            await listen(one)
            await listen(two)
            async with connect(address) as three:
                await three.subscribe("kept", durable="reader").__aenter__()
            await until(lambda: len(broker.endpoints()) == 2)
            await listen(two)

    run(main())


def test_a_filter_chooses_among_what_is_kept(address: str, log_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address], log_path=log_path) as broker,
            connect(address, name="one") as one,
            one.subscribe(
                "kept.*", after=0, epoch=one.epoch, where="payload.number > 2"
            ) as subscription,
        ):
            for number in range(6):
                await one.publish_kept("kept.a", {"number": number})
            found = await take(subscription, 3)
            assert [each.payload for each in found] == [{"number": n} for n in (3, 4, 5)]
            assert [each.sequence for each in found] == [4, 5, 6]
            (info,) = broker.endpoints()[0].subscriptions
            assert info.filtered == 3

    run(main())


@pytest.mark.parametrize("policy", list(Policy))
def test_who_reads_the_log_slowly_holds_up_nobody(
    policy: Policy, address: str, log_path: Path, run: Run
) -> None:
    """Whatever its policy: it reads at its own pace, and nothing waits in the broker for it."""

    async def main() -> None:
        async with (
            open_broker([address], BusConfig(publish_frames=16), log_path=log_path) as broker,
            connect(address) as one,
            connect(address) as two,
            two.subscribe("kept", after=0, epoch=two.epoch, credit=5, policy=policy) as slow,
        ):
            await keep(one, "kept", range(500))
            assert broker.stats().queued == 0
            assert broker.stats().dropped == 0
            assert await take_numbers(slow, 500) == list(range(500))

    run(main())


@pytest.mark.slow
def test_kill_after_kill_what_was_acknowledged_is_there_once(
    address: str, log_path: Path, open_peer: OpenPeer, run: Run
) -> None:
    """Broker and publisher die by turns; a resumed subscription sees no gap and nothing twice."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(open_peer("broker", log=str(log_path)))
            reader = await stack.enter_async_context(connect(address, name="r", reconnect=SOON))
            found: list[int] = []
            opened = reader.subscribe("kept", after=0, epoch=reader.epoch, credit=50)
            subscription = await stack.enter_async_context(opened)
            begin = 0
            for _ in range(4):
                keeper = await stack.enter_async_context(
                    open_peer("keeper", topic="kept", begin=begin)
                )
                kept = [await keeper.said() for _ in range(30)]
                await broker.kill()
                broker = await stack.enter_async_context(open_peer("broker", log=str(log_path)))
                kept += [await keeper.said() for _ in range(30)]
                assert kept == list(range(begin, begin + 60))
                await keeper.kill()
                # Those after it may have been kept without the publisher knowing.
                async with connect(address, name="probe") as probe:
                    await probe.publish_kept("kept", b"end!")
                while not found or found[-1] != int.from_bytes(b"end!", "big"):
                    found += await take_numbers(subscription, 1)
                found.pop()
                assert found == list(range(len(found)))
                assert len(found) >= begin + 60
                begin = len(found)

    run(main())
