"""TCP on loopback addresses, for programs that know no other way. Nobody is identified."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from symphony.ipc.transport._address import TcpAddress
from symphony.ipc.transport._adopt import Gate, adopt_socket, closed_on_error
from symphony.ipc.transport._errors import Unreachable, translated
from symphony.ipc.transport._unix import BACKLOG

P = TypeVar("P", bound=asyncio.Protocol)


async def dial_tcp(
    address: TcpAddress, protocol_factory: Callable[[], P]
) -> tuple[asyncio.Transport, P]:
    with translated(address):
        sock = socket.socket(_family(address), socket.SOCK_STREAM)
        with closed_on_error(sock):
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
            _require_another_end(sock, address)
    return await adopt_socket(sock, protocol_factory)


def _family(address: TcpAddress) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _require_another_end(sock: socket.socket, address: TcpAddress) -> None:
    """A socket may connect to itself if the system happens to give it the port it asks for."""
    if sock.getsockname() == sock.getpeername():
        raise Unreachable(str(address), "no process listens there")


@asynccontextmanager
async def listen_tcp(
    address: TcpAddress, protocol_factory: Callable[[], P]
) -> AsyncIterator[TcpAddress]:
    """Accept connections for the length of the block; yields the address with its actual port."""
    loop = asyncio.get_running_loop()
    with _bind(address) as sock:
        actual = TcpAddress(address.host, sock.getsockname()[1])
        server = await loop.create_server(
            lambda: Gate(protocol_factory, None, actual),
            sock=sock,
            backlog=BACKLOG,
            start_serving=False,
        )
        try:
            with translated(actual):
                await server.start_serving()
            yield actual
        finally:
            server.close()


def _bind(address: TcpAddress) -> socket.socket:
    with translated(address):
        sock = socket.socket(_family(address), socket.SOCK_STREAM)
        with closed_on_error(sock):
            sock.setblocking(False)
            if os.name == "posix":  # elsewhere it would allow two servers on one port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address.host, address.port))
    return sock
