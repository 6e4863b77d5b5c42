"""Who is let in, what breaks the protocol and what becomes of it, streams cut and garbled."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from struct import pack_into

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ipc.bus.wire import PLENTY, Bus, Got, Wire, untouched

from symphony.commons.errors import ErrorRecord
from symphony.ipc.bus._access import Action
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._outgoing import Acknowledge, Feed, Keep, Resume
from symphony.ipc.protocol._control import CREDIT, Greeting, Policy, Serve, Subscribe
from symphony.ipc.protocol._frames import (
    DEADLINE,
    SEQUENCE,
    Flag,
    Frame,
    Kind,
    decode_body,
    encode,
    encode_body,
)

#: What the frames of a test say instead of what an endpoint would.
Change = Callable[[Wire], bytes]


def garbled(frame: Frame, at: int, layout: str, value: int) -> bytes:
    data = bytearray(encode(frame))
    pack_into(layout, data, at, value)
    return bytes(data)


def greeting(name: str = "new", **changes: object) -> Frame:
    polite = Greeting(name=name, instance="1", max_frame=2**24)
    return Frame(Kind.HELLO, body=encode_body(msgspec.structs.replace(polite, **changes)))


# Who is let in.


def test_newcomer_is_told_its_number_and_limits() -> None:
    config = BusConfig(publish_frames=7, publish_bytes=700, max_requests=3, heartbeat_s=2.5)
    bus = Bus(config, epoch="e1")
    first, second = bus.join("first"), bus.join("second")
    assert first.number != second.number
    admission = second.admission
    assert admission is not None
    assert (admission.version, admission.epoch, admission.heartbeat_s) == (1, "e1", 2.5)
    assert (admission.credit_frames, admission.credit_bytes) == (7, 700)
    assert (admission.max_requests, admission.max_frame) == (3, config.max_frame_bytes)


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        (greeting("taken"), "ipc.name_taken"),
        (greeting(""), "ipc.bad_frame"),
        (greeting("two words"), "ipc.bad_frame"),
        (greeting("a..b"), "ipc.bad_frame"),
        (greeting("a.*"), "ipc.bad_frame"),
        (greeting("bus"), "ipc.bad_frame"),
        (greeting("bus.dead"), "ipc.bad_frame"),
        (greeting("a" * 201), "ipc.bad_frame"),
        (greeting(oldest=2, newest=3), "ipc.wrong_version"),
        (greeting(oldest=0, newest=0), "ipc.wrong_version"),
        (greeting(max_frame=100), "ipc.bad_frame"),
        (greeting(capabilities=["x"] * 101), "ipc.bad_frame"),
        (Frame(Kind.HELLO, body=b""), "ipc.bad_frame"),
        (Frame(Kind.HELLO, body=b"\x81\xa4name\xa1\xff"), "ipc.bad_frame"),
        (Frame(Kind.HELLO, body=b"\x91" * 5000), "ipc.bad_frame"),
        (Frame(Kind.SUB, 1, "a", encode_body(Subscribe(credit_frames=1, credit_bytes=1))), None),
        (Frame(Kind.PUB, 0, "a", b"x"), None),
        (Frame(Kind.REQ, 1, "a", b"x"), None),
        (Frame(Kind.REP, 1, "", b"x", 1), None),
        (Frame(Kind.ERR, 1, "", b"x", 2), None),
        (Frame(Kind.SUB, 1, "a", greeting().body), None),
        (Frame(Kind.BYE), None),
        (Frame(Kind.PONG), None),
    ],
)
def test_stranger_is_told_why_it_is_not_let_in(greeting: Frame, code: str | None) -> None:
    bus = Bus()
    here = [bus.join("taken"), bus.join("other")]
    here[0].subscribe("bus.endpoint.joined")
    stranger = bus.connect()
    stranger.send(greeting)
    assert stranger.farewell() == (code or "ipc.bad_frame")
    assert not here[0].got()
    assert untouched(here)
    assert [info.name for info in here[0].ask_endpoints()] == ["taken", "other"]


def test_same_endpoint_takes_its_name_over_even_where_there_is_no_room_left() -> None:
    bus = Bus(BusConfig(max_endpoints=2))
    watcher, before = bus.join("watcher"), bus.join("shop", "instance 1")
    watcher.subscribe("bus.endpoint.*")
    before.subscribe("orders")
    watcher.read()
    after = bus.join("shop", "instance 1")
    assert before.farewell() == ""
    assert [item.topic for item in watcher.read() if isinstance(item, Got)] == [
        "bus.endpoint.left",
        "bus.endpoint.joined",
    ]
    before.leave()
    assert after.number != before.number
    assert after.info().subscriptions == ()
    assert untouched([watcher, after])


def test_bus_that_is_full_lets_nobody_in() -> None:
    bus = Bus(BusConfig(max_endpoints=1))
    first = bus.join("first")
    late = bus.connect()
    late.send(greeting())
    assert late.farewell() == "ipc.limit"
    first.leave()
    assert bus.join("late").number


def test_name_is_free_as_soon_as_its_owner_was_cut_off() -> None:
    bus = Bus()
    before = bus.join("shop", "1")
    before.send(Frame(Kind.WELCOME))
    assert before.farewell() == "ipc.bad_frame"
    after = bus.join("shop", "2")
    before.leave()
    assert after.info().name == "shop"


# What breaks the protocol.


def subscription(**changes: object) -> bytes:
    wish = Subscribe(credit_frames=1, credit_bytes=1)
    return msgspec.msgpack.encode({**msgspec.to_builtins(wish), **changes})


@pytest.mark.parametrize(
    "breach",
    [
        pytest.param(lambda a: encode(greeting("again")), id="greets twice"),
        pytest.param(
            lambda a: encode(msgspec.structs.replace(greeting("again"), source=a.number)),
            id="greets twice under its number",
        ),
        pytest.param(lambda a: encode(Frame(Kind.PUB, 0, "t", b"", a.number + 1)), id="forged PUB"),
        pytest.param(lambda a: encode(Frame(Kind.PUB, 0, "t", b"", 0)), id="PUB as the bus"),
        pytest.param(lambda a: encode(Frame(Kind.REQ, 1, "t", b"", a.number + 1)), id="forged REQ"),
        pytest.param(
            lambda a: encode(Frame(Kind.CANCEL, 1, source=a.number + 1)), id="forged CANCEL"
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.CREDIT, 1, "", CREDIT.pack(1, 1), a.number + 1)),
            id="forged CREDIT",
        ),
        pytest.param(lambda a: garbled(a.frame(Kind.PING), 4, "<B", 99), id="unknown kind"),
        pytest.param(lambda a: garbled(a.frame(Kind.PING), 4, "<B", 0), id="kind 0"),
        pytest.param(lambda a: garbled(a.frame(Kind.PUB, 0, "t"), 5, "<B", 0x80), id="flag 0x80"),
        pytest.param(lambda a: garbled(a.frame(Kind.REQ, 1, "t"), 5, "<B", 0x08), id="flag 0x08"),
        pytest.param(lambda a: garbled(a.frame(Kind.REP, 1), 5, "<B", 0x88), id="flags of REP"),
        pytest.param(
            lambda a: garbled(a.frame(Kind.PUB, 0, "t"), 0, "<I", 2**32 - 1), id="length bomb"
        ),
        pytest.param(
            lambda a: garbled(a.frame(Kind.PUB, 0, "t"), 0, "<I", 20), id="shorter than topic"
        ),
        pytest.param(lambda a: garbled(a.frame(Kind.PUB, 0, "t"), 0, "<I", 0), id="length 0"),
        pytest.param(lambda a: garbled(a.frame(Kind.PING), 6, "<H", 9), id="topic beyond the end"),
        pytest.param(lambda a: encode(a.frame(Kind.PUB, 0, "t", bytes(5000))), id="too large"),
        pytest.param(
            lambda a: (
                encode(a.frame(Kind.PUB, 0, "t", b"fits"))
                + encode(a.frame(Kind.PUB, 0, "t", bytes(5000)))
            ),
            id="too large within a run",
        ),
        pytest.param(
            lambda a: (
                encode(a.frame(Kind.PUB, 0, "t", b"fits"))
                + garbled(a.frame(Kind.PUB, 0, "t", b"?"), 0, "<I", 20)
            ),
            id="shorter than topic within a run",
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.REQ, 1, "t", b"", a.number, DEADLINE))[:24].replace(
                b"\x19", b"\x18", 1
            ),
            id="no room for a deadline",
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.PUB, 0, "t", b"", a.number, DEADLINE)),
            id="PUB with deadline",
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.PUB, 0, "t", b"", a.number, DEADLINE | SEQUENCE)),
            id="kept PUB with deadline",
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.REQ, 1, "t", b"", a.number, SEQUENCE)), id="numbered REQ"
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.REP, 1, "", b"", a.number, DEADLINE)),
            id="REP with deadline",
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.PUB, 0, "t", bytes(16), a.number, Flag.SHARED)),
            id="handle without a side channel",
        ),
        pytest.param(
            lambda a: encode(Frame(Kind.PUB, 0, "t", b"short", a.number, Flag.SHARED)),
            id="handle that is none",
        ),
        pytest.param(lambda a: encode(a.frame(Kind.WELCOME)), id="WELCOME"),
        pytest.param(lambda a: encode(a.frame(Kind.FOR, 1)), id="FOR"),
        pytest.param(
            lambda a: encode(a.frame(Kind.PUB, 0, "?")).replace(b"?", b"\xff"), id="PUB on no UTF-8"
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.REQ, 9, "?")).replace(b"?", b"\xff"), id="REQ to no UTF-8"
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.REQ, 9, "bus.?")).replace(b"?", b"\xff"),
            id="REQ to the bus in no UTF-8",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SUB, 9, "?", subscription())).replace(b"?", b"\xff"),
            id="SUB in no UTF-8",
        ),
        pytest.param(lambda a: encode(a.frame(Kind.SUB, 9, "t", b"")), id="SUB without a body"),
        pytest.param(lambda a: encode(a.frame(Kind.SUB, 9, "t", b"\xc1")), id="SUB of garbage"),
        pytest.param(
            lambda a: encode(
                a.frame(Kind.SUB, 9, "t", subscription(group=b"?").replace(b"?", b"\xff"))
            ),
            id="group of bytes",
        ),
        pytest.param(
            lambda a: encode(
                a.frame(Kind.SUB, 9, "t", subscription(group="?").replace(b"?", b"\xff"))
            ),
            id="group in no UTF-8",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SUB, 9, "t", subscription(credit_frames=-1))),
            id="negative credit",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SUB, 9, "t", subscription(policy="lose"))),
            id="unknown policy",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SUB, 9, "t", subscription(filter="1" * 1025))),
            id="endless filter",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SUB, 1, "t", subscription())),
            id="subscribes under one number",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SERVE, 1, "t", encode_body(Serve()))),
            id="serves under a number in use",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.SERVE, 9, "t", encode_body({"priority": 101}))),
            id="priority beyond all",
        ),
        pytest.param(
            lambda a: encode(a.frame(Kind.CREDIT, 1, body=b"12345678901")), id="CREDIT of 11 bytes"
        ),
    ],
)
def test_breach_of_the_protocol_ends_that_connection_alone(breach: Change) -> None:
    bus = Bus(BusConfig(max_frame_bytes=4096))
    offender, others = bus.join("offender"), [bus.join("listener"), bus.join("speaker")]
    offender.subscribe("t")
    others[0].subscribe("bus.endpoint.left")
    offender.read()
    others[0].read()
    offender.feed(breach(offender))
    assert offender.farewell() in ("ipc.bad_frame", "ipc.frame_too_large", "ipc.bad_handle")
    offender.publish("still.here", b"ignored")
    assert [item.topic for item in others[0].read() if isinstance(item, Got)] == [
        "bus.endpoint.left"
    ]
    assert untouched(others)
    stats = others[0].ask_stats()
    assert (stats.refused, stats.endpoints) == (1, 2)


def test_frames_before_the_breach_count_and_those_behind_it_do_not() -> None:
    bus = Bus()
    offender, listener = bus.join("offender"), bus.join("listener")
    listener.subscribe("#")
    listener.read()
    offender.send(
        offender.frame(Kind.PUB, 0, "t", b"before"),
        Frame(Kind.FOR),
        offender.frame(Kind.PUB, 0, "t", b"behind"),
    )
    assert [item.body for item in listener.read() if isinstance(item, Got) and item.source] == [
        b"before"
    ]


def test_oversized_frame_within_a_run_reaches_nobody() -> None:
    bus = Bus(BusConfig(max_frame_bytes=4096))
    offender, listener = bus.join("offender"), bus.join("listener")
    subscription_ = listener.subscribe("t")
    offender.publish("t", b"small", bytes(4096), b"small again")
    assert listener.got(subscription_) == [b"small"]
    assert offender.farewell() == "ipc.frame_too_large"


def test_goodbye_is_answered() -> None:
    bus = Bus()
    wire, listener = bus.join("wire"), bus.join("listener")
    listener.subscribe("bus.endpoint.left")
    wire.send(wire.frame(Kind.BYE), wire.frame(Kind.PUB, 0, "t", b"too late"))
    assert wire.farewell() == ""
    assert len(listener.got()) == 1
    assert untouched([listener])


# Wishes that are refused, and cost nobody the connection.


@pytest.mark.parametrize(
    ("kind", "topic", "body", "code"),
    [
        (Kind.SUB, "", subscription(), "ipc.bad_topic"),
        (Kind.SUB, "a..b", subscription(), "ipc.bad_topic"),
        (Kind.SUB, "a.>.b", subscription(), "ipc.bad_topic"),
        (Kind.SUB, "a b", subscription(), "ipc.bad_topic"),
        (Kind.SUB, "a" * 256, subscription(), "ipc.bad_topic"),
        (Kind.SUB, "a", subscription(filter="topic =="), "ipc.bad_filter"),
        (Kind.SUB, "a", subscription(filter="nobody == 1"), "ipc.bad_filter"),
        (Kind.SUB, "a", subscription(after=0), "ipc.not_kept"),
        (Kind.SUB, "a", subscription(durable="me"), "ipc.not_kept"),
        (Kind.SUB, "secret", subscription(), "ipc.not_permitted"),
        (Kind.SERVE, "a..b", b"\x80", "ipc.bad_topic"),
        (Kind.SERVE, "bus.stats", b"\x80", "ipc.not_permitted"),
        (Kind.SERVE, "bus.mine", b"\x80", "ipc.not_permitted"),
        (Kind.SERVE, "secret", b"\x80", "ipc.not_permitted"),
        (Kind.REQ, "a..b", b"", "ipc.bad_topic"),
        (Kind.REQ, "a.*", b"", "ipc.bad_topic"),
        (Kind.REQ, "", b"", "ipc.bad_topic"),
        (Kind.REQ, "secret", b"", "ipc.not_permitted"),
        (Kind.REQ, "a", b"", "ipc.no_responder"),
        (Kind.REQ, "bus.nothing", b"", "ipc.no_responder"),
        (Kind.REQ, "bus.endpoints", b"garbage", "ipc.message_invalid"),
    ],
)
def test_wish_is_refused_with_the_reason(kind: Kind, topic: str, body: bytes, code: str) -> None:
    bus = Bus(permit=lambda endpoint, action, topic: topic != "secret")
    wire, other = bus.join("wire"), bus.join("other")
    wire.send(wire.frame(kind, 77, topic, body))
    assert wire.failure() == (77, code)
    assert not wire.info().subscriptions
    assert not wire.info().servings
    assert wire.info().open_requests == 0
    assert untouched([wire, other])


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("a..b", "ipc.bad_topic"),
        ("a.*", "ipc.bad_topic"),
        ("", "ipc.bad_topic"),
        ("x" * 300, "ipc.bad_topic"),
        ("bus.dead", "ipc.not_permitted"),
        ("bus.mine", "ipc.not_permitted"),
        ("secret", "ipc.not_permitted"),
    ],
)
@pytest.mark.parametrize("flags", [0, SEQUENCE])
def test_refused_publication_costs_its_credit_for_a_moment(
    topic: str, code: str, flags: int
) -> None:
    config = BusConfig(publish_frames=4, publish_bytes=4096)
    bus = Bus(config, permit=lambda endpoint, action, topic: topic != "secret", epoch="e")
    wire, other = bus.join("wire"), bus.join("other")
    other.subscribe(">")
    for _ in range(9):
        wire.send(Frame(Kind.PUB, 0, topic, b"", wire.number, flags))
        assert wire.failure() == (0, code)
    assert not bus.effects
    assert [item for item in other.read() if isinstance(item, Got) and item.source] == []
    assert untouched([wire, other])


def test_message_to_be_kept_is_refused_where_nothing_is_kept() -> None:
    bus = Bus(BusConfig(publish_frames=4))
    wire, listener = bus.join("wire"), bus.join("listener")
    listener.subscribe("t")
    for number in range(9):
        wire.send(Frame(Kind.PUB, 0, "t", b"keep", wire.number, SEQUENCE, sequence=number))
        assert wire.failure() == (0, "ipc.not_kept")
    assert listener.got() == []
    assert wire.ask_stats().kept == 0


def test_number_of_registrations_is_limited_and_comes_back() -> None:
    bus = Bus(BusConfig(max_registrations=2))
    wire = bus.join("wire")
    first, second = wire.subscribe("a"), wire.serve("b")
    wire.read()
    assert (wire.subscribe("c"), "ipc.limit") == wire.failure()
    assert (wire.serve("c"), "ipc.limit") == wire.failure()
    for kind, id_ in ((Kind.UNSUB, first), (Kind.UNSERVE, second)):
        wire.control(kind, id_)
        assert wire.answer().correlation == id_
        wire.subscribe("d")
        assert wire.answer().kind is Kind.REP


@pytest.mark.parametrize("kind", [Kind.UNSUB, Kind.UNSERVE, Kind.DRAIN])
def test_end_of_what_has_ended_is_no_fault(kind: Kind) -> None:
    wire = Bus().join("wire")
    wire.control(kind, 12345)
    assert wire.answer().correlation == 12345


@pytest.mark.parametrize("kind", [Kind.CANCEL, Kind.PONG])
def test_what_comes_late_is_ignored(kind: Kind) -> None:
    wire = Bus().join("wire")
    wire.control(kind, 12345)
    wire.credit(12345)
    wire.reply(Frame(Kind.REQ, 3, source=9))
    assert wire.read() == []
    assert wire.ask_stats().unexpected_answers == 1


# What may be done, and what no longer.


def test_permission_is_asked_once_for_a_topic_and_again_when_grants_have_changed() -> None:
    asked: list[tuple[str, Action, str]] = []
    granted = {"yes"}

    def permit(endpoint: str, action: Action, topic: str) -> bool:
        asked.append((endpoint, action, topic))
        return topic in granted

    bus = Bus(permit=permit)
    wire, other = bus.join("wire"), bus.join("other")
    subscription_ = wire.subscribe("yes")
    for _ in range(3):
        wire.publish("yes", b"1", b"2")
        wire.request("yes")
    assert asked == [
        ("wire", Action.SUBSCRIBE, "yes"),
        ("wire", Action.PUBLISH, "yes"),
        ("wire", Action.REQUEST, "yes"),
    ]
    serving = wire.serve("yes")
    request = wire.request("yes")
    wire.read()

    granted.clear()
    bus.do(lambda: bus.router.withdraw("wire"))
    assert [
        (frame.correlation, frame.topic, decode_body(frame.body, ErrorRecord).code)
        for frame in wire.frames_of(Kind.ERR)
    ] == [
        (subscription_, "yes", "ipc.not_permitted"),
        (serving, "yes", "ipc.not_permitted"),
    ]
    wire.reply(Frame(Kind.REQ, request, source=wire.number), b"what was asked may be answered")
    assert wire.answer().correlation == request
    wire.publish("yes", b"3")
    assert wire.failure() == (0, "ipc.not_permitted")
    assert (wire.request("yes"), "ipc.not_permitted") == wire.failure()
    assert (wire.info().subscriptions, wire.info().servings) == ((), ())
    bus.do(lambda: bus.router.withdraw("nobody"))
    granted.update(("still.here", "still.there"))
    assert untouched([wire, other])


def test_what_is_granted_still_goes_on_when_something_else_was_withdrawn() -> None:
    granted = {"kept", "gone"}
    bus = Bus(permit=lambda endpoint, action, topic: topic in granted)
    wire, watcher = bus.join("wire"), bus.join("watcher")
    granted.add("bus.endpoint.changed")
    watcher.subscribe("bus.endpoint.changed")
    kept, gone = wire.subscribe("kept"), wire.subscribe("gone", frames=0)
    wire.publish("gone", b"queued")
    wire.read()
    watcher.read()
    granted.discard("gone")
    bus.do(lambda: bus.router.withdraw("wire"))
    assert wire.failure() == (gone, "ipc.not_permitted")
    assert len(watcher.got()) == 1
    wire.publish("kept", b"news")
    assert wire.got(kept) == [b"news"]
    assert wire.ask_stats().dropped == 1


# Streams.


def conversation(wire: Wire) -> bytes:
    """One of everything that an endpoint may say, and what is refused but breaks nothing."""
    wish = Subscribe(credit_frames=3, credit_bytes=PLENTY, policy=Policy.DROP_OLDEST)
    frames = [
        wire.frame(Kind.SUB, 901, "a.*", encode_body(wish)),
        wire.frame(Kind.SERVE, 902, "do.>", encode_body(Serve(priority=3))),
        *(wire.frame(Kind.PUB, 0, "a.b", b"x" * size) for size in (1, 1, 0, 7, 7, 300)),
        wire.frame(Kind.PUB, 0, "a.c", b"another"),
        msgspec.structs.replace(wire.frame(Kind.PUB, 0, "a.c", b"sealed"), flags=1),
        wire.frame(Kind.CREDIT, 901, body=CREDIT.pack(2, 10)),
        Frame(Kind.REQ, 903, "do.it", b"how?", wire.number, DEADLINE, 1500),
        wire.frame(Kind.REQ, 904, "do.it"),
        Frame(Kind.REP, 903, "", b"so", wire.number),
        Frame(Kind.ERR, 904, "", b"not", wire.number),
        wire.frame(Kind.REQ, 905, "nobody.does"),
        wire.frame(Kind.REQ, 906, "do.it"),
        wire.frame(Kind.CANCEL, 906),
        wire.frame(Kind.PING, 5, body=b"echo"),
        wire.frame(Kind.PUB, 0, "bus.forbidden", b"x"),
        wire.frame(Kind.DRAIN, 901),
        wire.frame(Kind.UNSERVE, 902),
        wire.frame(Kind.CREDIT, 901, body=CREDIT.pack(2, 10)),
        wire.frame(Kind.BYE),
    ]
    return b"".join(map(encode, frames))


def heard(pieces: Callable[[bytes], list[bytes]]) -> tuple[list[object], list[object]]:
    """What a conversation in pieces brings to who has it, and to one who listens."""
    bus = Bus()
    wire, listener = bus.join("wire"), bus.join("listener")
    listener.subscribe("a.>")
    listener.read()
    for piece in pieces(conversation(wire)):
        wire.feed(piece)
    assert wire.error is None
    return list(wire.read()), list(listener.read())


@cache
def whole() -> tuple[list[object], list[object]]:
    return heard(lambda data: [data])


def test_conversation_is_what_it_should_be() -> None:
    own, others = whole()
    names = [item.kind.name if isinstance(item, Frame) else "PUB" for item in own]
    assert " ".join(names) == (
        "REP REP PUB PUB PUB PUB PUB REQ REQ REP ERR ERR REQ CANCEL PONG ERR REP PUB REP BYE"
    )
    assert len(others) == 8


def test_stream_in_single_bytes_says_the_same() -> None:
    assert heard(lambda data: [data[at : at + 1] for at in range(len(data))]) == whole()


@pytest.mark.slow
def test_stream_split_at_every_byte_says_the_same() -> None:
    for at in range(1, len(conversation(Bus().join("wire")))):
        assert heard(lambda data, at=at: [data[:at], data[at:]]) == whole()  # type: ignore[misc]


@pytest.mark.slow
@given(cuts=st.lists(st.integers(0, 900), max_size=12))
@settings(max_examples=1000, deadline=None)
def test_stream_in_any_pieces_says_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), 10_000]
    assert heard(lambda data: [data[at:end] for at, end in pairwise(places)]) == whole()


def mutated(data: bytes, seed: int) -> bytes:
    """Bytes changed, cut out, doubled; now and then nothing but noise."""
    dice = random.Random(seed)
    if dice.random() < 0.1:
        return dice.randbytes(dice.randrange(200))
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(changed))
        match dice.randrange(4):
            case 0:
                changed[at] = dice.randrange(256)
            case 1:
                changed[at] ^= 1 << dice.randrange(8)
            case 2:
                del changed[at : at + dice.randrange(30)]
            case _:
                changed[at:at] = changed[max(0, at - dice.randrange(60)) : at]
    return bytes(changed)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32), greet=st.booleans(), cut=st.integers(0, 900))
@settings(max_examples=2000, deadline=None)
def test_garbled_stream_raises_nothing_but_our_errors(seed: int, greet: bool, cut: int) -> None:
    bus = Bus()
    others = [bus.join("listener"), bus.join("speaker")]
    offender = bus.join("offender") if greet else bus.connect()
    data = mutated(conversation(offender) if greet else encode(greeting()), seed)
    offender.feed(data[:cut])
    offender.feed(data[cut:])
    assert (offender.error is None) or offender.member.closing
    offender.leave()
    assert untouched(others)
    others[0].request("do.it")
    assert others[0].failure()[1] == "ipc.no_responder"


def test_frame_that_never_ends_is_held_within_its_bounds() -> None:
    bus = Bus(BusConfig(max_frame_bytes=4096))
    wire, other = bus.join("wire"), bus.join("other")
    for byte in encode(wire.frame(Kind.PUB, 0, "t", bytes(4000)))[:-1]:
        wire.feed(bytes((byte,)))
    assert sum(map(len, wire.member.parts)) < 4096
    wire.leave()
    assert untouched([other, bus.join("third")])


# Kept messages: what the router asks of the log, and does with what it says.


def kept_frame(wire: Wire, number: int, body: bytes = b"keep", topic: str = "t") -> Frame:
    return Frame(Kind.PUB, 0, topic, body, wire.number, SEQUENCE, 0, number)


def test_kept_message_reaches_nobody_before_it_is_in_the_log() -> None:
    bus = Bus(BusConfig(publish_frames=4), epoch="e")
    wire, live = bus.join("wire"), bus.join("live")
    everything = live.subscribe("t")
    of_wire = live.subscribe("t", where="source == 'wire'")
    live.subscribe("t", where="source == 'bus'")
    live.read()
    wire.send(kept_frame(wire, 1))
    (keep,) = bus.effects
    assert isinstance(keep, Keep)
    assert wire.read() == live.read() == []
    bus.do(lambda: bus.router.kept(keep.member, keep.frame, 41, new=True))
    assert wire.answer(Kind.CREDIT).sequence == 1
    news = [(item.subscription, item.body) for item in live.read() if isinstance(item, Got)]
    assert news == [(everything, b"keep"), (of_wire, b"keep")]
    bus.do(lambda: bus.router.kept(keep.member, keep.frame, 41, new=False))
    assert wire.answer(Kind.CREDIT).sequence == 1
    assert live.read() == []
    assert untouched([wire, live])


def test_kept_message_holds_its_publisher_up_as_any_other() -> None:
    bus = Bus(BusConfig(publish_frames=4), epoch="e")
    wire, slow = bus.join("wire"), bus.join("slow")
    subscription_ = slow.subscribe("t", frames=0)
    for number in range(4):
        wire.send(kept_frame(wire, number))
        keep = bus.effects.pop()
        assert isinstance(keep, Keep)
        bus.do(lambda keep=keep: bus.router.kept(keep.member, keep.frame, 1, new=True))  # type: ignore[misc]
    assert wire.frames == 4
    assert wire.info().publish_credit == 0
    slow.credit(subscription_, 4, PLENTY)
    assert slow.got(subscription_) == [b"keep"] * 4
    assert wire.info().publish_credit == 4


def test_subscription_that_resumes_is_told_its_place_and_fed() -> None:
    bus = Bus(epoch="e")
    wire = bus.join("wire")
    id_ = wire.subscribe("t", frames=2, after=7, durable="me")
    (resume,) = bus.effects
    assert isinstance(resume, Resume)
    assert (resume.after, resume.subscription.durable) == (7, "me")
    assert wire.read() == []
    bus.do(lambda: bus.router.resume(resume.subscription, 7))
    assert wire.answer().correlation == id_
    bus.effects.clear()
    acknowledged = Frame(
        Kind.CREDIT, id_, "", CREDIT.pack(3, 0), wire.number, SEQUENCE, 0, sequence=9
    )
    wire.send(acknowledged)
    assert bus.effects == [Acknowledge("me", 9), Feed(resume.subscription)]
    assert resume.subscription.frames == 5
    assert wire.info().subscriptions[0].position == 7
