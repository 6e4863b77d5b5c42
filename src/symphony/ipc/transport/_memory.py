"""Connections inside one process and loop, with the manners of a socket.

What is written is handed over by reference, on a later turn of the loop: nothing of the other side
runs inside `write` or `close`. The first `CAPACITY` bytes that the other side has not taken count
as being with the kernel, as they would on a socket: they do not hold up the writer or a `close`.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from symphony.ipc.transport._address import MemoryAddress
from symphony.ipc.transport._errors import AddressInUse, Unreachable
from symphony.ipc.transport._identity import this_process
from symphony.ipc.transport._own import OwnTransport

P = TypeVar("P", bound=asyncio.Protocol)

CAPACITY = 64 * 1024
#: The most that one `data_received` gets, as on asyncio's sockets.
READ_SIZE = 256 * 1024


class MemoryTransport(OwnTransport):
    """One of two ends; `memory_pair` makes both."""

    _other: MemoryTransport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, this_process("memory", os.getpid()))
        #: What the other end wrote and our protocol has not got.
        self._inbox: deque[bytes | memoryview] = deque()
        self._inbox_size = 0
        self._ended = False  # nothing follows what is in the inbox
        self._delivery_due = False

    def join(self, other: MemoryTransport) -> None:
        self._other = other

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._expect_delivery()

    def _expect_delivery(self) -> None:
        waiting = self._inbox or (self._ended and not self._end_told)
        if waiting and self.is_reading() and not self._delivery_due:
            self._delivery_due = True
            self._loop.call_soon(self._take)

    def _take(self) -> None:
        self._delivery_due = False
        if not self.is_reading():
            return
        if self._inbox:
            self._deliver(self._next_piece())
            self._other.drained()
        else:
            self._end_told = True
            if not self._protocol.eof_received():
                self.close()
        self._expect_delivery()

    def _next_piece(self) -> bytes:
        """What lies there, up to READ_SIZE; a single piece is passed on as it is."""
        pieces: list[bytes | memoryview] = []
        room = READ_SIZE
        while self._inbox and room:
            piece = self._inbox.popleft()
            if len(piece) > room:
                view = memoryview(piece)
                self._inbox.appendleft(view[room:])
                piece = view[:room]
            pieces.append(piece)
            room -= len(piece)
        self._inbox_size -= READ_SIZE - room
        only = pieces[0]
        return only if len(pieces) == 1 and isinstance(only, bytes) else b"".join(pieces)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._wrote_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if not self._other.is_closing():
            self._other.receive(bytes(data))
            self._pause_if_full()
        elif self._end_told:
            self._lose(BrokenPipeError("the other end has closed"))
        # Else, as on a socket, what it said before it closed is still to be read.

    def receive(self, data: bytes) -> None:
        self._inbox.append(data)
        self._inbox_size += len(data)
        self._expect_delivery()

    def drained(self) -> None:
        """The other end has less to read, or has given it up."""
        self._resume_if_drained()
        if self._closing and not self.get_write_buffer_size():
            self._lose(None)

    def get_write_buffer_size(self) -> int:
        return max(0, self._other.unread() - CAPACITY)

    def unread(self) -> int:
        return self._inbox_size

    def write_eof(self) -> None:
        self._wrote_eof = True
        self._other.expect_end()

    def expect_end(self) -> None:
        self._ended = True
        self._expect_delivery()

    def close(self) -> None:
        """What was written still arrives. `connection_lost` follows when the other end has taken
        all but what a kernel would hold for it."""
        if self._closing:
            return
        self._closing = True
        self._drop_inbox()
        self._other.expect_end()
        if not self.get_write_buffer_size():
            self._lose(None)

    def abort(self) -> None:
        """What has not arrived is lost, and the other end is told so if there was any."""
        if not self._loss_due:
            self._other.cut_off()
            self._lose(None)

    def cut_off(self) -> None:
        if self._inbox:
            self._lose(ConnectionResetError("the other end has dropped the connection"))

    def _let_go(self) -> None:
        self._drop_inbox()
        self._other.expect_end()

    def _drop_inbox(self) -> None:
        self._inbox.clear()
        self._inbox_size = 0
        self._loop.call_soon(self._other.drained)


def memory_pair(loop: asyncio.AbstractEventLoop) -> tuple[MemoryTransport, MemoryTransport]:
    left, right = MemoryTransport(loop), MemoryTransport(loop)
    left.join(right)
    right.join(left)
    return left, right


@dataclass(frozen=True, slots=True)
class _Place:
    loop: asyncio.AbstractEventLoop
    protocol_factory: Callable[[], asyncio.Protocol]


#: Who listens, by name. A name is one process's: no second loop can listen on it meanwhile.
_places: dict[str, _Place] = {}


async def dial_memory(
    address: MemoryAddress, protocol_factory: Callable[[], P]
) -> tuple[asyncio.Transport, P]:
    place = _places.get(address.name)
    loop = asyncio.get_running_loop()
    if place is None or place.loop is not loop:
        raise Unreachable(str(address), "nobody on this event loop listens there")
    protocol = protocol_factory()
    ours, theirs = memory_pair(loop)
    loop.call_soon(theirs.begin, place.protocol_factory)
    loop.call_soon(ours.begin, lambda: protocol)
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        ours.abort()
        raise
    return ours, protocol


@asynccontextmanager
async def listen_memory(
    address: MemoryAddress, protocol_factory: Callable[[], asyncio.Protocol]
) -> AsyncIterator[None]:
    if address.name in _places:
        raise AddressInUse(str(address), os.getpid())
    _places[address.name] = _Place(asyncio.get_running_loop(), protocol_factory)
    try:
        yield
    finally:
        del _places[address.name]
