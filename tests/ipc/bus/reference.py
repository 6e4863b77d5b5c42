"""What the router should do, said as plainly as can be: one frame at a time, everything looked up
anew each time, no runs, no caches, no bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from symphony.ipc.protocol._control import Policy

#: What came to a member: what it is, and what tells it from others of its kind.
Event = tuple[object, ...]


@dataclass(eq=False)
class Reader:
    """A subscription: a window, a queue behind it, a policy."""

    policy: Policy
    window: int
    window_size: int
    sent: list[bytes] = field(default_factory=list)
    queue: list[bytes] = field(default_factory=list)
    dropped: int = 0
    cut_off: bool = False

    def __post_init__(self) -> None:
        self.frames, self.size = self.window, self.window_size

    def offer(self, frame: bytes) -> None:
        if self.cut_off:
            self.dropped += 1
            return
        self.queue.append(frame)
        self.pump()
        if self.policy is Policy.BLOCK or not self.overfull:
            return
        if self.policy is Policy.DISCONNECT:
            self.cut_off = True
        elif self.policy is Policy.DROP_NEWEST:
            self.queue.pop()
            self.dropped += 1
        else:
            while self.overfull:
                self.queue.pop(0)
                self.dropped += 1

    def credit(self, frames: int, size: int) -> None:
        self.frames += frames
        self.size += size
        self.pump()

    def pump(self) -> None:
        while self.queue and self.frames > 0 and self.size > 0:
            frame = self.queue.pop(0)
            self.frames -= 1
            self.size -= len(frame)
            self.sent.append(frame)

    @property
    def queued_size(self) -> int:
        return sum(map(len, self.queue))

    @property
    def overfull(self) -> bool:
        return len(self.queue) > self.window or self.queued_size > self.window_size


def fits(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(fits(rest, topic[skipped:]) for skipped in range(len(topic) + 1))
    if first == ">":
        return bool(topic)
    return bool(topic) and first in ("*", topic[0]) and fits(rest, topic[1:])


def matching(pattern: str, topic: str) -> bool:
    return fits(pattern.split("."), topic.split("."))


def exactness(pattern: str) -> tuple[bool, bool, int, int, int]:
    """The larger the more exact: no wildcards, then no `#` and `>`, then how many names it begins
    with, then how many it has, then how few steps may be no name at all."""
    tokens = pattern.split(".")
    wild = [token in "*#>" for token in tokens]
    begins = wild.index(True) if any(wild) else len(tokens)
    return (
        not any(wild),
        not {"#", ">"} & set(tokens),
        begins,
        wild.count(False),
        -tokens.count("#"),
    )


@dataclass(eq=False)
class Listening:
    id: int
    owner: str
    pattern: str
    group: str
    accepts: Callable[[str, str], bool]
    reader: Reader
    draining: bool = False
    #: What each of the reader's frames was: its topic, its publisher.
    facts: dict[bytes, tuple[str, str]] = field(default_factory=dict)


@dataclass(eq=False)
class Answering:
    id: int
    owner: str
    pattern: str
    priority: int


class Reference:
    """A bus of members by name. `choose` says which of several that may be asked was: the
    reference knows who may be, not whose turn it is."""

    def __init__(self, choose: Callable[[str, int, set[str]], str]) -> None:
        self._choose = choose
        self.here: list[str] = []
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.listening: list[Listening] = []
        self.answering: list[Answering] = []
        #: Open requests: who asked with which number, and who is to answer.
        self.open: dict[tuple[str, int], str] = {}
        self._news = 0
        self._changed: dict[str, None] = {}

    def tell(self, member: str, *event: object) -> None:
        self.events[member].append(event)

    def settle(self) -> None:
        """All that came in one go has been dealt with: of whom it changed that is told once."""
        changed, self._changed = self._changed, {}
        for _ in changed:
            self.news("bus.endpoint.changed")

    def join(self, member: str) -> None:
        self.here.append(member)
        self.news("bus.endpoint.joined")

    def leave(self, member: str) -> None:
        if member not in self.here:
            return
        self.here.remove(member)
        self.answering = [serving for serving in self.answering if serving.owner != member]
        for listening in [each for each in self.listening if each.owner == member]:
            self._end(listening)
        for asker, number in [key for key in self.open if key[0] == member]:
            self.cancel(asker, number)
        for (asker, number), responder in tuple(self.open.items()):
            if responder == member:
                del self.open[asker, number]
                self.tell(asker, "error", number, "ipc.responder_gone")
        self.news("bus.endpoint.left")

    # Publications.

    def subscribe(self, listening: Listening) -> None:
        self.listening.append(listening)
        self.tell(listening.owner, "done", listening.id)
        self._changed[listening.owner] = None

    def unsubscribe(self, member: str, id_: int) -> None:
        listening = self._listening(member, id_)
        if listening is not None:
            self._end(listening)
            self._changed[member] = None
        self.tell(member, "done", id_)

    def drain(self, member: str, id_: int) -> None:
        listening = self._listening(member, id_)
        if listening is None:
            self.tell(member, "done", id_)
        else:
            listening.draining = True
            self._end_if_drained(listening)

    def credit(self, member: str, id_: int, frames: int) -> None:
        listening = self._listening(member, id_)
        if listening is not None:
            self._let(listening, lambda reader: reader.credit(frames, 0))
            self._end_if_drained(listening)

    def publish(self, source: str, topic: str, body: bytes) -> None:
        if topic.startswith("bus."):
            self.tell(source, "error", 0, "ipc.not_permitted")
            self.news("bus.dead")
        else:
            self._spread(source, topic, body)

    def news(self, topic: str) -> None:
        self._news += 1
        self._spread("bus", topic, b"news %d" % self._news)

    def _spread(self, source: str, topic: str, body: bytes) -> None:
        wanting = [
            each
            for each in self.listening
            if not each.draining and matching(each.pattern, topic) and each.accepts(topic, source)
        ]
        groups: dict[tuple[str, str], list[Listening]] = {}
        for listening in wanting:
            if listening.group:
                groups.setdefault((listening.pattern, listening.group), []).append(listening)
            else:
                self._hand(listening, source, topic, body)
        for group in groups.values():
            self._hand(self._emptiest(group), source, topic, body)

    def _emptiest(self, group: list[Listening]) -> Listening:
        best = group[0]
        for listening in group[1:]:
            mine, its = self._room(listening.reader), self._room(best.reader)
            if mine > its:
                best = listening
        return best

    def _room(self, reader: Reader) -> tuple[bool, int]:
        return not reader.queue and reader.frames > 0, reader.frames - len(reader.queue)

    def _hand(self, listening: Listening, source: str, topic: str, body: bytes) -> None:
        listening.facts[body] = (topic, source)
        self._let(listening, lambda reader: reader.offer(body))

    def _let(self, listening: Listening, act: Callable[[Reader], None]) -> None:
        """Whatever the reader is sent by it reaches its owner."""
        before = len(listening.reader.sent)
        act(listening.reader)
        for body in listening.reader.sent[before:]:
            topic, source = listening.facts[body]
            shown = b"" if source == "bus" else body
            self.tell(listening.owner, "message", listening.id, topic, source, shown)

    def _end_if_drained(self, listening: Listening) -> None:
        if listening.draining and not listening.reader.queue:
            self._end(listening)
            self.tell(listening.owner, "done", listening.id)
            self._changed[listening.owner] = None

    def _end(self, listening: Listening) -> None:
        """What waits for it goes to the others of its group."""
        self.listening.remove(listening)
        for body in listening.reader.queue if listening.group else ():
            topic, source = listening.facts[body]
            others = [
                each
                for each in self.listening
                if (each.group, each.pattern) == (listening.group, listening.pattern)
                and not each.draining
                and each.owner in self.here
                and each.accepts(topic, source)
            ]
            if others:
                self._hand(self._emptiest(others), source, topic, body)

    def _listening(self, member: str, id_: int) -> Listening | None:
        for each in self.listening:
            if (each.owner, each.id) == (member, id_):
                return each
        return None

    # Requests.

    def serve(self, serving: Answering) -> None:
        self.answering.append(serving)
        self.tell(serving.owner, "done", serving.id)
        self._changed[serving.owner] = None

    def unserve(self, member: str, id_: int) -> None:
        for serving in self.answering:
            if (serving.owner, serving.id) == (member, id_):
                self.answering.remove(serving)
                self._changed[member] = None
                break
        self.tell(member, "done", id_)

    def request(self, asker: str, number: int, topic: str, body: bytes) -> None:
        able = [each for each in self.answering if matching(each.pattern, topic)]
        if not able:
            self.tell(asker, "error", number, "ipc.no_responder")
            self.news("bus.dead")
            return
        best = max((each.priority, exactness(each.pattern)) for each in able)
        owners = {each.owner for each in able if (each.priority, exactness(each.pattern)) == best}
        fewest = min(self._burden(owner) for owner in owners)
        responder = self._choose(
            asker, number, {owner for owner in owners if self._burden(owner) == fewest}
        )
        self.open[asker, number] = responder
        self.tell(responder, "request", asker, number, topic, body)

    def answer(self, responder: str, asker: str, number: int, body: bytes) -> None:
        if self.open.get((asker, number)) == responder:
            del self.open[asker, number]
            self.tell(asker, "reply", number, body)

    def cancel(self, asker: str, number: int) -> None:
        responder = self.open.pop((asker, number), None)
        if responder is not None:
            self.tell(responder, "cancel", asker, number)

    def _burden(self, member: str) -> int:
        return list(self.open.values()).count(member)
