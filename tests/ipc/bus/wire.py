"""A bus without sockets: the router, and connections to it that speak bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.ipc._errors import IpcError
from symphony.ipc.bus._access import Permit, allow_all
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._outgoing import Close, Effect, Postpone, Tell
from symphony.ipc.bus._reports import BusStats, EndpointInfo
from symphony.ipc.bus._router import NO_SIDES, Router
from symphony.ipc.bus._sides import Sides
from symphony.ipc.protocol._codecs import opened
from symphony.ipc.protocol._control import CREDIT, Admission, Greeting, Policy, Serve, Subscribe
from symphony.ipc.protocol._frames import (
    DEADLINE,
    Frame,
    FrameParser,
    Kind,
    decode_body,
    encode,
    encode_body,
)
from symphony.testing import FakeClock

T = TypeVar("T")

PLENTY = 2**32 - 1
DEFAULTS = BusConfig()


class Got(NamedTuple):
    """A publication, and the subscription that it was sent for."""

    subscription: int
    topic: str
    body: bytes
    source: int


Arrival = Got | Frame


class Bus:
    """A router, and what the broker does around it: errors end the connection that made them,
    what is to be sent is sent after each read."""

    def __init__(
        self,
        config: BusConfig = DEFAULTS,
        *,
        permit: Permit = allow_all,
        epoch: str = "",
        sides: Sides = NO_SIDES,
    ) -> None:
        self.clock = FakeClock()
        self.router = Router(
            config, permit=permit, monotonic=self.clock.monotonic, epoch=epoch, sides=sides
        )
        self.wires: list[Wire] = []
        #: Those that concern the log.
        self.effects: list[Effect] = []

    def connect(self, peer: str = "a test") -> Wire:
        wire = Wire(self, peer)
        self.wires.append(wire)
        return wire

    def join(self, name: str, instance: str = "", capabilities: tuple[str, ...] = ()) -> Wire:
        wire = self.connect()
        wire.greet(name, instance or name, capabilities)
        assert wire.error is None, wire.error
        return wire

    def wait(self, seconds: float) -> None:
        """Let time pass, with nobody looking."""
        asyncio.run(self.clock.advance(seconds))

    def advance(self, seconds: float) -> None:
        """Let time pass, then have the router look at everybody."""
        self.wait(seconds)
        self.do(self.router.tick)

    def do(self, change: Callable[[], object]) -> None:
        change()
        self.flush()

    def flush(self) -> None:
        outgoing = self.router.outgoing
        while outgoing.effects:
            effects = outgoing.effects.copy()
            outgoing.effects.clear()
            for effect in effects:
                self._perform(effect)
        assert len(set(outgoing.dirty)) == len(outgoing.dirty)
        for wire in self.wires:
            assert bool(wire.member.out) == (wire.member in outgoing.dirty)
            if not wire.left:
                wire.arrived(b"".join(wire.member.out))
            wire.member.out.clear()
        outgoing.dirty.clear()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Close(member, parts):
                (wire,) = (each for each in self.wires if each.member is member)
                wire.arrived(b"".join(member.out[:parts]))
                wire.left = True
                self.router.leave(member)
            case Postpone(member):
                (wire,) = (each for each in self.wires if each.member is member)
                wire.attempt(lambda: self.router.go_on(member))
            case Tell():
                self.router.tell()
            case _:
                self.effects.append(effect)


class Wire:
    """One connection: what an endpoint would write, what it would read."""

    def __init__(self, bus: Bus, peer: str) -> None:
        self.bus = bus
        self.member = bus.router.connect(peer)
        self.number = 0
        self.admission: Admission | None = None
        #: What the router raised for what was sent.
        self.error: IpcError | None = None
        #: It was told goodbye.
        self.left = False
        #: Publish credit, as the endpoint counts it.
        self.frames = self.size = 0
        self._parser = FrameParser()
        self._correlation = 0
        self._for: int | None = None
        self._inbox: list[Arrival] = []

    # What it sends.

    def feed(self, data: bytes) -> None:
        self.attempt(lambda: self.bus.router.receive(self.member, data))
        self.bus.flush()

    def attempt(self, receive: Callable[[], None]) -> None:
        try:
            receive()
        except IpcError as error:
            self.error = error
            self.bus.router.refuse(self.member, error)

    def send(self, *frames: Frame) -> None:
        self.feed(b"".join(map(encode, frames)))

    def leave(self) -> None:
        self.bus.do(lambda: self.bus.router.leave(self.member))

    def next(self) -> int:
        self._correlation += 1
        return self._correlation

    def frame(self, kind: Kind, correlation: int = 0, topic: str = "", body: bytes = b"") -> Frame:
        return Frame(kind, correlation, topic, body, self.number)

    def greet(self, name: str, instance: str, capabilities: tuple[str, ...] = ()) -> None:
        greeting = Greeting(
            name=name, instance=instance, max_frame=2**24, capabilities=list(capabilities)
        )
        self.send(Frame(Kind.HELLO, body=encode_body(greeting)))

    def subscribe(
        self,
        pattern: str,
        frames: int = PLENTY,
        size: int = PLENTY,
        *,
        policy: Policy = Policy.BLOCK,
        group: str = "",
        where: str = "",
        after: int | None = None,
        durable: str = "",
    ) -> int:
        """The subscription's number; what answers it is left to be read."""
        wish = Subscribe(
            credit_frames=frames,
            credit_bytes=size,
            policy=policy,
            group=group,
            filter=where,
            after=after,
            durable=durable,
        )
        return self._register(Kind.SUB, pattern, encode_body(wish))

    def serve(self, pattern: str, priority: int = 0) -> int:
        return self._register(Kind.SERVE, pattern, encode_body(Serve(priority=priority)))

    def publish(self, topic: str, *bodies: bytes) -> None:
        """In one go, as far as the router cares: a run."""
        self.send(*(self.frame(Kind.PUB, 0, topic, body) for body in bodies))

    def request(self, topic: str, body: bytes = b"", *, deadline_ms: int | None = None) -> int:
        frame = self.frame(Kind.REQ, self.next(), topic, body)
        if deadline_ms is not None:
            frame = msgspec.structs.replace(frame, flags=DEADLINE, deadline_ms=deadline_ms)
        self.send(frame)
        return frame.correlation

    def reply(self, request: Frame, body: bytes = b"", kind: Kind = Kind.REP) -> None:
        self.send(Frame(kind, request.correlation, "", body, request.source))

    def cancel(self, correlation: int) -> None:
        self.send(self.frame(Kind.CANCEL, correlation))

    def credit(self, subscription: int, frames: int = PLENTY, size: int = PLENTY) -> None:
        self.send(self.frame(Kind.CREDIT, subscription, body=CREDIT.pack(frames, size)))

    def control(self, kind: Kind, correlation: int) -> None:
        self.send(self.frame(kind, correlation))

    def _register(self, kind: Kind, pattern: str, body: bytes) -> int:
        correlation = self.next()
        self.send(self.frame(kind, correlation, pattern, body))
        return correlation

    # What it reads.

    def arrived(self, data: bytes) -> None:
        self._parser.feed(data)
        while (frame := self._parser.next_frame()) is not None:
            if frame.kind is Kind.WELCOME:
                self.admission = decode_body(frame.body, Admission)
                self.number = frame.source
                self.frames = self.admission.credit_frames
                self.size = self.admission.credit_bytes
            elif frame.kind is Kind.FOR:
                self._for = frame.correlation
            elif frame.kind is Kind.PUB:
                assert self._for is not None, "a publication came for no subscription"
                self._inbox.append(Got(self._for, frame.topic, frame.body, frame.source))
            elif frame.kind is Kind.CREDIT and not frame.flags:
                frames, size = CREDIT.unpack(frame.body)
                self.frames += frames
                self.size += size
            else:
                self._inbox.append(frame)
        assert not self._parser.unfinished

    def read(self) -> list[Arrival]:
        """What has come since, but for publish credit, which is counted."""
        inbox, self._inbox = self._inbox, []
        return inbox

    def got(self, subscription: int | None = None) -> list[bytes]:
        """The bodies of the publications that have come, for one subscription or for all."""
        return [
            item.body
            for item in self.read()
            if isinstance(item, Got) and subscription in (None, item.subscription)
        ]

    def frames_of(self, *kinds: Kind) -> list[Frame]:
        """Those that have come of some kinds; the rest is forgotten."""
        return [item for item in self.read() if isinstance(item, Frame) and item.kind in kinds]

    def answer(self, kind: Kind = Kind.REP) -> Frame:
        """The only thing that has come."""
        (frame,) = self.read()
        assert isinstance(frame, Frame)
        assert frame.kind is kind, frame
        return frame

    def failure(self) -> tuple[int, str]:
        """The correlation and code of the error that is the only thing that has come."""
        frame = self.answer(Kind.ERR)
        return frame.correlation, decode_body(frame.body, ErrorRecord).code

    def farewell(self) -> str | None:
        """The code of the error that it was cut off with, empty for none, None if it was not."""
        goodbyes = self.frames_of(Kind.BYE)
        if not goodbyes:
            return None
        (goodbye,) = goodbyes
        return decode_body(goodbye.body, ErrorRecord).code if goodbye.body else ""

    def news(self, topic: str, type_: type[T]) -> list[T]:
        """What the bus has said of itself on a topic; the rest is forgotten."""
        return [
            opened(1, item.body).payload_as(type_)
            for item in self.read()
            if isinstance(item, Got) and item.topic == topic and item.source == 0
        ]

    # What the bus knows of it.

    def info(self) -> EndpointInfo:
        (info,) = (info for info in self.ask_endpoints() if info.number == self.number)
        return info

    def ask_endpoints(self) -> list[EndpointInfo]:
        return self._ask("bus.endpoints", list[EndpointInfo])

    def ask_stats(self) -> BusStats:
        return self._ask("bus.stats", BusStats)

    def _ask(self, topic: str, type_: type[T]) -> T:
        """Ask the broker itself; what else has come stays to be read."""
        correlation = self.request(topic)
        answer = self._inbox.pop()
        assert isinstance(answer, Frame)
        assert (answer.kind, answer.correlation) == (Kind.REP, correlation)
        return opened(answer.flags, answer.body).payload_as(type_)


def untouched(wires: list[Wire]) -> bool:
    """Whether endpoints can still reach each other, and none has been cut off."""
    for wire in wires:
        assert wire.error is None
        assert not wire.member.closing
        wire.read()
    listener, speaker = wires[0], wires[-1]
    subscription = listener.subscribe("still.here")
    serving = listener.serve("still.there")
    listener.read()
    speaker.publish("still.here", b"news")
    speaker.request("still.there", b"question")
    heard = listener.read()
    assert Got(subscription, "still.here", b"news", speaker.number) in heard
    (question,) = (item for item in heard if isinstance(item, Frame) and item.kind is Kind.REQ)
    listener.reply(question, b"answer")
    (answer,) = speaker.frames_of(Kind.REP)
    listener.control(Kind.UNSUB, subscription)
    listener.control(Kind.UNSERVE, serving)
    listener.read()
    return answer.body == b"answer"
