"""What an endpoint is when the broker goes away, and when it is there again."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest
from tests.ipc.bus.sockets.party import (
    SOON,
    OpenPeer,
    Run,
    begin,
    count_descriptors,
    count_up,
    number_in,
    until,
)

from symphony.ipc import (
    Action,
    ConnectionLost,
    Frame,
    Kind,
    NoResponder,
    NotPermitted,
    Request,
    RequestTimeout,
    ResponderGone,
    connect,
    encode,
    encode_body,
    open_broker,
)
from symphony.ipc.protocol._control import Admission


def echo(request: Request) -> bytes:
    return request.body


def test_subscriptions_and_served_topics_are_there_again(address: str, run: Run) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            first, one = await begin(stack, address)
            two = await stack.enter_async_context(connect(address, name="two", reconnect=SOON))
            found: list[bytes] = []
            iterated = await stack.enter_async_context(one.subscribe("a.*"))
            await stack.enter_async_context(
                one.subscribe("a.>", lambda message: found.append(message.body))
            )
            await stack.enter_async_context(one.serve("echo", echo))
            await two.publish("a.b", b"before")
            assert [message.body for message in await anext(iterated)] == [b"before"]
            await first.aclose()

            broker = await stack.enter_async_context(open_broker([address]))
            await until(lambda: broker.stats().servings)  # what is restored last
            assert (await two.request("echo", b"after")).body == b"after"
            await two.publish("a.b", b"after")
            assert [message.body for message in await anext(iterated)] == [b"after"]
            assert found == [b"before", b"after"]
            (info,) = (each for each in broker.endpoints() if each.name == "one")
            assert len(info.subscriptions) == 2
            assert len(info.servings) == 1

    run(main())


def test_requests_and_publications_wait_for_the_broker(address: str, run: Run) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            first, one = await begin(stack, address)
            await first.aclose()
            await until(lambda: not one.try_publish("numbers"))

            asked = asyncio.create_task(one.stats())
            published = asyncio.create_task(count_up(one, "numbers", range(10)))
            with pytest.raises(RequestTimeout):
                await one.request("echo", b"", timeout_s=0.01)
            assert not asked.done()
            assert not published.done()
            broker = await stack.enter_async_context(open_broker([address]))
            await published
            assert (await asked).endpoints == 1
            await one.stats()
            assert broker.stats().unrouted == 10

    run(main())


@pytest.mark.slow
def test_what_was_asked_and_not_answered_fails_at_once(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def hang(request: Request) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return b""

        async with (
            open_peer("broker") as broker,
            connect(address, name="asker", reconnect=SOON) as asker,
            connect(address, name="responder", reconnect=SOON) as responder,
            responder.serve("hang", hang),
        ):
            request = asyncio.create_task(asker.request("hang", timeout_s=0))
            await asked.wait()
            await broker.kill()
            with pytest.raises(ConnectionLost):
                await request

    run(main())


def test_without_reconnection_everything_ends_with_the_connection(address: str, run: Run) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(AsyncExitStack())
            await first.enter_async_context(open_broker([address]))
            one = await stack.enter_async_context(connect(address, reconnect=None))
            subscription = await stack.enter_async_context(one.subscribe("a"))
            listened = asyncio.create_task(anext(subscription))
            await first.aclose()
            for attempt in (listened, one.request("a"), one.publish("a"), one.publish_kept("a")):
                with pytest.raises(Exception, match="shutting down"):
                    await attempt
            with pytest.raises(Exception, match="shutting down"):
                async with one.subscribe("b"):
                    pass
            assert not one.try_publish("a")

    run(main())


def test_an_endpoint_can_be_closed_while_the_broker_is_away(address: str, run: Run) -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            async with open_broker([address]):
                one = connect(address, reconnect=SOON)
                endpoint = await one.__aenter__()
            await until(lambda: not endpoint.try_publish("a"))
            await one.__aexit__(None, None, None)
        with pytest.raises(ConnectionLost):
            await endpoint.request("a")

    run(main())


class Fleeting(asyncio.Protocol):
    """A broker that lets an endpoint in and is gone."""

    def __init__(self, side_channel: str) -> None:
        self._side_channel = side_channel
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        admission = Admission(
            version=1,
            source=1,
            max_frame=65536,
            credit_frames=10,
            credit_bytes=65536,
            max_requests=10,
            heartbeat_s=1.0,
            side_channel=self._side_channel,
            ticket="1",
        )
        self._transport.write(encode(Frame(Kind.WELCOME, body=encode_body(admission), source=1)))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


async def stay_connected(address: str) -> None:
    async with connect(address):
        await asyncio.Event().wait()


@pytest.mark.parametrize("welcome", [b"", b"\x01"], ids=["refused", "let-in"])
def test_a_connection_that_is_lost_before_it_is_set_up_is_an_error(
    welcome: bytes, path: Path, address: str, run: Run
) -> None:
    """It breaks while the endpoint waits for the side channel."""

    async def main() -> None:
        beside = path.with_name("side")
        fleeting = Fleeting(f"unix:{beside}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
            side.bind(str(beside))
            side.listen()
            side.setblocking(False)
            loop = asyncio.get_running_loop()
            server = await loop.create_unix_server(lambda: fleeting, path)
            await asyncio.sleep(0)
            before = count_descriptors()
            async with server:
                connecting = asyncio.create_task(stay_connected(address))
                waits, _ = await loop.sock_accept(side)
                await fleeting.gone.wait()
                for _ in range(10):
                    await asyncio.sleep(0)  # both ends are in this loop: it has heard of it by then
                assert waits.recv(256) == b"1"
                waits.send(welcome)
                waits.close()
                with pytest.raises(ConnectionLost):
                    await connecting
            side.close()
            server.close()
            await until(lambda: count_descriptors() <= before)

    run(main())


def test_a_subscription_that_ends_while_it_is_restored_leaves_nothing_behind(
    address: str, run: Run
) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            first, one = await begin(stack, address)
            subscribed = AsyncExitStack()
            served = AsyncExitStack()
            # Only one of many is likely to be at the broker when the block ends.
            for number in range(200):
                await subscribed.enter_async_context(one.subscribe(f"a.{number}"))
            for number in range(200):
                await served.enter_async_context(one.serve(f"a.{number}", echo))
            await first.aclose()
            broker = await stack.enter_async_context(open_broker([address]))
            await until(lambda: broker.stats().subscriptions > 20)
            await subscribed.aclose()
            await until(lambda: broker.stats().servings > 20)
            await served.aclose()
            await until(lambda: one.try_publish("a"))
            await one.stats()
            assert broker.stats().subscriptions == 0
            assert broker.stats().servings == 0

    run(main())


def test_a_subscription_that_was_drained_is_not_set_up_again(address: str, run: Run) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            first, one = await begin(stack, address)
            subscription = await stack.enter_async_context(one.subscribe("a"))
            await one.drain(subscription)
            await first.aclose()
            broker = await stack.enter_async_context(open_broker([address]))
            await until(lambda: one.try_publish("a"))
            assert broker.stats().subscriptions == 0

    run(main())


def test_a_topic_that_may_no_longer_be_served_does_not_keep_the_endpoint_away(
    address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def no_serving(endpoint: str, action: Action, topic: str) -> bool:
        return action is not Action.SERVE

    async def main() -> None:
        async with AsyncExitStack() as stack:
            first, one = await begin(stack, address)
            subscription = await stack.enter_async_context(one.subscribe("a"))
            await stack.enter_async_context(one.serve("a", echo))
            await first.aclose()
            await stack.enter_async_context(open_broker([address], permit=no_serving))
            await until(lambda: one.try_publish("a", b"\0\0\0\1"))
            assert [number_in(message) for message in await anext(subscription)] == [1]

    run(main())
    assert any("may not serve" in str(record.__dict__.get("facts")) for record in caplog.records)


def test_a_subscription_that_is_refused_when_restored_ends_with_the_reason(
    address: str, run: Run
) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            first, one = await begin(stack, address)
            subscription = await stack.enter_async_context(one.subscribe("a"))
            await first.aclose()
            permit = lambda endpoint, action, topic: topic != "a"  # noqa: E731
            await stack.enter_async_context(open_broker([address], permit=permit))
            with pytest.raises(NotPermitted):
                await anext(subscription)
            await one.stats()

    run(main())


@pytest.mark.slow
def test_a_broker_that_hangs_is_given_up_and_found_again(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_peer("broker", heartbeat_s=0.05) as broker,
            connect(address, name="one", reconnect=SOON) as one,
            connect(address, name="two", reconnect=SOON) as two,
            one.serve("echo", echo),
        ):
            assert (await two.request("echo", b"before")).body == b"before"
            broker.stop()
            with pytest.raises((ConnectionLost, RequestTimeout)):
                await two.request("echo", b"lost", timeout_s=10)
            broker.go_on()
            while True:
                try:
                    assert (await two.request("echo", b"after")).body == b"after"
                except (ConnectionLost, NoResponder, ResponderGone):
                    continue
                break

    run(main())
