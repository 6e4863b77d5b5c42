"""The checks of `symphony.testing` find what they are for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from symphony.ipc.transport._address import MemoryAddress
from symphony.ipc.transport._listen import dial, listen
from symphony.ipc.transport._memory import MemoryTransport
from symphony.testing import _transports
from symphony.testing._transports import (
    CONNECTION_CHECKS,
    LISTENER_CHECKS,
    Nonconformant,
)
from symphony.testing._wires import Ends, ListeningWire, ProtocolFactory


class BrokenWire:
    def __init__(self, kind: type[MemoryTransport]) -> None:
        self._kind = kind

    @asynccontextmanager
    async def pair(self, left: ProtocolFactory, right: ProtocolFactory) -> AsyncIterator[Ends]:
        loop = asyncio.get_running_loop()
        ours, theirs = self._kind(loop), self._kind(loop)
        ours.join(theirs)
        theirs.join(ours)
        ours.begin(left)
        theirs.begin(right)
        yield ours, theirs


class Reorders(MemoryTransport):
    def receive(self, data: bytes) -> None:
        super().receive(data)
        self._inbox.reverse()


class Doubles(MemoryTransport):
    def receive(self, data: bytes) -> None:
        super().receive(data + data[:1])


class NeverPauses(MemoryTransport):
    def _pause_if_full(self) -> None: ...


class PausesLate(MemoryTransport):
    def _pause_if_full(self) -> None:
        if self.get_write_buffer_size() > 2 * self._high:
            super()._pause_if_full()


class NeverResumes(MemoryTransport):
    def _resume_if_drained(self) -> None: ...


class IgnoresPauseReading(MemoryTransport):
    def pause_reading(self) -> None: ...


class EndsTwice(MemoryTransport):
    def _tell_loss(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
        super()._tell_loss(error)


class NeverEnds(MemoryTransport):
    def _tell_loss(self, error: Exception | None) -> None: ...


class EndsAtOnce(MemoryTransport):
    def abort(self) -> None:
        super().abort()
        self._tell_loss(None)


class DeliversAtOnce(MemoryTransport):
    def _expect_delivery(self) -> None:
        if self._inbox and self.is_reading():
            self._deliver(self._next_piece())


class DropsAtClose(MemoryTransport):
    def close(self) -> None:
        self.abort()


class SendsAllAtAbort(MemoryTransport):
    def abort(self) -> None:
        self.close()


class ClosesBothWays(MemoryTransport):
    def write_eof(self) -> None:
        self.close()


class SpeaksAfterTheEnd(MemoryTransport):
    def _tell_loss(self, error: Exception | None) -> None:
        protocol = self._protocol
        super()._tell_loss(error)
        protocol.data_received(b"ghost")


class SwallowsFaults(MemoryTransport):
    def _deliver(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        except RuntimeError:
            self.abort()


@pytest.mark.parametrize(
    "kind",
    [
        Reorders,
        Doubles,
        NeverPauses,
        PausesLate,
        NeverResumes,
        IgnoresPauseReading,
        EndsTwice,
        NeverEnds,
        EndsAtOnce,
        DeliversAtOnce,
        DropsAtClose,
        SendsAllAtAbort,
        ClosesBothWays,
        SpeaksAfterTheEnd,
        SwallowsFaults,
    ],
)
def test_a_broken_transport_is_found_out(
    kind: type[MemoryTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transports, "TIME_LIMIT_S", 0.02)
    monkeypatch.setattr(_transports, "LARGE", 1024 * 1024)
    monkeypatch.setattr(_transports, "SMALL_WRITES", 1000)
    monkeypatch.setattr(_transports, "MORE_THAN_SYSTEMS_HOLD", 1024 * 1024)
    found = []
    for check in CONNECTION_CHECKS:
        try:
            asyncio.run(_quietly(check(BrokenWire(kind))))
        except (Nonconformant, TimeoutError, RecursionError) as error:
            found.append(error)
    assert found


async def _quietly(check: Coroutine[None, None, None]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await check


class MemoryWire(ListeningWire[MemoryAddress]):
    address = MemoryAddress("broken")

    @asynccontextmanager
    async def listen(self, protocol_factory: ProtocolFactory) -> AsyncIterator[MemoryAddress]:
        async with listen(self.address, protocol_factory):
            yield self.address

    async def dial(
        self, address: MemoryAddress, protocol_factory: ProtocolFactory
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        return await dial(address, protocol_factory)


class LeaksDescriptors(MemoryWire):
    async def dial(
        self, address: MemoryAddress, protocol_factory: ProtocolFactory
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        leaked = os.dup(0)
        ends = await super().dial(address, protocol_factory)
        os.close(leaked)
        return ends


class SaysAnything(MemoryWire):
    async def dial(
        self, address: MemoryAddress, protocol_factory: ProtocolFactory
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        transport, _ = await super().dial(MemoryAddress("broken"), asyncio.Protocol)
        protocol = protocol_factory()
        protocol.connection_made(transport)
        return transport, protocol


@pytest.mark.parametrize("wire", [LeaksDescriptors, SaysAnything])
def test_a_broken_dial_is_found_out(
    wire: Callable[[], MemoryWire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transports, "TIME_LIMIT_S", 0.05)
    found = []
    for check in LISTENER_CHECKS:
        try:
            asyncio.run(check(wire()))
        except (Nonconformant, TimeoutError) as error:
            found.append(error)
    assert found
