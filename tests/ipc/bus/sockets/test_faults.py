"""Whoever breaks the protocol, dies or hangs: he is told or cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from tests.ipc.bus.sockets.party import (
    SOON,
    OpenPeer,
    RawPeer,
    Run,
    count_descriptors,
    count_up,
    number_in,
    raw_peer,
    take_numbers,
    until,
)

from symphony.commons.clock import Clock
from symphony.commons.errors import ErrorRecord
from symphony.ipc import (
    BadFrame,
    Broker,
    BusConfig,
    ConnectionLost,
    Endpoint,
    Flag,
    Frame,
    IpcError,
    Kind,
    NoResponder,
    Policy,
    RequestFailed,
    RequestTimeout,
    ResponderGone,
    Silent,
    Unreachable,
    connect,
    decode_body,
    encode,
    encode_body,
    open_broker,
)
from symphony.ipc.bus._doors import LOOK_S
from symphony.ipc.protocol._control import CREDIT, Greeting, Subscribe
from symphony.ipc.protocol._frames import HEADER
from symphony.testing import FakeClock

#: A bus whose patience is short.
SHORT = BusConfig(heartbeat_s=0.04, degraded_s=0.05, unhealthy_s=0.1, dead_s=0.2, greeting_s=0.05)


class Neighbours(NamedTuple):
    """Two that talk to each other all the time, and get to hear of all that is published."""

    broker: Broker
    one: Endpoint
    two: Endpoint
    heard: list[bytes]

    def health(self) -> dict[str, str]:
        return {each.name: each.health for each in self.broker.endpoints()}

    async def notice_nothing(self) -> None:
        for number in range(20):
            body = b"number %d" % number
            assert (await self.two.request("echo", body)).body == body
        self.heard.clear()
        await self.two.publish("anything", b"at all")
        await until(lambda: b"at all" in self.heard)
        assert {"one", "two"} <= self.health().keys()


@asynccontextmanager
async def open_neighbours(
    address: str, config: BusConfig | None = None, clock: Clock | None = None
) -> AsyncIterator[Neighbours]:
    """Neither reconnects: whoever loses his connection is found out."""
    heard: list[bytes] = []
    async with (
        open_broker([address], config or BusConfig(), clock=clock) as broker,
        connect(address, name="one", reconnect=None) as one,
        connect(address, name="two", reconnect=None) as two,
        one.serve("echo", lambda request: request.body),
        one.subscribe(">", lambda message: heard.append(message.body)),
    ):
        yield Neighbours(broker, one, two, heard)


def why(frames: list[Frame]) -> str:
    """The code of the error that the connection ended with."""
    assert frames
    assert frames[-1].kind is Kind.BYE
    return decode_body(frames[-1].body, ErrorRecord).code


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The codes of what the log says that endpoints were cut off for."""
    logged = [each.exc_info[1] for each in caplog.records if each.exc_info]
    return [each.code for each in logged if isinstance(each, IpcError)]


# Before anybody knows who it is.

LONG = HEADER.pack(2**32 - 1, Kind.HELLO, 0, 0, 0, 0)
NESTED = b"\x91" * 100_000
HELLO = Greeting(name="raw", instance="raw", max_frame=2**24)

STRANGERS = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "ipc.frame_too_large", id="http"),
    pytest.param(bytes(100), "ipc.bad_frame", id="zeros"),
    pytest.param(b"\xff" * 100, "ipc.frame_too_large", id="ones"),
    pytest.param(LONG, "ipc.frame_too_large", id="length-bomb"),
    pytest.param(HEADER.pack(19, 1, 0, 0, 0, 0), "ipc.bad_frame", id="too-short"),
    pytest.param(HEADER.pack(20, 99, 0, 0, 0, 0), "ipc.bad_frame", id="unknown-kind"),
    pytest.param(HEADER.pack(20, 1, 0x88, 0, 0, 0), "ipc.bad_frame", id="unknown-flags"),
    pytest.param(HEADER.pack(20, 1, 0, 9, 0, 0), "ipc.bad_frame", id="topic-beyond-end"),
    pytest.param(encode(Frame(Kind.HELLO)), "ipc.bad_frame", id="empty-greeting"),
    pytest.param(encode(Frame(Kind.HELLO, body=b"\xc1")), "ipc.bad_frame", id="no-msgpack"),
    pytest.param(encode(Frame(Kind.HELLO, body=NESTED)), "ipc.bad_frame", id="deep-nesting"),
    pytest.param(encode(Frame(Kind.PUB, 0, "a", b"")), "ipc.bad_frame", id="publishes-first"),
    pytest.param(encode(Frame(Kind.REQ, 1, "echo", b"")), "ipc.bad_frame", id="asks-first"),
    pytest.param(encode(Frame(Kind.SUB, 1, "a", b"")), "ipc.bad_frame", id="subscribes-first"),
    pytest.param(encode(Frame(Kind.REP, 1, "", b"")), "ipc.bad_frame", id="answers-first"),
]


@pytest.mark.parametrize(("data", "code"), STRANGERS)
def test_a_stranger_that_talks_nonsense_is_told_and_cut_off(
    data: bytes, code: str, path: Path, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_neighbours(address, SHORT) as neighbours:
            async with raw_peer(path) as stranger:
                stranger.send(data)
                assert why(await stranger.all_frames()) == code
            await neighbours.notice_nothing()

    run(main())
    assert code in reasons(caplog)


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        (msgspec.structs.replace(HELLO, name="one"), "ipc.name_taken"),
        (msgspec.structs.replace(HELLO, name="bus.stats"), "ipc.bad_frame"),
        (msgspec.structs.replace(HELLO, name="a b"), "ipc.bad_frame"),
        (msgspec.structs.replace(HELLO, name=""), "ipc.bad_frame"),
        (msgspec.structs.replace(HELLO, name="x" * 201), "ipc.bad_frame"),
        (msgspec.structs.replace(HELLO, oldest=7, newest=9), "ipc.wrong_version"),
        (msgspec.structs.replace(HELLO, max_frame=1), "ipc.bad_frame"),
        (msgspec.structs.replace(HELLO, capabilities=["x"] * 101), "ipc.bad_frame"),
    ],
)
def test_a_greeting_that_cannot_be_is_refused(
    greeting: Greeting, code: str, path: Path, address: str, run: Run
) -> None:
    async def main() -> None:
        async with open_neighbours(address) as neighbours, raw_peer(path) as stranger:
            stranger.send(Frame(Kind.HELLO, body=encode_body(greeting)))
            assert why(await stranger.all_frames()) == code
            await neighbours.notice_nothing()

    run(main())


def test_who_does_not_say_who_he_is_in_time_is_cut_off(
    path: Path, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_neighbours(address, SHORT) as neighbours:
            async with raw_peer(path) as silent, raw_peer(path) as dripping:
                dripping.send(encode(Frame(Kind.HELLO, body=encode_body(HELLO)))[:25])
                assert why(await silent.all_frames()) == "ipc.silent"
                assert why(await dripping.all_frames()) == "ipc.silent"
            await neighbours.notice_nothing()

    run(main())
    assert reasons(caplog) == ["ipc.silent"] * 2


def test_more_strangers_than_may_be_are_turned_away(path: Path, address: str, run: Run) -> None:
    async def main() -> None:
        async with open_neighbours(address, BusConfig(max_endpoints=2)) as neighbours:
            waiting = [await asyncio.open_unix_connection(path) for _ in range(64)]
            async with raw_peer(path) as one_too_many:
                assert why(await one_too_many.all_frames()) == "ipc.limit"
            await neighbours.notice_nothing()
            for _, writer in waiting:
                writer.transport.abort()

    run(main())


# Once it has been admitted.


def sized(frame: Frame, size: int) -> bytes:
    """The frame with another length in its header."""
    return struct.pack("<I", size) + encode(frame)[4:]


def invalid_topic(kind: Kind, number: int) -> bytes:
    return HEADER.pack(22, kind, 0, 2, number, 77) + b"\xff\xfe"


OFFENCES: dict[str, Callable[[int], bytes]] = {
    "another's number in PUB": lambda me: encode(Frame(Kind.PUB, 0, "a", b"", me + 1)),
    "another's number in REQ": lambda me: encode(Frame(Kind.REQ, 1, "echo", b"", me - 1)),
    "another's number in SUB": lambda me: encode(Frame(Kind.SUB, 1, "a", b"", 1)),
    "another's number in CANCEL": lambda me: encode(Frame(Kind.CANCEL, 1, "", b"", 1)),
    "HELLO again": lambda me: encode(Frame(Kind.HELLO, 0, "", encode_body(HELLO), me)),
    "WELCOME": lambda me: encode(Frame(Kind.WELCOME, 0, "", b"", me)),
    "FOR": lambda me: encode(Frame(Kind.FOR, 1, "", b"", me)),
    "topic not UTF-8 in PUB": lambda me: invalid_topic(Kind.PUB, me),
    "topic not UTF-8 in REQ": lambda me: invalid_topic(Kind.REQ, me),
    "topic not UTF-8 in SUB": lambda me: invalid_topic(Kind.SUB, me),
    "SUB without a wish": lambda me: encode(Frame(Kind.SUB, 1, "a", b"", me)),
    "SERVE with nonsense": lambda me: encode(Frame(Kind.SERVE, 1, "a", b"\xc1", me)),
    "a frame too large": lambda me: sized(Frame(Kind.PUB, 0, "a", b"", me), 2**30),
    "a length below the topic's": lambda me: sized(Frame(Kind.PUB, 0, "abcdef", b"", me), 21),
    "a deadline without room": lambda me: HEADER.pack(21, Kind.REQ, 2, 1, me, 1) + b"a",
    "DEADLINE in PUB": lambda me: encode(Frame(Kind.PUB, 0, "a", b"", me, Flag.DEADLINE, 1)),
    "a handle of nothing": lambda me: encode(Frame(Kind.PUB, 0, "a", bytes(16), me, Flag.SHARED)),
    "one number for two": lambda me: encode(Frame(Kind.REQ, 5, "hang", b"", me)) * 2,
    "more than its credit": lambda me: encode(Frame(Kind.PUB, 0, "hold", b"", me)) * 5000,
}


@pytest.mark.parametrize("offence", OFFENCES)
def test_an_endpoint_that_breaks_the_protocol_is_told_and_cut_off(
    offence: str, path: Path, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(request: object) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with (
            open_neighbours(address) as neighbours,
            neighbours.one.serve("hang", hang),
            connect(address, name="holder") as holder,
            holder.subscribe("hold", credit=1),
        ):
            async with raw_peer(path, "offender") as offender:
                offender.send(OFFENCES[offence](offender.number))
                code = why(await offender.all_frames())
                assert code in {"ipc.bad_frame", "ipc.frame_too_large", "ipc.bad_handle"}
            await neighbours.notice_nothing()
            await until(lambda: len(neighbours.broker.endpoints()) == 3)
            assert neighbours.broker.stats().refused == 1

    run(main())
    (record,) = (each for each in caplog.records if each.message == "an endpoint was cut off")
    assert vars(record)["facts"]["endpoint"] == "offender"
    assert vars(record)["facts"]["peer"]


HARMLESS: dict[str, Callable[[int], bytes]] = {
    "an answer to nothing": lambda me: encode(Frame(Kind.REP, 1, "", b"", me)),
    "an error to nothing": lambda me: encode(Frame(Kind.ERR, 1, "", b"", me)),
    "an answer to a neighbour": lambda me: encode(Frame(Kind.REP, 3, "", b"forged", 2)),
    "CANCEL of nothing": lambda me: encode(Frame(Kind.CANCEL, 9, "", b"", me)),
    "CREDIT for nothing": lambda me: encode(Frame(Kind.CREDIT, 9, "", CREDIT.pack(1, 1), me)),
    "UNSUB of nothing": lambda me: encode(Frame(Kind.UNSUB, 9, "", b"", me)),
    "UNSERVE of nothing": lambda me: encode(Frame(Kind.UNSERVE, 9, "", b"", me)),
    "DRAIN of nothing": lambda me: encode(Frame(Kind.DRAIN, 9, "", b"", me)),
    "a bad topic": lambda me: encode(Frame(Kind.PUB, 0, "a..b", b"", me)),
    "a bad pattern": lambda me: encode(
        Frame(Kind.SUB, 9, "a.>.b", encode_body(Subscribe(credit_frames=1, credit_bytes=1)), me)
    ),
    "PONG unasked": lambda me: encode(Frame(Kind.PONG, 0, "", b"", me)),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_may_cross_or_is_merely_wrong_costs_nobody_his_connection(
    what: str, path: Path, address: str, run: Run
) -> None:
    async def main() -> None:
        async with open_neighbours(address) as neighbours, raw_peer(path, "raw") as raw:
            raw.send(HARMLESS[what](raw.number))
            await neighbours.notice_nothing()
            raw.send(Frame(Kind.REQ, 100, "echo", b"still here", raw.number))
            while (answer := await raw.frame_of(Kind.REP)).correlation != 100:
                pass
            assert answer.body == b"still here"

    run(main())


def test_an_answer_that_is_none_is_the_askers_error_alone(
    path: Path, address: str, run: Run
) -> None:
    """A responder cannot take those who ask it from the bus."""
    bodies = [
        b"",
        b"\xc1",
        encode_body({"code": "ipc.limit", "message": "?", "facts": {"what": 1, "limit": "x"}}),
        encode_body({"code": "ipc.timeout", "message": "?", "facts": {"no": "such"}}),
        encode_body({"code": "of.mine", "message": "mine"}),
    ]

    async def main() -> None:
        async with open_neighbours(address) as neighbours, raw_peer(path, "raw") as raw:
            raw.send(Frame(Kind.SERVE, 1, "odd", encode_body({}), raw.number))
            await raw.frame_of(Kind.REP)
            for body in bodies:
                asking = asyncio.create_task(neighbours.two.request("odd"))
                asked = await raw.frame_of(Kind.REQ)
                raw.send(Frame(Kind.ERR, asked.correlation, "", body, asked.source))
                with pytest.raises((RequestFailed, BadFrame)):
                    await asking
            asking = asyncio.create_task(neighbours.two.request("odd"))
            asked = await raw.frame_of(Kind.REQ)
            odd_topic = HEADER.pack(22, Kind.ERR, 0, 2, asked.source, asked.correlation)
            raw.send(odd_topic + b"\xff\xfe")
            with pytest.raises(ResponderGone):
                await asking
            await neighbours.notice_nothing()

    run(main())


def test_nobody_can_answer_for_another(path: Path, address: str, run: Run) -> None:
    async def main() -> None:
        async with open_neighbours(address) as neighbours, raw_peer(path, "raw") as raw:

            async def hang(request: object) -> bytes:
                await release.wait()
                return b"true"

            release = asyncio.Event()
            async with neighbours.one.serve("hang", hang):
                asking = asyncio.create_task(neighbours.two.request("hang"))
                await until(lambda: any(e.answering for e in neighbours.broker.endpoints()))
                for correlation in range(50):
                    for number in range(5):
                        raw.send(Frame(Kind.REP, correlation, "", b"forged", number))
                await until(lambda: neighbours.broker.stats().unexpected_answers == 250)
                release.set()
                assert (await asking).body == b"true"

    run(main())


def test_a_peer_that_dies_in_the_middle_of_a_frame_is_gone(
    path: Path, address: str, run: Run
) -> None:
    async def main() -> None:
        async with open_neighbours(address) as neighbours:
            for cut in (1, 19, 20, 30, 900):
                async with raw_peer(path, "raw") as raw:
                    whole = encode(Frame(Kind.PUB, 0, "anything", bytes(1000), raw.number))
                    raw.send(whole + whole[:cut])
                    await until(lambda: bytes(1000) in neighbours.heard)
                    neighbours.heard.clear()
                await until(lambda: len(neighbours.broker.endpoints()) == 2)
                assert bytes(1000) not in neighbours.heard
            await neighbours.notice_nothing()

    run(main())


def test_a_frame_that_comes_byte_by_byte_is_a_frame(path: Path, address: str, run: Run) -> None:
    async def main() -> None:
        async with open_neighbours(address) as neighbours:
            reader, writer = await asyncio.open_unix_connection(path)
            raw = RawPeer(reader, writer)
            greeting = encode(Frame(Kind.HELLO, body=encode_body(HELLO)))
            await drip(raw, greeting)
            number = (await raw.frame_of(Kind.WELCOME)).source
            await drip(raw, encode(Frame(Kind.REQ, 1, "echo", b"drop by drop", number)))
            assert (await raw.frame_of(Kind.REP)).body == b"drop by drop"
            writer.transport.abort()
            await neighbours.notice_nothing()

    async def drip(raw: RawPeer, data: bytes) -> None:
        for at in range(len(data)):
            raw.send(data[at : at + 1])
            await asyncio.sleep(0)

    run(main())


# Those that hang.


def test_a_half_open_peer_is_found_out_and_what_it_was_asked_fails(
    path: Path, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_neighbours(address, SHORT) as neighbours, raw_peer(path, "raw") as raw:
            raw.send(Frame(Kind.SERVE, 1, "odd", encode_body({}), raw.number))
            await raw.frame_of(Kind.REP)
            asking = asyncio.create_task(neighbours.two.request("odd", timeout_s=0))
            await until(lambda: neighbours.health().get("raw") == "unhealthy")
            assert neighbours.health()["one"] == neighbours.health()["two"] == "healthy"
            with pytest.raises(ResponderGone):
                await asking
            assert why(await raw.all_frames()) == "ipc.silent"
            await neighbours.notice_nothing()

    run(main())
    assert "ipc.silent" in reasons(caplog)


def test_a_reader_that_does_not_read_is_cut_off_with_the_reason_in_the_log(
    path: Path, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    config = BusConfig(max_backlog_bytes=500_000)

    async def main() -> None:
        async with open_neighbours(address, config) as neighbours, raw_peer(path, "raw") as raw:
            wish = Subscribe(credit_frames=2**31, credit_bytes=2**40, policy=Policy.BLOCK)
            raw.send(Frame(Kind.SUB, 1, "numbers", encode_body(wish), raw.number))
            await raw.frame_of(Kind.REP)
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport
            for _ in range(50):
                await neighbours.two.publish("numbers", bytes(50_000))
            await until(lambda: len(neighbours.broker.endpoints()) == 2)
            await neighbours.notice_nothing()

    run(main())
    assert reasons(caplog) == ["ipc.slow_reader"]


def test_an_asker_that_does_not_read_its_answers_is_cut_off(
    path: Path, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    config = BusConfig(max_backlog_bytes=500_000)

    async def main() -> None:
        async with (
            open_neighbours(address, config) as neighbours,
            neighbours.one.serve("large", lambda request: bytes(60_000)),
            raw_peer(path, "raw") as raw,
        ):
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport
            for correlation in range(1, 40):
                raw.send(Frame(Kind.REQ, correlation, "large", b"", raw.number))
            await until(lambda: len(neighbours.broker.endpoints()) == 2)
            await neighbours.notice_nothing()
            assert neighbours.broker.stats().subscriptions == 1

    run(main())
    assert reasons(caplog) == ["ipc.slow_reader"]


# Those on the other side.


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(bytes(64), id="zeros"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(encode(Frame(Kind.HELLO)), id="hello"),
        pytest.param(encode(Frame(Kind.CREDIT, body=b"1")), id="short-credit"),
        pytest.param(encode(Frame(Kind.BYE, body=b"\xc1")), id="bye-with-nonsense"),
    ],
)
def test_a_broker_that_talks_nonsense_is_left_and_looked_for_again(
    nonsense: bytes, path: Path, address: str, run: Run
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        brokers: list[Nonsense] = []

        def accept() -> Nonsense:
            brokers.append(Nonsense(nonsense))
            return brokers[-1]

        server = await loop.create_unix_server(accept, path)
        async with server, connect(address, reconnect=SOON) as one:
            await until(lambda: len(brokers) > 2)
            assert isinstance(one, Endpoint)
        await until(lambda: all(each.gone for each in brokers))

    run(main())


class Nonsense(asyncio.Protocol):
    """A broker that lets an endpoint in, then talks nonsense."""

    def __init__(self, nonsense: bytes) -> None:
        self._nonsense = nonsense
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data[4] == Kind.HELLO:
            admission = {
                "version": 1,
                "source": 1,
                "max_frame": 65536,
                "credit_frames": 10,
                "credit_bytes": 65536,
                "max_requests": 10,
                "heartbeat_s": 1.0,
            }
            welcome = Frame(Kind.WELCOME, body=encode_body(admission))
            self._transport.write(encode(welcome))  # type: ignore[attr-defined]  # it can
            loop = asyncio.get_running_loop()
            loop.call_soon(self._transport.write, self._nonsense)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True


async def never_let_in(address: str) -> None:
    with pytest.raises(Silent):
        async with connect(address):
            pass


def test_a_broker_that_never_lets_anybody_in_is_given_up(
    path: Path, address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symphony.ipc.bus._connection.CONTROL_S", 0.05)

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(path))
            silent.listen()
            await never_let_in(address)
            before = count_descriptors()
            await never_let_in(address)
            await until(lambda: count_descriptors() <= before)

    run(main())


def test_who_is_connected_stays_so_when_the_socket_file_is_removed(
    path: Path, address: str, run: Run
) -> None:
    clock = FakeClock()

    async def main() -> None:
        async with open_neighbours(address, clock=clock) as neighbours:
            await asyncio.to_thread(path.unlink)
            with pytest.raises(Unreachable):
                async with connect(address):
                    pass
            await neighbours.notice_nothing()
            await asyncio.to_thread(path.write_text, "of somebody else")
            await clock.advance(3 * LOOK_S)
            await neighbours.notice_nothing()

    run(main())
    assert path.read_text() == "of somebody else"


@pytest.mark.parametrize("removed", ["socket", "folder"])
def test_others_can_come_again_when_the_socket_file_was_removed(
    removed: str, tmp_path: Path, run: Run
) -> None:
    path, clock = tmp_path / "run" / "bus.sock", FakeClock()
    address = f"unix:{path}"

    def remove() -> None:
        if removed == "folder":
            shutil.rmtree(path.parent)
        else:
            path.unlink()
            path.with_name("bus.sock.side").unlink()

    async def main() -> None:
        async with open_neighbours(address, clock=clock) as neighbours:
            for _ in range(2):
                await asyncio.to_thread(remove)
                await clock.advance(2 * LOOK_S)
                await until(path.with_name("bus.sock.side").exists)
                await until(path.exists)
                async with connect(address, name="three") as three:
                    assert (await three.request("echo", b"hello")).body == b"hello"
                    large = bytes(5_000_000)  # through its side channel
                    assert len((await three.request("echo", large)).view) == len(large)
                await neighbours.notice_nothing()
        with pytest.raises(Unreachable):
            async with connect(address):
                pass

    run(main())


# Processes that are killed.


@pytest.mark.slow
def test_a_responder_that_is_killed_is_known_at_once(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_neighbours(address) as neighbours,
            open_peer("responder", topic="other") as responder,
        ):
            assert (await neighbours.two.request("other", b"hello")).body == b"hello"
            asking = asyncio.create_task(neighbours.two.request("other", b"hang", timeout_s=0))
            assert await responder.said() == "asked"
            await responder.kill()
            with pytest.raises(ResponderGone):
                await asking
            with pytest.raises(NoResponder):
                await neighbours.two.request("other", b"hello")
            await neighbours.notice_nothing()

    run(main())


@pytest.mark.slow
def test_a_responder_that_is_stopped_is_waited_for_as_long_as_was_said(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_neighbours(address) as neighbours,
            open_peer("responder", topic="other") as responder,
        ):
            responder.stop()
            with pytest.raises(RequestTimeout):
                await neighbours.two.request("other", b"hello", timeout_s=0.05)
            await neighbours.notice_nothing()
            waiting = asyncio.create_task(neighbours.two.request("other", b"hello"))
            responder.go_on()
            assert (await waiting).body == b"hello"

    run(main())


@pytest.mark.slow
def test_an_asker_that_is_killed_takes_its_request_along(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def hang(request: object) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with (
            open_neighbours(address) as neighbours,
            neighbours.one.serve("hang", hang),
            open_peer("asker", topic="hang") as asker,
        ):
            await until(lambda: any(each.answering for each in neighbours.broker.endpoints()))
            await asker.kill()
            await cancelled.wait()
            await neighbours.notice_nothing()

    run(main())


@pytest.mark.slow
def test_what_a_publisher_said_before_it_was_killed_has_no_gap(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        found: list[int] = []
        async with (
            open_neighbours(address) as neighbours,
            neighbours.two.subscribe("numbers", lambda each: found.append(number_in(each))),
            open_peer("publisher", topic="numbers") as publisher,
        ):
            await until(lambda: len(found) > 10_000)
            await publisher.kill()
            await until(lambda: len(neighbours.broker.endpoints()) == 2)
            await neighbours.notice_nothing()
        assert found == list(range(len(found)))

    run(main())


@pytest.mark.slow
def test_a_subscriber_that_is_killed_lets_its_publishers_go(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_neighbours(address) as neighbours,
            open_peer("listener", pattern="numbers", credit=10) as listener,
            neighbours.two.subscribe("numbers", credit=10) as also,
        ):
            listener.stop()
            publishing = asyncio.create_task(count_up(neighbours.one, "numbers", range(5000)))
            reading = asyncio.create_task(take_numbers(also, 5000))
            await until(lambda: neighbours.broker.stats().queued)
            await listener.kill()
            assert await reading == list(range(5000))
            await publishing
            await neighbours.notice_nothing()

    run(main())


@pytest.mark.slow
def test_over_kills_of_the_broker_every_request_ends(
    address: str, open_peer: OpenPeer, run: Run
) -> None:
    outcomes: list[str] = []

    async def ask(asker: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                answer = await asker.request("echo", b"hello", timeout_s=5)
            except (ConnectionLost, NoResponder, ResponderGone) as error:
                outcomes.append(type(error).__name__)
                await asyncio.sleep(0)
            else:
                assert answer.body == b"hello"
                outcomes.append("answer")
            assert loop.time() - begun < 5

    async def main() -> None:
        async with (
            connecting_to(open_peer, address) as (restart, one, two),
            one.serve("echo", lambda request: request.body),
        ):
            asking = [asyncio.create_task(ask(two)) for _ in range(20)]
            for _ in range(3):
                await until(lambda: outcomes[-20:] == ["answer"] * 20)
                outcomes.append("killed")
                await restart()
            await until(lambda: outcomes[-20:] == ["answer"] * 20)
            for each in asking:
                assert not each.done()
                each.cancel()
            await asyncio.wait(asking)

    run(main())
    assert "ConnectionLost" in outcomes


@asynccontextmanager
async def connecting_to(
    open_peer: OpenPeer, address: str
) -> AsyncIterator[tuple[Callable[[], Awaitable[None]], Endpoint, Endpoint]]:
    """Two endpoints of a broker in a process of its own, and what kills and restarts that."""
    async with asyncio.TaskGroup() as tasks:
        kill, ready = asyncio.Event(), asyncio.Event()

        async def brokers() -> None:
            while True:
                async with open_peer("broker"):
                    ready.set()
                    await kill.wait()
                    kill.clear()

        async def restart() -> None:
            ready.clear()
            kill.set()
            await ready.wait()

        running = tasks.create_task(brokers())
        await ready.wait()
        async with (
            connect(address, name="one", reconnect=SOON) as one,
            connect(address, name="two", reconnect=SOON) as two,
        ):
            yield restart, one, two
        running.cancel()
