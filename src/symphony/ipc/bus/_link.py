"""One connection of an endpoint: what comes over it, and how it ends. When it breaks, all that is
open on it ends with an error; the endpoint makes another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import Struct as Layout
from typing import Protocol, cast

from symphony.commons.errors import ErrorRecord
from symphony.commons.logging import get_logger
from symphony.ipc._errors import BadFrame, ConnectionLost, IpcError, error_from
from symphony.ipc.bus._message import LargeMessage, LargeRequest, Message, Request
from symphony.ipc.bus._sender import Sender
from symphony.ipc.bus._sharing import handle_of
from symphony.ipc.protocol._control import CREDIT, Admission
from symphony.ipc.protocol._frames import (
    DEADLINE,
    DEADLINE_WORD,
    HEADER,
    NOT_PLAIN,
    NOT_PLAIN_REQUEST,
    SEQUENCE,
    SHARED,
    Frame,
    Kind,
    check_header,
    decode_body,
    encode,
    frame_at,
    frame_size,
    topic_text,
)
from symphony.ipc.transport._shared import map_block

UNPACK = HEADER.unpack_from
LENGTH = Layout("<I").unpack_from
HEADER_SIZE = HEADER.size
PUB, REQ, REP, ERR, FOR = (
    int(Kind.PUB),
    int(Kind.REQ),
    int(Kind.REP),
    int(Kind.ERR),
    int(Kind.FOR),
)

#: Topics whose text is remembered.
MAX_TOPICS = 10_000

log = get_logger("ipc.bus")


class Inbox(Protocol):
    """Where a subscription's messages go."""

    take: Callable[[Message], None]

    def arrived(self, link: Link, frames: int, size: int, sequence: int) -> None:
        """So much was handed to `take`, up to this sequence if it is kept."""

    def ended(self, error: IpcError | None) -> None:
        """The broker has ended the subscription."""


class Link(Sender, asyncio.Protocol):
    """`answer` is called with every request; `ended`, once, when the connection is gone."""

    def __init__(
        self,
        address: str,
        *,
        answer: Callable[[Link, Request], None],
        withdrawn: Callable[[int, int], None],
        kept: Callable[[int, IpcError | None], None],
        ended: Callable[[Link, IpcError], None],
        encoded: Callable[[str], bytes],
        batch_delay_s: float = 0.0,
    ) -> None:
        super().__init__(encoded=encoded, batch_delay_s=batch_delay_s)
        self._address = address
        self._answer = answer
        self._withdrawn = withdrawn
        self._kept = kept
        self._ended = ended
        self._parts: list[bytes] = []
        self._missing = 0
        self._topics: dict[bytes, str] = {}
        self._current: Inbox | None = None
        self._admitted: asyncio.Future[Admission] = self._loop.create_future()
        self._goodbye: IpcError | None = None
        #: Whether anything has come since this was last set to False.
        self.heard = False
        self.heartbeat_s = 0.0
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.inboxes: dict[int, Inbox] = {}

    # How it begins and ends.

    async def admitted(self, greeting: bytes) -> Admission:
        """Greet, and wait to be let in; raises what the broker says if it does not."""
        self.write(encode(Frame(Kind.HELLO, body=greeting)))
        admission = await self._admitted
        self.number = admission.source
        self.max_frame = admission.max_frame
        self.max_requests = admission.max_requests
        self.heartbeat_s = admission.heartbeat_s
        self.frames, self.size = admission.credit_frames, admission.credit_bytes
        return admission

    def close(self) -> None:
        """Say goodbye, once everything that was sent has gone out."""
        if self._transport is not None and not self._transport.is_closing():
            self.write(encode(Frame(Kind.BYE, source=self.number)))
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self.side is not None:  # it came when the connection had gone
            self.side.close()
            self.side = None

    def give_up(self, error: IpcError) -> None:
        """The broker is of no more use, and why."""
        self._goodbye = error
        self.abort()

    # What comes in.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.heard = True
        held = self._hold()
        try:
            self._receive(data)
        except IpcError as error:
            self.give_up(error)
        if held:
            self._let_go()

    def connection_lost(self, exc: Exception | None) -> None:
        why = self._goodbye
        reason = "the broker closed it" if exc is None else str(exc)
        error = ConnectionLost(self._address, why.message.rstrip(".") if why else reason)
        error.__cause__ = why
        self._transport = None
        if self.side is not None:
            self.side.close()
            self.side = None
        if self._sweep is not None:
            self._sweep.cancel()
        for answer, _, _ in self.awaited.values():
            if not answer.done():
                answer.set_exception(error)
        self.awaited.clear()
        if not self._admitted.done():
            self._admitted.set_exception(why or error)
            self._admitted.exception()  # that nobody asks, since connecting was cancelled, is fine
        self.wake()
        if not self.closed.done():
            self.closed.set_result(None)
        self._ended(self, error)

    def _receive(self, data: bytes) -> None:
        if self._missing:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._missing = 0
        at, end = 0, len(data)
        while end - at >= HEADER_SIZE:
            size, kind, flags, topic_size, source, correlation = UNPACK(data, at)
            stop = at + size
            if stop > end or size > self.max_frame or size < HEADER_SIZE + topic_size:
                check_header(data, at, self.max_frame)
                break
            body_at = at + HEADER_SIZE + topic_size
            if kind == REP and not flags & NOT_PLAIN:
                waiting = self.awaited.pop(correlation, None)
                if waiting is not None and not waiting[0].done():
                    waiting[0].set_result(Message(waiting[2], data[body_at:stop], source, flags))
                    if self._room:
                        self.wake()
            elif kind == PUB and not flags & NOT_PLAIN:
                at = self._take_run(data, at, stop, HEADER_SIZE + topic_size, source, flags)
                continue
            elif kind == REQ and not flags & NOT_PLAIN_REQUEST:
                seconds = 0.0
                if flags & DEADLINE:
                    if body_at + 4 > stop:
                        raise BadFrame("its length is less than header and topic")
                    seconds = DEADLINE_WORD.unpack_from(data, at + HEADER_SIZE)[0] / 1000
                    body_at += 4
                topic = data[body_at - topic_size : body_at]
                text = self._topics.get(topic) or self._topic(topic)
                body, flags = data[body_at:stop], flags & ~DEADLINE
                self._answer(self, Request(text, body, source, flags, 0, correlation, seconds))
            elif kind == ERR and not flags & NOT_PLAIN:
                # Nobody has looked at its topic, which is for people alone.
                topic = data[at + HEADER_SIZE : body_at]
                self._failed(correlation, topic.decode("utf-8", "replace"), data[body_at:stop])
            elif kind == FOR:
                self._current = self.inboxes.get(correlation)
            else:
                check_header(data, at, self.max_frame)
                if flags & SHARED:
                    self._take_shared(frame_at(data, at))
                else:
                    self._take(frame_at(data, at))
            at = stop
        if at < end:
            known = end - at >= HEADER_SIZE
            self._parts.append(data[at:])
            self._missing = (LENGTH(data, at)[0] if known else HEADER_SIZE) - (end - at)

    def _take_run(
        self, data: bytes, at: int, stop: int, head_size: int, source: int, flags: int
    ) -> int:
        """All publications from `at` on that differ in their bodies alone; where they end."""
        header = data[at : at + head_size]
        topic = self._topics.get(header[HEADER_SIZE:]) or self._topic(header[HEADER_SIZE:])
        inbox = self._current
        take = _nobody if inbox is None else inbox.take
        begin, frames, size, end = at, 0, stop - at, len(data)
        begins_with = data.startswith
        while True:
            message = Message(topic, data[at + head_size : stop], source, flags)
            frames += 1
            at = stop
            try:
                take(message)
            except Exception:  # the boundary to the program's own code
                log.exception("a subscriber's callback failed", topic=topic)
            if begins_with(header, at):
                stop = at + size
            elif begins_with(header[4:], at + 4):
                size = LENGTH(data, at)[0]
                header = data[at : at + head_size]
                stop = at + size
            else:
                break
            if stop > end or size < head_size:
                break
        if inbox is not None:
            inbox.arrived(self, frames, at - begin, 0)
        return at

    def _topic(self, topic: bytes) -> str:
        if len(self._topics) >= MAX_TOPICS:
            self._topics.clear()
        text = self._topics[topic] = topic_text(topic)
        return text

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.WELCOME:
                if not self._admitted.done():
                    self._admitted.set_result(decode_body(frame.body, Admission))
            case Kind.CREDIT:
                self._credited(frame)
            case Kind.ERR:
                self._kept(frame.sequence, _error_in(frame.body))
            case Kind.CANCEL:
                self._withdrawn(frame.source, frame.correlation)
            case Kind.PING:
                pong = Frame(Kind.PONG, frame.correlation, "", frame.body, self.number)
                self.write(encode(pong))
            case Kind.PUB:
                self._resumed(frame)
            case Kind.BYE:
                if frame.body:
                    self._goodbye = error_from(decode_body(frame.body, ErrorRecord))
            case Kind.PONG:
                pass  # that it came is all there is to it
            case _:
                raise BadFrame(f"a broker does not send {frame.kind.name} so")

    def _take_shared(self, frame: Frame) -> None:
        """A frame with a handle; the block is taken whether or not anybody wants it."""
        if self.side is None:
            raise BadFrame("a handle came without a side channel")
        ticket, _ = handle_of(frame.body)
        with self.side.take(ticket) as block:
            content = map_block(block)
        flags = frame.flags & ~(SHARED | DEADLINE)
        if frame.kind is Kind.PUB:
            inbox = self._current
            if inbox is not None:
                self._deliver(
                    inbox, LargeMessage(frame.topic, b"", frame.source, flags, 0, content)
                )
                inbox.arrived(self, 1, frame_size(frame) + len(content), 0)
        elif frame.kind is Kind.REP:
            waiting = self.awaited.pop(frame.correlation, None)
            if waiting is not None and not waiting[0].done():
                message = LargeMessage(waiting[2], b"", frame.source, flags, 0, content)
                waiting[0].set_result(message)
            self.wake()
        elif frame.kind is Kind.REQ:
            seconds = frame.deadline_ms / 1000
            request = LargeRequest(
                frame.topic, b"", frame.source, flags, 0, frame.correlation, seconds, content
            )
            self._answer(self, request)

    def _deliver(self, inbox: Inbox, message: Message) -> None:
        try:
            inbox.take(message)
        except Exception:  # the boundary to the program's own code
            log.exception("a subscriber's callback failed", topic=message.topic)

    def _credited(self, frame: Frame) -> None:
        if len(frame.body) != CREDIT.size:
            raise BadFrame("the body of CREDIT is not 12 bytes")
        frames, size = CREDIT.unpack(frame.body)
        self.frames += frames
        self.size += size
        if frame.flags & SEQUENCE:
            self._kept(frame.sequence, None)
        self.wake()

    def _failed(self, correlation: int, topic: str, body: bytes) -> None:
        error = _error_in(body)
        waiting = self.awaited.pop(correlation, None)
        if waiting is not None:
            if not waiting[0].done():
                waiting[0].set_exception(error)
            self.wake()
        elif (inbox := self.inboxes.pop(correlation, None)) is not None:
            inbox.ended(error)
        else:
            log.warning("the bus refused a message", topic=topic, error=error)

    def _resumed(self, frame: Frame) -> None:
        """A message out of the log."""
        inbox = self._current
        if inbox is not None:
            flags = frame.flags & ~SEQUENCE
            message = Message(frame.topic, frame.body, frame.source, flags, frame.sequence)
            self._deliver(inbox, message)
            inbox.arrived(self, 1, frame_size(frame), frame.sequence)


def _error_in(body: bytes) -> IpcError:
    """What another endpoint answers is no reason to leave the bus."""
    try:
        return error_from(decode_body(body, ErrorRecord))
    except BadFrame as error:
        return error


def _nobody(message: Message) -> None:
    """For a subscription that has ended while this was on its way."""
