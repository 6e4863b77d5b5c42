"""The broker's mind: bytes of endpoints in, bytes for endpoints out. No I/O, no loop, no clock of
its own.

Two ways through it. What is frequent (publications, requests, answers) is read from the header in
`receive` and forwarded as the bytes that came; no body, and of the rest only the topic, is looked
at. What is rare becomes a `Frame` and goes by its kind through `_take`.

An endpoint that breaks the protocol is told why and cut off, which `receive` leaves to its caller
by raising; that another endpoint notices nothing of it is the point of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct as Layout

import msgspec

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.ipc._errors import (
    BadFrame,
    BusClosing,
    FrameTooLarge,
    IpcError,
    LimitReached,
    NameTaken,
    NotKept,
)
from symphony.ipc.bus._access import RESERVED, Action, Grants, Permit
from symphony.ipc.bus._admission import check_greeting, welcome
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._delivery import Delivery, split
from symphony.ipc.bus._filters import FilterFacts
from symphony.ipc.bus._log import Kept
from symphony.ipc.bus._members import STRANGER, Member, Subscription
from symphony.ipc.bus._news import News
from symphony.ipc.bus._outgoing import Keep, Outgoing, Postpone
from symphony.ipc.bus._pulse import Pulse
from symphony.ipc.bus._questions import Questions
from symphony.ipc.bus._registrations import Registrations
from symphony.ipc.bus._reports import JOINED, LEFT, BusStats, Counters, totals
from symphony.ipc.bus._requests import Requests
from symphony.ipc.bus._sharing import SharedRun, handle_of, weight
from symphony.ipc.bus._sides import NoSides, Sides
from symphony.ipc.protocol._control import CREDIT, Greeting, Subscribed
from symphony.ipc.protocol._frames import (
    DEADLINE,
    HEADER,
    NOT_PLAIN,
    NOT_PLAIN_REQUEST,
    SEQUENCE,
    SHARED,
    Frame,
    Kind,
    check_header,
    decode_body,
    encode,
    encode_body,
    frame_at,
    frame_size,
    topic_text,
)

UNPACK = HEADER.unpack_from
LENGTH = Layout("<I").unpack_from
HEADER_SIZE = HEADER.size
PUB, REQ = int(Kind.PUB), int(Kind.REQ)
ANSWERS = (int(Kind.REP), int(Kind.ERR))


#: How long one endpoint may keep the others waiting with what is rare, before the rest of what it
#: sent is put off. What is frequent takes a few microseconds a message and is not looked at.
TURN_S = 0.001

NO_SIDES = NoSides()

log = get_logger("ipc.bus")


class Router:
    """Call `connect` for each connection, `receive` with what it sends, `leave` when it ends,
    `tick` now and then; after each, empty `outgoing`."""

    def __init__(
        self,
        config: BusConfig,
        *,
        permit: Permit,
        monotonic: Callable[[], float],
        epoch: str = "",
        sides: Sides = NO_SIDES,
    ) -> None:
        self.outgoing = Outgoing(sides.hand_over)
        self._sides = sides
        self._config = config
        self._grants = Grants(permit)
        self._monotonic = monotonic
        self._epoch = epoch
        self._limit = config.max_frame_bytes
        self._delivery = Delivery(
            self.outgoing, config.publish_frames, config.publish_bytes, config.max_backlog_bytes
        )
        self._requests = Requests(self.outgoing, config.max_requests)
        self._numbers = 0
        self._members: dict[int, Member] = {}
        self._names: dict[str, Member] = {}
        self._begun = monotonic()
        self._gone = Counters()
        self._closing = False
        self._refused = self._kept = 0
        self._news = News(self.outgoing, self._delivery, monotonic, self._limit)
        self._pulse = Pulse(config, self.outgoing, self._news, monotonic, refuse=self.refuse)
        registrations = self._registrations = Registrations(
            self.outgoing,
            self._delivery,
            self._requests,
            self._news,
            grants=self._grants,
            limit=config.max_registrations,
            keeps=bool(epoch),
            gone=self._gone,
        )
        #: Refuses a subscription that cannot begin, or go on.
        self.refuse_subscription = registrations.refuse_subscription
        questions = self._questions = Questions(
            self.outgoing,
            self._requests,
            self._members,
            stats=self.stats,
            monotonic=monotonic,
            limit=self._limit,
        )
        #: Who is on the bus.
        self.endpoints = questions.endpoints
        self._by_kind: dict[Kind, Callable[[Member, Frame], None]] = {
            Kind.SUB: registrations.subscribe,
            Kind.UNSUB: registrations.end_subscription,
            Kind.SERVE: registrations.serve,
            Kind.UNSERVE: registrations.end_serving,
            Kind.PUB: self._publish,
            Kind.CANCEL: self._cancel,
            Kind.CREDIT: registrations.credit,
            Kind.PING: self._pong,
            Kind.PONG: self._pulse.alive,
            Kind.DRAIN: registrations.drain,
            Kind.BYE: self._goodbye,
        }

    def receive(self, member: Member, data: bytes) -> None:
        """Take what came from a connection, cut anywhere; raises IpcError if it breaks the
        protocol, after which it must be told and closed (`refuse`)."""
        if member.missing:
            data = member.gather(data)
        at, end = 0, len(data)
        limit, turn_ends = self._limit, 0.0
        while end - at >= HEADER_SIZE and not member.closing:
            size, kind, flags, topic_size, source, correlation = UNPACK(data, at)
            stop = at + size
            if stop > end or size > limit or size < HEADER_SIZE + topic_size:
                check_header(data, at, limit)
                break
            if kind == PUB and source == member.number and not flags & NOT_PLAIN:
                at = self._take_run(member, data, at, stop, HEADER_SIZE + topic_size)
                continue
            if kind == REQ and source == member.number and not flags & NOT_PLAIN_REQUEST:
                self._ask(member, data[at:stop], flags, topic_size, correlation)
            elif kind in ANSWERS and not flags & NOT_PLAIN:
                if topic_size:  # hardly ever; who asked must be able to read it
                    topic_text(data[at + HEADER_SIZE : at + HEADER_SIZE + topic_size])
                member.frames_in += 1
                member.bytes_in += size
                self._requests.answer(member, source, correlation, data[at:stop])
            else:
                self._take_rare(member, data, at, stop)
                turn_ends = turn_ends or self._monotonic() + TURN_S
                if stop < end and self._monotonic() > turn_ends:
                    self._postpone(member, data[stop:])
                    return
            at = stop
        if at < end and not member.closing:
            known = end - at >= HEADER_SIZE
            member.hold(data[at:], (LENGTH(data, at)[0] if known else HEADER_SIZE) - (end - at))

    def _take_run(self, member: Member, data: bytes, at: int, stop: int, head_size: int) -> int:
        """All frames from `at` on that differ in their bodies alone; where they end."""
        header = data[at : at + head_size]
        start, frames, size, end = at, 1, stop - at, len(data)
        begins_with = data.startswith
        at = stop
        while True:
            if begins_with(header, at):
                stop = at + size
            elif begins_with(header[4:], at + 4):
                size = LENGTH(data, at)[0]
                if size > self._limit:
                    break
                header = data[at : at + head_size]
                stop = at + size
            else:
                break
            if stop > end or size < head_size:
                break  # for the caller to judge, as the first of a run
            frames += 1
            at = stop
        run = data[start:at]
        self._charge(member, frames, at - start, self._limit)
        topic = header[HEADER_SIZE:]
        if topic not in member.may_publish and not self._may_publish(member, topic, run):
            self._delivery.owe(member, frames, at - start)
        else:
            self._delivery.publish(member, topic, run, frames)
        return at

    def _charge(self, member: Member, frames: int, size: int, largest: int) -> None:
        """Count what was published; the last frame may go beyond the credit in bytes."""
        member.frames_in += frames
        member.bytes_in += size
        member.publish_frames -= frames
        member.publish_size -= size
        if member.publish_frames < 0 or member.publish_size < -largest:
            raise BadFrame("it published more than it had credit for")

    def _ask(
        self, member: Member, frame: bytes, flags: int, topic_size: int, correlation: int
    ) -> None:
        begin = HEADER_SIZE + 4 if flags & DEADLINE else HEADER_SIZE
        if len(frame) < begin + topic_size:
            raise BadFrame("its length is less than header and topic")
        member.frames_in += 1
        member.bytes_in += len(frame)
        topic = frame[begin : begin + topic_size]
        try:
            if topic not in member.may_request and not self._may_request(member, frame, topic):
                return
            self._requests.ask(member, correlation, topic, frame)
        except BadFrame:
            raise
        except IpcError as error:
            self.outgoing.fail(member, correlation, error, topic.decode("utf-8", "replace"))
            self._news.bury(member, frame, error)

    def go_on(self, member: Member) -> None:
        """Take what was put off; raises as `receive` does."""
        data, member.postponed = member.postponed, b""
        self.receive(member, data)

    def _postpone(self, member: Member, rest: bytes) -> None:
        if not member.closing:
            member.postponed = rest
            self.outgoing.effects.append(Postpone(member))

    # What is rare goes this way.

    def connect(self, peer: str) -> Member:
        """A connection has been made by `peer`, in words for people."""
        return Member(peer, self._monotonic())

    def leave(self, member: Member) -> None:
        """The connection has ended: whoever waits for the endpoint learns it."""
        member.closing = True
        if self._members.pop(member.number, None) is None:
            return
        self._sides.forget(member)
        if self._names.get(member.name) is member:
            del self._names[member.name]
        for serving in member.servings.values():
            self._requests.remove(serving)
        for subscription in tuple(member.subscriptions.values()):
            self._registrations.unsubscribe(subscription)
        self._requests.leave(member)
        self._gone.add(member)
        self._news.of(LEFT, member)

    def refuse(self, member: Member, error: SymphonyError) -> None:
        """Tell an endpoint that it has broken the protocol, and end the connection."""
        log.warning("an endpoint was cut off", endpoint=member.name, peer=member.peer, error=error)
        self._refused += 1
        self.outgoing.close(member, error)
        self.leave(member)

    def tick(self) -> None:
        """Ask everybody for a sign of life, and judge those that owe one. Call it a few times
        in `heartbeat_s`."""
        self._pulse.tick(tuple(self._members.values()))

    def stop_intake(self) -> None:
        """Take no new endpoints and requests."""
        self._closing = True
        for member in self._members.values():
            member.may_request.clear()

    @property
    def idle(self) -> bool:
        """Whether no request is open."""
        return not any(member.asked for member in self._members.values())

    def tell(self) -> None:
        """What has come has been dealt with: now there is one thing to say of it."""
        self._news.tell_changes()

    def close(self) -> None:
        """Answer what is open with an error and say goodbye to everybody."""
        error = BusClosing()
        for member in self._members.values():
            for correlation in tuple(member.asked):
                self._requests.cancel(member, correlation)
                self.outgoing.fail(member, correlation, error)
            self.outgoing.close(member, error)

    def withdraw(self, name: str) -> None:
        """Grants of an endpoint have changed: ask for each again, and end what is no longer
        granted. It holds from the endpoint's next frame on."""
        member = self._names.get(name)
        if member is not None:
            member.may_publish.clear()
            member.may_request.clear()
            self._registrations.withdraw(member)

    def kept(self, member: Member, frame: Frame, position: int, *, new: bool) -> None:
        """A message is in the log: its publisher is told, and everybody gets it who does not read
        the log, unless they have had it before."""
        body = CREDIT.pack(0, 0)
        told = Frame(Kind.CREDIT, 0, "", body, member.number, SEQUENCE, 0, frame.sequence)
        self.outgoing.send(member, encode(told))
        if new:
            data = encode(msgspec.structs.replace(frame, sequence=position))
            self._delivery.publish(member, frame.topic.encode(), data, 1)
        else:
            self._delivery.owe(member, 1, frame_size(frame))

    def resume(self, subscription: Subscription, position: int) -> None:
        """The place has been found where a subscription to kept messages begins."""
        subscription.position = position
        self.outgoing.answer(subscription.member, subscription.id, Subscribed(position=position))

    def deliver_kept(self, subscription: Subscription, kept: Kept) -> None:
        """A message out of the log, for which the subscription has credit."""
        frame = Frame(
            Kind.PUB, 0, kept.topic, kept.body, 0, kept.flags | SEQUENCE, 0, kept.position
        )
        facts = FilterFacts.of(frame, kept.source)
        if subscription.condition is None or subscription.condition.accepts(facts):
            self._delivery.put(subscription, encode(frame))
        else:
            subscription.filtered += 1

    def stats(self) -> BusStats:
        return BusStats(
            uptime_s=self._monotonic() - self._begun,
            unrouted=self._delivery.unrouted,
            requests=self._requests.opened,
            answered=self._requests.answered,
            failed=self._requests.failed,
            cancelled=self._requests.cancelled,
            unexpected_answers=self._requests.unexpected,
            refused=self._refused + self._grants.refused,
            dead_letters=self._news.buried,
            undeliverable=self.outgoing.undeliverable,
            kept=self._kept,
            **totals(self._members.values(), self._gone),
        )

    def _take_rare(self, member: Member, data: bytes, at: int, stop: int) -> None:
        check_header(data, at, self._limit)
        frame = frame_at(data, at)
        if frame.flags & SHARED:
            self._take_shared(member, frame, data[at:stop])
        else:
            self._take(member, frame)

    def _take(self, member: Member, frame: Frame) -> None:
        if member.number == STRANGER:
            if frame.kind is not Kind.HELLO:
                raise BadFrame(f"expected HELLO, got {frame.kind.name}")
            self._greet(member, decode_body(frame.body, Greeting))
            return
        if frame.source != member.number and frame.kind not in (Kind.REP, Kind.ERR):
            raise BadFrame(f"it gave itself the number {frame.source}")
        take = self._by_kind.get(frame.kind)
        if take is None:
            raise BadFrame(f"an endpoint does not send {frame.kind.name} so")
        take(member, frame)

    def _take_shared(self, member: Member, frame: Frame, data: bytes) -> None:
        """A frame with a handle; the block is taken in any case, and closed when it is not used."""
        ticket, size = handle_of(frame.body)
        run = SharedRun.of(data, self._sides.claim(member, ticket))
        if size > self._config.max_shared_bytes:
            raise FrameTooLarge(size, self._config.max_shared_bytes)
        if run.block.size != size:
            raise BadFrame(f"a handle on {size} bytes came with a block of {run.block.size}")
        if frame.kind in (Kind.REP, Kind.ERR) and frame.flags & NOT_PLAIN == SHARED:
            self._requests.answer(member, frame.source, frame.correlation, run)
            return
        if frame.source != member.number or frame.flags & NOT_PLAIN_REQUEST != SHARED:
            raise BadFrame(f"it sent {frame.kind.name} so as nobody may")
        topic = frame.topic.encode()
        if frame.kind is Kind.REQ:
            self._ask(member, run, frame.flags, len(topic), frame.correlation)
        elif frame.kind is Kind.PUB:
            self._charge(member, 1, weight(run), weight(run))
            if topic in member.may_publish or self._may_publish(member, topic, run):
                self._delivery.publish_shared(member, topic, run)
            else:
                self._delivery.owe(member, 1, weight(run))
        else:
            raise BadFrame(f"a {frame.kind.name} has no shared body")

    def _greet(self, member: Member, greeting: Greeting) -> None:
        """Let an endpoint in, or raise why not."""
        if self._closing:
            raise BusClosing
        check_greeting(greeting, self._limit)
        former = self._names.get(greeting.name)
        if former is None:
            if len(self._members) >= self._config.max_endpoints:
                raise LimitReached("endpoints", self._config.max_endpoints)
        else:
            if former.instance != greeting.instance:
                raise NameTaken(greeting.name)
            # The same endpoint again: its old connection is dead, though nobody has noticed.
            self.outgoing.close(former)
            self.leave(former)
        self._numbers += 1
        member.number = self._numbers
        member.name, member.instance = greeting.name, greeting.instance
        member.capabilities = tuple(greeting.capabilities)
        member.asked_at = self._monotonic()
        member.publish_frames = self._config.publish_frames
        member.publish_size = self._config.publish_bytes
        self._members[member.number] = self._names[member.name] = member
        member.max_frame = self._limit
        admission = welcome(self._config, member.number, self._epoch, self._sides.offer(member))
        self.outgoing.send(
            member, encode(Frame(Kind.WELCOME, body=encode_body(admission), source=member.number))
        )
        self._news.of(JOINED, member)

    def _publish(self, member: Member, frame: Frame) -> None:
        """A publication that is to be kept."""
        if frame.flags & NOT_PLAIN != SEQUENCE:
            raise BadFrame(f"flags {frame.flags:#04x} make no sense in PUB")
        topic = frame.topic.encode()
        size = frame_size(frame)
        self._charge(member, 1, size, self._limit)
        if topic in member.may_publish or self._may_publish(member, topic, encode(frame)):
            if self._epoch:
                self._kept += 1
                self.outgoing.effects.append(Keep(member, frame))
                return
            self._refuse_publication(member, topic, encode(frame), NotKept(frame.topic))
        self._delivery.owe(member, 1, size)

    def _cancel(self, member: Member, frame: Frame) -> None:
        self._requests.cancel(member, frame.correlation)

    def _pong(self, member: Member, frame: Frame) -> None:
        answer = Frame(Kind.PONG, frame.correlation, "", frame.body, member.number)
        self.outgoing.send(member, encode(answer))

    def _goodbye(self, member: Member, frame: Frame) -> None:
        self.outgoing.close(member)
        self.leave(member)

    def _may_publish(self, member: Member, topic: bytes, run: bytes) -> bool:
        try:
            self._grants.require_topic(member, Action.PUBLISH, topic, member.may_publish)
        except BadFrame:
            raise
        except IpcError as error:
            self._refuse_publication(member, topic, run, error)
            return False
        return True

    def _refuse_publication(
        self, member: Member, topic: bytes, run: bytes, error: IpcError
    ) -> None:
        number = frame_at(run, 0).sequence
        self.outgoing.fail(member, 0, error, topic.decode("utf-8", "replace"), number)
        for frame in split(run):
            self._news.bury(member, frame, error)

    def _may_request(self, member: Member, frame: bytes, topic: bytes) -> bool:
        """False if the broker has answered the request itself; raises NotPermitted, BadTopic."""
        if self._closing:
            raise BusClosing
        if topic.startswith(RESERVED.encode()):
            self._questions.answer(member, frame_at(frame, 0))
            return False
        self._grants.require_topic(member, Action.REQUEST, topic, member.may_request)
        return True
