"""What is fuzzed. A target takes any bytes at all; it raises AssertionError where a promise is
broken, and lets through what should never be raised: anything but an `IpcError`.

What it returns stands for the way that the bytes took through the code: inputs that lead to a new
one are worth keeping.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from json import loads
from typing import NamedTuple, TypeAlias

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.ipc._errors import IpcError, error_from
from symphony.ipc.bus._link import Link
from symphony.ipc.bus._message import Message
from symphony.ipc.bus._reports import DeadLetter, EndpointQuery
from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._control import Admission, Greeting, Serve, Subscribe, Subscribed
from symphony.ipc.protocol._envelope import Codec, Envelope
from symphony.ipc.protocol._frames import Frame, FrameParser, Kind, decode_body, encode
from symphony.ipc.protocol._jsonrpc import HeaderFraming, JsonRpcSession, Received
from symphony.ipc.protocol._pretty import pretty

from .conversation import conversation

Target: TypeAlias = Callable[[bytes], Hashable]

LIMIT = 2048


class Point(msgspec.Struct, array_like=True):
    x: int
    y: float = 0.0


class Plain(msgspec.Struct):
    name: str
    points: list[Point] = []
    raw: bytes = b""


class Parsed(NamedTuple):
    frames: list[Frame]
    error: str


def stream(data: bytes) -> Hashable:
    """Frames are the same however their bytes are cut, and the same bytes when written again."""
    whole = parsed(data, len(data) + 1)
    assert parsed(data, 1 + len(data) % 23) == whole
    again = [encode(frame) for frame in whole.frames]
    assert data.startswith(b"".join(again))
    assert all(len(frame) <= LIMIT for frame in again)
    return whole.error, frozenset((frame.kind, frame.flags) for frame in whole.frames)


def parsed(data: bytes, step: int) -> Parsed:
    parser = FrameParser(LIMIT)
    frames: list[Frame] = []
    try:
        for at in range(0, len(data), step):
            parser.feed(data[at : at + step])
            while (frame := parser.next_frame()) is not None:
                frames.append(frame)
            assert parser.unfinished < LIMIT + step
    except IpcError as error:
        return Parsed(frames, error.code)
    return Parsed(frames, "")


BODY_FLAGS = (0x01, 0x21, 0x41, 0x61, 0x00, 0x20)
PAYLOADS = (object, Plain, Point, EndpointQuery, DeadLetter, dict[str, int], list[object])


def message(data: bytes) -> Hashable:
    """An envelope, whole and in parts. The first byte says how it is written, the second what is
    expected in it."""
    flags, type_ = BODY_FLAGS[data[0] % len(BODY_FLAGS)], PAYLOADS[data[1] % len(PAYLOADS)]
    try:
        envelope = opened(flags, data[2:])
    except IpcError as error:
        return flags, error.code
    ways = [_outcome(lambda: envelope.metadata)]
    ways.append(_outcome(lambda: envelope.payload_as(type_)))
    ways.append(_outcome(lambda: _same_again(envelope)))
    return flags, type_, tuple(ways)


def _outcome(read: Callable[[], object]) -> str:
    try:
        return type(read()).__name__
    except IpcError as error:
        return error.code


def _same_again(envelope: Envelope) -> object:
    value = envelope.payload_as(object)
    in_json = envelope.codec is Codec.JSON
    codec, written = (Codec.JSON, msgspec.json) if in_json else (Codec.MSGPACK, msgspec.msgpack)
    copy = opened(*seal(value, codec=codec)).payload_as(object)
    assert written.encode(copy) == written.encode(value)
    return value


CONTROL = (
    Greeting,
    Admission,
    Subscribe,
    Subscribed,
    Serve,
    EndpointQuery,
    ErrorRecord,
)


def control(data: bytes) -> Hashable:
    """A body of the conversation between endpoint and broker; the first byte says which."""
    type_ = CONTROL[data[0] % len(CONTROL)]
    try:
        body = decode_body(data[1:], type_)
    except IpcError as error:
        return type_, error.code
    if isinstance(body, ErrorRecord):
        told = error_from(body)
        assert told.record().code
        return type_, type(told)
    return type_, msgspec.msgpack.encode(body) == data[1:]


def text(data: bytes) -> Hashable:
    """A frame for people: whatever is in it, nothing that a terminal would act upon."""
    one_line = bool(data[0] & 1)
    kind = Kind(1 + data[1] % len(Kind))
    frames = parsed(data[3:], len(data)).frames
    frame = frames[0] if frames else Frame(kind, body=data[3:], flags=BODY_FLAGS[data[2] % 6])
    shown = pretty(frame, colour=False, one_line=one_line)
    assert all(sign.isprintable() or (sign == "\n" and not one_line) for sign in shown)
    assert len(shown) < 32 * len(data) + 4096
    return frame.kind, one_line, shown.count("\n"), shown.count("broken"), shown.count("…") > 0


def json_rpc(data: bytes) -> Hashable:
    """A text of an editor's: answered in JSON, or handed on; and as a stream with headers."""
    session = JsonRpcSession(max_open=8, max_batch=16)
    received = session.receive(data)
    replies = [received.reply, *_answers(session, received)]
    for reply in replies:
        assert reply is None or loads(reply)
    assert not session.open_calls
    called = (len(received.calls), len(received.cancelled), received.reply is None)
    return called, _texts(data)


def _answers(session: JsonRpcSession, received: Received) -> Iterator[bytes | None]:
    for number, call in enumerate(session.open_calls):
        record = ErrorRecord("a.b", "no", "internal")  # type: ignore[arg-type]  # it is a StrEnum
        yield session.fail(call, record) if number % 2 else session.answer(call, call.params)


def _texts(data: bytes) -> tuple[int, str]:
    framing = HeaderFraming(LIMIT)
    texts = 0
    try:
        for at in range(0, len(data), 7):
            framing.feed(data[at : at + 7])
            while framing.next_text() is not None:
                texts += 1
    except IpcError as error:
        return texts, error.code
    return texts, ""


class Inbox:
    """A subscription of a program's, as its connection sees it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.take: Callable[[Message], None] = self.messages.append

    def arrived(self, link: Link, frames: int, size: int, sequence: int) -> None: ...

    def ended(self, error: IpcError | None) -> None: ...


def endpoint(data: bytes) -> Hashable:
    """What an endpoint reads of its broker, or of what says that it is one."""
    inbox, calls, way = Inbox(), list[object](), ""
    with _loop() as loop:
        link = Link(
            "a test",
            answer=lambda *those: calls.append(those),
            withdrawn=lambda *those: calls.append(those),
            kept=lambda *those: calls.append(those),
            ended=lambda *those: calls.append(those),
            encoded=str.encode,
        )
        link.max_frame = 4096
        link.inboxes[2] = inbox
        for correlation in (3, 4):
            link.awaited[correlation] = (loop.create_future(), float("inf"), "a.topic")
        try:
            for at in range(0, len(data), 512):
                link._receive(data[at : at + 512])
        except IpcError as error:
            way = error.code
        for answer, _, _ in link.awaited.values():
            answer.cancel()
    return way, min(len(inbox.messages), 3), min(len(calls), 4), len(link.awaited)


class _Loop(asyncio.SelectorEventLoop):
    """Nobody runs it: it is where futures belong."""

    def call_exception_handler(self, context: object) -> None:
        """Nobody asks for the exceptions that futures get here."""


_loops: list[_Loop] = []


@contextmanager
def _loop() -> Iterator[_Loop]:
    if not _loops:
        _loops.append(_Loop())
    asyncio.events._set_running_loop(_loops[0])
    try:
        yield _loops[0]
    finally:
        asyncio.events._set_running_loop(None)
        _loops[0]._ready.clear()  # type: ignore[attr-defined]  # what was put off for the next turn


TARGETS: dict[str, Target] = {
    "conversation": conversation,
    "stream": stream,
    "message": message,
    "control": control,
    "text": text,
    "json_rpc": json_rpc,
    "endpoint": endpoint,
}
