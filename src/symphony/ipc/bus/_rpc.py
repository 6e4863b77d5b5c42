"""JSON-RPC over a byte stream, for editors: their requests and notifications become the bus's.

Beside what `JsonRpcSession` maps, two requests are answered here: `bus/subscribe`, with
`{"pattern": ...}`, after which each publication arrives as a notification `bus/message` with
`{"topic": ..., "payload": ...}`, and `bus/unsubscribe`.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec

from symphony.commons.errors import Category, ErrorRecord, SymphonyError
from symphony.commons.logging import get_logger
from symphony.ipc._errors import IpcError, NoResponder
from symphony.ipc.bus._endpoint import Endpoint
from symphony.ipc.bus._message import Message
from symphony.ipc.protocol._jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Call,
    HeaderFraming,
    JsonRpcSession,
    LineFraming,
    notification,
)

log = get_logger("ipc.bus")

SUBSCRIBE = "bus.subscribe"
UNSUBSCRIBE = "bus.unsubscribe"
MESSAGE = "bus/message"


class _Pattern(msgspec.Struct):
    pattern: str


class JsonRpcBridge(asyncio.Protocol):
    """One editor's connection to the bus, over any transport. `closed` is done when it has ended,
    with the error that the editor made if it broke the framing."""

    def __init__(
        self, endpoint: Endpoint, framing: HeaderFraming | LineFraming, tasks: asyncio.TaskGroup
    ) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._endpoint = endpoint
        self._framing = framing
        self._tasks = tasks
        self._session = JsonRpcSession()
        self._calls: dict[Call, asyncio.Task[None]] = {}
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._fault: IpcError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._framing.feed(data)
        try:
            while (text := self._framing.next_text()) is not None:
                self._take(text)
        except IpcError as error:
            self._fault = error
            if self._transport is not None:
                self._transport.close()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        for task in (*self._calls.values(), *self._subscriptions.values()):
            task.cancel()
        if self._fault is not None:
            self.closed.set_exception(self._fault)
        else:
            self.closed.set_result(None)

    def _take(self, text: bytes) -> None:
        received = self._session.receive(text)
        self._send(received.reply)
        for call in received.cancelled:
            task = self._calls.get(call)
            if task is not None:
                task.cancel()
        for call in received.calls:
            self._begin(call)

    def _begin(self, call: Call) -> None:
        task = self._tasks.create_task(self._perform(call), name="bus.rpc")
        self._calls[call] = task
        task.add_done_callback(lambda _: self._calls.pop(call, None))

    async def _perform(self, call: Call) -> None:
        try:
            result = await self._result(call)
        except asyncio.CancelledError:
            record = ErrorRecord("ipc.cancelled", "The request was cancelled.", Category.CANCELLED)
            self._send(self._session.fail(call, record))
            raise
        except NoResponder as error:
            self._send(self._session.fail(call, error.record(), METHOD_NOT_FOUND))
        except SymphonyError as error:
            self._send(self._session.fail(call, error.record()))
        except msgspec.ValidationError as error:
            record = ErrorRecord("ipc.json_rpc", f"{error}.", Category.VALIDATION)
            self._send(self._session.fail(call, record, INVALID_PARAMS))
        else:
            self._send(self._session.answer(call, result))

    async def _result(self, call: Call) -> object:
        if call.topic == SUBSCRIBE:
            return await self._subscribe(msgspec.convert(call.params, _Pattern).pattern)
        if call.topic == UNSUBSCRIBE:
            task = self._subscriptions.pop(msgspec.convert(call.params, _Pattern).pattern, None)
            return task is not None and task.cancel()
        if call.is_notification:
            await self._endpoint.publish(call.topic, call.params)
            return None
        return (await self._endpoint.request(call.topic, call.params, timeout_s=0)).payload

    async def _subscribe(self, pattern: str) -> bool:
        """Once the broker has granted it; False if there is such a subscription."""
        if pattern in self._subscriptions:
            return False
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self._tasks.create_task(self._pass_on(pattern, granted), name="bus.rpc.subscription")
        self._subscriptions[pattern] = task
        try:
            await granted
        except BaseException:
            del self._subscriptions[pattern]
            task.cancel()
            raise
        return True

    async def _pass_on(self, pattern: str, granted: asyncio.Future[None]) -> None:
        try:
            async with self._endpoint.subscribe(pattern) as subscription:
                if not granted.done():
                    granted.set_result(None)
                async for batch in subscription:
                    for message in batch:
                        self._send(_told(message))
                    await self._writable.wait()
        except IpcError as error:
            if granted.done():
                log.warning("a subscription of an editor has ended", pattern=pattern, error=error)
            else:
                granted.set_exception(error)

    def _send(self, text: bytes | None) -> None:
        if text is not None and self._transport is not None:
            self._transport.write(self._framing.wrap(text))


def _told(message: Message) -> bytes:
    try:
        payload = message.payload
    except IpcError:
        payload = message.body
    return notification(MESSAGE, {"topic": message.topic, "payload": payload})
