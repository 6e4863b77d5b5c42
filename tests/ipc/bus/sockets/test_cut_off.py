"""Who is cut off knows why, and nobody takes what follows for the whole."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.ipc.bus.sockets.party import SOON, Run, raw_peer, take_numbers, until

from symphony.commons.backoff import Backoff
from symphony.commons.errors import ErrorRecord
from symphony.ipc import (
    BusConfig,
    Frame,
    Kind,
    Policy,
    SlowReader,
    connect,
    decode_body,
    encode,
    encode_body,
    open_broker,
)
from symphony.ipc.protocol._control import Subscribe
from symphony.testing import FakeClock


@pytest.mark.parametrize("reconnect", [SOON, None], ids=["reconnects", "stays-away"])
def test_a_subscription_that_was_cut_off_ends_with_the_reason(
    reconnect: Backoff | None, address: str, run: Run
) -> None:
    """Going on as if nothing had happened it would hide what it has missed."""

    async def main() -> None:
        async with (
            open_broker([address]) as broker,
            connect(address, name="slow", reconnect=reconnect) as slow,
            connect(address, name="speaker") as speaker,
            slow.subscribe("numbers", credit=2, policy=Policy.DISCONNECT) as numbers,
            slow.subscribe("others") as others,
        ):
            for number in range(6):
                await speaker.publish("numbers", number.to_bytes(4, "big"))
            assert await take_numbers(numbers, 2) == [0, 1]
            with pytest.raises(SlowReader) as caught:
                await anext(numbers)
            assert (caught.value.endpoint, caught.value.what) == ("slow", "messages")
            if reconnect is not None:
                await until(lambda: broker.stats().subscriptions == 1)
                await speaker.publish("others", (7).to_bytes(4, "big"))
                assert await take_numbers(others, 1) == [7]
            with pytest.raises(SlowReader):
                await anext(numbers)

    run(main())


def test_nothing_is_written_after_a_goodbye(path: Path, address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address]) as broker,
            raw_peer(path, "slow") as slow,
            raw_peer(path, "speaker") as speaker,
        ):
            for id_, pattern, frames, policy in (
                (1, "a", 1, Policy.DISCONNECT),
                (2, "b", 1000, Policy.BLOCK),
            ):
                wish = Subscribe(credit_frames=frames, credit_bytes=2**20, policy=policy)
                slow.send(Frame(Kind.SUB, id_, pattern, encode_body(wish), slow.number))
                await slow.frame_of(Kind.REP)
            too_many = encode(Frame(Kind.PUB, 0, "a", b"", speaker.number)) * 3
            other = encode(Frame(Kind.PUB, 0, "b", b"", speaker.number))
            speaker.send(too_many + other * 10)
            *_, refusal, goodbye = await slow.all_frames()
            assert (refusal.kind, refusal.correlation) == (Kind.ERR, 1)
            assert goodbye.kind is Kind.BYE
            assert decode_body(goodbye.body, ErrorRecord).code == "ipc.slow_reader"
            await until(lambda: broker.stats().endpoints == 1)

    run(main())


def test_what_can_be_neither_handed_over_nor_sent_is_counted(
    path: Path, address: str, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_broker([address], BusConfig(max_frame_bytes=300_000)) as broker,
            raw_peer(path, "without-side-channel") as raw,
            connect(address, name="speaker") as speaker,
        ):
            wish = Subscribe(credit_frames=10, credit_bytes=2**30)
            raw.send(Frame(Kind.SUB, 1, "a", encode_body(wish), raw.number))
            await raw.frame_of(Kind.REP)
            await speaker.publish("a", bytes(250_000))
            await speaker.publish("a", bytes(350_000))
            assert len((await raw.frame_of(Kind.PUB)).body) == 250_000
            assert (await speaker.stats()).undeliverable == 1
            assert broker.stats().refused == 0

    run(main())


def test_who_an_endpoint_is_can_be_read(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_broker([address, "memory:who", "tcp:127.0.0.1:0"]) as broker:
            me = f"pid {os.getpid()}, uid {os.getuid()}"
            for place, expected in zip(broker.addresses, (me, me, "unknown"), strict=True):
                async with connect(place, name="me") as endpoint:
                    assert [each.peer for each in await endpoint.endpoints()] == [expected]

    run(main())


def test_what_comes_in_one_go_may_take_many_turns(
    path: Path, address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symphony.ipc.bus._router.TURN_S", -1.0)  # each is over with the second
    many = 100

    async def main() -> None:
        async with (
            open_broker([address]) as broker,
            raw_peer(path, "busy") as busy,
            connect(address, name="other") as other,
        ):
            wish = encode_body(Subscribe(credit_frames=100, credit_bytes=2**20))
            topics = [f"a.{number}" for number in range(many)]
            for id_, topic in enumerate(topics, start=1):
                busy.send(Frame(Kind.SUB, id_, topic, wish, busy.number))
                busy.send(Frame(Kind.PUB, 0, topic, b"own", busy.number))
            busy.send(Frame(Kind.PING, 77, "", b"", busy.number))
            frames = []
            while (frame := await busy.frame()) is not None:
                frames.append(frame)
                if frame.kind is Kind.PONG:
                    break
            assert [each.correlation for each in frames if each.kind is Kind.REP] == [
                *range(1, many + 1)
            ]
            assert [each.topic for each in frames if each.kind is Kind.PUB] == topics
            assert broker.stats().subscriptions == many
            await other.publish("a.7", b"hello")
            assert (await busy.frame_of(Kind.PUB)).body == b"hello"
            busy.send(Frame(Kind.BYE, source=busy.number))
            assert [each.kind for each in await busy.all_frames()] == [Kind.BYE]

    run(main())


def test_a_closing_broker_waits_for_the_last_answer_and_no_longer(address: str, run: Run) -> None:
    """It hears of the answer: its clock stands still."""

    async def main() -> None:
        asked, release = asyncio.Event(), asyncio.Event()

        async def answer(request: object) -> bytes:
            asked.set()
            await release.wait()
            return b"in time"

        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(AsyncExitStack())
            await broker.enter_async_context(open_broker([address], clock=FakeClock()))
            one = await stack.enter_async_context(connect(address, name="one", reconnect=None))
            two = await stack.enter_async_context(connect(address, name="two", reconnect=None))
            await stack.enter_async_context(one.serve("slow", answer))
            asking = asyncio.create_task(two.request("slow", timeout_s=0))
            await asked.wait()
            closing = asyncio.create_task(broker.aclose())
            await asyncio.sleep(0)
            release.set()
            assert (await asking).body == b"in time"
            await closing

    run(main())
