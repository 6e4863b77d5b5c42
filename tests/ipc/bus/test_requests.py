"""Requests and their answers: who is asked, and that each ends exactly once."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ipc.bus.wire import Bus, Got, Wire, untouched

from symphony.commons.errors import ErrorRecord
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._members import Member
from symphony.ipc.bus._sharing import HANDLE
from symphony.ipc.protocol._frames import DEADLINE, Flag, Frame, Kind, decode_body, encode
from symphony.ipc.transport._shared import SHARED_MEMORY, SharedBlock, share


def trio(config: BusConfig | None = None) -> tuple[Bus, Wire, Wire, Wire]:
    bus = Bus(config or BusConfig())
    return bus, bus.join("asker"), bus.join("one"), bus.join("two")


def serving(wire: Wire, pattern: str, priority: int = 0) -> int:
    id_ = wire.serve(pattern, priority)
    assert wire.answer().correlation == id_
    return id_


def asked(wire: Wire) -> list[Frame]:
    return wire.frames_of(Kind.REQ)


def test_request_and_answer_pass_as_they_are() -> None:
    _, asker, one, _ = trio()
    serving(one, "do.*")
    number = asker.request("do.it", b"\x00how", deadline_ms=1500)
    assert asked(one) == [
        Frame(Kind.REQ, number, "do.it", b"\x00how", asker.number, DEADLINE, 1500)
    ]
    one.send(Frame(Kind.REP, number, "", b"so", asker.number))
    assert asker.read() == [Frame(Kind.REP, number, "", b"so", asker.number)]
    second = asker.request("do.it")
    one.send(Frame(Kind.ERR, second, "", b"not so", asker.number))
    assert asker.read() == [Frame(Kind.ERR, second, "", b"not so", asker.number)]
    stats = asker.ask_stats()
    assert (stats.requests, stats.answered, stats.unexpected_answers) == (2, 2, 0)
    assert one.info().requests_in == 2


def test_endpoint_may_ask_itself() -> None:
    bus, asker, _, _ = trio()
    serving(asker, "me")
    number = asker.request("me")
    (request,) = asked(asker)
    asker.reply(request, b"myself")
    assert asker.read() == [Frame(Kind.REP, number, "", b"myself", asker.number)]
    asker.request("me")
    asker.leave()
    assert bus.router.stats().cancelled == 1


# Who is asked.


@pytest.mark.parametrize(
    ("of_one", "of_two"),
    [
        (("do.it", 0), ("do.*", 0)),
        (("do.*", 0), ("do.>", 0)),
        (("do.>", 0), (">", 0)),
        (("do.*", 0), ("*.it", 0)),
        (("do.*", 0), ("#", 0)),
        (("do.>", 1), ("do.it", 0)),
        ((">", 0), ("do.it", -1)),
        (("do.it", -99), (">", -100)),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_highest_priority_then_most_exact_pattern_is_asked(
    of_one: tuple[str, int], of_two: tuple[str, int], turned: bool
) -> None:
    _, asker, one, two = trio()
    registrations = [(one, of_one), (two, of_two)]
    for wire, (pattern, priority) in reversed(registrations) if turned else registrations:
        serving(wire, pattern, priority)
    asker.request("do.it")
    asker.request("do.it")
    assert (len(asked(one)), len(asked(two))) == (2, 0)


def test_default_responder_gets_what_nobody_else_serves() -> None:
    _, asker, default, one = trio()
    serving(default, ">", -100)
    id_ = serving(one, "do.it")
    asker.request("do.it")
    asker.request("do.something.else")
    assert [request.topic for request in asked(default)] == ["do.something.else"]
    assert [request.topic for request in asked(one)] == ["do.it"]
    one.control(Kind.UNSERVE, id_)
    asker.request("do.it")
    assert [request.topic for request in asked(default)] == ["do.it"]


def test_who_has_fewest_open_is_asked_and_equals_take_turns() -> None:
    bus, asker, one, two = trio()
    three = bus.join("three")
    for wire in (one, two, three):
        serving(wire, "do")
    for _ in range(9):
        asker.request("do")
    requests = [asked(wire) for wire in (one, two, three)]
    assert [len(each) for each in requests] == [3, 3, 3]
    for request in requests[1]:
        two.reply(request)
    for _ in range(3):
        asker.request("do")
    assert [len(asked(wire)) for wire in (one, two, three)] == [0, 3, 0]


def test_turns_are_taken_even_when_each_answers_at_once() -> None:
    _, asker, one, two = trio()
    serving(one, "do")
    serving(two, "do")
    count: Counter[str] = Counter()
    for _ in range(10):
        asker.request("do")
        for name, wire in (("one", one), ("two", two)):
            for request in asked(wire):
                count[name] += 1
                wire.reply(request)
    assert count == {"one": 5, "two": 5}


def test_responder_that_gives_no_sign_of_life_is_passed_by_while_there_is_another() -> None:
    bus, asker, one, two = trio()
    serving(one, "do")
    serving(two, "do")
    bus.advance(5)
    for wire in (asker, two):
        wire.control(Kind.PONG, 0)
    bus.advance(10)
    assert (one.info().health, two.info().health) == ("unhealthy", "healthy")
    one.read()
    two.read()
    for _ in range(4):
        asker.request("do")
    assert (len(asked(one)), len(asked(two))) == (0, 4)
    two.leave()
    asker.request("do")
    assert len(asked(one)) == 1


# How it ends.


def test_request_that_nobody_serves_fails_at_once() -> None:
    _, asker, one, _ = trio()
    assert (asker.request("do"), "ipc.no_responder") == asker.failure()
    id_ = serving(one, "do")
    asker.request("do")
    one.control(Kind.UNSERVE, id_)
    assert asked(one)
    assert (asker.request("do"), "ipc.no_responder") == asker.failure()


def test_request_that_is_open_may_be_answered_by_who_serves_no_longer() -> None:
    _, asker, one, _ = trio()
    id_ = serving(one, "do")
    number = asker.request("do")
    (request,) = asked(one)
    one.control(Kind.UNSERVE, id_)
    one.reply(request)
    assert asker.answer().correlation == number


def test_cancel_reaches_the_responder_and_frees_the_slot() -> None:
    _, asker, one, _ = trio(BusConfig(max_requests=1))
    serving(one, "do")
    number = asker.request("do")
    (request,) = asked(one)
    assert (asker.request("do"), "ipc.limit") == asker.failure()
    asker.cancel(number)
    assert one.read() == [Frame(Kind.CANCEL, number, source=asker.number)]
    one.reply(request)  # it crossed the cancellation
    assert asker.read() == []
    asker.request("do")
    assert len(asked(one)) == 1
    asker.cancel(number)
    assert one.read() == []
    stats = asker.ask_stats()
    assert (stats.cancelled, stats.unexpected_answers) == (1, 1)
    assert asker.info().open_requests == 1


def test_death_of_the_responder_ends_what_it_was_asked() -> None:
    bus, asker, one, two = trio()
    serving(one, "do")
    numbers = [asker.request("do") for _ in range(3)]
    other = two.request("do")
    one.leave()
    errors = asker.frames_of(Kind.ERR)
    assert [error.correlation for error in errors] == numbers
    assert {decode_body(error.body, ErrorRecord).code for error in errors} == {"ipc.responder_gone"}
    assert two.failure() == (other, "ipc.responder_gone")
    assert bus.router.stats().failed == 4
    assert asker.info().open_requests == two.info().open_requests == 0
    assert untouched([asker, two])


def test_death_of_the_asker_is_a_cancellation() -> None:
    bus, asker, one, _ = trio()
    serving(one, "do")
    number = asker.request("do")
    (request,) = asked(one)
    asker.leave()
    assert one.read() == [Frame(Kind.CANCEL, number, source=asker.number)]
    one.reply(request)
    assert one.info().answering == 0
    assert bus.router.stats().unexpected_answers == 1


@pytest.mark.parametrize("kind", [Kind.REP, Kind.ERR])
def test_answer_of_anybody_else_goes_nowhere(kind: Kind) -> None:
    _, asker, one, two = trio()
    serving(one, "do")
    number = asker.request("do")
    (request,) = asked(one)
    two.reply(request, b"forged", kind)
    asker.reply(request, b"forged", kind)
    one.send(Frame(kind, number + 1, "", b"other number", asker.number))
    one.send(Frame(kind, number, "", b"other asker", two.number))
    assert asker.read() == two.read() == []
    one.reply(request, b"genuine", kind)
    one.reply(request, b"twice", kind)
    assert asker.answer(kind).body == b"genuine"
    assert asker.ask_stats().unexpected_answers == 5
    assert untouched([asker, one, two])


def test_cancel_of_anybody_else_changes_nothing() -> None:
    _, asker, one, two = trio()
    serving(one, "do")
    number = asker.request("do")
    (request,) = asked(one)
    two.cancel(number)
    assert one.read() == []
    one.reply(request)
    assert asker.answer().correlation == number


def test_number_that_is_open_cannot_be_asked_under_again() -> None:
    _, asker, one, two = trio()
    serving(one, "do")
    number = asker.request("do")
    asker.send(asker.frame(Kind.REQ, number, "do"))
    assert asker.farewell() == "ipc.bad_frame"
    assert [frame.kind for frame in one.frames_of(Kind.REQ, Kind.CANCEL)] == [
        Kind.REQ,
        Kind.CANCEL,
    ]
    assert untouched([one, two])


# Handles on shared memory.


class Hands:
    """Side channels on which blocks come, and over which none can be passed on."""

    def __init__(self) -> None:
        self.come: dict[int, SharedBlock] = {}

    def offer(self, member: Member) -> tuple[str, str]:
        return "", ""

    def claim(self, member: Member, ticket: int) -> SharedBlock:
        return self.come.pop(ticket)

    def hand_over(self, member: Member, block: SharedBlock) -> int:
        return 0

    def forget(self, member: Member) -> None: ...

    def send(self, wire: Wire, frame: Frame, content: bytes) -> SharedBlock:
        """Instead of the frame, one with a handle on its content."""
        block = self.come[1] = share(content)
        body = HANDLE.pack(1, len(content))
        wire.send(msgspec.structs.replace(frame, flags=Flag.SHARED, body=body))
        return block


@pytest.mark.skipif(not SHARED_MEMORY, reason="this system has no memory that can be sealed")
def test_content_too_large_for_one_without_a_side_channel_ends_in_an_error() -> None:
    hands = Hands()
    bus = Bus(BusConfig(max_frame_bytes=4096), sides=hands)
    asker, one = bus.join("asker"), bus.join("one")
    serving(one, "do")
    large = bytes(5000)

    number = asker.next()
    block = hands.send(asker, asker.frame(Kind.REQ, number, "do"), large)
    assert asker.failure() == (number, "ipc.frame_too_large")
    assert (one.read(), asker.info().open_requests, block.fileno()) == ([], 0, -1)

    number = asker.request("do")
    (request,) = asked(one)
    block = hands.send(one, Frame(Kind.REP, number, source=request.source), large)
    assert asker.failure() == (number, "ipc.frame_too_large")
    assert (asker.info().open_requests, one.info().answering, block.fileno()) == (0, 0, -1)

    number = asker.request("do")
    hands.send(one, Frame(Kind.REP, number, source=request.source), b"fits")
    assert asker.answer().body == b"fits"
    assert untouched([asker, one])


# When the bus closes.


def test_closing_bus_takes_no_requests_not_even_those_it_has_known_before() -> None:
    bus, asker, one, _ = trio()
    serving(one, "do")
    number = asker.request("do")
    (request,) = asked(one)
    bus.do(bus.router.stop_intake)
    assert not bus.router.idle
    assert (asker.request("do"), "ipc.closing") == asker.failure()
    late = bus.connect()
    late.greet("late", "late")
    assert late.farewell() == "ipc.closing"
    one.reply(request, b"in time")
    assert asker.answer().correlation == number
    assert bus.router.idle


def test_closed_bus_ends_what_is_open_and_says_goodbye() -> None:
    bus, asker, one, _ = trio()
    serving(one, "do")
    number = asker.request("do")
    asked(one)
    bus.do(bus.router.close)
    error, goodbye = asker.frames_of(Kind.ERR, Kind.BYE)
    assert (error.correlation, decode_body(error.body, ErrorRecord).code) == (number, "ipc.closing")
    assert decode_body(goodbye.body, ErrorRecord).code == "ipc.closing"
    assert [frame.kind for frame in one.frames_of(Kind.CANCEL, Kind.BYE)] == [
        Kind.CANCEL,
        Kind.BYE,
    ]
    assert all(wire.member.closing for wire in bus.wires)


# All of it, at random.


class Move(NamedTuple):
    """`what` a member does, with one of what it could do that with."""

    what: str
    member: int
    which: int


WHAT = ("ask", "ask", "ask", "answer", "answer", "fail", "forge", "cancel", "serve", "unserve")
moves = st.builds(Move, st.sampled_from((*WHAT, "die")), st.integers(0, 3), st.integers(0, 2**16))


class Office:
    """Members that ask each other; `ended` counts how often each request has ended."""

    def __init__(self) -> None:
        self.bus = Bus(BusConfig(max_requests=5))
        self.born = 0
        self.members = [self.newcomer() for _ in range(4)]
        self.open: dict[int, list[int]] = {}
        self.to_answer: dict[int, list[Frame]] = {}
        self.cancelled: set[tuple[int, int]] = set()
        self.ended: Counter[tuple[int, int]] = Counter()
        self.made: set[tuple[int, int]] = set()
        self.servings: dict[int, list[int]] = {}

    def newcomer(self) -> Wire:
        self.born += 1
        return self.bus.join(f"member{self.born}")

    def take(self, move: Move) -> None:
        wire = self.members[move.member]
        open_ = self.open.setdefault(wire.number, [])
        to_answer = self.to_answer.setdefault(wire.number, [])
        servings = self.servings.setdefault(wire.number, [])
        match move.what:
            case "ask":
                number = wire.request(("do", "do", "do.it", "nothing")[move.which % 4])
                open_.append(number)
                self.made.add((wire.number, number))
            case "answer" | "fail" if to_answer:
                request = to_answer.pop(move.which % len(to_answer))
                wire.reply(request, b"!", Kind.REP if move.what == "answer" else Kind.ERR)
            case "forge":
                asker, number = self.members[move.which % 4].number, move.which % 9
                self.forget(wire.number, asker, number)  # it may be its own, after all
                wire.send(Frame(Kind.REP, number, "", b"forged", asker))
            case "cancel" if open_:
                number = open_.pop(move.which % len(open_))
                self.cancelled.add((wire.number, number))
                self.ended[wire.number, number] += 1
                wire.cancel(number)
            case "serve":
                pattern = ("do", "do", "do.*")[move.which % 3]
                servings.append(wire.serve(pattern, move.which % 2))
            case "unserve" if servings:
                wire.control(Kind.UNSERVE, servings.pop())
            case "die":
                wire.leave()
                for number in open_:
                    self.ended[wire.number, number] += 1
                self.members[move.member] = self.newcomer()

    def look(self) -> None:
        for wire in self.members:
            for item in wire.read():
                assert not isinstance(item, Got)
                key = (wire.number, item.correlation)
                if item.kind is Kind.REQ:
                    self.to_answer.setdefault(wire.number, []).append(item)
                elif item.kind is Kind.CANCEL:
                    assert self.forget(wire.number, item.source, item.correlation)
                elif item.kind in (Kind.REP, Kind.ERR) and key in self.made:
                    assert key not in self.cancelled, "an answer to what was cancelled"
                    self.open[wire.number].remove(item.correlation)
                    self.ended[key] += 1
            assert sorted(wire.member.asked) == sorted(self.open.get(wire.number, []))
            assert len(wire.member.answering) == len(self.to_answer.get(wire.number, []))

    def forget(self, responder: int, asker: int, number: int) -> bool:
        """Whether the responder had that request, and had not answered it."""
        to_answer = self.to_answer.get(responder, [])
        for request in to_answer:
            if (request.source, request.correlation) == (asker, number):
                to_answer.remove(request)
                return True
        return False


@pytest.mark.slow
@given(st.lists(moves, min_size=10, max_size=60))
@settings(max_examples=1000, deadline=None)
def test_each_request_ends_exactly_once_whatever_happens(script: list[Move]) -> None:
    office = Office()
    for member in (0, 1):
        office.take(Move("serve", member, 0))
    for move in script:
        office.take(move)
        office.look()
    for wire in office.members:
        for request in office.to_answer.get(wire.number, []):
            wire.reply(request)
    for wire in office.members:
        office.to_answer[wire.number] = []
    office.look()
    assert set(office.ended) == office.made
    assert set(office.ended.values()) <= {1}
    for wire in office.bus.wires:
        assert not wire.member.asked
        assert not wire.member.answering
    stats = office.bus.router.stats()
    assert stats.requests == stats.answered + stats.failed + stats.cancelled


def test_topic_of_an_answer_is_passed_on_unread() -> None:
    """The asker knows what it asked for: what a responder writes there is its own affair."""
    _, asker, one, _ = trio()
    serving(one, "do")
    number = asker.request("do")
    asked(one)
    one.feed(encode(Frame(Kind.REP, number, "what?", b"so", asker.number)))
    assert asker.answer().body == b"so"
