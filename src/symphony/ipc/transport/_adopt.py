"""From a connected socket to a transport: the steps that all ways of getting there share."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

from symphony.commons.logging import get_logger
from symphony.ipc.transport._errors import translated
from symphony.ipc.transport._identity import credentials

P = TypeVar("P", bound=asyncio.Protocol)
T = TypeVar("T", bound=asyncio.BaseTransport)

log = get_logger("ipc")


async def adopt_socket(
    sock: socket.socket, protocol_factory: Callable[[], P]
) -> tuple[asyncio.Transport, P]:
    """Take over a connected stream socket, such as an inherited end of a pair.

    It is closed with the transport, and also if this fails or is cancelled.
    """
    loop = asyncio.get_running_loop()
    with closed_on_error(sock):
        protocol = protocol_factory()
        sock.setblocking(False)
    unix = sys.platform != "win32" and sock.family == socket.AF_UNIX
    create = loop.create_unix_connection if unix else loop.create_connection
    with translated("The socket"):
        transport, _ = await settled(create(lambda: protocol, sock=sock))
    return transport, protocol


async def settled(opening: Coroutine[object, object, tuple[T, P]]) -> tuple[T, P]:
    """The outcome of `opening`, which waits for nothing but turns of the loop.

    A cancel takes effect after it, by closing the transport. Interrupted in the middle, uvloop
    would drop a transport whose protocol has heard `connection_made`, and never tell it the end.
    """
    task = asyncio.ensure_future(opening)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if task.exception() is None:
        discard(task.result()[0])
    raise cancelled


def discard(transport: asyncio.BaseTransport) -> None:
    """Close at once, whatever has not been sent; one that only reads has nothing to send."""
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    else:
        transport.close()


@contextmanager
def closed_on_error(sock: socket.socket) -> Iterator[None]:
    """Whoever raises in the block, or is cancelled, leaves no open socket behind."""
    try:
        yield
    except BaseException:
        sock.close()
        raise


class Gate(asyncio.Protocol, Generic[P]):
    """Stands in for an accepted connection's protocol until its peer has been admitted.

    From then on the transport speaks to the protocol itself: nothing is left in between.
    """

    def __init__(
        self, protocol_factory: Callable[[], P], users: frozenset[int] | None, address: object
    ) -> None:
        self._factory = protocol_factory
        self._users = users
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        if self._users is not None and not admitted(
            transport.get_extra_info("socket"), self._users, self._address
        ):
            transport.abort()
            return
        try:
            protocol = self._factory()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
        except BaseException:
            transport.abort()
            raise


def admitted(sock: socket.socket, users: frozenset[int], address: object) -> bool:
    """Whether the kernel says that one of `users` is at the other end; logged if not."""
    peer = credentials(sock)
    if peer.uid in users:
        return True
    log.warning("refused a connection", address=str(address), uid=peer.uid, pid=peer.pid)
    return False
