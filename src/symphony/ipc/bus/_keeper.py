"""Between the router and the log: messages are committed first, then delivered.

A subscription that resumes reads the log at its own pace, as far as its credit goes, and holds up
nobody: falling behind and catching up are the same to it as being live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.ipc._errors import NameTaken
from symphony.ipc.bus._log import Entry, MessageLog
from symphony.ipc.bus._members import Subscription
from symphony.ipc.bus._outgoing import Acknowledge, Effect, Feed, Keep, Resume
from symphony.ipc.bus._router import Router
from symphony.ipc.bus._topics import matches

#: Of one read of the log, whatever credit there is: a megabyte is some milliseconds of the loop.
READ_MESSAGES = 1000
READ_BYTES = 1024 * 1024

log = get_logger("ipc.bus")


class Keeper:
    """Takes the router's effects that concern the log; `flush` is called after each change."""

    def __init__(self, router: Router, messages: MessageLog, tasks: asyncio.TaskGroup) -> None:
        self._router = router
        self._log = messages
        self._tasks = tasks
        self._coming: list[Keep] = []
        self._keeping = False
        self._resuming: set[Subscription] = set()
        #: Those whose place in the log is being looked for.
        self._placing: set[Subscription] = set()
        self.flush: Callable[[], None] = lambda: None

    def take(self, effect: Effect) -> None:
        match effect:
            case Keep():
                self._coming.append(effect)
                if not self._keeping:
                    self._keeping = True
                    self._tasks.create_task(self._keep(), name="bus.keep")
            case Resume():
                self._tasks.create_task(self._resume(effect), name="bus.resume")
            case Feed(subscription):
                self._feed(subscription)
            case Acknowledge():
                self._tasks.create_task(self._acknowledge(effect), name="bus.acknowledge")

    async def _keep(self) -> None:
        """Commit what has come, all of it at once, until nothing has come meanwhile."""
        while self._coming:
            batch, self._coming = self._coming, []
            entries = [
                Entry(
                    keep.member.instance,
                    keep.frame.sequence,
                    keep.frame.topic,
                    keep.frame.flags,
                    keep.frame.body,
                    keep.member.name,
                )
                for keep in batch
            ]
            newest = self._log.newest
            try:
                positions = await self._log.append(entries)
            except SymphonyError as error:
                self._refuse(batch, error)
            else:
                for keep, position in zip(batch, positions, strict=True):
                    self._router.kept(keep.member, keep.frame, position, new=position > newest)
                self._feed_all(batch)
            self.flush()
        self._keeping = False

    def _refuse(self, batch: list[Keep], error: SymphonyError) -> None:
        """Its publishers send it again once they have connected anew, and nothing is doubled."""
        log.error("messages could not be kept", count=len(batch), error=error)
        for member in dict.fromkeys(keep.member for keep in batch):
            self._router.refuse(member, error)

    def _feed_all(self, batch: list[Keep]) -> None:
        topics = {keep.frame.topic for keep in batch}
        for subscription in tuple(self._resuming):
            if any(matches(subscription.pattern, topic) for topic in topics):
                self._feed(subscription)

    async def _resume(self, effect: Resume) -> None:
        subscription = effect.subscription
        self._placing.add(subscription)
        try:
            position = await self._place(effect)
        except SymphonyError as error:
            self._router.refuse_subscription(subscription, error)
        else:
            if not subscription.ended:
                self._resuming.add(subscription)
                self._router.resume(subscription, position)
                self._feed(subscription)
        self._placing.discard(subscription)
        self.flush()

    async def _place(self, effect: Resume) -> int:
        """Where to begin: where the subscriber says, else what it has acknowledged, else now."""
        durable = effect.subscription.durable
        self._resuming = {other for other in self._resuming if not other.ended}
        others = (self._resuming | self._placing) - {effect.subscription}
        if durable and any(other.durable == durable and not other.ended for other in others):
            raise NameTaken(durable)
        if effect.after is not None:
            self._log.check(effect.after, effect.epoch)
            return effect.after
        position = await self._log.position(durable)
        if position is None:
            position = self._log.newest
            await self._log.acknowledge(durable, position)
        self._log.check(position, self._log.epoch)
        return position

    def _feed(self, subscription: Subscription) -> None:
        """Have one task read for the subscription, and note that there may be more to read."""
        subscription.hungry = True
        if not subscription.reading and subscription in self._resuming:
            subscription.reading = True
            self._tasks.create_task(self._read(subscription), name="bus.feed")

    async def _read(self, subscription: Subscription) -> None:
        try:
            while subscription.hungry and self._has_credit(subscription):
                subscription.hungry = False
                await self._read_once(subscription)
        except SymphonyError as error:
            self._resuming.discard(subscription)
            self._router.refuse_subscription(subscription, error)
            self.flush()
        subscription.reading = False

    def _has_credit(self, subscription: Subscription) -> bool:
        if subscription.ended or subscription.draining:
            self._resuming.discard(subscription)
            return False
        return subscription.frames > 0 and subscription.size > 0

    async def _read_once(self, subscription: Subscription) -> None:
        found = await self._log.read(
            subscription.position,
            self._log.epoch,
            limit_messages=min(subscription.frames, READ_MESSAGES),
            limit_bytes=min(subscription.size, READ_BYTES),
            wanted=lambda topic: matches(subscription.pattern, topic),
        )
        if subscription.ended or subscription.draining:
            return
        for kept in found.messages:
            self._router.deliver_kept(subscription, kept)
        subscription.position = found.through
        subscription.hungry |= found.through < self._log.newest
        self.flush()

    async def _acknowledge(self, effect: Acknowledge) -> None:
        try:
            await self._log.acknowledge(effect.durable, effect.position)
        except SymphonyError as error:
            # The subscriber gets again what it has had, if it comes back before the next.
            log.warning("a position was not kept", durable=effect.durable, error=error)
