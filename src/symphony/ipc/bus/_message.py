"""What an endpoint receives."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from symphony.ipc.protocol._codecs import opened
from symphony.ipc.protocol._envelope import Envelope
from symphony.ipc.protocol._frames import ENVELOPE

T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, gc=False):
    """A publication, or an answer. `source` is the number of the endpoint that published it, or
    asked; `sequence`, of a kept message, its position in the log, by which to resume.

    Nothing is decoded until it is asked for. The body is raw bytes unless the sender gave a value
    of another type; `payload` is that value, or the bytes.
    """

    topic: str
    body: bytes
    source: int = 0
    flags: int = 0
    sequence: int = 0

    @property
    def view(self) -> memoryview:
        """The body, read-only, not copied: of a large message, straight in the shared memory."""
        return memoryview(self.body)

    @property
    def envelope(self) -> Envelope:
        """Raises MessageInvalid if the body is none."""
        return opened(self.flags, self.body)

    @property
    def payload(self) -> object:
        """Raises MessageInvalid."""
        return self.envelope.payload_as(object) if self.flags & ENVELOPE else self.body

    def payload_as(self, type_: type[T]) -> T:
        """The payload, checked against a type; raises MessageInvalid, with the fault's place."""
        return self.envelope.payload_as(type_)


class Request(Message, frozen=True, gc=False):
    """A message whose sender waits for an answer, `deadline_s` seconds at most; 0 is for ever."""

    correlation: int = 0
    deadline_s: float = 0.0


class LargeMessage(Message, frozen=True, gc=False):
    """A message whose body lies in shared memory, which is freed with the last view of it."""

    content: memoryview = memoryview(b"")

    @property  # type: ignore[misc]  # made when asked for, where others have it
    def body(self) -> bytes:
        return bytes(self.content)

    @property
    def view(self) -> memoryview:
        return self.content


class LargeRequest(Request, frozen=True, gc=False):
    """A request whose body lies in shared memory, as a LargeMessage's."""

    content: memoryview = memoryview(b"")

    @property  # type: ignore[misc]  # made when asked for, where others have it
    def body(self) -> bytes:
        return bytes(self.content)

    @property
    def view(self) -> memoryview:
        return self.content
