"""The side channel: descriptors of shared blocks, beside a connection that carries none.

Stream transports of event loops pass no descriptors, so an endpoint has a second socket for them,
of the kind that keeps packets apart. A packet is a ticket, the block's size, and one descriptor.

    ticket u64 | size u64          little-endian, with one descriptor

The sender sends the packet *before* the frame that names its ticket. So when that frame has
arrived, the packet waits in the kernel's queue of the receiver, and `take` never waits. This is
also why a packet is not queued here when the socket is full: the frame would overtake it. `send`
says so instead, and the payload goes inline, or waits for `on_room`.
"""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from struct import Struct as Layout

from symphony.ipc.transport._address import UnixAddress
from symphony.ipc.transport._adopt import admitted, closed_on_error
from symphony.ipc.transport._errors import (
    BadHandle,
    ConnectionNotPermitted,
    TransportUnavailable,
)
from symphony.ipc.transport._identity import trusted_users
from symphony.ipc.transport._shared import SharedBlock
from symphony.ipc.transport._unix import BACKLOG, Listener, bound, connect_unix

PACKET = Layout("<QQ")
#: Blocks that may lie here untaken: their frames are in the buffers of the connection.
MAX_UNTAKEN = 256
MAX_TICKET_BYTES = 256
#: Connections that may be waiting to say their ticket, and how long each may.
MAX_STRANGERS = 64
STRANGER_S = 5.0

_DESCRIPTOR_BYTES = array.array("i").itemsize
#: Room for more descriptors than may come, so that none is left over unseen.
_ANCILLARY_BYTES = 0 if sys.platform == "win32" else socket.CMSG_SPACE(8 * _DESCRIPTOR_BYTES)
_WELCOME = b"\x01"


class SideChannel:
    """One end of a connected SOCK_SEQPACKET socket, which it owns. Nothing here waits."""

    def __init__(self, sock: socket.socket, *, on_room: Callable[[], None] | None = None) -> None:
        """`on_room` is called once after each time that `send` found the socket full."""
        sock.setblocking(False)
        self._sock = sock
        self._on_room = on_room
        self._waiting_for: asyncio.AbstractEventLoop | None = None
        self._untaken: dict[int, SharedBlock] = {}
        #: Nothing can be sent any more; what has come can still be taken.
        self.broken = False

    def send(self, ticket: int, block: SharedBlock) -> bool:
        """Pass a descriptor of the block on; ours stays open. False if there is no room now: the
        frame that names the ticket must not be sent then.

        Raises TransportUnavailable when no block can be passed any more (`broken`), or none for now
        because too many are on their way: the payload has to go inline.
        """
        descriptors = array.array("i", [block.fileno()])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        try:
            self._sock.sendmsg([PACKET.pack(ticket, block.size)], ancillary)
        except BlockingIOError:
            self._expect_room()
            return False
        except OSError as error:
            self.broken = error.errno != errno.ETOOMANYREFS
            reason = (error.strerror or str(error)).lower()
            raise TransportUnavailable(
                "The side channel", reason, hint="Send the payload inline."
            ) from error
        return True

    def _expect_room(self) -> None:
        if self._on_room is not None and self._waiting_for is None:
            self._waiting_for = asyncio.get_running_loop()
            self._waiting_for.add_writer(self._sock.fileno(), self._found_room)

    def _found_room(self) -> None:
        self._stop_waiting()
        if self._on_room is not None:
            self._on_room()

    def _stop_waiting(self) -> None:
        if self._waiting_for is not None:
            self._waiting_for.remove_writer(self._sock.fileno())
            self._waiting_for = None

    def take(self, ticket: int) -> SharedBlock:
        """The block of a ticket that a frame has named; the caller closes it.

        Every ticket that is named must be taken, also of a frame that is dropped. Raises BadHandle
        if it did not come; and if the other side sent what it must not, or more than `MAX_UNTAKEN`
        that no frame names, in which case the channel is closed.
        """
        while ticket not in self._untaken:
            if not self._receive():
                raise BadHandle(f"no descriptor came for ticket {ticket}")
        return self._untaken.pop(ticket)

    def _receive(self) -> bool:
        """One packet from the kernel's queue; False if it is empty, or at its end."""
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                PACKET.size + 1, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            return False
        descriptors = _descriptors(ancillary)
        if not data and not descriptors:
            return False
        fault = self._fault(data, descriptors, flags)
        if fault:
            for descriptor in descriptors:
                os.close(descriptor)
            self.close()
            raise BadHandle(fault)
        ticket, size = PACKET.unpack(data)
        self._untaken[ticket] = SharedBlock(descriptors[0], size)
        return True

    def _fault(self, data: bytes, descriptors: list[int], flags: int) -> str:
        if len(data) != PACKET.size:
            return f"a packet of the side channel has {len(data)} bytes, not {PACKET.size}"
        if flags & socket.MSG_CTRUNC or len(descriptors) != 1:
            return f"a packet of the side channel brought {len(descriptors)} descriptors, not one"
        if PACKET.unpack(data)[0] in self._untaken:
            return "a ticket was sent twice"
        if len(self._untaken) >= MAX_UNTAKEN:
            return f"more than {MAX_UNTAKEN} came that no frame has named"
        return ""

    def close(self) -> None:
        """Also closes the blocks that nobody took."""
        self._stop_waiting()
        self._sock.close()
        while self._untaken:
            self._untaken.popitem()[1].close()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


async def dial_side(
    address: UnixAddress, ticket: str, *, on_room: Callable[[], None] | None = None
) -> SideChannel:
    """Connect and say the ticket; the channel is admitted when this returns.

    Raises the errors of `dial`, and ConnectionNotPermitted for a ticket that is not accepted.
    """
    loop = asyncio.get_running_loop()
    sock = await connect_unix(address, socket.SOCK_SEQPACKET, None)
    with closed_on_error(sock):
        try:
            sock.send(ticket.encode())
            answer = await loop.sock_recv(sock, len(_WELCOME))
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if answer != _WELCOME:
            raise ConnectionNotPermitted(
                str(address), "the ticket was not accepted", hint="Connect anew for a new ticket."
            )
    return SideChannel(sock, on_room=on_room)


@asynccontextmanager
async def listen_side(
    address: UnixAddress, admit: Callable[[str, SideChannel], bool]
) -> AsyncIterator[Listener]:
    """Accept side channels for the length of the block; those admitted outlive it.

    The first packet of each is a ticket. `admit` says whether it is one that was given out and not
    used; the channel belongs to it from then on. Processes of other users, and those that say
    nothing for `STRANGER_S`, are cut off.
    """
    async with bound(address, socket.SOCK_SEQPACKET) as (sock, file):
        sock.listen(BACKLOG)
        reception = _Reception(asyncio.get_running_loop(), address, admit)
        reception.open(sock)
        try:
            yield Listener(address, file)
        finally:
            file.remove()
            reception.close(sock)


class _Reception:
    """Accepts connections and hears their tickets."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: UnixAddress,
        admit: Callable[[str, SideChannel], bool],
    ) -> None:
        self._loop = loop
        self._address = address
        self._admit = admit
        self._users = trusted_users()
        self._strangers: dict[socket.socket, asyncio.TimerHandle] = {}

    def open(self, listening: socket.socket) -> None:
        self._loop.add_reader(listening.fileno(), self._accept, listening)

    def close(self, listening: socket.socket) -> None:
        self._loop.remove_reader(listening.fileno())
        for stranger in list(self._strangers):
            self._dismiss(stranger)

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except OSError:
            return
        if len(self._strangers) >= MAX_STRANGERS or not admitted(sock, self._users, self._address):
            sock.close()
            return
        sock.setblocking(False)
        self._strangers[sock] = self._loop.call_later(STRANGER_S, self._dismiss, sock)
        self._loop.add_reader(sock.fileno(), self._hear, sock)

    def _hear(self, sock: socket.socket) -> None:
        try:
            ticket = sock.recv(MAX_TICKET_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            ticket = ""
        self._forget(sock)
        channel = SideChannel(sock)
        if not ticket or not self._admit(ticket, channel):
            channel.close()
            return
        with suppress(OSError):
            sock.send(_WELCOME)

    def _forget(self, sock: socket.socket) -> None:
        self._strangers.pop(sock).cancel()
        self._loop.remove_reader(sock.fileno())

    def _dismiss(self, sock: socket.socket) -> None:
        self._forget(sock)
        sock.close()
