"""What the bus tells of itself: who comes, goes and is slow; what became of messages."""

from __future__ import annotations

import pytest
from tests.ipc.bus.wire import PLENTY, Bus, Wire, untouched

from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._news import SHOWN_BYTES
from symphony.ipc.bus._reports import DeadLetter, EndpointInfo, EndpointQuery, ServingInfo
from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._control import Policy
from symphony.ipc.protocol._frames import SEQUENCE, Frame, Kind, encode

CONFIG = BusConfig(heartbeat_s=5, degraded_s=2, unhealthy_s=10, dead_s=30)


def watched(topic: str, config: BusConfig = CONFIG) -> tuple[Bus, Wire]:
    bus = Bus(config)
    watcher = bus.join("watcher")
    watcher.subscribe(topic)
    watcher.read()
    return bus, watcher


def pong(*wires: Wire) -> None:
    for wire in wires:
        assert wire.frames_of(Kind.PING)
        wire.control(Kind.PONG, 0)


# Signs of life.


def test_sign_of_life_is_asked_for_once_in_a_heartbeat() -> None:
    bus = Bus(CONFIG)
    wire = bus.join("wire")
    bus.advance(4.75)
    assert wire.read() == []
    bus.advance(0.25)
    assert wire.answer(Kind.PING).source == wire.number
    bus.advance(1)
    assert wire.read() == []
    wire.control(Kind.PONG, 0)
    bus.advance(3.75)
    assert wire.read() == []
    bus.advance(0.25)
    wire.answer(Kind.PING)


def test_endpoint_that_owes_an_answer_is_degraded_then_unhealthy_then_cut_off() -> None:
    bus, watcher = watched("bus.endpoint.health")
    quiet = bus.join("quiet")
    quiet.serve("do")
    quiet.subscribe("a", frames=0)
    request = watcher.request("do")
    told: list[tuple[str, float]] = []
    bus.advance(5)
    pong(watcher)
    for _ in range(14):
        bus.advance(2)
        told += [
            (info.health, info.lag_s)
            for info in watcher.news("bus.endpoint.health", EndpointInfo)
            if info.name == "quiet"
        ]
        watcher.control(Kind.PONG, 0)
        assert quiet.info().lag_s == quiet.member.lag_s
    assert told == [("degraded", 2), ("unhealthy", 10)]
    bus.advance(2)
    assert quiet.farewell() == "ipc.silent"
    errors = watcher.frames_of(Kind.ERR)
    assert [error.correlation for error in errors] == [request]
    assert [info.name for info in watcher.ask_endpoints()] == ["watcher"]
    bus.advance(2)
    assert quiet.read() == []
    assert watcher.ask_stats().refused == 1


def test_answer_makes_healthy_again_and_says_how_long_it_took() -> None:
    bus, watcher = watched("bus.endpoint.health")
    slow = bus.join("slow")
    bus.advance(5)
    pong(watcher)
    bus.advance(3)
    assert slow.info().health == "degraded"
    bus.advance(0.5)
    pong(slow)
    news = watcher.news("bus.endpoint.health", EndpointInfo)
    assert [(info.name, info.health, info.lag_s) for info in news] == [
        ("slow", "degraded", 3),
        ("slow", "healthy", 3.5),
    ]
    assert slow.info().lag_s == 3.5
    assert untouched([watcher, slow])


def test_lag_that_is_not_over_yet_shows() -> None:
    bus = Bus(CONFIG)
    wire, other = bus.join("wire"), bus.join("other")
    bus.advance(5)
    pong(other)
    bus.wait(1.5)
    infos = {info.name: info for info in other.ask_endpoints()}
    assert (infos["wire"].lag_s, infos["other"].lag_s) == (1.5, 0)
    assert infos["wire"].connected_s == 6.5
    assert wire.member.lag_s == 0


def test_answer_that_nobody_waits_for_changes_nothing() -> None:
    bus, watcher = watched("bus.endpoint.health")
    watcher.control(Kind.PONG, 0)
    assert watcher.read() == []
    assert bus.router.stats().refused == 0


def test_answer_that_comes_too_late_ends_the_connection_and_tells_of_no_recovery() -> None:
    bus, watcher = watched("bus.endpoint.health")
    late = bus.join("late")
    bus.advance(5)
    pong(watcher)
    bus.wait(31)
    late.control(Kind.PONG, 0)
    assert late.farewell() == "ipc.silent"
    assert watcher.news("bus.endpoint.health", EndpointInfo) == []


def test_endpoint_may_ask_for_a_sign_of_life_too() -> None:
    wire = Bus().join("wire")
    wire.send(wire.frame(Kind.PING, 7, body=b"echo"))
    assert wire.answer(Kind.PONG) == Frame(Kind.PONG, 7, "", b"echo", wire.number)


# Who is here.


def test_coming_and_going_is_told() -> None:
    bus, watcher = watched("bus.endpoint.*")
    wire = bus.join("wire", capabilities=("audio", "video"))
    (joined,) = watcher.news("bus.endpoint.joined", EndpointInfo)
    assert (joined.name, joined.number) == ("wire", wire.number)
    assert joined.capabilities == ("audio", "video")
    id_ = wire.subscribe("a", frames=3, policy=Policy.DROP_NEWEST, group="g")
    (changed,) = watcher.news("bus.endpoint.changed", EndpointInfo)
    (subscription,) = changed.subscriptions
    assert (subscription.pattern, subscription.policy) == ("a", "drop-newest")
    assert (subscription.group, subscription.position) == ("g", None)
    serving = wire.serve("do", 7)
    (changed,) = watcher.news("bus.endpoint.changed", EndpointInfo)
    assert changed.servings == (ServingInfo(pattern="do", priority=7),)
    wire.control(Kind.UNSUB, id_)
    wire.control(Kind.UNSERVE, serving)
    *_, changed = watcher.news("bus.endpoint.changed", EndpointInfo)
    assert (changed.subscriptions, changed.servings) == ((), ())
    wire.control(Kind.UNSUB, id_)
    wire.control(Kind.UNSERVE, serving)
    assert watcher.read() == []
    wire.leave()
    wire.leave()
    (left,) = watcher.news("bus.endpoint.left", EndpointInfo)
    assert left.name == "wire"


def test_everybody_can_ask_who_is_here() -> None:
    bus = Bus(permit=lambda endpoint, action, topic: False)
    one, two = bus.join("one", capabilities=("audio",)), bus.join("two")
    assert [info.name for info in two.ask_endpoints()] == ["one", "two"]
    assert two.ask_stats().endpoints == 2
    assert one.info().peer == "a test"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (EndpointQuery(), ["one", "two", "three"]),
        (EndpointQuery(capability="audio"), ["one", "two"]),
        (EndpointQuery(capability="smell"), []),
        (EndpointQuery(serves="do.it"), ["two"]),
        (EndpointQuery(serves="do.that"), ["one", "three"]),
        (EndpointQuery(serves="do.that", capability="audio"), ["one"]),
        (EndpointQuery(serves="nothing"), []),
    ],
)
def test_endpoints_can_be_asked_for_by_what_they_can_do(
    query: EndpointQuery, names: list[str]
) -> None:
    bus = Bus()
    one = bus.join("one", capabilities=("audio", "video"))
    two = bus.join("two", capabilities=("audio",))
    three = bus.join("three")
    one.serve("do.*")
    two.serve("do.it")
    three.serve("do.*")
    three.read()
    flags, body = seal(query)
    three.send(Frame(Kind.REQ, 9, "bus.endpoints", body, three.number, flags))
    answer = three.answer()
    infos = opened(answer.flags, answer.body).payload_as(list[EndpointInfo])
    assert [info.name for info in infos] == names


@pytest.mark.parametrize("query", [{"serves": "a..b"}, {"capability": 7}, [1, 2]])
def test_query_that_makes_no_sense_is_refused(query: object) -> None:
    wire = Bus().join("wire")
    flags, body = seal(query)
    wire.send(Frame(Kind.REQ, 9, "bus.endpoints", body, wire.number, flags))
    assert wire.failure()[1] in ("ipc.bad_topic", "ipc.message_invalid")


def test_answer_that_would_be_too_large_is_refused() -> None:
    bus = Bus(BusConfig(max_frame_bytes=4096))
    wire = bus.join("wire")
    for _ in range(60):
        wire.subscribe("a")
    wire.read()
    assert (wire.request("bus.endpoints"), "ipc.frame_too_large") == wire.failure()


def test_news_that_would_be_too_large_cost_no_listener_its_connection() -> None:
    bus, watcher = watched("bus.endpoint.*", BusConfig(max_frame_bytes=4096))
    wire = bus.join("wire")
    for _ in range(60):
        wire.subscribe("a")
    assert 0 < len(watcher.got()) < 60
    assert untouched([watcher, wire])


def test_counters_add_up_over_those_that_are_gone() -> None:
    bus = Bus()
    asker, gone = bus.join("asker"), bus.join("gone")
    gone.serve("do")
    gone.subscribe("a", frames=1)
    gone.subscribe("a.#", frames=2, policy=Policy.DROP_NEWEST)
    asker.publish("a", b"1", b"2", b"3")
    asker.publish("b", b"4")
    asker.request("do")
    asker.request("nothing")
    asker.cancel(asker.request("do"))
    queued = asker.ask_stats()
    assert (queued.queued, queued.delivered, queued.dropped) == (3, 3, 0)
    gone.leave()
    stats = asker.ask_stats()
    assert (stats.queued, stats.delivered, stats.dropped) == (0, 3, 3)
    assert (stats.endpoints, stats.subscriptions, stats.servings) == (1, 0, 0)
    assert (stats.requests, stats.failed, stats.cancelled) == (2, 1, 1)
    assert (stats.dead_letters, stats.unrouted) == (1, 1)
    assert stats.frames_in == 4 + 3 + 2  # the last two ask for these very numbers
    assert stats.bytes_in > 9 * 20


def test_uptime_counts_from_the_beginning() -> None:
    bus = Bus()
    wire = bus.join("wire")
    bus.advance(4)
    assert wire.ask_stats().uptime_s == 4


# Dead letters.


def dead(wire: Wire) -> DeadLetter:
    (letter,) = wire.news("bus.dead", DeadLetter)
    return letter


def test_request_that_nobody_serves_is_a_dead_letter() -> None:
    bus, watcher = watched("bus.dead")
    asker = bus.join("asker")
    number = asker.request("do.it", b"\x00please")
    letter = dead(watcher)
    assert letter.frame == encode(Frame(Kind.REQ, number, "do.it", b"\x00please", asker.number))
    assert (letter.endpoint, letter.kind, letter.topic) == ("asker", "REQ", "do.it")
    assert letter.size == len(letter.frame)
    assert letter.reason.code == "ipc.no_responder"
    assert letter.reason.facts == {"topic": "do.it"}


def test_each_message_of_a_run_that_is_refused_is_a_dead_letter() -> None:
    bus, watcher = watched("bus.dead")
    speaker = bus.join("speaker")
    speaker.publish("bus.mine", b"1", b"22")
    letters = watcher.news("bus.dead", DeadLetter)
    assert [letter.frame[-2:] for letter in letters] == [b"e1", b"22"]
    assert {letter.reason.code for letter in letters} == {"ipc.not_permitted"}
    speaker.send(Frame(Kind.PUB, 0, "kept", b"?", speaker.number, SEQUENCE))
    assert dead(watcher).reason.code == "ipc.not_kept"
    assert speaker.ask_stats().dead_letters == 3


@pytest.mark.parametrize("limit", [4096, 1024 * 1024])
def test_large_dead_letter_shows_its_beginning(limit: int) -> None:
    bus, watcher = watched("bus.dead", BusConfig(max_frame_bytes=limit))
    asker = bus.join("asker")
    asker.request("do", bytes(limit - 30))
    letter = dead(watcher)
    assert letter.size == limit - 8
    assert len(letter.frame) == min(SHOWN_BYTES, limit // 4)


def test_dead_letter_with_an_endless_topic_fits_a_frame() -> None:
    bus, watcher = watched("bus.dead", BusConfig(max_frame_bytes=4096))
    bus.join("asker").request("é" * 2000)
    letter = dead(watcher)
    assert letter.topic == "é" * 255
    assert letter.reason.code == "ipc.bad_topic"


def test_dead_letters_that_nobody_reads_are_counted_all_the_same() -> None:
    bus = Bus()
    asker = bus.join("asker")
    asker.request("do")
    assert asker.ask_stats().dead_letters == 1


def test_news_wait_for_credit_as_anything_else() -> None:
    bus = Bus()
    watcher = bus.join("watcher")
    id_ = watcher.subscribe("bus.dead", frames=1, policy=Policy.DROP_OLDEST)
    asker = bus.join("asker")
    for _ in range(3):
        asker.request("do")
    assert len(watcher.news("bus.dead", DeadLetter)) == 1
    watcher.credit(id_, 1, PLENTY)
    assert dead(watcher).frame == encode(asker.frame(Kind.REQ, 3, "do"))
