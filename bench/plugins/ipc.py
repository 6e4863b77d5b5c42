"""Symphony's bus as a peer of the message bus harness: the real broker, every feature on.

The harness puts `Peer`, `Flow`, `STOP` and `ns` into this module before it runs.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Any

BROKER = """
import asyncio, gc, sys
from symphony.commons.loops import run
from symphony.ipc import open_broker

async def main():
    async with open_broker([f"unix:{sys.argv[1]}/bus.sock"]):
        gc.freeze()
        await asyncio.Event().wait()

run(main())
"""


class Ours(Peer):  # type: ignore[name-defined,misc]  # noqa: F821 - see the docstring
    """symphony.ipc: asyncio clients on uvloop, a Unix socket, one broker for everything"""

    name = "ours"

    def broker(self) -> list[subprocess.Popen[bytes]]:
        return [subprocess.Popen([sys.executable, "-c", BROKER, self.dir])]

    async def connect(self, ctx: Any) -> None:
        from symphony.ipc import connect

        self.open = AsyncExitStack()
        address = f"unix:{self.dir}/bus.sock"
        self.endpoint = await self.open.enter_async_context(connect(address))

    async def serve(self) -> None:
        serving = self.endpoint.serve("bench.echo", lambda request: request.body)
        await self.open.enter_async_context(serving)

    async def request(self, payload: bytes) -> bytes:
        return (await self.endpoint.request("bench.echo", payload)).body

    async def sub(self, ctx: Any) -> None:
        """The harness's role, with a callback that takes our messages as they are."""
        await self.connect(ctx)
        counters, slot, heard, mask = ctx.arr, ctx.slot, 0, self.sub_update - 1

        def hear(_: Any) -> None:
            nonlocal heard
            heard += 1
            if not heard & mask:
                counters[slot] = heard

        async with self.endpoint.subscribe("bench.*", hear):
            await asyncio.sleep(0.3)
            ctx.ready()
            await asyncio.Event().wait()

    async def pub(self, ctx: Any) -> None:
        """The harness's loop, but a message goes by a plain call while there is credit for it."""
        await self.connect(ctx)
        ctx.ready()
        await ctx.await_go()
        payload, stop, flow = ctx.payload, ctx.arr, Flow(ctx)  # type: ignore[name-defined]  # noqa: F821
        try_publish, publish = self.endpoint.try_publish, self.endpoint.publish
        while not stop[STOP]:  # type: ignore[name-defined]  # noqa: F821
            for _ in range(64):
                if not try_publish("bench.topic", payload):
                    await publish("bench.topic", payload)
            flow.sent += 64
            while flow.ahead() and not stop[STOP]:  # type: ignore[name-defined]  # noqa: ASYNC110, F821
                await asyncio.sleep(0.001)
