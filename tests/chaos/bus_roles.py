"""The processes that the chaos test and the soak run: one role each, until they are killed.

    python bus_roles.py broker|responder|asker|publisher|subscriber FOLDER NAME

Askers, publishers and subscribers append what has happened to FOLDER/NAME.log, a line each, written
before the next step: what a killed process leaves is what it knows for certain.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from symphony.commons.loops import run
from symphony.ipc import (
    Endpoint,
    IpcError,
    LogLimits,
    Request,
    RequestTimeout,
    Subscription,
    connect,
    open_broker,
)

#: Requests end within this, whatever happens; the margin is for a machine that has other work.
REQUEST_S = 5.0
MARGIN_S = 10.0
AT_ONCE = 8


class Diary:
    """One `write` a line, so that a line is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *words: object) -> None:
        os.write(self._descriptor, (" ".join(map(str, words)) + "\n").encode())


def address(folder: Path) -> str:
    return f"unix:{folder / 'bus.sock'}"


@asynccontextmanager
async def endpoint(folder: Path) -> AsyncIterator[Endpoint]:
    """Connected, however long the broker takes to be there."""
    while True:
        try:
            async with connect(address(folder)) as opened:
                yield opened
                return
        except IpcError:
            await asyncio.sleep(0.02)  # it is being started anew


async def broker(folder: Path, name: str) -> None:
    limits = LogLimits(messages=1_000_000)
    async with open_broker([address(folder)], log_path=folder / "bus.db", limits=limits):
        await _end()


async def responder(folder: Path, name: str) -> None:
    async def slowly(request: Request) -> bytes:
        await asyncio.sleep(0.001)
        return request.body

    async with (
        endpoint(folder) as opened,
        opened.serve("fast", lambda request: request.body),
        opened.serve("slow", slowly),
    ):
        await _end()


async def asker(folder: Path, name: str) -> None:
    """Asks without pause; notes how each request ended."""
    diary = Diary(folder / f"{name}.log")

    async def ask(opened: Endpoint, topic: str) -> None:
        while True:
            try:
                async with asyncio.timeout(REQUEST_S + MARGIN_S):
                    await opened.request(topic, b"x" * 100, timeout_s=REQUEST_S)
            except IpcError as error:
                diary.note(error.code)
                await asyncio.sleep(0 if isinstance(error, RequestTimeout) else 0.01)
            except TimeoutError:
                diary.note("stuck")
            else:
                diary.note("answered")

    async with endpoint(folder) as opened, asyncio.TaskGroup() as tasks:
        asking = [
            tasks.create_task(ask(opened, topic))
            for topic in ("fast", "slow")
            for _ in range(AT_ONCE)
        ]
        await _end()
        for task in asking:
            task.cancel()


async def publisher(folder: Path, name: str) -> None:
    """Publishes 1, 2, 3, ... on a topic of its own; notes each that the broker has kept."""
    diary = Diary(folder / f"{name}.log")
    ended = asyncio.ensure_future(_end())
    async with endpoint(folder) as opened:
        number = 0
        while not ended.done():
            number += 1
            await opened.publish_kept(f"kept.{name}", b"%d" % number)
            diary.note(number)
    await ended


async def subscriber(folder: Path, name: str) -> None:
    """Notes each message with its position, and goes on from the last note when it is started
    again."""
    path = folder / f"{name}.log"
    seen = path.read_text().splitlines() if path.exists() else []
    after, epoch = (int(seen[-1].split()[0]), seen[-1].split()[1]) if seen else (0, "")
    diary = Diary(path)
    async with endpoint(folder) as opened:
        resuming = opened.subscribe("kept.>", after=after, epoch=epoch or opened.epoch)
        async with resuming as subscription, asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(_end())
            taking = tasks.create_task(_take(subscription, diary, opened.epoch))
            await ended
            taking.cancel()


async def _take(subscription: Subscription, diary: Diary, epoch: str) -> None:
    async for batch in subscription:
        for message in batch:
            diary.note(message.sequence, epoch, message.topic, message.body.decode())


async def _end() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


ROLES: dict[str, Callable[[Path, str], Coroutine[None, None, None]]] = {
    role.__name__: role for role in (broker, responder, asker, publisher, subscriber)
}

if __name__ == "__main__":
    run(ROLES[sys.argv[1]](Path(sys.argv[2]), sys.argv[3]))
