"""Frames: a fixed header that a router reads, words that its flags name, a topic, and a body.

    length u32 (whole frame) | kind u8 | flags u8 | topic length u16 | source u32 | correlation u64
    | [deadline u32] | [sequence u64] | topic (UTF-8) | body

All numbers are little-endian. `docs/protocol.md` specifies every byte. The format is frozen:
numbers are never reused, and an unknown kind or flag is refused rather than skipped, since a
reader that ignores one would misread what follows.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct as Layout
from typing import TypeVar

import msgspec

from symphony.ipc._errors import BadFrame, FrameTooLarge

T = TypeVar("T")

HEADER = Layout("<IBBHIQ")
DEADLINE_WORD = Layout("<I")
SEQUENCE_WORD = Layout("<Q")
MAX_FRAME = 16 * 1024 * 1024

#: Milliseconds that a deadline can say: 49 days.
MAX_DEADLINE_MS = 2**32 - 1


class Kind(IntEnum):
    """What a frame is for; the numbers are the wire's."""

    HELLO = 1
    WELCOME = 2
    SUB = 3
    UNSUB = 4
    PUB = 5
    SERVE = 6
    UNSERVE = 7
    REQ = 8
    REP = 9
    ERR = 10
    CANCEL = 11
    CREDIT = 12
    PING = 13
    PONG = 14
    DRAIN = 15
    BYE = 16
    #: The PUB frames after it are for the receiver's subscription `correlation`, until the next.
    FOR = 17


class Flag(IntFlag):
    """How to read a frame. The bits are the wire's; 0x08 and 0x80 are reserved, and refused."""

    #: The body is an envelope; without it, bytes whose meaning the topic agrees on.
    ENVELOPE = 0x01
    #: A word says how many milliseconds the sender will wait: relative, since clocks differ.
    DEADLINE = 0x02
    #: A word numbers the frame, so that it can be resumed from.
    SEQUENCE = 0x04
    #: The body is a handle on memory that came over the side channel.
    SHARED = 0x10
    #: The body, envelope or not, is JSON instead of MessagePack.
    JSON = 0x20
    #: The envelope's payload is in the compact form of its type's schema.
    COMPACT = 0x40


KINDS = {int(kind): kind for kind in Kind}

# An operation on an IntFlag costs a microsecond: what is done for every frame is done with these.
ENVELOPE = int(Flag.ENVELOPE)
DEADLINE = int(Flag.DEADLINE)
SEQUENCE = int(Flag.SEQUENCE)
SHARED = int(Flag.SHARED)
UNKNOWN_FLAGS = 0xFF & ~sum(Flag)

#: A frame with other flags than how its body is written is not for the fast way.
NOT_PLAIN = 0xFF & ~int(Flag.ENVELOPE | Flag.JSON | Flag.COMPACT)
NOT_PLAIN_REQUEST = NOT_PLAIN & ~DEADLINE


class Frame(msgspec.Struct, frozen=True):
    """One message on the wire. `deadline_ms` and `sequence` are there with their flag alone."""

    kind: Kind
    correlation: int = 0
    topic: str = ""
    body: bytes = b""
    source: int = 0
    flags: int = 0
    deadline_ms: int = 0
    sequence: int = 0


def encode(frame: Frame, limit: int = MAX_FRAME) -> bytes:
    """The frame's bytes; raises FrameTooLarge before anything is written."""
    topic = frame.topic.encode()
    words = _words(frame) if frame.flags & (DEADLINE | SEQUENCE) else b""
    size = HEADER.size + len(words) + len(topic) + len(frame.body)
    if size > limit:
        raise FrameTooLarge(size, limit)
    header = HEADER.pack(size, frame.kind, frame.flags, len(topic), frame.source, frame.correlation)
    return b"".join((header, words, topic, frame.body))


def frame_size(frame: Frame) -> int:
    """What `encode` would make of it, in bytes."""
    topic = len(frame.topic.encode())
    return HEADER.size + words_size(frame.flags) + topic + len(frame.body)


def _words(frame: Frame) -> bytes:
    deadline = DEADLINE_WORD.pack(frame.deadline_ms) if frame.flags & DEADLINE else b""
    return deadline + SEQUENCE_WORD.pack(frame.sequence) if frame.flags & SEQUENCE else deadline


class FrameParser:
    """Bytes in, frames out, however the bytes were cut. After an error it is of no more use."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that has not arrived whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None until more bytes are fed; raises BadFrame, FrameTooLarge.

        The header is judged as soon as it is there, so that an absurd length is refused before
        anything is gathered for it.
        """
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return None
        size = check_header(buffer, 0, self._limit)
        if len(buffer) < size:
            return None
        with memoryview(buffer) as view:
            data = bytes(view[:size])
        del buffer[:size]
        return frame_at(data, 0)


def check_header(data: bytes | bytearray, at: int, limit: int) -> int:
    """The size of the frame that begins at `at`, whose header is whole.

    Raises BadFrame or FrameTooLarge if no frame may begin so.
    """
    size, kind, flags, topic_size, _, _ = HEADER.unpack_from(data, at)
    if size > limit:
        raise FrameTooLarge(size, limit)
    if size < HEADER.size + words_size(flags) + topic_size:
        raise BadFrame(f"its length is given as {size} bytes, less than header and topic")
    if kind not in KINDS:
        raise BadFrame(f"unknown kind {kind}")
    if flags & UNKNOWN_FLAGS:
        raise BadFrame(f"unknown flags {flags:#04x}")
    return int(size)


def words_size(flags: int) -> int:
    """How many bytes stand between header and topic."""
    return (4 if flags & DEADLINE else 0) + (8 if flags & SEQUENCE else 0)


def frame_at(data: bytes, at: int) -> Frame:
    """The frame that lies whole at `at`; its header has been checked. Raises BadFrame."""
    size, kind, flags, topic_size, source, correlation = HEADER.unpack_from(data, at)
    place, deadline_ms, sequence = at + HEADER.size, 0, 0
    if flags & DEADLINE:
        (deadline_ms,) = DEADLINE_WORD.unpack_from(data, place)
        place += 4
    if flags & SEQUENCE:
        (sequence,) = SEQUENCE_WORD.unpack_from(data, place)
        place += 8
    return Frame(
        KINDS[kind],
        correlation,
        topic_text(data[place : place + topic_size]),
        data[place + topic_size : at + size],
        source,
        flags,
        deadline_ms,
        sequence,
    )


def topic_text(topic: bytes) -> str:
    """Raises BadFrame if it is not UTF-8."""
    try:
        return topic.decode()
    except UnicodeDecodeError as error:
        raise BadFrame("the topic is not UTF-8") from error


def encode_body(message: object) -> bytes:
    return msgspec.msgpack.encode(message)


def decode_body(body: bytes | msgspec.Raw, type_: type[T]) -> T:
    """The message in a body; raises BadFrame if it is anything else, however malformed."""
    try:
        return msgspec.msgpack.decode(body, type=type_)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"expected {type_.__name__}: {error}") from error
