"""The subscriber's end of a subscription: a callback for each message, or batches to iterate over.

Credit goes back to the broker when messages have been dealt with: after the callback, or when the
next batch is asked for. So a subscriber that is busy is sent no more than it has asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from symphony.ipc._errors import IpcError
from symphony.ipc.bus._message import Message
from symphony.ipc.protocol._control import Subscribe

if TYPE_CHECKING:
    from symphony.ipc.bus._link import Link

#: Credit goes back when one of so many parts of it has been used.
PARTS = 2


class Subscription:
    """Get one from `Endpoint.subscribe`. Iterate over it for lists of messages, in order, none of
    them empty. Cancelling the iteration loses nothing: what has come is in the next list.

    It ends with `drain`, with the endpoint, or with the error that ended it.
    """

    def __init__(
        self, pattern: str, wish: Subscribe, callback: Callable[[Message], None] | None
    ) -> None:
        self.pattern = pattern
        #: Of kept messages: all up to here have been dealt with. A program that notes it, and
        #: subscribes with `after=` it, misses none and gets none twice.
        self.position = wish.after or 0
        #: Its name, and the connection that this is its name on.
        self.id = 0
        self.link: Link | None = None
        self._wish = wish
        self._callback = callback
        self._batch: list[Message] = []
        self._coming = self._handed = self._used = (0, 0)
        self._seen = self._last_handed = self.position
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self._error: IpcError | None = None
        self.take: Callable[[Message], None] = callback or self._batch.append

    @property
    def wish(self) -> Subscribe:
        """What to ask the broker for, now: the rest of what was asked for at first."""
        if self._wish.after is None:
            return self._wish
        return msgspec.structs.replace(self._wish, after=self._seen)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> list[Message]:
        self._finish_batch()
        while not self._batch:
            if self._error is not None:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        batch = self._batch
        self._batch = []
        self.take = self._batch.append
        self._handed, self._coming = self._coming, (0, 0)
        self._last_handed = batch[-1].sequence
        return batch

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._over

    def attach(self, link: Link, id_: int) -> None:
        """Messages may come over the connection from now on, even before `begin`. What was used of
        an earlier credit no longer counts."""
        self.link, self.id = link, id_
        self._coming = self._handed = self._used = (0, 0)

    def begin(self, position: int, epoch: str) -> None:
        """The broker has granted it."""
        if self._wish.after is None and not self._wish.durable:
            return
        if self._wish.after is None:  # it begins where the broker remembers; then it knows itself
            self._seen = max(self._seen, position)
            self.position = max(self.position, position)
        self._wish = msgspec.structs.replace(self._wish, after=self._seen, epoch=epoch)

    def arrived(self, link: Link, frames: int, size: int, sequence: int) -> None:
        """So much was handed to `take`, up to this sequence if it is kept."""
        if sequence:
            self._seen = sequence
        if self._callback is None:
            self._coming = (self._coming[0] + frames, self._coming[1] + size)
            self._wake()
        else:
            self.position = sequence or self.position
            self._spend(frames, size)

    def ended(self, error: IpcError | None) -> None:
        """Nothing more will come: after what has come, iteration ends, or raises the error. The
        first reason counts."""
        if not self._over:
            self._over = True
            self._error = error
            self._wake()

    def _finish_batch(self) -> None:
        (frames, size), self._handed = self._handed, (0, 0)
        if frames or self._last_handed > self.position:
            self.position = max(self._last_handed, self.position)
            self._spend(frames, size)

    def _spend(self, frames: int, size: int) -> None:
        used_frames, used_size = self._used[0] + frames, self._used[1] + size
        wish = self._wish
        if (
            used_frames * PARTS >= wish.credit_frames
            or used_size * PARTS >= wish.credit_bytes
            or wish.durable
        ):
            self._used = (0, 0)
            if self.link is not None:
                position = self.position if wish.durable else None
                self.link.credit(self.id, used_frames, used_size, position)
        else:
            self._used = (used_frames, used_size)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
