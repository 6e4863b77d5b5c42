from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from symphony.commons.tasks import task_scope
from symphony.ipc import BadFrame, Endpoint, Request, connect, dial, listen, open_broker
from symphony.ipc.bus._rpc import JsonRpcBridge
from symphony.ipc.protocol._jsonrpc import HeaderFraming, LineFraming
from symphony.ipc.transport._address import MemoryAddress

Json = dict[str, object]


class Screen(asyncio.Protocol):
    """The editor's end: what it was told, in order."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Json] = asyncio.Queue()
        self._framing = HeaderFraming()

    def data_received(self, data: bytes) -> None:
        self._framing.feed(data)
        while (text := self._framing.next_text()) is not None:
            self.told.put_nowait(json.loads(text))


@dataclass
class Editor:
    transport: asyncio.Transport
    screen: Screen
    bridge: JsonRpcBridge

    def say(self, method: str, params: object = None, id_: int | None = None) -> None:
        text: Json = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            text["params"] = params
        if id_ is not None:
            text["id"] = id_
        self.transport.write(HeaderFraming.wrap(json.dumps(text).encode()))

    async def heard(self) -> Json:
        async with asyncio.timeout(5):
            return await self.screen.told.get()


@asynccontextmanager
async def editor_and_peer() -> AsyncIterator[tuple[Editor, Endpoint]]:
    bridges: list[JsonRpcBridge] = []
    async with (
        open_broker(["memory:bus"]),
        connect("memory:bus", name="peer") as peer,
        connect("memory:bus", name="editor") as endpoint,
        task_scope() as tasks,
    ):

        def bridge() -> JsonRpcBridge:
            bridges.append(JsonRpcBridge(endpoint, HeaderFraming(), tasks))
            return bridges[0]

        async with listen(MemoryAddress("editor"), bridge):
            transport, screen = await dial(MemoryAddress("editor"), Screen)
            await asyncio.sleep(0)
            yield Editor(transport, screen, bridges[0]), peer
            transport.close()
            await asyncio.wait([bridges[0].closed])


def test_a_request_is_answered_with_what_the_responder_returns() -> None:
    async def main() -> None:
        async with (
            editor_and_peer() as (editor, peer),
            peer.serve("sum.of", lambda request: sum(request.payload_as(list[int]))),
        ):
            editor.say("sum/of", [1, 2, 3], 7)
            assert await editor.heard() == {"jsonrpc": "2.0", "id": 7, "result": 6}

    asyncio.run(main())


def test_nobody_to_answer_is_a_method_not_found() -> None:
    async def main() -> None:
        async with editor_and_peer() as (editor, _):
            editor.say("no/body", {}, 1)
            error = (await editor.heard())["error"]
            assert isinstance(error, dict)
            assert (error["code"], error["data"]["code"]) == (-32601, "ipc.no_responder")

    asyncio.run(main())


def test_a_cancelled_request_is_cancelled_at_the_responder() -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def wait(request: Request) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with editor_and_peer() as (editor, peer), peer.serve("slow", wait):
            editor.say("slow", {}, 3)
            await begun.wait()
            editor.say("$/cancelRequest", {"id": 3})
            error = (await editor.heard())["error"]
            assert isinstance(error, dict)
            assert error["code"] == -32800
            async with asyncio.timeout(5):
                await ended.wait()

    asyncio.run(main())


def test_notifications_are_published_and_subscriptions_come_as_notifications() -> None:
    async def main() -> None:
        async with editor_and_peer() as (editor, peer), peer.subscribe("file.saved") as saved:
            editor.say("file/saved", {"path": "a.py"})
            async for batch in saved:
                assert batch[0].payload == {"path": "a.py"}
                break
            editor.say("bus/subscribe", {"pattern": "run.*"}, 1)
            assert (await editor.heard())["result"] is True
            await peer.publish("run.begun", {"id": "x"})
            assert await editor.heard() == {
                "jsonrpc": "2.0",
                "method": "bus/message",
                "params": {"topic": "run.begun", "payload": {"id": "x"}},
            }
            editor.say("bus/unsubscribe", {"pattern": "run.*"}, 2)
            assert (await editor.heard())["result"] is True

    asyncio.run(main())


def test_what_is_wrong_with_a_subscription_is_the_answer() -> None:
    async def main() -> None:
        async with editor_and_peer() as (editor, _):
            for id_, params in enumerate(({"pattern": "a..b"}, {"pattern": 3}, {})):
                editor.say("bus/subscribe", params, id_)
                error = (await editor.heard())["error"]
                assert isinstance(error, dict)
                assert error["code"] == -32602

    asyncio.run(main())


def test_a_broken_framing_ends_the_connection_and_says_why() -> None:
    async def main() -> None:
        async with editor_and_peer() as (editor, _):
            editor.transport.write(b"Content-Length: many\r\n\r\n")
            async with asyncio.timeout(5):
                with pytest.raises(BadFrame, match="is no length"):
                    await asyncio.shield(editor.bridge.closed)

    asyncio.run(main())


def test_lines_are_a_framing_too() -> None:
    framing = LineFraming()
    framing.feed(b'{"jsonrpc": "2.0"}\n')
    assert framing.next_text() == b'{"jsonrpc": "2.0"}'
