"""One door for all addresses: `dial` to connect, `listen` to be connected to.

Both deal in asyncio's own transports and protocols, whatever the address and the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from symphony.ipc.transport._address import (
    Address,
    MemoryAddress,
    PipeAddress,
    StdioAddress,
    TcpAddress,
    UnixAddress,
)
from symphony.ipc.transport._errors import TransportUnavailable
from symphony.ipc.transport._memory import dial_memory, listen_memory
from symphony.ipc.transport._named_pipe import dial_pipe, listen_pipe
from symphony.ipc.transport._stdio import adopt_stdio
from symphony.ipc.transport._tcp import dial_tcp, listen_tcp
from symphony.ipc.transport._unix import Listener, dial_unix, listen_unix

P = TypeVar("P", bound=asyncio.Protocol)


async def dial(
    address: Address,
    protocol_factory: Callable[[], P],
    *,
    users: frozenset[int] | None = None,
) -> tuple[asyncio.Transport, P]:
    """Connect; safe to cancel at any moment: no descriptor is left open, and a protocol that has
    heard `connection_made` hears `connection_lost`.

    Of a Unix socket's server the kernel must say that it runs as one of `users`: by default ours
    and root. Raises Unreachable, ConnectionNotPermitted, TransportUnavailable, TransportFailed.
    """
    match address:
        case UnixAddress():
            return await dial_unix(address, protocol_factory, users)
        case TcpAddress():
            return await dial_tcp(address, protocol_factory)
        case MemoryAddress():
            return await dial_memory(address, protocol_factory)
        case PipeAddress():
            return await dial_pipe(address, protocol_factory)
        case StdioAddress():
            return adopt_stdio(protocol_factory)


@asynccontextmanager
async def listen(
    address: Address,
    protocol_factory: Callable[[], asyncio.Protocol],
    *,
    users: frozenset[int] | None = None,
) -> AsyncIterator[Listener]:
    """Accept connections for the length of the block; those accepted outlive it.

    The factory is called for each that is admitted, when it is connected. On a Unix socket those
    are connections from processes of `users`, by default ours and root; others are cut off, which
    is logged. Raises AddressInUse, ConnectionNotPermitted, TransportUnavailable, TransportFailed,
    or an error of `files` about the folder.
    """
    match address:
        case UnixAddress():
            async with listen_unix(address, protocol_factory, users) as file:
                yield Listener(address, file)
        case TcpAddress():
            async with listen_tcp(address, protocol_factory) as actual:
                yield Listener(actual)
        case MemoryAddress():
            async with listen_memory(address, protocol_factory):
                yield Listener(address)
        case PipeAddress():
            async with listen_pipe(address, protocol_factory):
                yield Listener(address)
        case StdioAddress():
            raise TransportUnavailable(
                "stdio:", "nobody can connect to a standard input", hint="Dial it instead."
            )
