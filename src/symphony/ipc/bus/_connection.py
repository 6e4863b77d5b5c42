"""An endpoint's connection to its broker, made anew whenever it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Protocol

from symphony.commons.backoff import Backoff
from symphony.commons.logging import get_logger
from symphony.ipc._errors import ConnectionLost, IpcError, RequestTimeout, Silent
from symphony.ipc.bus._link import Link
from symphony.ipc.protocol._control import Admission, Greeting
from symphony.ipc.protocol._frames import Frame, Kind, encode, encode_body
from symphony.ipc.transport._address import Address, UnixAddress, parse_address
from symphony.ipc.transport._listen import dial
from symphony.ipc.transport._shared import SHARED_MEMORY
from symphony.ipc.transport._side import SideChannel, dial_side

#: How long the broker has to answer what it alone has to do with.
CONTROL_S = 10.0

#: How long a goodbye may take.
GOODBYE_S = 1.0

#: How often in a row the broker may leave a heartbeat unanswered.
MISSED = 3

log = get_logger("ipc.bus")


class Owner(Protocol):
    """Whose connection it is."""

    async def restore(self, link: Link) -> None:
        """Make of a new link what the last was; raises if that cannot be, and it is dropped."""

    def lost(self) -> None:
        """The link is gone; another may come."""

    def over(self, error: IpcError) -> None:
        """No other link will come."""


class Connection:
    """`link` is there while the broker can be reached."""

    def __init__(
        self,
        address: Address,
        greeting: Greeting,
        owner: Owner,
        *,
        new_link: Callable[[], Link],
        reconnect: Backoff | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.link: Link | None = None
        self.admission: Admission | None = None
        self._address = address
        self._greeting = greeting
        self._owner = owner
        self._new_link = new_link
        self._reconnect = reconnect
        self._tasks = tasks
        self._failure: IpcError | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._staying: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """Connect, and stay so; raises what keeps the first connection from being made."""
        await self._connect()
        self._staying = self._tasks.create_task(self._stay(), name="bus.endpoint")

    async def close(self) -> None:
        """Say goodbye. Whatever is still open fails with ConnectionLost."""
        self._closing = True
        if self._staying is not None:
            self._staying.cancel()
        self._owner.lost()
        link = self.link
        try:
            if link is not None:
                link.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await asyncio.shield(link.closed)
        finally:
            if link is not None:
                link.abort()
            self._end(ConnectionLost(str(self._address), "it was closed here"))

    async def _connect(self) -> None:
        _, link = await dial(self._address, self._new_link)
        try:
            async with in_time():
                self.admission = await link.admitted(encode_body(self._greeting))
                link.side = await self._open_side(link, self.admission)
                link.max_shared = self.admission.max_shared if link.side else 0
            await self._owner.restore(link)
        except BaseException:
            link.abort()
            raise
        self.link = link
        self._wake()

    async def _open_side(self, link: Link, admission: Admission) -> SideChannel | None:
        """What is large goes inline, up to the size of a frame, if this fails."""
        address = parse_address(admission.side_channel) if admission.side_channel else None
        if not isinstance(address, UnixAddress) or not SHARED_MEMORY:
            return None
        try:
            return await dial_side(address, admission.ticket, on_room=link.wake)
        except IpcError as error:
            log.info("no shared memory with the bus", endpoint=self._greeting.name, error=error)
            return None

    async def _stay(self) -> None:
        """Watch over the connection, and make another when it is gone."""
        while not self._closing:
            link = self.link
            if link is None:
                await self._connect_again()
            else:
                await self._watch(link)

    async def _connect_again(self) -> None:
        delays = iter(()) if self._reconnect is None else self._reconnect.delays(Random())  # noqa: S311 - spreads load
        for delay in delays:
            await asyncio.sleep(delay)
            try:
                await self._connect()
            except (IpcError, OSError) as error:
                log.debug("the bus cannot be reached yet", address=str(self._address), error=error)
            else:
                return
        self._closing = True
        self._end(self._failure or ConnectionLost(str(self._address), "it was not made again"))

    async def _watch(self, link: Link) -> None:
        """Until the connection is gone: ask for a sign of life when there has been none."""
        missed, heartbeat_s = 0, link.heartbeat_s
        while not link.closed.done():
            await asyncio.wait([link.closed], timeout=heartbeat_s)
            missed = 0 if link.heard else missed + 1
            link.heard = False
            if missed >= MISSED:
                link.give_up(Silent("the bus", missed * heartbeat_s))
            elif missed:
                link.write(encode(Frame(Kind.PING, source=link.number)))

    async def ready(self, what: str, seconds: float) -> Link:
        """Like `usable`, but raises RequestTimeout if that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                return await self.usable()
        except TimeoutError as error:
            raise RequestTimeout(what) from error

    async def usable(self) -> Link:
        """A connection on which a request may be opened, however long that takes; raises
        ConnectionLost."""
        while (link := self.link) is None or len(link.awaited) >= link.max_requests:
            await self.room()
        return link

    async def room(self) -> None:
        """Wait until something may have become possible; raises if nothing will."""
        if self.link is not None:
            await self.link.room()
        elif self._closing:
            raise self._failure or ConnectionLost(str(self._address), "it was closed here")
        else:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def ended(self, link: Link, error: IpcError) -> None:
        """A link is gone, which need not be the one that is in use."""
        self._owner.lost()
        if link is not self.link:
            return
        self.link = None
        self._failure = error
        if not self._closing:
            log.info("the connection to the bus is gone", endpoint=self._greeting.name, error=error)

    def _end(self, error: IpcError) -> None:
        """There will be no other link."""
        self._failure = error
        self._owner.over(error)
        self._wake()


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """What the broker alone has to do with; raises Silent if it does not."""
    try:
        async with asyncio.timeout(CONTROL_S):
            yield
    except TimeoutError as error:
        raise Silent("the bus", CONTROL_S) from error
