"""What the broker itself answers: who is on the bus, and what went over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symphony.ipc._errors import NoResponder
from symphony.ipc.bus._members import Member
from symphony.ipc.bus._outgoing import Outgoing
from symphony.ipc.bus._reports import (
    ENDPOINTS,
    STATS,
    BusStats,
    EndpointInfo,
    EndpointQuery,
    endpoint_info,
)
from symphony.ipc.bus._requests import Requests
from symphony.ipc.bus._topics import check_topic
from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._frames import Frame, Kind, encode


class Questions:
    """Of what the broker knows of the bus anybody may ask who is on it."""

    def __init__(
        self,
        outgoing: Outgoing,
        requests: Requests,
        members: Mapping[int, Member],
        *,
        stats: Callable[[], BusStats],
        monotonic: Callable[[], float],
        limit: int,
    ) -> None:
        self._outgoing = outgoing
        self._requests = requests
        self._members = members
        self._stats = stats
        self._monotonic = monotonic
        self._limit = limit

    def answer(self, member: Member, frame: Frame) -> None:
        """Raises NoResponder, BadTopic, MessageInvalid, FrameTooLarge."""
        check_topic(frame.topic)
        if frame.topic == STATS:
            payload: object = self._stats()
        elif frame.topic == ENDPOINTS:
            payload = self.endpoints(_query(frame))
        else:
            raise NoResponder(frame.topic)
        flags, body = seal(payload, type=frame.topic, source="bus")
        answer = Frame(Kind.REP, frame.correlation, frame.topic, body, member.number, flags)
        self._outgoing.send(member, encode(answer, self._limit))

    def endpoints(self, query: EndpointQuery) -> list[EndpointInfo]:
        now = self._monotonic()
        members = list(self._members.values())
        if query.capability:
            members = [member for member in members if query.capability in member.capabilities]
        if query.serves:
            serving = self._requests.responders(query.serves.encode())
            members = [member for member in members if member in serving]
        return [endpoint_info(member, now) for member in members]


def _query(frame: Frame) -> EndpointQuery:
    if not frame.body:
        return EndpointQuery()
    return opened(frame.flags, frame.body).payload_as(EndpointQuery)
