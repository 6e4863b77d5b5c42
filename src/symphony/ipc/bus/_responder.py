"""The part of an endpoint that answers requests: the handlers, and the calls that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import TypeAlias

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.ipc._errors import FrameTooLarge, HandlerFailed, NoResponder
from symphony.ipc.bus._large import handed_now
from symphony.ipc.bus._link import Link
from symphony.ipc.bus._message import Request
from symphony.ipc.bus._topics import matches, specificity
from symphony.ipc.bus._trace import TRACE
from symphony.ipc.protocol._frames import ENVELOPE, HEADER, Frame, Kind, encode, encode_body
from symphony.ipc.transport._shared import SHARED_FROM

REP = int(Kind.REP)

#: What a handler may return: the reply's payload, at once or in time.
Reply: TypeAlias = object | Awaitable[object]
Handler: TypeAlias = Callable[[Request], Reply]

#: How much of what a handler's error says is told.
MAX_REASON = 512

#: Topics whose handlers are remembered.
MAX_TOPICS = 10_000

log = get_logger("ipc.bus")


class Serving:
    """A pattern that is served; `number` is the correlation that it was announced under last, and
    `link` where."""

    __slots__ = ("handler", "link", "number", "over", "pattern", "priority")

    def __init__(self, pattern: str, handler: Handler, priority: int) -> None:
        self.pattern = pattern
        self.handler = handler
        self.priority = priority
        self.link: Link | None = None
        self.number = 0
        self.over = False


class Responder:
    """`written` makes flags and a body of a payload."""

    def __init__(
        self, tasks: asyncio.TaskGroup, written: Callable[[object], tuple[int, bytes]]
    ) -> None:
        self._tasks = tasks
        self._written = written
        self._servings: list[Serving] = []
        self._handlers: dict[str, Handler] = {}
        self._answering: dict[tuple[int, int], asyncio.Task[None]] = {}

    @property
    def servings(self) -> tuple[Serving, ...]:
        return tuple(self._servings)

    def add(self, serving: Serving) -> None:
        self._servings.append(serving)
        self._handlers.clear()

    def remove(self, serving: Serving) -> None:
        self._servings.remove(serving)
        self._handlers.clear()
        serving.over = True

    def answer(self, link: Link, request: Request) -> None:
        """A request has come."""
        topic = request.topic
        handler = self._handlers.get(topic) or self._handler(topic)
        if handler is None:
            self._refuse(link, request, NoResponder(topic))
            return
        try:
            if request.flags & ENVELOPE:
                TRACE.set(request.envelope.trace)
            reply = handler(request)
            if type(reply) is bytes or not isawaitable(reply):
                self._reply(link, request, reply)
            else:
                task = self._tasks.create_task(self._answer_later(link, request, reply))
                self._answering[request.source, request.correlation] = task
                task.add_done_callback(partial(self._answered, link, request, reply))
        except Exception as error:  # noqa: BLE001 - the boundary to the program's own code
            self._refuse(link, request, error)
        if request.flags & ENVELOPE:
            TRACE.set("")

    async def _answer_later(self, link: Link, request: Request, reply: Awaitable[object]) -> None:
        try:
            self._reply(link, request, await reply)
        except Exception as error:  # noqa: BLE001 - the boundary to the program's own code
            self._refuse(link, request, error)

    def _answered(
        self, link: Link, request: Request, reply: Awaitable[object], task: asyncio.Task[None]
    ) -> None:
        if iscoroutine(reply):
            reply.close()  # cancelled before it began, it would be missed
        key = request.source, request.correlation
        if self._answering.get(key) is task:
            del self._answering[key]
            if task.cancelled():  # by the handler itself: somebody still waits
                self._refuse(link, request, asyncio.CancelledError())

    def _handler(self, topic: str) -> Handler | None:
        """The best by the same rule by which the broker has chosen."""
        found = [serving for serving in self._servings if matches(serving.pattern, topic)]
        best = min(found, key=_rank, default=None)
        if len(self._handlers) >= MAX_TOPICS:
            self._handlers.clear()
        if best is None:
            return None
        self._handlers[topic] = best.handler
        return best.handler

    def _reply(self, link: Link, request: Request, payload: object) -> None:
        flags, body = (0, payload) if type(payload) is bytes else self._written(payload)
        if len(body) >= SHARED_FROM:
            flags, body = handed_now(link, flags, body)
        size = HEADER.size + len(body)
        if size > link.max_frame:
            most = max(link.max_frame, link.max_shared)
            self._refuse(link, request, FrameTooLarge(size, most))
            return
        source, correlation = request.source, request.correlation
        link.write(HEADER.pack(size, REP, flags, 0, source, correlation) + body)

    def _refuse(self, link: Link, request: Request, error: BaseException) -> None:
        if isinstance(error, SymphonyError):
            record = error.record()
        else:
            log.error("a request could not be answered", topic=request.topic, error=error)
            reason = str(error)[:MAX_REASON]
            record = HandlerFailed(request.topic, type(error).__name__, reason).record()
        body = encode_body(record)
        if len(body) > link.max_frame // 2:
            body = encode_body(FrameTooLarge(len(body), link.max_frame // 2).record())
        frame = Frame(Kind.ERR, request.correlation, request.topic, body, request.source)
        link.write(encode(frame))

    def withdraw(self, source: int, correlation: int) -> None:
        """Nobody waits for the reply any more."""
        task = self._answering.pop((source, correlation), None)
        if task is not None:
            task.cancel()

    def give_up(self) -> None:
        """Nobody can be told the replies."""
        answering, self._answering = self._answering, {}
        for task in answering.values():
            task.cancel()


def _rank(serving: Serving) -> tuple[int, tuple[int, ...]]:
    return -serving.priority, specificity(serving.pattern)
