"""Publications on their way to subscriptions: credit, policies, queues, what publishers are owed.

A run is what one publisher sent on one topic in one go: frames back to back, forwarded as the one
piece that they arrived as. Only a subscription that chooses among them (a filter, a group), or
whose credit ends within them, makes the router look at frames one by one.

A publisher's credit for a run comes back when every `block` subscription has taken it: at once if
all have credit, else when the slowest has. So what waits in the broker is at most the publishers'
credit times the subscriptions that are behind, and the queues of the other policies, which are as
long as those subscriptions' own credit. A subscriber for which more waits than any may have waiting
is cut off, whatever its policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct as Layout
from typing import NamedTuple

from symphony.commons.logging import get_logger
from symphony.ipc._errors import IpcError, SlowReader
from symphony.ipc.bus._filters import FilterFacts
from symphony.ipc.bus._members import Debt, Member, Subscription, Waiting
from symphony.ipc.bus._outgoing import Outgoing
from symphony.ipc.bus._sharing import SharedRun, weight
from symphony.ipc.bus._topics import PatternTable
from symphony.ipc.protocol._control import CREDIT, Policy
from symphony.ipc.protocol._frames import HEADER, Kind, frame_at

LENGTH = Layout("<I")

#: Credit goes back when one of so many parts of the window has been used: in few large parts, since
#: a publisher that waits for it costs as much to wake as many messages to send.
PARTS = 2

#: How many topics' routes are remembered.
MAX_ROUTES = 10_000

log = get_logger("ipc.bus")


class Route(NamedTuple):
    """Who gets what is published on a topic."""

    plain: tuple[Subscription, ...]
    filtered: tuple[Subscription, ...]
    groups: tuple[tuple[Subscription, ...], ...]


class Delivery:
    """The publish/subscribe half of the router."""

    def __init__(
        self, outgoing: Outgoing, publish_frames: int, publish_size: int, max_backlog: int
    ) -> None:
        self._outgoing = outgoing
        self._max_backlog = max_backlog
        self._owed_frames = max(publish_frames // PARTS, 1)
        self._owed_size = max(publish_size // PARTS, 1)
        self._table: PatternTable[Subscription] = PatternTable()
        self._routes: dict[bytes, Route] = {}
        #: Frames that nobody had subscribed to.
        self.unrouted = 0

    def add(self, subscription: Subscription) -> None:
        self._table.add(subscription.pattern, subscription)
        self._routes.clear()

    def remove(self, subscription: Subscription) -> None:
        """Nothing more is offered to it; what waits in its queue still does."""
        self._table.remove(subscription.pattern, subscription)
        self._routes.clear()

    def wanted(self, topic: bytes) -> bool:
        """Whether anybody would get a publication; raises BadTopic."""
        return any(self._routes.get(topic) or self._resolve(topic))

    def publish(self, publisher: Member | None, topic: bytes, run: bytes, frames: int) -> None:
        """Forward a run to every subscription of the topic; raises BadTopic."""
        route = self._routes.get(topic) or self._resolve(topic)
        size = len(run)
        debt: Debt | None = None
        dirty = self._outgoing.dirty
        for subscription in route.plain:
            left = subscription.size - size
            if subscription.frames < frames or left < 0 or subscription.queue:
                debt = debt or Debt(publisher, frames, size)
                self._offer(subscription, run, frames, debt)
                continue
            subscription.frames -= frames
            subscription.size = left
            subscription.delivered += frames
            member = subscription.member
            out = member.out
            if not out:
                dirty.append(member)
            if member.current is not subscription:
                member.current = subscription
                out.append(subscription.marker)
            out.append(run)
        if route.filtered or route.groups:
            debt = debt or Debt(publisher, frames, size)
            self._choose(route, publisher.name if publisher else "bus", run, debt)
        elif not route.plain:
            self.unrouted += frames
        if publisher is not None and (debt is None or not debt.waiting):
            self.owe(publisher, frames, size)

    def publish_shared(self, publisher: Member, topic: bytes, run: SharedRun) -> None:
        """Forward a frame with a handle to every subscription of the topic; raises BadTopic."""
        route = self._routes.get(topic) or self._resolve(topic)
        debt = Debt(publisher, 1, weight(run))
        for subscription in route.plain:
            self._offer(subscription, run, 1, debt)
        self._choose(route, publisher.name, run, debt)
        if not any(route):
            self.unrouted += 1
        if not debt.waiting:
            self.owe(publisher, 1, debt.size)

    def credit(self, subscription: Subscription, frames: int, size: int) -> None:
        """The subscriber has dealt with so much and takes more."""
        subscription.frames += frames
        subscription.size += size
        while subscription.queue and subscription.frames > 0 and subscription.size > 0:
            waiting = subscription.queue.popleft()
            subscription.queued_frames -= waiting.frames
            subscription.queued_size -= weight(waiting.run) - waiting.at
            rest = self._take(subscription, waiting)
            if rest is not None:
                self._keep_first(subscription, rest)
            else:
                self._settle(subscription, waiting.debt)

    def forget(self, subscription: Subscription) -> None:
        """The subscription has ended. What its group's others can take they get; the rest is
        counted as dropped, and owed to nobody."""
        for waiting in subscription.queue:
            passed = self._pass_on(subscription, waiting) if subscription.group else 0
            subscription.dropped += waiting.frames - passed
            self._settle(subscription, waiting.debt)
        subscription.queue.clear()
        subscription.queued_frames = subscription.queued_size = 0

    def put(self, subscription: Subscription, frame: bytes) -> None:
        """Send one frame that is not a publisher's, for which the subscription has credit."""
        self._send(subscription, frame, 1)

    def _resolve(self, topic: bytes) -> Route:
        plain, filtered = [], []
        groups: dict[tuple[str, str], list[Subscription]] = {}
        for subscription in self._table.match(topic):
            if subscription.group:
                key = (subscription.pattern, subscription.group)
                groups.setdefault(key, []).append(subscription)
            elif subscription.condition is not None:
                filtered.append(subscription)
            else:
                plain.append(subscription)
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        route = Route(tuple(plain), tuple(filtered), tuple(map(tuple, groups.values())))
        self._routes[topic] = route
        return route

    def _choose(self, route: Route, source: str, run: bytes, debt: Debt) -> None:
        """Frame by frame: those that a filter accepts, and one member of each group."""
        for frame in split(run):
            facts = FilterFacts.of(frame_at(frame, 0), source)
            for subscription in route.filtered:
                if _accepts(subscription, facts):
                    self._offer(subscription, frame, 1, debt)
            for group in route.groups:
                self._offer_one(group, facts, frame, debt)

    def _offer_one(
        self, group: Iterable[Subscription], facts: FilterFacts, frame: bytes, debt: Debt
    ) -> bool:
        """Give a frame to the emptiest of a group; whether any of it takes such frames."""
        able = [
            subscription
            for subscription in group
            if not subscription.member.closing and _accepts(subscription, facts)
        ]
        if able:
            self._offer(max(able, key=_room), frame, 1, debt)
        return bool(able)

    def _offer(self, subscription: Subscription, run: bytes, frames: int, debt: Debt) -> None:
        coming = Waiting(run, frames, debt)
        waiting = coming if subscription.queue else self._take(subscription, coming)
        if waiting is None:
            return
        match subscription.policy:
            case Policy.BLOCK:
                debt.waiting += self._queue_or_cut_off(subscription, waiting)
            case Policy.DROP_OLDEST:
                self._queue(subscription, waiting)
                self._drop_oldest(subscription)
            case Policy.DROP_NEWEST:
                self._queue(subscription, waiting)
                self._drop_newest(subscription)
            case Policy.DISCONNECT:
                self._queue_or_cut_off(subscription, waiting)

    def _take(self, subscription: Subscription, waiting: Waiting) -> Waiting | None:
        """Send what the credit allows; what is left of the run, if anything is."""
        run, frames, debt, at = waiting
        if frames <= subscription.frames and weight(run) - at <= subscription.size:
            self._send(subscription, run[at:] if at else run, frames)
            return None
        if frames == 1:
            if subscription.frames <= 0 or subscription.size <= 0:
                return waiting
            # Larger than what is left, or than a whole window.
            self._send(subscription, run[at:] if at else run, 1)
            return None
        end, taken = _prefix(run, at, subscription.frames, subscription.size)
        if not taken:
            return waiting
        self._send(subscription, run[at:end], taken)
        return Waiting(run, frames - taken, debt, end) if end < len(run) else None

    def _send(self, subscription: Subscription, run: bytes, frames: int) -> None:
        subscription.frames -= frames
        subscription.size -= weight(run)
        subscription.delivered += frames
        member = subscription.member
        if member.current is not subscription:
            member.current = subscription
            self._outgoing.send(member, subscription.marker)
        if type(run) is not SharedRun:
            self._outgoing.send(member, run)
            return
        try:
            self._outgoing.send_shared(member, run)
        except IpcError:
            self._outgoing.undeliverable += 1

    def _queue(self, subscription: Subscription, waiting: Waiting) -> None:
        subscription.queue.append(waiting)
        subscription.queued_frames += waiting.frames
        subscription.queued_size += weight(waiting.run) - waiting.at

    def _keep_first(self, subscription: Subscription, waiting: Waiting) -> None:
        subscription.queue.appendleft(waiting)
        subscription.queued_frames += waiting.frames
        subscription.queued_size += weight(waiting.run) - waiting.at

    def _drop_oldest(self, subscription: Subscription) -> None:
        while _overfull(subscription):
            run, frames, debt, at = subscription.queue.popleft()
            given_up = 0
            while given_up < frames and _overfull(subscription):
                size = LENGTH.unpack_from(run, at)[0] if frames > 1 else weight(run) - at
                at += size
                given_up += 1
                subscription.queued_frames -= 1
                subscription.queued_size -= size
            subscription.dropped += given_up
            if given_up < frames:
                subscription.queue.appendleft(Waiting(run, frames - given_up, debt, at))

    def _drop_newest(self, subscription: Subscription) -> None:
        if not _overfull(subscription):
            return
        run, frames, debt, at = subscription.queue.pop()
        subscription.queued_frames -= frames
        subscription.queued_size -= weight(run) - at
        room = subscription.window_frames - subscription.queued_frames
        space = subscription.window_size - subscription.queued_size
        kept = _fitting(split(run, at), room, space) if frames > 1 else []
        subscription.dropped += frames - len(kept)
        if kept:
            self._queue(subscription, Waiting(b"".join(kept), len(kept), debt))

    def _queue_or_cut_off(self, subscription: Subscription, waiting: Waiting) -> bool:
        """Whether it was queued. One that has been cut off already only waits for its end."""
        member = subscription.member
        if member.closing:
            subscription.dropped += waiting.frames
            return False
        self._queue(subscription, waiting)
        if self._intolerable(subscription):
            error = SlowReader(member.name, "messages", subscription.queued_frames)
            log.warning("a subscriber was cut off", pattern=subscription.pattern, error=error)
            self._outgoing.fail(member, subscription.id, error, subscription.pattern)
            self._outgoing.close(member, error)
        return True

    def _intolerable(self, subscription: Subscription) -> bool:
        """Publishers that come, spend their credit and go could pile up any amount for one that
        blocks, and nobody's credit holds back what the broker itself tells."""
        if subscription.policy is Policy.BLOCK:
            return subscription.queued_size > self._max_backlog
        return _overfull(subscription)

    def _pass_on(self, subscription: Subscription, waiting: Waiting) -> int:
        """To the others of a group whose member has gone; how many frames they have taken."""
        topic = frame_at(waiting.run, 0).topic.encode()
        key = (subscription.pattern, subscription.group)
        others = [
            other
            for other in self._table.match(topic)
            if (other.pattern, other.group) == key and other is not subscription
        ]
        debt = waiting.debt
        if subscription.policy is not Policy.BLOCK:  # its publisher has its credit back already
            debt = Debt(debt.publisher, 0, 0)
        source = debt.publisher.name if debt.publisher else "bus"
        passed = 0
        for frame in split(waiting.run, waiting.at) if others else ():
            facts = FilterFacts.of(frame_at(frame, 0), source)
            passed += self._offer_one(others, facts, frame, debt)
        return passed

    def _settle(self, subscription: Subscription, debt: Debt) -> None:
        """A piece of a run has left the queue; with the last of them goes the debt."""
        if subscription.policy is Policy.BLOCK:
            debt.waiting -= 1
            if not debt.waiting and debt.publisher is not None:
                self.owe(debt.publisher, debt.frames, debt.size)

    def owe(self, publisher: Member, frames: int, size: int) -> None:
        """Credit that the publisher gets back, in parts worth a frame of their own."""
        owed = publisher.owed_frames = publisher.owed_frames + frames
        owed_size = publisher.owed_size = publisher.owed_size + size
        if owed >= self._owed_frames or owed_size >= self._owed_size:
            publisher.publish_frames += owed
            publisher.publish_size += owed_size
            publisher.owed_frames = publisher.owed_size = 0
            header = HEADER.pack(HEADER.size + CREDIT.size, Kind.CREDIT, 0, 0, publisher.number, 0)
            self._outgoing.send(publisher, header + CREDIT.pack(owed, owed_size))


def split(run: bytes, at: int = 0) -> Iterator[bytes]:
    """The frames of a run from one on."""
    if type(run) is SharedRun:
        yield run
        return
    while at < len(run):
        (size,) = LENGTH.unpack_from(run, at)
        yield run[at : at + size]
        at += size


def _prefix(run: bytes, at: int, frames: int, size: int) -> tuple[int, int]:
    """Where those frames of a run end that fit, from `at` on, and how many they are. The last may
    go over the size: else a frame larger than a whole window would wait for ever."""
    end, taken = at, 0
    while taken < frames and end - at < size and end < len(run):
        (length,) = LENGTH.unpack_from(run, end)
        end += length
        taken += 1
    return end, taken


def _fitting(run: Iterable[bytes], frames: int, size: int) -> list[bytes]:
    """Those frames of a run that fit, each judged as if it had come alone."""
    fitting: list[bytes] = []
    for frame in run:
        if len(fitting) >= frames:
            break
        if len(frame) <= size:
            fitting.append(frame)
            size -= len(frame)
    return fitting


def _accepts(subscription: Subscription, facts: FilterFacts) -> bool:
    if subscription.condition is None or subscription.condition.accepts(facts):
        return True
    subscription.filtered += 1
    return False


def _room(subscription: Subscription) -> tuple[bool, int]:
    """Whether it can take a frame now, and how many more it has credit for than wait for it."""
    ready = subscription.frames > 0 and subscription.size > 0 and not subscription.queue
    return ready, subscription.frames - subscription.queued_frames


def _overfull(subscription: Subscription) -> bool:
    return (
        subscription.queued_frames > subscription.window_frames
        or subscription.queued_size > subscription.window_size
    )
