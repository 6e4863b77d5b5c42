"""Named pipes of Windows. Untested on this platform.

Only asyncio's own loop there has them. The pipe has the system's default rights: its maker and
administrators may connect.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar, cast

from symphony.ipc.transport._address import PipeAddress
from symphony.ipc.transport._adopt import Gate
from symphony.ipc.transport._errors import AddressInUse, TransportUnavailable, translated

P = TypeVar("P", bound=asyncio.Protocol)


class _PipeLoop(Protocol):
    """What asyncio's loop on Windows can do besides."""

    async def create_pipe_connection(
        self, protocol_factory: Callable[[], P], address: str
    ) -> tuple[asyncio.Transport, P]: ...

    async def start_serving_pipe(
        self, protocol_factory: Callable[[], asyncio.Protocol], address: str
    ) -> list[asyncio.AbstractServer]: ...


async def dial_pipe(
    address: PipeAddress, protocol_factory: Callable[[], P]
) -> tuple[asyncio.Transport, P]:
    loop = _pipe_loop(address)
    with translated(address):
        return await loop.create_pipe_connection(protocol_factory, _path(address))


@asynccontextmanager
async def listen_pipe(
    address: PipeAddress, protocol_factory: Callable[[], asyncio.Protocol]
) -> AsyncIterator[None]:
    loop = _pipe_loop(address)

    def gate() -> asyncio.Protocol:
        return Gate(protocol_factory, None, address)

    try:
        (server,) = await loop.start_serving_pipe(gate, _path(address))
    except PermissionError as error:  # somebody has made a pipe of that name
        raise AddressInUse(str(address)) from error
    try:
        yield
    finally:
        server.close()


def _path(address: PipeAddress) -> str:
    return rf"\\.\pipe\{address.name}"


def _pipe_loop(address: PipeAddress) -> _PipeLoop:
    if sys.platform == "win32":
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.ProactorEventLoop):
            return cast(_PipeLoop, loop)
    raise TransportUnavailable(
        str(address),
        "named pipes are of Windows, and of asyncio's own event loop there",
        hint="Use a Unix socket: unix:/path/to.sock.",
    )
