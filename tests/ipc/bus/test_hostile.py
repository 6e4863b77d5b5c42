"""What would cost everybody else much if it were done as it is asked for."""

from __future__ import annotations

from itertools import count

import pytest
from tests.ipc.bus.wire import PLENTY, Bus, Wire, untouched

from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._members import MANY_PARTS
from symphony.ipc.bus._outgoing import Postpone
from symphony.ipc.bus._registrations import MAX_LOOSE
from symphony.ipc.bus._reports import EndpointInfo
from symphony.ipc.protocol._control import Policy, Serve, Subscribe
from symphony.ipc.protocol._frames import Frame, Kind, encode, encode_body

WISH = encode_body(Subscribe(credit_frames=PLENTY, credit_bytes=PLENTY))


def pair() -> tuple[Bus, Wire, Wire]:
    bus = Bus(BusConfig())
    return bus, bus.join("speaker"), bus.join("listener")


def numbers(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def subscriptions(wire: Wire, *patterns: str) -> list[Frame]:
    return [wire.frame(Kind.SUB, wire.next(), pattern, WISH) for pattern in patterns]


# A run that is taken crumb by crumb is not copied each time.


def test_credit_for_one_frame_leaves_the_rest_of_the_run_where_it_is() -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", frames=0)
    speaker.publish("a", *numbers(*range(100)))
    queue = listener.member.subscriptions[id_].queue
    run = queue[0].run
    for number in range(40):
        listener.credit(id_, 1, 0)
        assert listener.got() == numbers(number)
        assert queue[0].run is run
    assert listener.info().subscriptions[0].queued == 60
    assert listener.info().subscriptions[0].queued_bytes == sum(
        len(encode(speaker.frame(Kind.PUB, 0, "a", body))) for body in numbers(*range(40, 100))
    )
    listener.credit(id_, 60)
    assert listener.got() == numbers(*range(40, 100))


def test_dropping_the_oldest_frame_leaves_the_rest_of_the_run_where_it_is() -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("*", frames=100, policy=Policy.DROP_OLDEST)
    speaker.publish("a", *numbers(*range(100)))
    speaker.publish("a", *numbers(*range(100)))
    assert listener.got() == numbers(*range(100))
    queue = listener.member.subscriptions[id_].queue
    run = queue[0].run
    for number in range(40):
        speaker.publish("b", b"new %d" % number)
        assert queue[0].run is run
    listener.credit(id_, 100)
    got = listener.got()
    assert got == [*numbers(*range(40, 100)), *(b"new %d" % number for number in range(40))]
    assert listener.info().subscriptions[0].dropped == 40


def test_what_is_left_of_a_run_goes_on_to_the_group() -> None:
    bus, speaker, leaves = pair()
    first = leaves.subscribe("job", frames=0, group="workers")
    speaker.publish("job", *numbers(*range(10)))
    leaves.credit(first, 4, 0)
    assert leaves.got() == numbers(*range(4))
    stays = bus.join("stays")
    stays.subscribe("job", group="workers")
    leaves.control(Kind.UNSUB, first)
    assert stays.got() == numbers(*range(4, 10))


# One turn of the loop is for everybody.


def test_what_takes_too_long_is_put_off_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus, busy, other = pair()
    ticks = count()
    monkeypatch.setattr(bus.router, "_monotonic", lambda: next(ticks) * 0.0004)
    patterns = [f"a.{number}" for number in range(100)]
    sent = [*subscriptions(busy, *patterns), *(busy.frame(Kind.PUB, 0, each) for each in patterns)]
    data = b"".join(map(encode, sent))

    bus.router.receive(busy.member, data[:-1])
    assert 0 < len(busy.member.subscriptions) < 10
    turns = 0
    while Postpone(busy.member) in bus.router.outgoing.effects:
        bus.router.outgoing.effects.clear()
        before = len(busy.member.subscriptions)
        bus.router.go_on(busy.member)
        assert len(busy.member.subscriptions) - before < 10
        turns += 1
    assert turns > 10
    bus.flush()
    busy.feed(data[-1:])
    assert [item.topic for item in busy.read() if not isinstance(item, Frame)] == patterns
    assert untouched([busy, other])


def test_who_breaks_the_protocol_in_what_was_put_off_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus, bad, other = pair()
    ticks = count()
    monkeypatch.setattr(bus.router, "_monotonic", lambda: next(ticks) * 0.0004)
    bad.send(*subscriptions(bad, *(f"a.{number}" for number in range(100))), Frame(Kind.HELLO))
    assert bad.farewell() == "ipc.bad_frame"
    assert bus.router.stats().subscriptions == 0
    assert untouched([other, bus.join("another")])


def test_many_changes_at_once_are_told_once() -> None:
    """What is told says all that the endpoint has: of each it would be a million."""
    bus, _, listener = pair()
    watcher = bus.join("watcher")
    watcher.subscribe("bus.endpoint.changed")
    watcher.read()
    listener.send(*subscriptions(listener, *(f"a.{number}" for number in range(100))))
    (changed,) = watcher.news("bus.endpoint.changed", EndpointInfo)
    assert len(changed.subscriptions) == 100
    listener.send(
        *(listener.frame(Kind.UNSUB, id_) for id_ in tuple(listener.member.subscriptions)),
        listener.frame(Kind.SERVE, listener.next(), "b", encode_body(Serve())),
    )
    (changed,) = watcher.news("bus.endpoint.changed", EndpointInfo)
    assert (changed.subscriptions, len(changed.servings)) == ((), 1)


def test_who_has_left_has_not_changed() -> None:
    bus, _, listener = pair()
    watcher = bus.join("watcher")
    watcher.subscribe("bus.>")
    watcher.read()
    listener.send(*subscriptions(listener, "a"), listener.frame(Kind.BYE))
    assert watcher.news("bus.endpoint.changed", EndpointInfo) == []


# Crumbs and places.


def test_crumbs_of_a_frame_are_not_kept_by_the_million() -> None:
    bus, speaker, listener = pair()
    listener.subscribe("a")
    body = bytes(range(256)) * 64
    data = encode(speaker.frame(Kind.PUB, 0, "a", body))
    for at in range(len(data)):
        bus.router.receive(speaker.member, data[at : at + 1])
        assert len(speaker.member.parts) <= MANY_PARTS
    bus.flush()
    assert listener.got() == [body]


@pytest.mark.parametrize("kind", [Kind.SUB, Kind.SERVE])
def test_patterns_that_are_at_many_places_at_once_are_few(kind: Kind) -> None:
    _, other, endpoint = pair()
    body = WISH if kind is Kind.SUB else encode_body(Serve())

    def register(wire: Wire, pattern: str) -> Kind:
        wire.send(wire.frame(kind, wire.next(), pattern, body))
        (answer,) = wire.frames_of(Kind.REP, Kind.ERR)
        return answer.kind

    for number in range(MAX_LOOSE):
        assert register(endpoint, f"*.#.{number}") is Kind.REP
    assert register(endpoint, "#.one.more") is Kind.ERR
    for pattern in ("a.#", "a.*.>", "#", "*.b", "a.#.*"):
        assert register(endpoint, pattern) is Kind.REP
    assert register(other, "#.of.another") is Kind.REP
