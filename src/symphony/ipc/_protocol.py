"""Frames: a fixed header that a router reads, a topic, and a body that it does not.

    length u32 (whole frame) | kind u8 | flags u8 | topic length u16 | source u32 | correlation u64
    | topic (UTF-8) | body (MessagePack)

All numbers are little-endian. The format is frozen: numbers of kinds are never reused, and an
unknown kind or a flag that is set is refused rather than skipped, since a reader that ignores one
would misread what follows. Reserved for the message bus, and refused until it exists: kinds 3 to 4
(subscriptions), 6 to 7 (served topics), 12 (credit), 13 to 14 (ping), 15 (drain); flags for
deadline, sequence, continuation, raw and JSON bodies.

`source` is the number that WELCOME gave the sender, 0 before that and for the host; in REP and ERR
it is the asker's instead. `correlation` pairs an answer with its question; each side counts its own
questions.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct as Layout
from typing import TypeVar

import msgspec

from symphony.ipc._errors import BadFrame, FrameTooLarge

T = TypeVar("T")

HEADER = Layout("<IBBHIQ")
MAX_FRAME = 16 * 1024 * 1024


class Kind(IntEnum):
    """What a frame is for; the numbers are the wire's."""

    HELLO = 1
    WELCOME = 2
    PUB = 5
    REQ = 8
    REP = 9
    ERR = 10
    CANCEL = 11
    BYE = 16


KINDS = {int(kind): kind for kind in Kind}


class Frame(msgspec.Struct, frozen=True):
    """One message on the wire."""

    kind: Kind
    correlation: int = 0
    topic: str = ""
    body: bytes = b""
    source: int = 0


def encode(frame: Frame, limit: int = MAX_FRAME) -> bytes:
    """The frame's bytes; raises FrameTooLarge before anything is written."""
    topic = frame.topic.encode()
    size = HEADER.size + len(topic) + len(frame.body)
    if size > limit:
        raise FrameTooLarge(size, limit)
    header = HEADER.pack(size, frame.kind, 0, len(topic), frame.source, frame.correlation)
    return b"".join((header, topic, frame.body))


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
        size, kind, flags, topic_size, source, correlation = HEADER.unpack_from(buffer)
        body_at = HEADER.size + topic_size
        if size > self._limit:
            raise FrameTooLarge(size, self._limit)
        if size < body_at:
            raise BadFrame(f"its length is given as {size} bytes, less than header and topic")
        if kind not in KINDS:
            raise BadFrame(f"unknown kind {kind}")
        if flags:
            raise BadFrame(f"unknown flags {flags:#04x}")
        if len(buffer) < size:
            return None
        with memoryview(buffer) as view:
            topic, body = bytes(view[HEADER.size : body_at]), bytes(view[body_at:size])
        del buffer[:size]
        return Frame(KINDS[kind], correlation, _text(topic), body, source)


def _text(topic: bytes) -> str:
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
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(f"expected {type_.__name__}: {error}") from error
