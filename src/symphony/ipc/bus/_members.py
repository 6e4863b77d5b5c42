"""What the router knows of each connection, its subscriptions and the patterns it serves.

Plain records with slots: they are touched for every message.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from symphony.ipc.protocol._control import Policy
from symphony.ipc.protocol._frames import HEADER, Kind

if TYPE_CHECKING:
    from symphony.ipc.bus._filters import Filter

#: The number of a connection that has not said who it is; no frame can carry it.
STRANGER = -1

#: Parts of one frame that are held; more are crumbs.
MANY_PARTS = 4096


class Health(Enum):
    """How soon an endpoint answers a sign of life."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Debt:
    """Publish credit that is given back when the last `block` subscription has taken a run."""

    __slots__ = ("frames", "publisher", "size", "waiting")

    def __init__(self, publisher: Member | None, frames: int, size: int) -> None:
        self.publisher = publisher
        self.frames = frames
        self.size = size
        self.waiting = 0


class Waiting(NamedTuple):
    """A run of frames in a subscription's queue: whole frames, back to back, from `at` on. What
    stood before that has gone; cutting it off would copy all the rest each time."""

    run: bytes
    frames: int
    debt: Debt
    at: int = 0


class Subscription:
    """`frames` and `size` are the credit left; `queue` holds what came after it ran out."""

    __slots__ = (
        "condition",
        "delivered",
        "draining",
        "dropped",
        "durable",
        "ended",
        "filtered",
        "frames",
        "group",
        "hungry",
        "id",
        "marker",
        "member",
        "pattern",
        "policy",
        "position",
        "queue",
        "queued_frames",
        "queued_size",
        "reading",
        "resumes",
        "size",
        "window_frames",
        "window_size",
    )

    def __init__(
        self,
        id_: int,
        member: Member,
        pattern: str,
        *,
        policy: Policy,
        frames: int,
        size: int,
        group: str = "",
        condition: Filter | None = None,
        durable: str = "",
    ) -> None:
        self.id = id_
        self.member = member
        self.pattern = pattern
        self.policy = policy
        self.group = group
        self.condition = condition
        self.frames = self.window_frames = frames
        self.size = self.window_size = size
        #: One that resumes gets kept messages alone, from behind its position in the log.
        self.resumes = False
        self.position = 0
        self.durable = durable
        #: Whether somebody reads the log for it, and whether there may be more to read.
        self.reading = False
        self.hungry = False
        self.queue: deque[Waiting] = deque()
        self.queued_frames = 0
        self.queued_size = 0
        self.marker = HEADER.pack(HEADER.size, Kind.FOR, 0, 0, member.number, id_)
        self.draining = False
        self.ended = False
        self.delivered = 0
        self.dropped = 0
        self.filtered = 0


class Serving(NamedTuple):
    """A pattern that an endpoint answers requests for."""

    id: int
    member: Member
    pattern: str
    priority: int


class Member:
    """A connection, and the endpoint behind it once it has been admitted."""

    __slots__ = (
        "answering",
        "asked",
        "asked_at",
        "bytes_in",
        "capabilities",
        "closing",
        "current",
        "frames_in",
        "health",
        "instance",
        "lag_s",
        "max_frame",
        "may_publish",
        "may_request",
        "missing",
        "name",
        "number",
        "out",
        "owed_frames",
        "owed_size",
        "parts",
        "peer",
        "pinged_at",
        "postponed",
        "publish_frames",
        "publish_size",
        "requests_in",
        "servings",
        "since",
        "subscriptions",
    )

    def __init__(self, peer: str, since: float) -> None:
        self.peer = peer
        self.since = since
        self.number = STRANGER
        self.name = ""
        self.instance = ""
        self.capabilities: tuple[str, ...] = ()
        self.closing = False
        #: The largest frame that both sides take.
        self.max_frame = 0
        self.out: list[bytes] = []
        #: A frame that has not arrived whole, and how many of its bytes are missing at least.
        self.parts: list[bytes] = []
        self.missing = 0
        #: What has come and is to be dealt with in the next turn of the loop.
        self.postponed = b""
        #: The subscription that the last FOR frame sent to it named.
        self.current: Subscription | None = None
        self.subscriptions: dict[int, Subscription] = {}
        self.servings: dict[int, Serving] = {}
        #: Its open requests by correlation, and who is to answer; and those that it is to answer.
        self.asked: dict[int, Member] = {}
        self.answering: dict[tuple[int, int], Member] = {}
        self.may_publish: set[bytes] = set()
        self.may_request: set[bytes] = set()
        #: Publish credit that it has, and that it is owed.
        self.publish_frames = 0
        self.publish_size = 0
        self.owed_frames = 0
        self.owed_size = 0
        #: When a sign of life was last asked for, and since when it is owed.
        self.asked_at = since
        self.pinged_at: float | None = None
        self.lag_s = 0.0
        self.health = Health.HEALTHY
        self.frames_in = 0
        self.bytes_in = 0
        self.requests_in = 0

    def hold(self, part: bytes, missing: int) -> None:
        """Keep the beginning of a frame until `missing` more bytes have come."""
        self.parts.append(part)
        self.missing = missing

    def gather(self, data: bytes) -> bytes:
        """What was held and `data` together, or nothing while bytes are missing. The parts of a
        large frame are joined once, not each time that more of it comes; only crumbs earlier, of
        which there could be millions."""
        self.parts.append(data)
        self.missing -= len(data)
        if self.missing > 0:
            if len(self.parts) >= MANY_PARTS:
                self.parts = [b"".join(self.parts)]
            return b""
        whole = b"".join(self.parts)
        self.parts.clear()
        self.missing = 0
        return whole
