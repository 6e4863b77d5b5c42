"""What is published on the bus, shown as it comes, at the pace of whoever reads it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

import click

from symphony.cli._traffic import stated
from symphony.commons import blocking
from symphony.commons.tasks import task_scope
from symphony.ipc import (
    Endpoint,
    EndpointInfo,
    IpcError,
    Message,
    Policy,
    Subscription,
    matches,
)

#: Messages that may be on their way to the screen: more would only make it later.
CREDIT = 512
#: How often it is told that messages were dropped.
TELL_S = 1.0
#: Names of endpoints that are remembered, those of some that are gone included.
MAX_NAMES = 10_000

#: A message, and the name of its source, as a line.
Render: TypeAlias = Callable[[Message, str], str]


class Monitor:
    """Shows `limit` messages, or any number. Never holds up who publishes: what it cannot show in
    time is dropped and counted in `dropped`."""

    def __init__(self, render: Render, limit: int | None) -> None:
        self._render = render
        self._limit = limit
        self._names = {0: ""}
        self._writing = asyncio.Lock()
        self._over = asyncio.Event()
        self._error: IpcError | None = None
        #: Whether `stop` would be heard.
        self.begun = False
        self.shown = 0
        self.dropped = 0

    def stop(self) -> None:
        self._over.set()

    async def watch(self, endpoint: Endpoint, patterns: Sequence[str], *, hidden: str = "") -> None:
        """Until it is stopped, or has shown as many as it should; raises what ends the connection.
        A message that several patterns stand for is shown once, one of the pattern `hidden` not."""
        async with AsyncExitStack() as stack:
            joining = endpoint.subscribe(
                "bus.endpoint.joined", self._joined, policy=Policy.DROP_OLDEST
            )
            await stack.enter_async_context(joining)
            for info in await endpoint.endpoints():
                self._names[info.number] = info.name
            subscriptions = [
                await stack.enter_async_context(
                    endpoint.subscribe(each, policy=Policy.DROP_OLDEST, credit=CREDIT)
                )
                for each in patterns
            ]
            self.begun = True
            await self._show_all(endpoint, subscriptions, [hidden] if hidden else [])

    async def _show_all(
        self, endpoint: Endpoint, subscriptions: Sequence[Subscription], hidden: Sequence[str]
    ) -> None:
        async with task_scope() as tasks:
            running = [tasks.create_task(self._tell_dropped(endpoint))]
            for number, each in enumerate(subscriptions):
                others = [*hidden, *(before.pattern for before in subscriptions[:number])]
                running.append(tasks.create_task(self._follow(each, others)))
            await self._over.wait()
            for task in running:
                task.cancel()
        if self._error is not None:
            raise self._error
        await self._count_dropped(endpoint)

    def _joined(self, message: Message) -> None:
        info = message.payload_as(EndpointInfo)
        if len(self._names) >= MAX_NAMES:
            del self._names[min(self._names)]
        self._names[info.number] = info.name

    async def _follow(self, subscription: Subscription, others: Sequence[str]) -> None:
        """Show what is not for one of the `others`, which are patterns too."""
        try:
            async for batch in subscription:
                await self._show(
                    [each for each in batch if not any(matches(it, each.topic) for it in others)]
                )
        except IpcError as error:  # the same for all subscriptions: it is raised once
            self._error = error
            self.stop()

    async def _show(self, messages: list[Message]) -> None:
        async with self._writing:
            if self._limit is not None:
                messages = messages[: self._limit - self.shown]
            if messages:
                # A reader that pauses must not keep us from answering the broker.
                await blocking.run(self._write, messages)
            if self.shown == self._limit:
                self.stop()

    def _write(self, messages: list[Message]) -> None:
        lines = [self._render(each, self._source(each)) for each in messages]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        self.shown += len(messages)

    def _source(self, message: Message) -> str:
        """Of the broker's own messages, and kept ones, the envelope alone can tell."""
        return self._names.get(message.source) or stated(message)[1] or "-"

    async def _tell_dropped(self, endpoint: Endpoint) -> None:
        told = 0
        while True:
            seen = self.shown
            await asyncio.sleep(TELL_S)
            if self.shown != seen:
                await self._count_dropped(endpoint)
            if self.dropped != told:
                told = self.dropped
                click.echo(f"({told:,} messages dropped so far)", err=True)

    async def _count_dropped(self, endpoint: Endpoint) -> None:
        for info in await endpoint.endpoints(capability=endpoint.name):
            self.dropped = sum(each.dropped for each in info.subscriptions)
