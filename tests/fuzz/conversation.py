"""The router in conversation with endpoints that say anything, and two that say what is right.

A conversation is pieces: who u8 | size u16 | bytes. Connections 0 to 3 send them, cut anywhere;
other numbers stand for what else may happen to a router.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from struct import Struct as Layout
from typing import NamedTuple

from symphony.ipc._errors import BusClosing, IpcError
from symphony.ipc.bus._access import Action
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._errors import ResumeGap
from symphony.ipc.bus._log import Kept
from symphony.ipc.bus._members import Member, Subscription
from symphony.ipc.bus._outgoing import Close, Effect, Feed, Keep, Resume
from symphony.ipc.bus._router import Router
from symphony.ipc.bus._topics import matches
from symphony.ipc.protocol._control import Greeting, Policy, Serve, Subscribe
from symphony.ipc.protocol._frames import Frame, FrameParser, Kind, encode, encode_body

CONFIG = BusConfig(
    max_frame_bytes=4096,
    publish_frames=64,
    publish_bytes=16 * 1024,
    max_requests=8,
    max_endpoints=8,
    max_registrations=16,
    heartbeat_s=5.0,
)
PIECE = Layout("<BH")
CONNECTIONS = 4

#: Who a piece is from, if from no connection.
LEAVE, TIME, CLOSING, WITHDRAW = range(CONNECTIONS, CONNECTIONS + 4)

EPOCH = "epoch"
PLENTY = 2**31
LISTENER, SPEAKER = 1, 2


class Piece(NamedTuple):
    who: int
    data: bytes


def pieces_of(data: bytes) -> Iterator[Piece]:
    """Whatever the bytes are, they are a conversation."""
    at = 0
    while at + PIECE.size <= len(data):
        who, size = PIECE.unpack_from(data, at)
        at += PIECE.size
        yield Piece(who % (WITHDRAW + 1), data[at : at + size])
        at += size


def bytes_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(PIECE.pack(who, len(data)) + data for who, data in pieces)


def _greeting(name: str) -> bytes:
    greeting = Greeting(name=name, instance=name, max_frame=4096)
    return encode(Frame(Kind.HELLO, body=encode_body(greeting)))


_WISH = encode_body(Subscribe(credit_frames=PLENTY, credit_bytes=PLENTY))
_LISTENS = b"".join(
    (
        _greeting("witness.listener"),
        encode(Frame(Kind.SUB, 1, "witness.news", _WISH, LISTENER)),
        encode(Frame(Kind.SERVE, 2, "witness.ask", encode_body(Serve(priority=100)), LISTENER)),
    )
)
_SPEAKS = _greeting("witness.speaker")
_TELLS = encode(Frame(Kind.PUB, 0, "witness.news", b"news", SPEAKER))
_ASKS = encode(Frame(Kind.REQ, 77, "witness.ask", b"question", SPEAKER))


class _House:
    """The router with all that a broker does around it, its connections and its log in memory."""

    def __init__(self) -> None:
        self.now = 0.0
        self.strict = False
        self.closing = False
        self.ways: set[str] = set()
        self.log: list[Kept] = []
        self.router = Router(CONFIG, permit=self.permit, monotonic=lambda: self.now, epoch=EPOCH)
        self.heard: dict[Member, list[bytes]] = {}
        self.witnesses = [self.connect(), self.connect()]
        self.send(self.witnesses[0], _LISTENS)
        self.send(self.witnesses[1], _SPEAKS)
        self.connections = [self.connect() for _ in range(CONNECTIONS)]

    def permit(self, name: str, action: Action, topic: str) -> bool:
        return name.startswith("witness") or not (
            topic.startswith("secret") or (self.strict and topic.startswith("b."))
        )

    def connect(self) -> Member:
        member = self.router.connect("somebody")
        self.heard[member] = []
        return member

    def send(self, member: Member, data: bytes) -> None:
        try:
            self.router.receive(member, data)
        except IpcError as error:
            self.ways.add(error.code)
            self.router.refuse(member, error)
        self.flush()

    def take(self, piece: Piece) -> None:
        who, data = piece
        if who < CONNECTIONS:
            if self.connections[who].closing:
                self.connections[who] = self.connect()
            self.send(self.connections[who], data)
            return
        if who == LEAVE:
            self.router.leave(self.connections[len(data) % CONNECTIONS])
        elif who == TIME:
            self.now += 2.5
            self.router.tick()
        elif who == CLOSING:
            self.closing = True
            self.router.stop_intake()
        elif who == WITHDRAW:
            self.strict = True
            for name in ("a", "b", "c.d"):
                self.router.withdraw(name)
        self.flush()

    def flush(self) -> None:
        """What the broker does after each read; effects may have effects."""
        outgoing = self.router.outgoing
        while outgoing.effects or outgoing.dirty:
            for member in outgoing.dirty:
                self.heard[member].append(b"".join(member.out))
                member.out.clear()
            outgoing.dirty.clear()
            effects = outgoing.effects.copy()
            outgoing.effects.clear()
            for effect in effects:
                self.perform(effect)

    def perform(self, effect: Effect) -> None:
        self.ways.add(type(effect).__name__)
        match effect:
            case Close(member):
                self.router.leave(member)
            case Keep(member, frame):
                position = len(self.log) + 1
                self.log.append(Kept(position, frame.topic, frame.flags, frame.body, member.name))
                self.router.kept(member, frame, position, new=True)
            case Resume(subscription, after, epoch) if not subscription.ended:
                if after is not None and epoch != EPOCH:
                    self.router.refuse_subscription(subscription, ResumeGap(after, 1, "another"))
                else:
                    self.router.resume(subscription, after or 0)
                    self.feed(subscription)
            case Feed(subscription) if not subscription.ended:
                self.feed(subscription)

    def feed(self, subscription: Subscription) -> None:
        for kept in self.log[subscription.position :]:
            if subscription.frames <= 0 or subscription.size <= 0:
                return
            if matches(subscription.pattern, kept.topic):
                self.router.deliver_kept(subscription, kept)
            subscription.position = kept.position


def conversation(data: bytes) -> Hashable:
    """Whatever was said, the two that said nothing wrong can still reach each other, what each
    connection was sent is frames, and the router's books agree."""
    house = _House()
    total = 0
    for piece in pieces_of(data):
        house.take(piece)
        total += len(piece.data)
    heard = [b"".join(parts) for parts in house.heard.values()]
    assert sum(map(len, heard)) < 64 * 1024 + 256 * total
    kinds = {frame.kind.name for data in heard for frame in _frames(data)}
    _check_books(house)
    _check_witnesses(house)
    _check_books(house)
    return frozenset(house.ways | kinds)


def _frames(data: bytes) -> list[Frame]:
    """What was sent: whole frames, none larger than was agreed."""
    parser = FrameParser(CONFIG.max_frame_bytes)
    parser.feed(data)
    frames: list[Frame] = []
    while (frame := parser.next_frame()) is not None:
        frames.append(frame)
    assert not parser.unfinished
    return frames


def _check_witnesses(house: _House) -> None:
    listener, speaker = house.witnesses
    assert not listener.closing
    assert not speaker.closing
    house.heard[listener].clear()
    house.send(speaker, _TELLS + _ASKS)
    heard = {frame.body for frame in _frames(b"".join(house.heard[listener]))}
    assert b"news" in heard
    answers = _frames(b"".join(house.heard[speaker]))
    refused = any(BusClosing.code.encode() in frame.body for frame in answers)
    assert refused if house.closing else b"question" in heard
    if not house.closing:
        house.send(listener, encode(Frame(Kind.REP, 77, "", b"answer", SPEAKER)))
        assert _frames(house.heard[speaker][-1])[-1].body == b"answer"


def _check_books(house: _House) -> None:
    router = house.router
    for member in house.heard:
        assert sum(map(len, member.parts)) <= CONFIG.max_frame_bytes
        assert len(member.asked) <= CONFIG.max_requests
        for correlation, responder in member.asked.items():
            assert responder.answering[member.number, correlation] is member
        for (number, correlation), asker in member.answering.items():
            assert number == asker.number
            assert asker.asked[correlation] is member
        if member.closing:
            assert not member.asked
            assert not member.answering
            assert not member.subscriptions
        for subscription in member.subscriptions.values():
            _check_queue(subscription)
    stats = router.stats()
    assert min(stats.queued, stats.dropped, stats.delivered, stats.endpoints) >= 0
    assert stats.requests >= stats.answered + stats.failed + stats.cancelled


def _check_queue(subscription: Subscription) -> None:
    queue = subscription.queue
    assert subscription.queued_frames == sum(waiting.frames for waiting in queue)
    assert subscription.queued_size == sum(len(waiting.run) - waiting.at for waiting in queue)
    assert not queue or subscription.frames <= 0 or subscription.size <= 0
    if subscription.policy in (Policy.DROP_NEWEST, Policy.DROP_OLDEST):
        assert subscription.queued_frames <= subscription.window_frames
        assert subscription.queued_size <= subscription.window_size
