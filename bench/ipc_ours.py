"""Symphony's bus as a peer of the message bus harness: the real broker, every feature on.

The harness puts `Peer`, `Flow`, `STOP` and `ns` into this module before it runs.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Any

BROKER = """
import asyncio, sys
from symphony.ipc.bus._broker import open_broker

async def main():
    async with open_broker([f"unix:{sys.argv[1]}/bus.sock"]):
        await asyncio.Event().wait()

try:
    import uvloop
except ImportError:
    asyncio.run(main())
else:
    uvloop.run(main())
"""


class Ours(Peer):  # type: ignore[name-defined]  # noqa: F821 - see the docstring
    """symphony.ipc: asyncio clients on uvloop, Unix socket, one broker for all"""

    name = "ours"

    def broker(self) -> list[subprocess.Popen[bytes]]:
        return [subprocess.Popen([sys.executable, "-c", BROKER, self.dir])]

    async def connect(self, ctx: Any) -> None:
        from symphony.ipc.bus._endpoint import connect

        self.open = AsyncExitStack()
        address = f"unix:{self.dir}/bus.sock"
        self.endpoint = await self.open.enter_async_context(connect(address))
        self.topic = "bench.topic"

    async def serve(self) -> None:
        serving = self.endpoint.serve("bench.echo", lambda request: request.body)
        await self.open.enter_async_context(serving)

    async def request(self, payload: bytes) -> bytes:
        return (await self.endpoint.request("bench.echo", payload)).body

    async def subscribe(self, callback: Any) -> None:
        subscribing = self.endpoint.subscribe("bench.*", lambda message: callback(message.body))
        await self.open.enter_async_context(subscribing)

    async def publish(self, payload: bytes) -> None:
        await self.endpoint.publish("bench.topic", payload)
