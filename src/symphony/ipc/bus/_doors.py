"""Where a broker can be found, for as long as it is there.

Somebody may remove the file of a Unix socket, or all of its folder. Those who are connected stay
so, but nobody else could come any more, and the lock keeps every other broker away. So the file is
looked for now and then, and if it is gone the broker listens anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from symphony.commons.clock import Clock
from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.ipc.transport._unix import Listener

LOOK_S = 0.5

Listening: TypeAlias = Callable[[], AbstractAsyncContextManager[Listener]]

log = get_logger("ipc.bus")


@asynccontextmanager
async def open_door(
    listening: Listening, clock: Clock, tasks: asyncio.TaskGroup
) -> AsyncIterator[Listener]:
    """Listen for the length of the block, anew whenever it comes to nothing; raises what keeps it
    from listening at first."""
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(listening())
        watching = tasks.create_task(_watch(listening, listener, stack, clock), name="bus.door")
        try:
            yield listener
        finally:
            watching.cancel()
            await asyncio.wait([watching])


async def _watch(
    listening: Listening, listener: Listener, stack: AsyncExitStack, clock: Clock
) -> None:
    failed = False
    while True:
        await clock.sleep(LOOK_S)
        if listener.present():
            continue
        await stack.aclose()
        try:
            listener = await stack.enter_async_context(listening())
        except SymphonyError as error:
            if not failed:
                log.warning("nobody can connect", address=str(listener.address), error=error)
            failed = True
        else:
            log.warning("listening anew", address=str(listener.address))
            failed = False
