"""The buses of a home: the one that `symphony serve` holds, and the one that a program has inside.

Both hear of runs. A run knows nothing of them: they watch it like anybody else, and what finds no
room on a bus is dropped and counted, so that no run ever waits for one, or fails by one.

A program connects to the served bus beside its first run, and tells it what has happened meanwhile
when it is there. It waits for nothing: if nobody listens at the socket, which costs a system call
to see, nothing of the bus is even imported. A connection that breaks is made anew when there is
something to tell, and the events of the runs that go on are told again from the first: an event
has its number, so that whoever hears it twice knows.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec

from symphony import ipc
from symphony.app._config import BusSettings
from symphony.app._run import Run
from symphony.commons import blocking
from symphony.commons.errors import Category, SymphonyError
from symphony.commons.folders import Home, user_path
from symphony.commons.logging import get_logger
from symphony.commons.tasks import task_scope
from symphony.execution import Recorded, encode, kind_of
from symphony.pit.tracker import NodeProgress, Observer

#: How long a bus that is about to answer may hold up the end of a program.
LAST_CHANCE_S = 0.25

_KINDS = re.compile(r"(unix|tcp|pipe|memory):")
#: What no name in a topic can have, and the sign by which it is written instead.
_UNFIT = re.compile(r"[\s.*>#%\x00-\x1f\x7f-\x9f\ud800-\udfff]")

log = get_logger("app.bus")


class NoBus(SymphonyError):
    """Nobody serves a bus at the address."""

    code = "app.no_bus"
    category = Category.UNAVAILABLE

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(
            f"No bus is served at {address}: {reason}.", hint="Start one with: symphony serve"
        )


class ServedAlready(SymphonyError):
    """Another process serves the home; `holder` is its id, if known."""

    code = "app.served_already"
    category = Category.CONFLICT

    def __init__(self, home: Path, holder: int | None) -> None:
        self.home = home
        self.holder = holder
        who = "another process" if holder is None else f"process {holder}"
        end = "end it first" if holder is None else f"end it first: kill {holder}"
        super().__init__(f"{home} is served already, by {who}.", hint=f"Use that one, or {end}")


def bus_address(home: Home, settings: BusSettings) -> str:
    """Where the bus of a home is served."""
    return as_address(settings.socket or str(home.run / "bus.sock"))


def as_address(text: str) -> str:
    """An address as it is; anything else is a path, as people write it, of a Unix socket."""
    return text if _KINDS.match(text) else f"unix:{user_path(text)}"


def may_be_served(address: str) -> bool:
    """False if surely nobody listens there. Only a Unix socket is asked, which takes no time."""
    kind, _, path = address.partition(":")
    if kind != "unix" or sys.platform == "win32":
        return True
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:  # so many want to connect that there must be somebody
            return True
        except OSError:
            return False
    return True


@asynccontextmanager
async def open_served_bus(home: Home, settings: BusSettings) -> AsyncIterator[ipc.Broker]:
    """Serve the bus of a home to all processes of its user, for the length of the block.

    Raises ServedAlready, and what keeps the socket or the log from being opened.
    """
    from symphony.commons.locks import LockHeld  # 8 ms, which runs need not pay

    limits = ipc.LogLimits(
        messages=settings.kept_messages, bytes=settings.kept_bytes, age_s=settings.kept_age_s
    )
    opening = ipc.open_broker(
        [bus_address(home, settings)], settings, log_path=home.bus, limits=limits
    )
    async with AsyncExitStack() as stack:
        try:
            broker = await stack.enter_async_context(opening)
        except LockHeld as error:
            raise ServedAlready(home.root, error.holder) from error
        yield broker


@asynccontextmanager
async def open_endpoint(address: str, role: str) -> AsyncIterator[ipc.Endpoint]:
    """Be on the bus that is served at `address`, under a name that begins with `role`, and can be
    found by that name as by a capability. Not made anew when it breaks: for a command, not for a
    program that outlives the bus.

    Raises NoBus, and what else `ipc.connect` raises.
    """
    name = f"{role}.{_unlike_others()}"
    connecting = ipc.connect(address, name=name, capabilities=[name], reconnect=None)
    async with AsyncExitStack() as stack:
        try:
            endpoint = await stack.enter_async_context(connecting)
        except ipc.Silent as error:
            raise NoBus(address, "what listens there does not answer") from error
        except ipc.IpcError as error:
            if error.code != "ipc.unreachable":
                raise
            raise NoBus(address, str(error.record().facts["reason"])) from error
        yield endpoint


class Outlet:
    """Publishes the events of runs on one bus, and calls `refused` when it does not take one."""

    def __init__(self, endpoint: ipc.Endpoint, refused: Callable[[], object]) -> None:
        self._endpoint = endpoint
        self._refused = refused
        self._open = True
        self.dropped = 0

    def observer(self, run_id: str) -> Observer:
        prefix = f"run.{_UNFIT.sub(_escaped, run_id)}."

        def take(news: Recorded | NodeProgress) -> None:
            if self._open and isinstance(news, Recorded):
                self._publish(prefix + kind_of(news.event), news)

        return take

    def _publish(self, topic: str, recorded: Recorded) -> None:
        try:
            # As it stands in the journal: for other programs, and for `execution.decode`.
            taken = self._endpoint.try_publish(topic, msgspec.Raw(encode(recorded)))
        except Exception as error:  # noqa: BLE001 - the boundary: no fault of a bus ends a run
            self._drop(topic, error)
        else:
            if not taken:
                self._drop(topic, None)
                self._refused()

    def _drop(self, topic: str, error: Exception | None) -> None:
        if not self.dropped:
            log.info("a bus does not take all events of runs", topic=topic, error=error)
        self.dropped += 1

    def close(self) -> None:
        self._open = False
        if self.dropped:
            log.info("events of runs were not told", dropped=self.dropped)


def _import(*names: str) -> None:
    """What `ipc` imports on first use, some 50 ms in which the loop of a run should not stand."""
    for name in names:
        getattr(ipc, name)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


def _unlike_others() -> str:
    return f"{os.getpid()}-{secrets.token_hex(3)}"


class Buses:
    """Made by `open_buses`. Told of each run when it begins and when it has ended."""

    def __init__(self, address: str, settings: BusSettings, tasks: asyncio.TaskGroup) -> None:
        self._address = address
        self._settings = settings
        self._tasks = tasks
        self._outlets: list[Outlet] = []
        #: The runs that go on; and those that have ended and the served bus is still to hear of.
        self._runs: dict[str, Run] = {}
        self._ended: set[str] = set()
        self._own: asyncio.Future[ipc.Endpoint] | None = None
        self._served: asyncio.Task[None] | None = None
        #: Cleared while it is open whether the served bus hears what there is to tell.
        self._settled = asyncio.Event()
        self._settled.set()
        #: The served bus has not taken an event, or this is the end.
        self._attention = asyncio.Event()
        self._over = asyncio.Event()

    async def own(self) -> ipc.Endpoint:
        """The endpoint on a bus inside this process, which begins with the first call."""
        if self._own is None:
            self._own = asyncio.get_running_loop().create_future()
            self._tasks.create_task(self._keep_own(self._own), name="app.bus")
        return await asyncio.shield(self._own)

    def begin(self, run: Run) -> None:
        self._runs[run.id] = run
        for outlet in self._outlets:
            run.watch(outlet.observer(run.id))
        self._look()

    def end(self, run_id: str) -> None:
        self._ended.add(run_id)
        self._forget()

    async def close(self) -> None:
        """All runs have ended. What was published goes out; a bus that is there and has not
        answered yet has a moment left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_CHANCE_S):
                await self._settled.wait()
        self._over.set()
        self._attention.set()
        if self._served is not None and not self._settled.is_set():
            self._served.cancel()

    def _look(self) -> bool:
        """Whether we tell the served bus, or try to from now on: if there may be one."""
        if self._served is None and not self._over.is_set() and may_be_served(self._address):
            self._settled.clear()
            self._served = self._tasks.create_task(self._tell_served(), name="app.served")
        return self._served is not None

    def _settle(self) -> None:
        self._settled.set()
        self._forget()

    def _forget(self) -> None:
        if self._settled.is_set():
            for run_id in self._ended:
                self._runs.pop(run_id, None)
            self._ended.clear()

    def _doubt(self) -> None:
        self._settled.clear()
        self._attention.set()

    async def _keep_own(self, ready: asyncio.Future[ipc.Endpoint]) -> None:
        address = f"memory:symphony-{secrets.token_hex(8)}"
        try:
            await blocking.run(_import, "open_broker", "connect")
            async with (
                ipc.open_broker([address], self._settings),
                ipc.connect(address, name="symphony") as endpoint,
                ipc.connect(address, name="runs", codec=ipc.Codec.JSON) as runs,
            ):
                with self._outlet(runs, lambda: None):
                    ready.set_result(endpoint)
                    await self._over.wait()
        except Exception as error:
            if ready.done():
                log.exception("the bus of this process has failed")
            else:
                ready.set_exception(error)
        finally:
            ready.cancel()

    async def _tell_served(self) -> None:
        """Until the bus is gone, or the program is about to end."""
        name = f"runs.{_unlike_others()}"
        told = False
        try:
            await blocking.run(_import, "connect")
            async with ipc.connect(
                self._address, name=name, codec=ipc.Codec.JSON, reconnect=None
            ) as endpoint:
                with self._outlet(endpoint, self._doubt):
                    told = True
                    self._settle()
                    await self._attend(endpoint)
        except Exception as error:  # noqa: BLE001 - the boundary: no fault of a bus ends a run
            log.debug("the served bus hears nothing of runs", address=self._address, error=error)
        self._served = None
        if not (told and self._look()):
            self._settle()

    async def _attend(self, endpoint: ipc.Endpoint) -> None:
        """Until the end; raises if the bus is gone. The only other reason not to take an event is
        that it has taken too many just now."""
        while True:
            await self._attention.wait()
            self._attention.clear()
            if self._over.is_set():
                return
            await endpoint.stats()
            self._settle()

    @contextmanager
    def _outlet(self, endpoint: ipc.Endpoint, refused: Callable[[], object]) -> Iterator[None]:
        outlet = Outlet(endpoint, refused)
        self._outlets.append(outlet)
        for run in self._runs.values():
            run.watch(outlet.observer(run.id))
        try:
            yield
        finally:
            self._outlets.remove(outlet)
            outlet.close()


@asynccontextmanager
async def open_buses(home: Home, settings: BusSettings) -> AsyncIterator[Buses]:
    """For the length of the block; costs nothing until there is a run, or somebody asks."""
    async with task_scope() as tasks:
        buses = Buses(bus_address(home, settings), settings, tasks)
        try:
            yield buses
        finally:
            await buses.close()
