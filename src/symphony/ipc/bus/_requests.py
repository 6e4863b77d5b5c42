"""Requests on their way to a responder, and answers on their way back.

A request is open from the moment that it was forwarded until its answer, its cancellation or the
end of either side. It is named by the asker's number and correlation, which no other connection
can claim: an answer to a request that is not open to its sender goes nowhere.
"""

from __future__ import annotations

from symphony.ipc._errors import BadFrame, IpcError, LimitReached, NoResponder, ResponderGone
from symphony.ipc.bus._members import STRANGER, Health, Member, Serving
from symphony.ipc.bus._outgoing import Outgoing
from symphony.ipc.bus._sharing import SharedRun
from symphony.ipc.bus._topics import PatternTable, specificity
from symphony.ipc.protocol._frames import HEADER, Kind

MAX_ROUTES = 10_000


class Requests:
    """The request/reply half of the router."""

    def __init__(self, outgoing: Outgoing, max_requests: int) -> None:
        self._outgoing = outgoing
        self._max_requests = max_requests
        self._table: PatternTable[Serving] = PatternTable()
        self._routes: dict[bytes, tuple[Serving, ...]] = {}
        self._turn = 0
        self.opened = 0
        self.answered = 0
        self.failed = 0
        self.cancelled = 0
        #: Answers to requests that are not open: cancelled meanwhile, or never asked.
        self.unexpected = 0

    def add(self, serving: Serving) -> None:
        self._table.add(serving.pattern, serving)
        self._routes.clear()

    def remove(self, serving: Serving) -> None:
        """It gets no new requests; those that are open it may still answer."""
        self._table.remove(serving.pattern, serving)
        self._routes.clear()

    def ask(self, asker: Member, correlation: int, topic: bytes, frame: bytes) -> None:
        """Forward a request, or raise why nobody will answer it: NoResponder, LimitReached,
        BadTopic, FrameTooLarge; BadFrame if the correlation is in use."""
        if correlation in asker.asked:
            raise BadFrame(f"request {correlation} is open already")
        if len(asker.asked) >= self._max_requests:
            raise LimitReached("open requests", self._max_requests)
        route = self._routes.get(topic)
        if route is None:
            route = self._resolve(topic)
        if not route:
            raise NoResponder(topic.decode())
        responder = route[0].member if len(route) == 1 else self._least_busy(route)
        if type(frame) is SharedRun:
            self._outgoing.send_shared(responder, frame)
        else:
            if not responder.out:
                self._outgoing.dirty.append(responder)
            responder.out.append(frame)
        asker.asked[correlation] = responder
        responder.answering[asker.number, correlation] = asker
        responder.requests_in += 1
        self.opened += 1

    def answer(self, responder: Member, asker: int, correlation: int, frame: bytes) -> bool:
        """Forward a reply or an error; False if it answers nothing that is open to its sender."""
        member = responder.answering.pop((asker, correlation), None)
        if member is None:
            if responder.number == STRANGER:
                raise BadFrame("expected HELLO, got an answer")
            self.unexpected += 1
            return False
        del member.asked[correlation]
        self.answered += 1
        if type(frame) is SharedRun:
            self._answer_shared(member, correlation, frame)
            return True
        if not member.out:
            self._outgoing.dirty.append(member)
        member.out.append(frame)
        return True

    def _answer_shared(self, asker: Member, correlation: int, frame: SharedRun) -> None:
        """Some answer it must have, though this one may be too large for it."""
        try:
            self._outgoing.send_shared(asker, frame)
        except IpcError as error:
            self._outgoing.fail(asker, correlation, error)

    def cancel(self, asker: Member, correlation: int) -> None:
        """The asker no longer wants the answer; the responder is told."""
        responder = asker.asked.pop(correlation, None)
        if responder is None:  # the answer is on its way already
            return
        del responder.answering[asker.number, correlation]
        self.cancelled += 1
        self._outgoing.send(responder, _cancel(asker.number, correlation))

    def responders(self, topic: bytes) -> set[Member]:
        """Who may be given a request; raises BadTopic."""
        return {serving.member for serving in self._resolve(topic)}

    def leave(self, member: Member) -> None:
        """End what the member asked and was asked; its askers are told, and its responders."""
        for correlation in tuple(member.asked):
            self.cancel(member, correlation)
        for (_, correlation), asker in member.answering.items():
            del asker.asked[correlation]
            self.failed += 1
            self._outgoing.fail(asker, correlation, ResponderGone(member.name))
        member.answering.clear()

    def _resolve(self, topic: bytes) -> tuple[Serving, ...]:
        """Of the patterns that match, those that rank highest: by priority, then by how exactly
        they say what they serve."""
        found = self._table.match(topic)
        best = min(map(_rank, found), default=None)
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        route = tuple(serving for serving in found if _rank(serving) == best)
        self._routes[topic] = route
        return route

    def _least_busy(self, route: tuple[Serving, ...]) -> Member:
        """The turn goes round, so that among equals each gets as much."""
        self._turn += 1
        turn = self._turn % len(route)
        members = [serving.member for serving in (*route[turn:], *route[:turn])]
        return min(members, key=_burden)


def _rank(serving: Serving) -> tuple[int, tuple[int, ...]]:
    return -serving.priority, specificity(serving.pattern)


def _burden(member: Member) -> tuple[bool, int]:
    return member.health is Health.UNHEALTHY, len(member.answering)


def _cancel(asker: int, correlation: int) -> bytes:
    return HEADER.pack(HEADER.size, Kind.CANCEL, 0, 0, asker, correlation)
