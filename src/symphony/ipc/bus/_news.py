"""What the broker tells of itself: events of endpoints, and the messages that reach nobody."""

from __future__ import annotations

from collections.abc import Callable

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.ipc.bus._delivery import Delivery
from symphony.ipc.bus._members import Member
from symphony.ipc.bus._outgoing import Outgoing, Tell
from symphony.ipc.bus._reports import CHANGED, DEAD, DeadLetter, endpoint_info
from symphony.ipc.bus._topics import MAX_BYTES
from symphony.ipc.protocol._codecs import seal
from symphony.ipc.protocol._frames import Frame, Kind, encode, frame_at, frame_size

#: Of a dead letter's frame so much is shown.
SHOWN_BYTES = 64 * 1024

log = get_logger("ipc.bus")


class News:
    """Publishes on the topics that are the broker's own, if anybody listens."""

    def __init__(
        self,
        outgoing: Outgoing,
        delivery: Delivery,
        monotonic: Callable[[], float],
        limit: int,
    ) -> None:
        self._outgoing = outgoing
        self._delivery = delivery
        self._monotonic = monotonic
        self._limit = limit
        #: Messages that reached nobody.
        self.buried = 0
        self._changed: dict[Member, None] = {}

    def tell(self, topic: str, payload: object) -> None:
        """Publish news of the bus itself, if anybody listens."""
        if self._delivery.wanted(topic.encode()):
            flags, body = seal(payload, type=topic, source="bus")
            frame = Frame(Kind.PUB, 0, topic, body, 0, flags)
            if frame_size(frame) > self._limit:
                log.warning("too large to be told", topic=topic, size=frame_size(frame))
                return
            self._delivery.publish(None, topic.encode(), encode(frame), 1)

    def of(self, topic: str, member: Member) -> None:
        """Something has happened to an endpoint."""
        self.tell(topic, endpoint_info(member, self._monotonic()))

    def changed(self, member: Member) -> None:
        """What an endpoint subscribes to or serves is not what it was. Told once for all that came
        in one go: what is told says all that it has, so a thousand would be a million."""
        if not self._changed:
            self._outgoing.effects.append(Tell())
        self._changed[member] = None

    def tell_changes(self) -> None:
        changed, self._changed = self._changed, {}
        for member in changed:
            if not member.closing:
                self.of(CHANGED, member)

    def bury(self, member: Member, frame: bytes, error: SymphonyError) -> None:
        """Tell of a message that reaches nobody."""
        self.buried += 1
        if self._delivery.wanted(DEAD.encode()):
            parsed = frame_at(frame, 0)
            letter = DeadLetter(
                reason=error.record(),
                endpoint=member.name,
                kind=parsed.kind.name,
                topic=parsed.topic[:MAX_BYTES],
                size=len(frame),
                frame=frame[: min(SHOWN_BYTES, self._limit // 4)],
            )
            self.tell(DEAD, letter)
