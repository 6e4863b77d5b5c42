"""All our transports, on asyncio's event loop and on uvloop, keep what `symphony.testing` asks."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from symphony.ipc.transport._address import Address, parse_address
from symphony.ipc.transport._adopt import adopt_socket
from symphony.ipc.transport._listen import dial, listen
from symphony.ipc.transport._pipes import adopt_pipes
from symphony.testing._transports import (
    CONNECTION_CHECKS,
    LISTENER_CHECKS,
)
from symphony.testing._wires import Ends, ListeningWire, ProtocolFactory, Wire

RunLoop = Callable[[Coroutine[None, None, None]], None]


class AddressWire(ListeningWire[Address]):
    def __init__(self, address: str) -> None:
        self._address = parse_address(address)

    @asynccontextmanager
    async def listen(self, protocol_factory: ProtocolFactory) -> AsyncIterator[Address]:
        async with listen(self._address, protocol_factory) as listener:
            yield listener.address

    async def dial(
        self, address: Address, protocol_factory: ProtocolFactory
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        return await dial(address, protocol_factory)


class SocketPairWire:
    @asynccontextmanager
    async def pair(self, left: ProtocolFactory, right: ProtocolFactory) -> AsyncIterator[Ends]:
        ours, theirs = socket.socketpair()
        left_end, _ = await adopt_socket(ours, left)
        right_end, _ = await adopt_socket(theirs, right)
        yield left_end, right_end


class PipesWire:
    @asynccontextmanager
    async def pair(self, left: ProtocolFactory, right: ProtocolFactory) -> AsyncIterator[Ends]:
        (left_in, right_out), (right_in, left_out) = os.pipe(), os.pipe()
        left_end, _ = adopt_pipes(left_in, left_out, left)
        right_end, _ = adopt_pipes(right_in, right_out, right)
        yield left_end, right_end


def address_wire(kind: str, folder: Path) -> AddressWire:
    addresses = {
        "unix": f"unix:{folder}/a.sock",
        "tcp": "tcp:127.0.0.1:0",
        "memory": "memory:conformance",
    }
    return AddressWire(addresses[kind])


def wire_of(kind: str, folder: Path) -> Wire:
    if kind == "socketpair":
        return SocketPairWire()
    return PipesWire() if kind == "pipes" else address_wire(kind, folder)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> RunLoop:
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run_loop(main: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main)

    return run_loop


@pytest.mark.parametrize("check", CONNECTION_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["unix", "tcp", "memory", "socketpair", "pipes"])
def test_connection(
    kind: str, check: Callable[[Wire], Coroutine[None, None, None]], run: RunLoop, tmp_path: Path
) -> None:
    run(check(wire_of(kind, tmp_path)))


@pytest.mark.parametrize("check", LISTENER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["unix", "tcp", "memory"])
def test_listener(
    kind: str,
    check: Callable[[ListeningWire[Address]], Coroutine[None, None, None]],
    run: RunLoop,
    tmp_path: Path,
) -> None:
    run(check(address_wire(kind, tmp_path)))
