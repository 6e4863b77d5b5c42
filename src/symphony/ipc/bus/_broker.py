"""The broker: connections around the router, and the log beside it.

Bytes go to the router as they come, and what it has to send leaves in one write a connection once
the read has been dealt with. Nothing here waits for an endpoint: what one does not read stays in
its connection's buffer, up to a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

from symphony.commons import blocking
from symphony.commons.clock import Clock, SystemClock
from symphony.commons.logging import get_logger
from symphony.commons.tasks import task_scope
from symphony.ipc._errors import IpcError, LimitReached, Silent, SlowReader
from symphony.ipc.bus._access import Permit, allow_all
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._doors import open_door
from symphony.ipc.bus._filters import Filter
from symphony.ipc.bus._keeper import Keeper
from symphony.ipc.bus._log import LogLimits, open_log
from symphony.ipc.bus._members import STRANGER, Member
from symphony.ipc.bus._outgoing import Close, Postpone, Tell
from symphony.ipc.bus._reports import BusStats, EndpointInfo, EndpointQuery
from symphony.ipc.bus._router import NO_SIDES, Router
from symphony.ipc.bus._sides import Sides, open_sides
from symphony.ipc.transport._address import Address, MemoryAddress, UnixAddress, parse_address
from symphony.ipc.transport._identity import identify
from symphony.ipc.transport._listen import listen
from symphony.ipc.transport._shared import SHARED_MEMORY

#: How long a connection that was told goodbye may take to read it.
GOODBYE_S = 1.0

#: How often in a heartbeat everybody is looked at.
LOOKS = 4

DEFAULTS = BusConfig()
DEFAULT_LIMITS = LogLimits()
EVERYBODY = EndpointQuery()

log = get_logger("ipc.bus")


class _Connection(asyncio.Protocol):
    """One endpoint's connection, as the loop sees it."""

    _member: Member

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._member = self._broker.connected(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._broker.received(self._member, data)

    def pause_writing(self) -> None:
        """More waits for the endpoint than may."""
        self._broker.overrun(self._member)

    def connection_lost(self, exc: Exception | None) -> None:
        self._broker.lost(self._member)


class Broker:
    """Made by `open_broker`; embedded in a program, or behind the addresses that it listens on."""

    def __init__(
        self, config: BusConfig, router: Router, keeper: Keeper | None, tasks: asyncio.TaskGroup
    ) -> None:
        self._config = config
        self._router = router
        self._keeper = keeper
        self._tasks = tasks
        self._connections: dict[Member, asyncio.Transport] = {}
        #: Those that were told goodbye.
        self._leaving: dict[Member, asyncio.Transport] = {}
        self._empty = asyncio.Event()
        #: Done when no request is open; there once the broker closes.
        self._idle: asyncio.Future[None] | None = None
        #: Where endpoints can connect.
        self.addresses: tuple[str, ...] = ()

    def stats(self) -> BusStats:
        return self._router.stats()

    def endpoints(self, query: EndpointQuery = EVERYBODY) -> list[EndpointInfo]:
        return self._router.endpoints(query)

    def withdraw(self, endpoint: str) -> None:
        """Ask again whether the endpoint may do what it does; it holds from its next frame on."""
        self._router.withdraw(endpoint)
        self.flush()

    def protocol(self) -> asyncio.Protocol:
        """For a transport of a connection, however it came to be."""
        return _Connection(self)

    # What connections tell.

    def connected(self, transport: asyncio.Transport) -> Member:
        transport.set_write_buffer_limits(high=self._config.max_backlog_bytes)
        member = self._router.connect(str(identify(transport)))
        self._connections[member] = transport
        if (
            len(self._connections) + len(self._leaving)
            > self._config.max_endpoints + SPARE_CONNECTIONS
        ):
            self._router.refuse(member, LimitReached("connections", self._config.max_endpoints))
            self.flush()
        loop = asyncio.get_running_loop()
        loop.call_later(self._config.greeting_s, self._expect_greeting, member)
        return member

    def received(self, member: Member, data: bytes) -> None:
        try:
            self._router.receive(member, data)
        except IpcError as error:
            self._router.refuse(member, error)
        self.flush()

    def _go_on(self, member: Member) -> None:
        """With what was put off; then its endpoint may send more."""
        transport = self._connections.get(member)
        if transport is None:
            return
        try:
            self._router.go_on(member)
        except IpcError as error:
            self._router.refuse(member, error)
        self.flush()
        if member in self._connections and not member.postponed:
            transport.resume_reading()

    def overrun(self, member: Member) -> None:
        transport = self._connections.get(member)
        if transport is not None and not member.closing:
            waiting = transport.get_write_buffer_size()
            self._router.refuse(member, SlowReader(member.name, "bytes", waiting))
            self.flush()
            transport.abort()  # it does not read, so it would not read the goodbye

    def lost(self, member: Member) -> None:
        self._connections.pop(member, None)
        self._leaving.pop(member, None)
        self._router.leave(member)
        self.flush()
        if not self._connections and not self._leaving:
            self._empty.set()

    def flush(self) -> None:
        """Do what the router wants done, and send what it has to send."""
        outgoing = self._router.outgoing
        while outgoing.effects:
            self._perform()
        connections = self._connections
        for member in outgoing.dirty:
            out = member.out
            transport = connections.get(member)
            if transport is not None:
                transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
        outgoing.dirty.clear()
        if self._idle is not None and not self._idle.done() and self._router.idle:
            self._idle.set_result(None)

    def _perform(self) -> None:
        effects = self._router.outgoing.effects
        performing = effects.copy()
        effects.clear()
        for effect in performing:
            if isinstance(effect, Close):
                self._close(effect)
            elif isinstance(effect, Postpone):
                self._put_off(effect.member)
            elif isinstance(effect, Tell):
                self._router.tell()
            elif self._keeper is not None:
                self._keeper.take(effect)

    def _close(self, effect: Close) -> None:
        """Nothing is written to it after the goodbye, whatever else is meant for it by then."""
        member = effect.member
        transport = self._connections.pop(member, None)
        if transport is not None:
            self._leaving[member] = transport
            transport.write(b"".join(member.out[: effect.parts]))
            transport.close()
            asyncio.get_running_loop().call_later(GOODBYE_S, transport.abort)
        self._router.leave(member)

    def _put_off(self, member: Member) -> None:
        transport = self._connections.get(member)
        if transport is not None:
            transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on, member)

    def _expect_greeting(self, member: Member) -> None:
        if member.number == STRANGER and member in self._connections:
            self._router.refuse(member, Silent(member.peer, self._config.greeting_s))
            self.flush()

    async def watch(self, clock: Clock) -> None:
        """Ask for signs of life, for ever."""
        while True:
            await clock.sleep(self._config.heartbeat_s / LOOKS)
            self._router.tick()
            self.flush()

    async def drain(self, clock: Clock) -> None:
        """Let open requests be answered for a while, then end what is left, and everybody."""
        self._router.stop_intake()
        self._idle = asyncio.get_running_loop().create_future()
        patience = self._tasks.create_task(clock.sleep(self._config.drain_s), name="bus.drain")
        try:
            self.flush()
            await asyncio.wait([self._idle, patience], return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        self._router.close()
        self._empty.clear()
        self.flush()
        for stranger in tuple(self._connections.values()):
            stranger.abort()
        if self._leaving:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._empty.wait()
        for transport in tuple(self._leaving.values()):
            transport.abort()


#: Connections beyond the endpoints allowed, for those that have not said who they are.
SPARE_CONNECTIONS = 64


def _beside(places: Sequence[Address]) -> UnixAddress | None:
    """Where side channels are: beside the first Unix socket, where memory can be shared."""
    for place in places:
        if isinstance(place, UnixAddress) and SHARED_MEMORY:
            return UnixAddress(place.path.with_name(f"{place.path.name}.side"))
    return None


@asynccontextmanager
async def open_broker(
    addresses: Iterable[str] = (),
    config: BusConfig = DEFAULTS,
    *,
    log_path: Path | None = None,
    limits: LogLimits = DEFAULT_LIMITS,
    permit: Permit = allow_all,
    clock: Clock | None = None,
) -> AsyncIterator[Broker]:
    """Run a broker for the length of the block, on each of the addresses.

    It listens anew where somebody removes the file of its socket. `log_path` is where it keeps the
    messages that are to be kept; without, it refuses them. When the block ends, requests that are
    open have `drain_s` to be answered, and everybody is told goodbye. Raises what keeps an address
    or the log from being opened.
    """
    clock = clock or SystemClock()
    places = [parse_address(address) for address in addresses]
    if not all(isinstance(place, MemoryAddress) for place in places):
        await blocking.run(Filter.compile, "true")  # the first loads the evaluator: 0.1 s
    async with AsyncExitStack() as stack:
        message_log = None
        if log_path is not None:
            message_log = await stack.enter_async_context(open_log(log_path, limits, clock))
        epoch = message_log.epoch if message_log else ""
        tasks = await stack.enter_async_context(task_scope())
        beside = _beside(places)
        sides: Sides = NO_SIDES
        if beside is not None:
            sides = await stack.enter_async_context(open_sides(beside, clock, tasks))
        router = Router(config, permit=permit, monotonic=clock.monotonic, epoch=epoch, sides=sides)
        keeper = Keeper(router, message_log, tasks) if message_log else None
        broker = Broker(config, router, keeper, tasks)
        if keeper is not None:
            keeper.flush = broker.flush
        watch = tasks.create_task(broker.watch(clock), name="bus.watch")
        stack.callback(watch.cancel)
        stack.push_async_callback(broker.drain, clock)
        listeners = [
            await stack.enter_async_context(
                open_door(partial(listen, place, broker.protocol), clock, tasks)
            )
            for place in places
        ]
        broker.addresses = tuple(str(listener.address) for listener in listeners)
        yield broker
