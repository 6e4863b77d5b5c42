"""Who takes part in the tests over sockets: other processes, peers that speak raw frames, and
coroutines that are cancelled at a chosen moment."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

from symphony.commons.backoff import Backoff
from symphony.ipc import (
    Endpoint,
    Frame,
    FrameParser,
    Kind,
    Message,
    Subscription,
    connect,
    encode,
    encode_body,
    open_broker,
)
from symphony.ipc.protocol._control import Greeting

T = TypeVar("T")

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]

SCRIPT = Path(__file__).with_name("peer.py")

#: How long anything may take before a test gives up on it.
PATIENCE_S = 20.0
LOOK_S = 0.002

#: For endpoints whose broker is there again at once.
SOON = Backoff(initial=0.005, factor=1.0, ceiling=0.005, attempts=None)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells of; raises TimeoutError in the end."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(LOOK_S)


def count_descriptors() -> int:
    gc.collect()  # what nobody refers to any more does not count
    return len(list(Path("/proc/self/fd").iterdir()))


# Brokers that come back.


async def begin(
    stack: AsyncExitStack, address: str, log_path: Path | None = None
) -> tuple[AsyncExitStack, Endpoint]:
    """A broker, which closes when the stack that comes back does, and an endpoint that stays."""
    broker = await stack.enter_async_context(AsyncExitStack())
    await broker.enter_async_context(open_broker([address], log_path=log_path))
    return broker, await stack.enter_async_context(connect(address, name="one", reconnect=SOON))


# Numbered messages.


async def count_up(endpoint: Endpoint, topic: str, numbers: range) -> None:
    for number in numbers:
        await endpoint.publish(topic, number.to_bytes(4, "big"))


def number_in(message: Message) -> int:
    return int.from_bytes(message.body[:4], "big")


async def take_numbers(subscription: Subscription, count: int) -> list[int]:
    """The next messages' numbers, at least so many."""
    found: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in subscription:
            found += map(number_in, batch)
            if len(found) >= count:
                break
    return found


# Other processes.


class Peer:
    """A process that plays a part; it says one JSON value a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def said(self) -> object:
        """The next that it says; raises if it has ended instead."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        return json.loads(line)

    def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def numbers(self) -> list[int]:
        said = await self.said()
        assert isinstance(said, list)
        return said

    def stop(self) -> None:
        """Have it hang, in a way that it cannot notice; returns when it does."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        await self.kill()
        await self._process.communicate()


class OpenPeer(Protocol):
    def __call__(self, part: str, **options: object) -> AbstractAsyncContextManager[Peer]: ...


async def start_peer(part: str, address: str, options: dict[str, object]) -> Peer:
    """It has said that it is ready."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, part, address, json.dumps(options), stdin=pipe, stdout=pipe
    )
    peer = Peer(process)
    assert await peer.said() == "ready"
    return peer


# Peers that speak raw frames.


class RawPeer:
    """A connection that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._parser = FrameParser()
        self.number = 0

    def send(self, data: bytes | Frame) -> None:
        self.writer.write(encode(data) if isinstance(data, Frame) else data)

    async def frame(self) -> Frame | None:
        """The next frame; None at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            while (frame := self._parser.next_frame()) is None:
                try:
                    data = await self._reader.read(65536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._parser.feed(data)
        return frame

    async def frame_of(self, kind: Kind) -> Frame:
        """The next of a kind; others before it are passed over."""
        while (frame := await self.frame()) is not None:
            if frame.kind is kind:
                return frame
        raise EOFError(kind.name)

    async def all_frames(self) -> list[Frame]:
        """Until the connection ends."""
        frames = []
        while (frame := await self.frame()) is not None:
            frames.append(frame)
        return frames

    async def greet(self, name: str) -> None:
        greeting = Greeting(name=name, instance=name, max_frame=2**24)
        self.send(Frame(Kind.HELLO, body=encode_body(greeting)))
        self.number = (await self.frame_of(Kind.WELCOME)).source


@asynccontextmanager
async def raw_peer(path: Path, name: str = "") -> AsyncIterator[RawPeer]:
    """One that has been admitted, if it has a name."""
    reader, writer = await asyncio.open_unix_connection(path)
    peer = RawPeer(reader, writer)
    try:
        if name:
            await peer.greet(name)
        yield peer
    finally:
        writer.transport.abort()


# Cancelling.


class CancelledAt(Generic[T]):
    """Awaited, it does what `coroutine` does, and has the task that awaits it cancelled when it
    waits for the n-th time: at once, or (`late`) when what it waits for has just come."""

    def __init__(self, coroutine: Awaitable[T], suspension: int, *, late: bool) -> None:
        self._coroutine = coroutine
        self._left = suspension
        self._late = late
        #: Whether it came so far.
        self.struck = False

    def __await__(self) -> Generator[object, object, T]:
        steps = self._coroutine.__await__()
        try:
            waits_for = next(steps)
            while True:
                self._strike(waits_for)
                try:
                    got = yield waits_for
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the coroutine
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(got)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration's value is untyped

    def _strike(self, waits_for: object) -> None:
        self._left -= 1
        if self._left >= 0 or self.struck:
            return
        self.struck = True
        task = asyncio.current_task()
        assert task is not None
        if self._late and isinstance(waits_for, asyncio.Future):
            waits_for.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


async def cancelled_at(work: Awaitable[T], suspension: int, *, late: bool) -> bool:
    """Do it and cancel it; False if it did not wait so often. It may also end as if nothing had
    happened, or with an error of its own."""
    steps = CancelledAt(work, suspension, late=late)

    async def whole() -> T:
        return await steps

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([asyncio.create_task(whole())])
    return steps.struck
