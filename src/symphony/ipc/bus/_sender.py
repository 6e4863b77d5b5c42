"""The half of a connection that sends: what waits for the end of the turn, publish credit, requests
that are open and their deadlines.

What is sent within one turn of the event loop leaves in one write. A request costs a future and no
task; its deadline is watched by one timer for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from symphony.ipc._errors import FrameTooLarge, RequestTimeout
from symphony.ipc.bus._message import Message
from symphony.ipc.bus._sharing import HANDLE
from symphony.ipc.protocol._control import CREDIT
from symphony.ipc.protocol._frames import (
    DEADLINE,
    DEADLINE_WORD,
    HEADER,
    MAX_DEADLINE_MS,
    MAX_FRAME,
    SEQUENCE,
    Frame,
    Kind,
    encode,
)
from symphony.ipc.transport._errors import TransportUnavailable
from symphony.ipc.transport._shared import SharedBlock
from symphony.ipc.transport._side import SideChannel

PACK = HEADER.pack
PACK_DEADLINE = DEADLINE_WORD.pack
HEADER_SIZE = HEADER.size
PUB, REQ = int(Kind.PUB), int(Kind.REQ)

#: What waits for the end of the turn leaves at once when it is of so many parts (a message is two
#: or three): few at first, so that the others have something to do while the rest is made, then
#: twice as many each time, since a write costs as much as some messages.
FIRST_PARTS = 48
MOST_PARTS = 1024

#: Topics whose beginning of a request is remembered.
MAX_TOPICS = 10_000

NEVER = float("inf")

#: A request that is open: its answer, until when, its topic. A NamedTuple takes five times as long.
Awaited: TypeAlias = tuple[asyncio.Future[Message], float, str]


class Sender:
    """`encoded` makes the bytes of a topic, or raises BadTopic."""

    def __init__(self, *, encoded: Callable[[str], bytes], batch_delay_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._encoded = encoded
        self._batch_delay_s = batch_delay_s
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        #: The last publication's header, topic and sizes: the next is often like it.
        self._header, self._last_topic, self._last_size, self._flags = b"", "", -1, 0
        self._frame_size = 0
        self._scheduled = False
        self._most = FIRST_PARTS
        self._time = self._loop.time
        self._new_future: Callable[[], asyncio.Future[Message]] = self._loop.create_future
        #: What precedes the body of requests that have so many seconds, by topic.
        self._prepared: dict[str, bytes] = {}
        self._seconds = 0.0
        self._sweep: asyncio.TimerHandle | None = None
        self._sweep_at = NEVER
        self._room: list[asyncio.Future[None]] = []
        #: For large bodies, where there is one, and how large those may be that go over it.
        self.side: SideChannel | None = None
        self.max_shared = 0
        self._ticket = 0
        self.awaited: dict[int, Awaited] = {}
        self.correlation = 0
        self.number = 0
        self.max_frame = MAX_FRAME
        self.max_requests = 0
        #: Publish credit that is left.
        self.frames = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Send with whatever else is sent in this turn of the loop."""
        out = self._out
        if not self._scheduled:
            self._schedule()
        out.append(data)
        if len(out) >= self._most:
            self._flush_early()

    def publish(self, topic: str, flags: int, body: bytes) -> bool:
        """Send a publication; False, with nothing sent, if there is no credit for it. Raises
        BadTopic, FrameTooLarge."""
        size = self.size
        if self.frames <= 0 or size <= 0:
            return False
        if topic is not self._last_topic or len(body) != self._last_size or flags != self._flags:
            self._begin_run(topic, flags, len(body))
        self.frames -= 1
        self.size = size - self._frame_size
        out = self._out
        if not self._scheduled:
            self._schedule()
        out.append(self._header)
        out.append(body)
        if len(out) >= self._most:
            self._flush_early()
        return True

    def _begin_run(self, topic: str, flags: int, body_size: int) -> None:
        """The header that publications of this topic and size begin with."""
        encoded = self._encoded(topic)
        size = HEADER_SIZE + len(encoded) + body_size
        if size > self.max_frame:
            raise FrameTooLarge(size, self.max_frame)
        self._header = PACK(size, PUB, flags, len(encoded), self.number, 0) + encoded
        self._last_topic, self._last_size, self._flags = topic, body_size, flags
        self._frame_size = size

    def hand_over(self, block: SharedBlock) -> bytes:
        """Pass a block on; the body of the frame that must now be sent for it. Empty if there is
        no room now: `room` tells when. Raises TransportUnavailable if it has to go inline."""
        if self.side is None:  # the connection has just ended
            return b""
        self._ticket += 1
        try:
            sent = self.side.send(self._ticket, block)
        except TransportUnavailable:
            if self.side.broken:
                self.max_shared = 0
            raise
        return HANDLE.pack(self._ticket, block.size) if sent else b""

    def ask(
        self, topic: str, encoded: bytes, flags: int, body: bytes, seconds: float
    ) -> asyncio.Future[Message]:
        """Send a request; the future of its answer, whose correlation is `correlation` until the
        next. `seconds` 0 is for ever. Raises FrameTooLarge."""
        prepared = self._prepared.get(topic)
        if prepared is None or seconds != self._seconds:
            prepared = self._prepare(topic, encoded, seconds)
        size = HEADER_SIZE + len(prepared) + len(body)
        if size > self.max_frame:
            raise FrameTooLarge(size, self.max_frame)
        if seconds:
            flags |= DEADLINE
            deadline = self._time() + seconds
            if deadline < self._sweep_at:
                self._sweep_by(deadline)
        else:
            deadline = NEVER
        self.correlation = correlation = self.correlation + 1
        answer = self._new_future()
        self.awaited[correlation] = (answer, deadline, topic)
        header = PACK(size, REQ, flags, len(encoded), self.number, correlation)
        out = self._out
        if not self._scheduled:
            if len(self.awaited) == 1 and self._transport is not None and not self._batch_delay_s:
                # Whoever has one question open waits for its answer, and sends nothing else.
                self._transport.write(b"".join((header, prepared, body)))
                return answer
            self._schedule()
        out.append(header)
        out.append(prepared)
        out.append(body)
        if len(out) >= self._most:
            self._flush_early()
        return answer

    def register(self, kind: Kind, pattern: str, body: bytes) -> asyncio.Future[Message]:
        """Ask the broker itself for something that `correlation` names from then on."""
        self.correlation += 1
        return self.control(kind, self.correlation, pattern, body)

    def control(
        self, kind: Kind, number: int, pattern: str = "", body: bytes = b""
    ) -> asyncio.Future[Message]:
        answer = self._new_future()
        self.awaited[number] = (answer, NEVER, pattern)
        self.write(encode(Frame(kind, number, pattern, body, self.number)))
        return answer

    def send_charged(self, frame: Frame) -> None:
        """Send a publication that takes the slow way; raises FrameTooLarge."""
        data = encode(frame, self.max_frame)
        self.frames -= 1
        self.size -= len(data)
        self.write(data)

    def withdraw(self, correlation: int) -> None:
        """Nobody waits for the answer any more."""
        if self.awaited.pop(correlation, None) is not None:
            self.write(PACK(HEADER_SIZE, Kind.CANCEL, 0, 0, self.number, correlation))
            self.wake()

    def credit(self, subscription: int, frames: int, size: int, position: int | None) -> None:
        flags = 0 if position is None else SEQUENCE
        body = CREDIT.pack(frames, size)
        frame = Frame(Kind.CREDIT, subscription, "", body, self.number, flags, 0, position or 0)
        self.write(encode(frame))

    def _hold(self) -> bool:
        """Gather what is sent until `_let_go`; False if it is gathered anyway."""
        if self._scheduled or self._batch_delay_s:
            return False
        self._scheduled = True
        return True

    def _let_go(self) -> None:
        """What was sent for what has come: a lone answer leaves at once, without another turn of
        the loop; several wait for those to the next read."""
        self._scheduled = False
        if len(self._out) == 1:
            self._flush()
        elif self._out:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        if self._batch_delay_s:
            self._loop.call_later(self._batch_delay_s, self._flush)
        else:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """The turn is over."""
        self._scheduled = False
        self._most = FIRST_PARTS
        if self._out:
            self._send()

    def _flush_early(self) -> None:
        """So much has gathered that the other side may as well begin with it."""
        self._most = min(2 * self._most, MOST_PARTS)
        self._send()

    def _send(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _prepare(self, topic: str, encoded: bytes, seconds: float) -> bytes:
        """What follows the header of a request: its deadline and topic."""
        if seconds != self._seconds or len(self._prepared) >= MAX_TOPICS:
            self._prepared.clear()
            self._seconds = seconds
        word = PACK_DEADLINE(min(int(seconds * 1000) + 1, MAX_DEADLINE_MS)) if seconds else b""
        prepared = self._prepared[topic] = word + encoded
        return prepared

    def _sweep_by(self, deadline: float) -> None:
        """See to it that requests which have not been answered by then end."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep_at = deadline
        self._sweep = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        now = self._time()
        for correlation, (answer, deadline, topic) in tuple(self.awaited.items()):
            if deadline <= now:
                self.withdraw(correlation)
                if not answer.done():
                    answer.set_exception(RequestTimeout(topic))
        self._sweep_at = NEVER
        earliest = min((deadline for _, deadline, _ in self.awaited.values()), default=NEVER)
        if earliest < NEVER:
            self._sweep_by(earliest)

    async def room(self) -> None:
        """Wait until something may have become possible: credit, an answer, the end."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._room.append(waiter)
        await waiter

    def wake(self) -> None:
        """Something may have become possible."""
        for waiter in self._room:
            if not waiter.done():
                waiter.set_result(None)
        self._room.clear()
