"""Grants, and how a broker closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.ipc.bus.sockets.party import Run, count_up, take_numbers, until

from symphony.ipc import (
    Action,
    BusClosing,
    BusConfig,
    ConnectionLost,
    DeadLetter,
    Endpoint,
    EndpointInfo,
    NotPermitted,
    Request,
    connect,
    open_broker,
)


class Grants:
    """What endpoints may do: all, but for what is here."""

    def __init__(self, *refused: tuple[str, Action, str]) -> None:
        self.refused = set(refused)
        self.asked: list[tuple[str, Action, str]] = []

    def __call__(self, endpoint: str, action: Action, topic: str) -> bool:
        self.asked.append((endpoint, action, topic))
        return (endpoint, action, topic) not in self.refused


def refusals(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    """What the log says was not permitted, to whom."""
    facts = [vars(each)["facts"] for each in caplog.records if each.message == "not permitted"]
    return [(each["endpoint"], each["action"], each["topic"]) for each in facts]


@asynccontextmanager
async def three(address: str) -> AsyncIterator[tuple[Endpoint, Endpoint, Endpoint]]:
    async with (
        connect(address, name="one") as one,
        connect(address, name="two") as two,
        connect(address, name="three") as other,
    ):
        yield one, two, other


# Grants.


def test_what_is_not_granted_is_refused_and_logged_with_the_name(
    address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    grants = Grants(
        ("one", Action.PUBLISH, "a"),
        ("one", Action.SUBSCRIBE, "a.*"),
        ("one", Action.REQUEST, "a"),
        ("one", Action.SERVE, "a"),
    )

    async def main() -> None:
        async with (
            open_broker([address], permit=grants) as broker,
            three(address) as (one, two, _),
            two.subscribe("#") as everything,
            two.subscribe("bus.dead") as dead,
            two.serve("a", lambda request: b"answer"),
        ):
            with pytest.raises(NotPermitted) as caught:
                await one.request("a")
            assert (caught.value.endpoint, caught.value.action) == ("one", "request")
            with pytest.raises(NotPermitted):
                async with one.subscribe("a.*"):
                    pass
            with pytest.raises(NotPermitted):
                async with one.serve("a", lambda request: b""):
                    pass
            await one.publish("a", b"refused")
            await two.publish("a", b"granted")
            published: list[bytes] = []
            while not published:
                published += [each.body for each in await anext(everything) if each.topic == "a"]
            assert published == [b"granted"]
            letters: list[DeadLetter] = []
            while len(letters) < 2:
                letters += [each.payload_as(DeadLetter) for each in await anext(dead)]
            assert [(each.endpoint, each.kind) for each in letters] == [
                ("one", "REQ"),
                ("one", "PUB"),
            ]
            assert (await two.request("a")).body == b"answer"
            assert broker.stats().refused >= 2

    run(main())
    assert ("one", Action.REQUEST, "a") in refusals(caplog)
    assert ("one", Action.PUBLISH, "a") in refusals(caplog)
    assert ("one", Action.SUBSCRIBE, "a.*") in refusals(caplog)
    assert ("one", Action.SERVE, "a") in refusals(caplog)


def test_refused_publications_give_their_credit_back(address: str, run: Run) -> None:
    async def main() -> None:
        grants = Grants(("one", Action.PUBLISH, "a"))
        async with (
            open_broker([address], BusConfig(publish_frames=8), permit=grants) as broker,
            three(address) as (one, _, _other),
        ):
            async with asyncio.timeout(10):
                await count_up(one, "a", range(100))
            await one.stats()
            assert broker.stats().dead_letters == 100

    run(main())


def test_a_grant_is_asked_for_once_a_topic(address: str, run: Run) -> None:
    async def main() -> None:
        grants = Grants()
        async with (
            open_broker([address], permit=grants),
            three(address) as (one, two, _),
            two.serve("a", lambda request: b""),
        ):
            for _ in range(10):
                await one.publish("a")
                await one.request("a")
        assert grants.asked.count(("one", Action.PUBLISH, "a")) == 1
        assert grants.asked.count(("one", Action.REQUEST, "a")) == 1

    run(main())


def test_a_grant_that_is_withdrawn_stops_the_next_frame(
    address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        grants = Grants()
        async with (
            open_broker([address], permit=grants) as broker,
            three(address) as (one, two, other),
            two.subscribe("a") as listening,
            two.serve("b", lambda request: b"of two"),
            other.subscribe("a") as subscription,
        ):
            await one.publish("a", b"before")
            await one.request("b")
            assert [each.body for each in await anext(subscription)] == [b"before"]
            assert len(await anext(listening)) == 1

            grants.refused = {
                ("one", Action.PUBLISH, "a"),
                ("one", Action.REQUEST, "b"),
                ("two", Action.SUBSCRIBE, "a"),
                ("two", Action.SERVE, "b"),
            }
            for name in ("one", "two", "nobody"):
                broker.withdraw(name)
            await one.publish("a", b"refused")
            with pytest.raises(NotPermitted):
                await one.request("b")
            await other.publish("a", b"of another")
            assert [each.body for each in await anext(subscription)] == [b"of another"]
            with pytest.raises(NotPermitted):
                await anext(listening)
            info = {each.name: each for each in broker.endpoints()}["two"]
            assert info.subscriptions == ()
            assert info.servings == ()

            grants.refused = set()
            broker.withdraw("one")
            await one.publish("a", b"after")
            assert [each.body for each in await anext(subscription)] == [b"after"]

    run(main())
    assert ("one", Action.PUBLISH, "a") in refusals(caplog)


def test_topics_of_the_bus_are_its_own(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address]),
            three(address) as (one, two, _),
            two.subscribe("bus.endpoint.*") as news,
        ):
            await one.publish("bus.endpoint.left", b"forged")
            with pytest.raises(NotPermitted):
                async with one.serve("bus.stats", lambda request: b""):
                    pass
            async with connect(address, name="four"):
                pass
            found: list[tuple[str, str]] = []
            while not found or found[-1] != ("bus.endpoint.left", "four"):
                for message in await anext(news):
                    info = message.payload_as(EndpointInfo)
                    found.append((message.topic, info.name))
            assert ("bus.endpoint.joined", "four") in found

    run(main())


# Closing.


def test_a_broker_that_closes_lets_open_requests_be_answered(address: str, run: Run) -> None:
    async def main() -> None:
        asked, release = asyncio.Event(), asyncio.Event()

        async def answer(request: Request) -> bytes:
            asked.set()
            await release.wait()
            return b"just in time"

        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(AsyncExitStack())
            running = await broker.enter_async_context(open_broker([address]))
            one = await stack.enter_async_context(connect(address, reconnect=None))
            two = await stack.enter_async_context(connect(address, reconnect=None))
            await stack.enter_async_context(two.serve("a", answer))
            await stack.enter_async_context(two.serve("b", lambda request: b""))
            asking = asyncio.create_task(one.request("a"))
            await asked.wait()
            await one.request("b")
            closing = asyncio.create_task(broker.aclose())
            for topic in ("b", "bus.stats"):
                while True:  # it takes no new ones, from when it closes on
                    try:
                        await one.request(topic)
                    except BusClosing:
                        break
            assert not closing.done()
            assert running.stats().endpoints == 2
            release.set()
            assert (await asking).body == b"just in time"
            await closing
            with pytest.raises(ConnectionLost, match="shutting down"):
                await one.request("a")

    run(main())


def test_a_broker_that_closes_ends_what_is_not_answered_in_time(address: str, run: Run) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def hang(request: Request) -> bytes:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return b""

        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(AsyncExitStack())
            opened = open_broker([address], BusConfig(drain_s=0.05))
            running = await broker.enter_async_context(opened)
            one = await stack.enter_async_context(connect(address, reconnect=None))
            two = await stack.enter_async_context(connect(address, reconnect=None))
            await stack.enter_async_context(two.serve("a", hang))
            asking = [asyncio.create_task(one.request("a", timeout_s=0)) for _ in range(10)]
            await until(lambda: running.stats().requests == 10)
            await broker.aclose()
            for each in asking:
                with pytest.raises(BusClosing):
                    await each
            await cancelled.wait()

    run(main())


def test_what_was_published_before_the_broker_closes_arrives(address: str, run: Run) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(AsyncExitStack())
            await broker.enter_async_context(open_broker([address]))
            one = await stack.enter_async_context(connect(address, reconnect=None))
            two = await stack.enter_async_context(connect(address, reconnect=None))
            subscription = await stack.enter_async_context(two.subscribe("numbers"))
            await count_up(one, "numbers", range(1000))
            await one.stats()
            await broker.aclose()
            assert await take_numbers(subscription, 1000) == list(range(1000))
            with pytest.raises(ConnectionLost, match="shutting down"):
                await anext(subscription)

    run(main())


def test_a_broker_on_several_addresses_is_one_bus(address: str, run: Run) -> None:
    async def main() -> None:
        also = f"{address}.too"
        async with (
            open_broker([address, also, "memory:sockets"]) as broker,
            connect(address) as one,
            connect(also) as two,
            connect("memory:sockets") as inside,
            two.serve("a", lambda request: request.body),
        ):
            assert broker.addresses == (address, also, "memory:sockets")
            for each in (one, two, inside):
                assert (await each.request("a", b"hello")).body == b"hello"

    run(main())
