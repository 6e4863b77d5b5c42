"""JSON-RPC 2.0 over the bus, for editors: text in, calls out; answers in, text out. No I/O.

A method is a topic with `/` for `.` (or the topic itself): `build/start` is a request on
`build.start`, and as a notification a publication there. An editor's `$/cancelRequest` withdraws
an open request. Ids are kept as the text they were, so that `1.0`, `1e3` and numbers of any length
go back as they came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from symphony.commons.errors import Category, ErrorRecord
from symphony.ipc._errors import BadFrame, FrameTooLarge
from symphony.ipc.protocol._envelope import DECODE_ERRORS
from symphony.ipc.protocol._frames import MAX_FRAME

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_ERROR = -32000
#: The editors' own (LSP): the request was cancelled.
REQUEST_CANCELLED = -32800

CODES = {
    Category.VALIDATION: INVALID_PARAMS,
    Category.INTERNAL: INTERNAL_ERROR,
    Category.CANCELLED: REQUEST_CANCELLED,
}

CANCEL_METHOD = "$/cancelRequest"
NULL_ID = Raw(b"null")
MAX_BATCH = 256
MAX_OPEN = 1024
MAX_HEADER = 4096
MAX_TOPIC = 255

_ID = re.compile(rb'(?:"|-?[0-9]|null$)', re.DOTALL)


class _Request(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    method: str
    params: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


class _Cancelled(msgspec.Struct):
    id: Raw


class _Failure(msgspec.Struct):
    code: int
    message: str
    data: ErrorRecord | UnsetType = UNSET


class _Answer(msgspec.Struct, tag_field="jsonrpc", tag="2.0"):
    id: Raw
    result: object = UNSET
    error: _Failure | UnsetType = UNSET


class _Notification(msgspec.Struct, tag_field="jsonrpc", tag="2.0"):
    method: str
    params: object


@dataclass(slots=True)
class _Batch:
    """Answers that go back together, when the last is there."""

    waiting: int
    answers: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What the editor asks for, or tells: without an id nobody waits for an answer."""

    topic: str
    method: str
    #: A list or a dict as JSON spells it; None if there was none.
    params: object
    id: Raw | None
    _batch: _Batch | None = field(default=None, repr=False)

    @property
    def is_notification(self) -> bool:
        return self.id is None


@dataclass(frozen=True, slots=True)
class Received:
    """What came out of a text: calls to make, calls to cancel, and what to send at once."""

    calls: list[Call]
    cancelled: list[Call]
    reply: bytes | None = None


#: A method's topic, or None if there is no such method.
Resolve: TypeAlias = Callable[[str], str | None]


def topic_of(method: str) -> str | None:
    """The topic that a method names by the rule above; None for what can be no topic."""
    tokens = method.replace("/", ".").split(".")
    plain = all(token.isprintable() and token and not set(token) & set(" *>#$") for token in tokens)
    if not plain or tokens[0] == "rpc" or len(method.encode()) > MAX_TOPIC:
        return None
    return ".".join(tokens)


class JsonRpcSession:
    """One editor's conversation. Whatever it sends, `receive` answers or hands on; never raises."""

    def __init__(
        self,
        resolve: Resolve = topic_of,
        *,
        max_open: int = MAX_OPEN,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._resolve = resolve
        self._max_open = max_open
        self._max_batch = max_batch
        # Ordered, and by identity: an editor may use an id twice.
        self._open: dict[Call, None] = {}

    @property
    def open_calls(self) -> list[Call]:
        """Those that wait for an answer, oldest first: to be cancelled when the editor goes."""
        return list(self._open)

    def receive(self, text: bytes) -> Received:
        """Take a text as its framing cut it out."""
        try:
            text.decode()
            whole = msgspec.json.decode(text, type=Raw)
            many = bytes(whole).lstrip().startswith(b"[")
            parts = msgspec.json.decode(whole, type=list[Raw]) if many else [whole]
        except DECODE_ERRORS as error:
            return Received([], [], _failed(NULL_ID, PARSE_ERROR, f"The text is no JSON: {error}"))
        if many and not 0 < len(parts) <= self._max_batch:
            reason = f"A batch has 1 to {self._max_batch} members, not {len(parts)}"
            return Received([], [], _failed(NULL_ID, INVALID_REQUEST, reason))
        return self._take(parts, _Batch(0) if many else None)

    def _take(self, parts: list[Raw], batch: _Batch | None) -> Received:
        received = Received([], [])
        answers: list[bytes] = []
        for part in parts:
            taken = self._parse(part, batch, received.cancelled)
            if isinstance(taken, Call):
                received.calls.append(taken)
            elif taken is not None:
                answers.append(taken)
        if batch is None:
            return Received(received.calls, received.cancelled, next(iter(answers), None))
        batch.answers += answers
        reply = _joined(batch) if answers and not batch.waiting else None
        return Received(received.calls, received.cancelled, reply)

    def _parse(self, part: Raw, batch: _Batch | None, cancelled: list[Call]) -> Call | bytes | None:
        """A call, or the answer to what is none; None if there is nothing to do about it."""
        try:
            request = msgspec.json.decode(part, type=_Request)
        except DECODE_ERRORS as error:
            return _refused(part, str(error))
        call_id = None if isinstance(request.id, UnsetType) else request.id
        if call_id is not None and not _ID.match(bytes(call_id)):
            return _failed(NULL_ID, INVALID_REQUEST, "An id is text, a number or null")
        if not isinstance(request.params, UnsetType) and bytes(request.params)[:1] not in b"[{":
            return _unless_told(call_id, INVALID_REQUEST, "Parameters are an array or an object")
        if request.method == CANCEL_METHOD and call_id is None:
            cancelled += self._named_by(request.params)
            return None
        return self._called(request, call_id, batch)

    def _called(
        self, request: _Request, call_id: Raw | None, batch: _Batch | None
    ) -> Call | bytes | None:
        topic = self._resolve(request.method)
        if topic is None:
            return _unless_told(
                call_id, METHOD_NOT_FOUND, f"There is no method {request.method[:MAX_TOPIC]!r}"
            )
        if call_id is not None and len(self._open) >= self._max_open:
            return _failed(call_id, SERVER_ERROR, f"{self._max_open} requests are open already")
        try:
            params = None if isinstance(request.params, UnsetType) else _plain(request.params)
        except DECODE_ERRORS as error:
            return _unless_told(call_id, INVALID_PARAMS, f"The parameters cannot be read: {error}")
        call = Call(topic, request.method, params, call_id, batch)
        if call_id is not None:
            self._open[call] = None
            if batch is not None:
                batch.waiting += 1
        return call

    def _named_by(self, params: Raw | UnsetType) -> Iterator[Call]:
        try:
            wanted = msgspec.json.decode(b"" if params is UNSET else params, type=_Cancelled).id
        except DECODE_ERRORS:
            return  # a notification has no answer, not even that it is wrong
        yield from [call for call in self._open if call.id is not None and call.id == wanted]

    def answer(self, call: Call, result: object) -> bytes | None:
        """The text that answers a call; None if there is nothing to send, or not yet.

        Nothing is sent for notifications, nor for a call that was answered before; the members of
        a batch are answered together, with its last.
        """
        if call not in self._open:
            return None
        try:
            text = msgspec.json.encode(_Answer(_known(call), result))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            text = _failed(_known(call), INTERNAL_ERROR, f"The result cannot be written: {error}")
        return self._closed(call, text)

    def fail(self, call: Call, error: ErrorRecord, code: int | None = None) -> bytes | None:
        """As `answer`, for a call that failed. The code follows from the error's category unless
        given: METHOD_NOT_FOUND where nobody serves the topic."""
        if call not in self._open:
            return None
        number = CODES.get(error.category, SERVER_ERROR) if code is None else code
        return self._closed(call, _failed(_known(call), number, error.message, error))

    def _closed(self, call: Call, text: bytes) -> bytes | None:
        del self._open[call]
        batch = call._batch  # noqa: SLF001 - the session's own
        if batch is None:
            return text
        batch.answers.append(text)
        batch.waiting -= 1
        return None if batch.waiting else _joined(batch)


def notification(method: str, params: object) -> bytes:
    """The text that tells an editor something, such as a publication it has subscribed to.

    Raises TypeError if `params` is not writable as JSON; it should be a list, a dict or a struct.
    """
    return msgspec.json.encode(_Notification(method, params))


def _plain(params: Raw) -> object:
    return msgspec.json.decode(params)


def _known(call: Call) -> Raw:
    return NULL_ID if call.id is None else call.id


def _joined(batch: _Batch) -> bytes:
    return b"[" + b",".join(batch.answers) + b"]"


def _unless_told(call_id: Raw | None, code: int, message: str) -> bytes | None:
    """An answer for a request; a notification gets none."""
    return None if call_id is None else _failed(call_id, code, message)


def _refused(part: Raw, reason: str) -> bytes | None:
    """The answer to what is no request. An answer gets none: two peers would go on for ever."""
    try:
        members = msgspec.json.decode(part, type=dict[str, Raw])
    except DECODE_ERRORS:
        members = {}
    if "method" not in members and ("result" in members or "error" in members):
        return None
    call_id = members.get("id", NULL_ID)
    if not _ID.match(bytes(call_id)):
        call_id = NULL_ID
    return _failed(call_id, INVALID_REQUEST, f"This is no request: {reason}")


def _failed(call_id: Raw, code: int, message: str, error: ErrorRecord | None = None) -> bytes:
    category = Category.LIMIT if code == SERVER_ERROR else Category.VALIDATION
    data = error or ErrorRecord("ipc.json_rpc", f"{message}.", category)
    return msgspec.json.encode(_Answer(call_id, error=_Failure(code, message, data)))


class HeaderFraming:
    """`Content-Length: <bytes>`, an empty line, the text: what editors speak over stdio."""

    def __init__(self, max_text: int = MAX_FRAME) -> None:
        self._max_text = max_text
        self._buffer = bytearray()
        self._size = -1

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_text(self) -> bytes | None:
        """The next whole text, or None until more is fed. Raises BadFrame or FrameTooLarge, after
        which the stream has lost its place."""
        if self._size < 0 and not self._read_header():
            return None
        if len(self._buffer) < self._size:
            return None
        text = bytes(self._buffer[: self._size])
        del self._buffer[: self._size]
        self._size = -1
        return text

    def _read_header(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEADER)
        if end < 0:
            if len(self._buffer) >= MAX_HEADER:
                raise BadFrame(f"a header of more than {MAX_HEADER} bytes")
            return False
        self._size = _content_length(bytes(self._buffer[:end]), self._max_text)
        del self._buffer[: end + 4]
        return True

    @staticmethod
    def wrap(text: bytes) -> bytes:
        return b"Content-Length: %d\r\n\r\n%b" % (len(text), text)


def _content_length(header: bytes, limit: int) -> int:
    """Raises BadFrame, FrameTooLarge."""
    sizes = set()
    for line in header.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadFrame(f"{line[:80]!r} is no header")
        if name.strip().lower() == b"content-length":
            sizes.add(value.strip())
        elif name.strip().lower() == b"content-type":
            _check_charset(value)
    if len(sizes) != 1:
        raise BadFrame(f"{len(sizes)} Content-Length headers that differ, instead of one")
    text = sizes.pop()
    if not re.fullmatch(rb"[0-9]{1,15}", text):
        raise BadFrame(f"{text[:80]!r} is no length")
    if int(text) > limit:
        raise FrameTooLarge(int(text), limit)
    return int(text)


def _check_charset(content_type: bytes) -> None:
    found = re.search(rb"charset\s*=\s*\"?([\w-]+)", content_type, re.IGNORECASE)
    if found and found[1].lower() not in (b"utf-8", b"utf8"):
        raise BadFrame(f"the charset {found[1][:80]!r} instead of UTF-8")


class LineFraming:
    """A text a line."""

    def __init__(self, max_text: int = MAX_FRAME) -> None:
        self._max_text = max_text
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_text(self) -> bytes | None:
        """The next whole line that is not blank, or None until more is fed; raises FrameTooLarge,
        after which the stream has lost its place."""
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end]).strip()
            del self._buffer[: end + 1]
            self._searched = 0
            if len(line) > self._max_text:
                raise FrameTooLarge(len(line), self._max_text)
            if line:
                return line
        # What was searched once is not searched again: a slow sender must not cost its square.
        self._searched = len(self._buffer)
        if self._searched > self._max_text:
            raise FrameTooLarge(self._searched, self._max_text)
        return None

    @staticmethod
    def wrap(text: bytes) -> bytes:
        # A line break in JSON is only ever white space: inside texts it is written as `\n`.
        return text.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
