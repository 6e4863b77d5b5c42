"""Transports under test, and a protocol that notes what it hears."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

A = TypeVar("A")
ProtocolFactory: TypeAlias = Callable[[], asyncio.Protocol]
Ends: TypeAlias = tuple[asyncio.Transport, asyncio.Transport]

CHUNK = 16 * 1024


class Wire(Protocol):
    """A transport under test."""

    def pair(
        self, left: ProtocolFactory, right: ProtocolFactory
    ) -> AbstractAsyncContextManager[Ends]:
        """Two connected ends, which are ended in the block."""
        ...


class ListeningWire(ABC, Generic[A]):
    """A transport under test that has addresses."""

    @abstractmethod
    def listen(self, protocol_factory: ProtocolFactory) -> AbstractAsyncContextManager[A]:
        """Accept connections for the length of a block, and say where."""

    @abstractmethod
    async def dial(
        self, address: A, protocol_factory: ProtocolFactory
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect, or raise a SymphonyError of category UNAVAILABLE."""

    @asynccontextmanager
    async def pair(self, left: ProtocolFactory, right: ProtocolFactory) -> AsyncIterator[Ends]:
        accepted: asyncio.Queue[asyncio.Transport] = asyncio.Queue()
        async with self.listen(lambda: _Announced(right, accepted)) as address:
            ours, _ = await self.dial(address, left)
            yield ours, await accepted.get()


class _Announced(asyncio.Protocol):
    """Tells of a connection that was accepted, and makes way for its protocol."""

    def __init__(
        self, protocol_factory: ProtocolFactory, accepted: asyncio.Queue[asyncio.Transport]
    ) -> None:
        self._factory = protocol_factory
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._accepted.put_nowait(cast(asyncio.Transport, transport))


class Recorder(asyncio.Protocol):
    """Notes what it hears, and what it should not have heard."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.received = bytearray()
        self.transport: asyncio.Transport
        self.made = 0
        self.ended = False
        self.paused = False
        self.losses: list[Exception | None] = []
        self.faults: list[str] = []
        self._keep_open = keep_open
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.made += 1
        self._note("connection_made twice" if self.made > 1 else "")

    def data_received(self, data: bytes) -> None:
        self.received += data
        fault = "an empty data_received" if not data else ""
        self._note("data after the end" if self.ended else fault)

    def eof_received(self) -> bool:
        fault = "eof_received twice" if self.ended else ""
        self.ended = True
        self._note(fault)
        return self._keep_open

    def pause_writing(self) -> None:
        fault = "pause_writing twice in a row" if self.paused else ""
        self.paused = True
        self._note(fault)

    def resume_writing(self) -> None:
        fault = "" if self.paused else "resume_writing without pause_writing"
        self.paused = False
        self._note(fault)

    def connection_lost(self, exc: Exception | None) -> None:
        self.losses.append(exc)
        self._changed.set()

    def _note(self, fault: str) -> None:
        if not self.made:
            self.faults.append("a call before connection_made")
        if self.losses:
            self.faults.append("a call after connection_lost")
        if fault:
            self.faults.append(fault)
        self._changed.set()

    async def until(self, condition: Callable[[Recorder], bool]) -> None:
        """Wait until what was heard meets the condition."""
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()

    async def until_lost(self) -> None:
        await self.until(lambda self: bool(self.losses))

    async def send(self, data: bytes) -> None:
        """Write in chunks, waiting whenever told to pause."""
        for at in range(0, len(data), CHUNK):
            await self.until(lambda self: not self.paused)
            self.transport.write(data[at : at + CHUNK])
