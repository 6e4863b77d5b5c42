"""Symphony's bus as a peer of the message bus harness: the real broker, every feature on.

The harness puts `Peer`, `Flow`, `STOP` and `ns` into this module before it runs.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import AsyncExitStack
from functools import partial
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
        self.publish = partial(self.endpoint.publish, "bench.topic")

    async def serve(self) -> None:
        serving = self.endpoint.serve("bench.echo", lambda request: request.body)
        await self.open.enter_async_context(serving)

    async def request(self, payload: bytes) -> bytes:
        return (await self.endpoint.request("bench.echo", payload)).body

    async def subscribe(self, callback: Any) -> None:
        subscribing = self.endpoint.subscribe("bench.*", lambda message: callback(message.body))
        await self.open.enter_async_context(subscribing)

    async def flush(self) -> None:
        """Nothing to do: `publish` waits itself, for credit, when there is none."""
