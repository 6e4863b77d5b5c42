"""A process on the bus, which a test can stop and kill: `peer.py PART ADDRESS OPTIONS`.

It says "ready", and what else it has to say, as JSON lines on its standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any  # options come from JSON, and are checked by what they are given to

from symphony.ipc import BusConfig, Message, Policy, Request, connect, open_broker


def say(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


async def told() -> str:
    """The next line of the standard input; empty at its end."""
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()


async def broker(address: str, options: dict[str, Any]) -> None:
    kept = options.pop("log", None)
    async with open_broker([address], BusConfig(**options), log_path=Path(kept) if kept else None):
        say("ready")
        await told()


async def listener(address: str, options: dict[str, Any]) -> None:
    """Collects numbers; says how many it has when it is told "count", and which at "report"."""
    found: list[int] = []
    policy = Policy(options.pop("policy", "block"))
    pattern = options.pop("pattern")

    def take(message: Message) -> None:
        found.append(int.from_bytes(message.body[:4], "big"))

    async with (
        connect(address, name="listener", reconnect=None) as endpoint,
        endpoint.subscribe(pattern, take, policy=policy, **options),
    ):
        say("ready")
        while word := await told():
            say(found if word == "report" else len(found))


async def publisher(address: str, options: dict[str, Any]) -> None:
    """Publishes numbers for ever."""
    async with connect(address, name="publisher") as endpoint:
        say("ready")
        for number in range(2**31):
            await endpoint.publish(options["topic"], number.to_bytes(4, "big"))


async def keeper(address: str, options: dict[str, Any]) -> None:
    """Publishes numbers to be kept, and says each that is."""
    async with connect(address, name="keeper") as endpoint:
        say("ready")
        for number in range(options["begin"], 2**31):
            await endpoint.publish_kept(options["topic"], number.to_bytes(4, "big"))
            say(number)


async def responder(address: str, options: dict[str, Any]) -> None:
    """Answers with what it was asked, but never to "hang"."""

    async def answer(request: Request) -> bytes:
        if request.body == b"hang":
            say("asked")
            await asyncio.Event().wait()
        return request.body

    async with (
        connect(address, name=options.get("name", "responder")) as endpoint,
        endpoint.serve(options["topic"], answer),
    ):
        say("ready")
        await told()


async def asker(address: str, options: dict[str, Any]) -> None:
    """Asks one question that is not answered, and says when it has been asked."""
    async with connect(address, name="asker") as endpoint:
        say("ready")
        await endpoint.request(options["topic"], b"hang", timeout_s=0)


PARTS: dict[str, Callable[[str, dict[str, Any]], Awaitable[None]]] = {
    part.__name__: part for part in (broker, listener, publisher, keeper, responder, asker)
}


async def main() -> None:
    part, address, options = sys.argv[1:]
    await PARTS[part](address, json.loads(options))


if __name__ == "__main__":
    asyncio.run(main())
