"""What the router has to send: bytes by member, and the rare things that need more than bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from symphony.commons.errors import SymphonyError
from symphony.ipc.bus._sharing import SharedRun
from symphony.ipc.bus._topics import MAX_BYTES
from symphony.ipc.protocol._frames import SEQUENCE, Frame, Kind, encode, encode_body
from symphony.ipc.transport._shared import SharedBlock

if TYPE_CHECKING:
    from symphony.ipc.bus._members import Member, Subscription


class Close(NamedTuple):
    """End the connection once so many parts of what is to be sent to it have gone out: nothing
    follows a goodbye. Then the member has left."""

    member: Member
    parts: int


class Postpone(NamedTuple):
    """The rest of what a member has sent is for the next turn of the loop: until then, read nothing
    from it, and let the others have their turn."""

    member: Member


class Tell(NamedTuple):
    """There is news to be told when all of what has come has been dealt with."""


class Keep(NamedTuple):
    """Put a message into the log before anybody gets it."""

    member: Member
    frame: Frame


class Resume(NamedTuple):
    """Find the place in the log where a subscription to kept messages begins."""

    subscription: Subscription
    after: int | None
    epoch: str


class Feed(NamedTuple):
    """A subscription to kept messages has credit, and may have more to read."""

    subscription: Subscription


class Acknowledge(NamedTuple):
    """A durable subscription has dealt with everything up to its position."""

    durable: str
    position: int


#: Gives a member a descriptor of a block; the ticket that it lies under there, 0 if it cannot.
HandOver: TypeAlias = Callable[["Member", SharedBlock], int]

Effect: TypeAlias = Close | Postpone | Tell | Keep | Resume | Feed | Acknowledge


class Outgoing:
    """Filled by the router, emptied by the broker after every read."""

    __slots__ = ("_hand_over", "dirty", "effects", "undeliverable")

    def __init__(self, hand_over: HandOver) -> None:
        self._hand_over = hand_over
        #: Frames with a handle whose receiver can neither be handed the block nor sent the content.
        self.undeliverable = 0
        #: Members with something in `out`, each once.
        self.dirty: list[Member] = []
        self.effects: list[Effect] = []

    def send(self, member: Member, data: bytes) -> None:
        if not member.out:
            self.dirty.append(member)
        member.out.append(data)

    def send_shared(self, member: Member, run: SharedRun) -> None:
        """Hand the block over, and send the frame; inline to a member that cannot be handed it.
        Raises FrameTooLarge, BadHandle if that cannot be either."""
        ticket = self._hand_over(member, run.block)
        self.send(member, run.under(ticket) if ticket else run.inline(member.max_frame))

    def answer(self, member: Member, correlation: int, message: object = None) -> None:
        """Say that what the member asked of the broker itself is done."""
        body = b"" if message is None else encode_body(message)
        self.send(member, encode(Frame(Kind.REP, correlation, "", body, member.number)))

    def fail(
        self,
        member: Member,
        correlation: int,
        error: SymphonyError,
        topic: str = "",
        number: int = 0,
    ) -> None:
        """`number` is that of a message that was to be kept. What came as a topic and is none may
        be of any length, so its beginning is told alone."""
        body = encode_body(error.record())
        flags = SEQUENCE if number else 0
        shown = topic[:MAX_BYTES]
        frame = Frame(Kind.ERR, correlation, shown, body, member.number, flags, 0, number)
        self.send(member, encode(frame))

    def close(self, member: Member, error: SymphonyError | None = None) -> None:
        """Say goodbye and why; nothing more is taken from the member."""
        if member.closing:
            return
        member.closing = True
        body = b"" if error is None else encode_body(error.record())
        self.send(member, encode(Frame(Kind.BYE, body=body)))
        self.effects.append(Close(member, len(member.out)))
