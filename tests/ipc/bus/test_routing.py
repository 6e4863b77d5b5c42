"""What several endpoints do, at random, against the plainest telling of what should come of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ipc.bus.reference import Answering, Event, Listening, Reader, Reference
from tests.ipc.bus.wire import PLENTY, Arrival, Bus, Got, Wire

from symphony.commons.errors import ErrorRecord
from symphony.ipc.bus._reports import EndpointQuery
from symphony.ipc.protocol._control import CREDIT, Policy, Serve, Subscribe
from symphony.ipc.protocol._frames import Frame, Kind, decode_body, encode, encode_body

MEMBERS = ("m0", "m1", "m2", "m3")
TOPICS = ("a", "a.b", "a.c", "a.b.c", "b")
PATTERNS = (*TOPICS, "a.*", "*.b", "a.>", ">", "#", "a.#", "*", "#.c", "bus.dead", "bus.endpoint.*")
POLICIES = (Policy.BLOCK, Policy.DROP_OLDEST, Policy.DROP_NEWEST)
FILTERS: dict[str, Callable[[str, str], bool]] = {
    "": lambda topic, source: True,
    "source == 'm1'": lambda topic, source: source == "m1",
    "source != 'bus' && topic.endsWith('b')": (
        lambda topic, source: source != "bus" and topic.endswith("b")
    ),
}

Act = Callable[[Reference], None]


class Sub(NamedTuple):
    pattern: str
    policy: Policy
    window: int
    group: str
    where: str


class Of(NamedTuple):
    """Something with one of the subscriptions or served patterns that the member has had."""

    kind: Kind
    which: int
    credit: int


class Srv(NamedTuple):
    pattern: str
    priority: int


class Pub(NamedTuple):
    """Several publications with bodies of these sizes."""

    topic: str
    sizes: list[int]


class Req(NamedTuple):
    topic: str


class Rep(NamedTuple):
    """An answer to a request that the answerer has got, or that this member has made, whoever got
    it; it may have been answered or cancelled before."""

    asker: str | None
    which: int


class Cancel(NamedTuple):
    which: int


class Leave(NamedTuple):
    pass


Operation = Sub | Of | Srv | Pub | Req | Rep | Cancel | Leave


class Step(NamedTuple):
    """The frame of the operation is sent but for its last `held` bytes, in two pieces."""

    member: str
    operation: Operation
    held: int
    cut: int


small = st.integers(0, 5)
members = st.sampled_from(MEMBERS)
policies, windows = st.sampled_from(POLICIES), st.sampled_from([0, 1, 2, 3, PLENTY])
filters = st.sampled_from(["", "", *FILTERS])
subscribing = st.builds(
    Sub, st.sampled_from(PATTERNS), policies, windows, st.just(""), filters
) | st.builds(
    Sub, st.sampled_from(["a.*", ">"]), policies, windows, st.sampled_from(["g", "g", "h"]), filters
)
serving = st.builds(Srv, st.sampled_from(PATTERNS[:-2]), st.sampled_from([-100, 0, 0, 1]))
publishing = st.builds(
    Pub, st.sampled_from(("a.b", "a.b", *TOPICS, "bus.x")), st.lists(small, min_size=1, max_size=5)
)
frequent: st.SearchStrategy[Operation] = st.one_of(
    publishing,
    st.builds(Of, st.just(Kind.CREDIT), small, small),
    st.builds(Req, st.sampled_from(TOPICS)),
    st.builds(Rep, st.none() | st.none() | members, small),
)
rare: st.SearchStrategy[Operation] = st.one_of(
    subscribing,
    serving,
    st.builds(Of, st.sampled_from([Kind.UNSUB, Kind.DRAIN, Kind.UNSERVE]), small, small),
    st.builds(Cancel, small),
    st.just(Leave()),
)
holding = st.sampled_from([0, 0, 0, 5, 22, 1000])
whole, cut = st.just(0), st.integers(0, 60)
beginnings = st.builds(Step, members, subscribing | serving, whole, whole)
middles = st.builds(Step, members, frequent | frequent | frequent | rare, holding, cut)
scripts = st.tuples(
    st.lists(beginnings, min_size=6, max_size=10), st.lists(middles, min_size=15, max_size=40)
)


class Stage:
    """The same things done to the router, in bytes, and to the reference."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.reference = Reference(self._whose_turn)
        self.wires: dict[str, Wire] = {}
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.asked: dict[tuple[str, int], str] = {}
        self.requests: dict[str, list[int]] = defaultdict(list)
        self.registered: dict[tuple[str, Kind], list[int]] = defaultdict(list)
        self._unfed: dict[str, bytes] = defaultdict(bytes)
        self._due: dict[str, list[tuple[int, Act]]] = defaultdict(list)
        self._fed: dict[str, int] = defaultdict(int)
        self._sent: dict[str, int] = defaultdict(int)
        self._bodies = 0
        for name in MEMBERS:
            self.wires[name] = self.bus.join(name)
            self.reference.join(name)
        self.collect()

    def take(self, step: Step) -> None:
        if step.member not in self.reference.here:
            return
        if isinstance(step.operation, Leave):
            self.wires[step.member].leave()
            self.collect()
            self.reference.leave(step.member)
            return
        pending = self._unfed[step.member]
        for frame, act in self.frames_of(step.member, step.operation):
            data = encode(frame)
            self._sent[step.member] += len(data)
            self._due[step.member].append((self._sent[step.member], act))
            pending += data
        end = max(len(pending) - step.held, 0)
        self._unfed[step.member] = pending[end:]
        self.feed(step.member, pending[: min(step.cut, end)])
        self.feed(step.member, pending[min(step.cut, end) : end])

    def finish(self) -> None:
        """What was held back comes after all."""
        for member in MEMBERS:
            if member in self.reference.here:
                self.feed(member, self._unfed[member])

    def feed(self, member: str, data: bytes) -> None:
        if not data:
            return
        self.wires[member].feed(data)
        assert self.wires[member].error is None
        self.collect()
        self._fed[member] += len(data)
        due = self._due[member]
        while due and due[0][0] <= self._fed[member]:
            due.pop(0)[1](self.reference)
        self.reference.settle()

    def collect(self) -> None:
        for name, wire in self.wires.items():
            for item in wire.read():
                event = self.event(name, item)
                self.events[name].append(event)
                if event[0] == "request":
                    self.asked[str(event[1]), int(str(event[2]))] = name

    def event(self, member: str, item: Arrival) -> Event:
        names = {wire.number: name for name, wire in self.wires.items()} | {0: "bus"}
        source = names[item.source]
        if isinstance(item, Got):
            shown = b"" if source == "bus" else item.body
            return "message", item.subscription, item.topic, source, shown
        match item.kind:
            case Kind.REQ:
                return "request", source, item.correlation, item.topic, item.body
            case Kind.CANCEL:
                return "cancel", source, item.correlation
            case Kind.ERR:
                assert source == member
                return "error", item.correlation, decode_body(item.body, ErrorRecord).code
            case Kind.REP if item.correlation in self.requests[member]:
                assert source == member
                return "reply", item.correlation, item.body
            case _:
                assert item.kind is Kind.REP, item
                return "done", item.correlation

    def frames_of(self, member: str, operation: Operation) -> list[tuple[Frame, Act]]:
        """What says so, and what should come of it."""
        if isinstance(operation, Pub):
            return [self.publication(member, operation.topic, size) for size in operation.sizes]
        return [self.frame_of(member, operation)]

    def publication(self, member: str, topic: str, size: int) -> tuple[Frame, Act]:
        body = self._body(size)
        frame = self.wires[member].frame(Kind.PUB, 0, topic, body)
        return frame, lambda reference: reference.publish(member, topic, body)

    def frame_of(self, member: str, operation: Operation) -> tuple[Frame, Act]:
        wire = self.wires[member]
        match operation:
            case Sub(pattern, policy, window, group, where):
                id_ = self._registration(member, Kind.SUB)
                wish = Subscribe(
                    credit_frames=window,
                    credit_bytes=PLENTY,
                    policy=policy,
                    group=group,
                    filter=where,
                )
                reader = Reader(policy, window, PLENTY)
                listening = Listening(id_, member, pattern, group, FILTERS[where], reader)
                return (
                    wire.frame(Kind.SUB, id_, pattern, encode_body(wish)),
                    lambda reference: reference.subscribe(listening),
                )
            case Srv(pattern, priority):
                id_ = self._registration(member, Kind.SERVE)
                serving = Answering(id_, member, pattern, priority)
                return (
                    wire.frame(Kind.SERVE, id_, pattern, encode_body(Serve(priority=priority))),
                    lambda reference: reference.serve(serving),
                )
            case Of(kind, which, credit):
                return self._of(member, kind, which, credit)
            case Req(topic):
                number, body = wire.next(), self._body(0)
                self.requests[member].append(number)
                return (
                    wire.frame(Kind.REQ, number, topic, body),
                    lambda reference: reference.request(member, number, topic, body),
                )
            case Rep(None, which):
                got = [key for key, responder in self.asked.items() if responder == member]
                asker, number = got[-1 - which % len(got)] if got else (member, 999)
                return self._answer(member, asker, number)
            case Rep(str(asker), which):
                return self._answer(member, asker, _of_these(self.requests[asker], which))
            case Cancel(which):
                number = _of_these(self.requests[member], which)
                return (
                    wire.frame(Kind.CANCEL, number),
                    lambda reference: reference.cancel(member, number),
                )
            case _:
                raise AssertionError(f"{operation} is no single frame")

    def _answer(self, member: str, asker: str, number: int) -> tuple[Frame, Act]:
        body = self._body(0)
        return (
            Frame(Kind.REP, number, "", body, self.wires[asker].number),
            lambda reference: reference.answer(member, asker, number, body),
        )

    def _of(self, member: str, kind: Kind, which: int, credit: int) -> tuple[Frame, Act]:
        made_by = Kind.SERVE if kind is Kind.UNSERVE else Kind.SUB
        id_ = _of_these(self.registered[member, made_by], which)
        body = CREDIT.pack(credit, 0) if kind is Kind.CREDIT else b""
        acts: dict[Kind, Act] = {
            Kind.UNSUB: lambda reference: reference.unsubscribe(member, id_),
            Kind.DRAIN: lambda reference: reference.drain(member, id_),
            Kind.CREDIT: lambda reference: reference.credit(member, id_, credit),
            Kind.UNSERVE: lambda reference: reference.unserve(member, id_),
        }
        return self.wires[member].frame(kind, id_, body=body), acts[kind]

    def _registration(self, member: str, kind: Kind) -> int:
        id_ = self.wires[member].next()
        self.registered[member, kind].append(id_)
        return id_

    def _body(self, size: int) -> bytes:
        self._bodies += 1
        return b"%d." % self._bodies + bytes(size)

    def _whose_turn(self, asker: str, number: int, able: set[str]) -> str:
        responder = self.asked[asker, number]
        assert responder in able
        return responder


def _of_these(numbers: list[int], which: int) -> int:
    """The last ones first: what is there no longer is asked for less often."""
    return numbers[-1 - which % len(numbers)] if numbers else 999


def in_order(events: list[Event]) -> dict[object, list[Event]]:
    """What has an order: of each subscription its messages, with everything else among them. (A
    run reaches one subscription after the other, the reference frame after frame.) That several
    publications were refused is said once for each run."""
    counted = [event for event in events if event[:2] != ("error", 0)]
    subscriptions = {event[1] for event in counted if event[0] == "message"}
    return {
        subscription: [
            event for event in counted if event[0] != "message" or event[1] == subscription
        ]
        for subscription in (None, *subscriptions)
    }


def refusals(events: list[Event]) -> set[Event]:
    return {event for event in events if event[:2] == ("error", 0)}


@pytest.mark.slow
@given(scripts)
@settings(max_examples=1000, deadline=None)
def test_everybody_gets_what_the_plain_telling_says(script: tuple[list[Step], list[Step]]) -> None:
    stage = Stage()
    for step in (*script[0], *script[1]):
        stage.take(step)
    stage.finish()
    for name in MEMBERS:
        expected = stage.reference.events[name]
        assert in_order(stage.events[name]) == in_order(expected)
        assert refusals(stage.events[name]) == refusals(expected)
    known = {info.name: info for info in stage.bus.router.endpoints(EndpointQuery())}
    assert list(known) == stage.reference.here
    for name, info in known.items():
        expected_queues = [
            (each.pattern, len(each.reader.sent), len(each.reader.queue), each.reader.dropped)
            for each in stage.reference.listening
            if each.owner == name
        ]
        assert expected_queues == [
            (each.pattern, each.delivered, each.queued, each.dropped) for each in info.subscriptions
        ]
