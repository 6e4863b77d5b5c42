"""A pool of connections, or of anything else that is opened, used by one at a time, and closed.

What is in the pool is opened and closed by one task each, not by whoever happens to borrow it
first and last: a context that runs tasks of its own (`task_scope`, an endpoint) may only be left by
the task that entered it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Generic, TypeVar

from symphony.commons.clock import Clock, SystemClock
from symphony.commons.logging import get_logger
from symphony.commons.tasks import task_scope
from symphony.ipc.transport._errors import PoolClosed

T = TypeVar("T")

log = get_logger("ipc")


class _Slot(Generic[T]):
    """An item, from the wish for it until it is closed."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.dismissed = asyncio.Event()
        self.idle_since = 0.0


class Pool(Generic[T]):
    """At most `limit` open items, each lent to one borrower at a time.

        async with Pool(lambda: open_connection(address), limit=8, idle_s=60) as pool:
            async with pool.lease() as connection:
                ...

    Leaving the block ends the wait of those who wait for an item (PoolClosed), waits for what is
    lent to come back, and closes everything; left by an error, it closes what is lent at once.
    """

    def __init__(
        self,
        open_item: Callable[[], AbstractAsyncContextManager[T]],
        *,
        limit: int,
        idle_s: float,
        usable: Callable[[T], bool] = lambda _: True,
        clock: Clock | None = None,
    ) -> None:
        """An item that nobody has borrowed for `idle_s` seconds is closed, and so is one that is
        not `usable` any more when it would be lent again."""
        if limit < 1:
            raise ValueError(f"a pool of {limit} items")
        self._open_item = open_item
        self._idle_s = idle_s
        self._usable = usable
        self._clock = clock or SystemClock()
        self._turns = asyncio.Semaphore(limit)  # to borrow; those who wait stand in line
        self._places = asyncio.Semaphore(limit)  # to be open, until really closed
        self._idle: deque[_Slot[T]] = deque()  # the longest idle first
        self._some_idle = asyncio.Event()
        self._scope = task_scope()
        self._closed = False

    async def __aenter__(self) -> Pool[T]:
        self._tasks = await self._scope.__aenter__()
        self._expiry = self._tasks.create_task(self._expire(), name="ipc.pool.expiry")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._closed = True
        self._turns.release()  # whoever waits sees that it is closed, and passes the turn on
        self._expiry.cancel()
        while self._idle:
            self._idle.pop().dismissed.set()
        return await self._scope.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[T]:
        """Borrow an item for the length of the block.

        Those who have to wait are served in the order in which they came. An item whose block ends
        with an error or a cancel is not lent again: nobody knows in which state it was left. Raises
        PoolClosed, and whatever opening an item raises.
        """
        async with self._turns:
            if self._closed:
                raise PoolClosed
            slot = self._reuse() or self._begin()
            try:
                yield await slot.opened
            except BaseException:
                slot.dismissed.set()
                raise
            self._keep(slot)

    def _reuse(self) -> _Slot[T] | None:
        """The one used last: so that those that are not needed grow old."""
        while self._idle:
            slot = self._idle.pop()
            if not slot.dismissed.is_set() and self._usable(slot.opened.result()):
                return slot
            slot.dismissed.set()
        return None

    def _begin(self) -> _Slot[T]:
        slot: _Slot[T] = _Slot()
        task = self._tasks.create_task(self._tend(slot), name="ipc.pool.item")
        # Nobody waits for it any more: do not go on opening it.
        slot.opened.add_done_callback(lambda opened: opened.cancelled() and task.cancel())
        return slot

    async def _tend(self, slot: _Slot[T]) -> None:
        """Open the item, and close it when it is dismissed."""
        try:
            async with self._places, self._open_item() as item:
                if not slot.opened.cancelled():
                    slot.opened.set_result(item)
                await slot.dismissed.wait()
        except Exception as error:  # noqa: BLE001 - the borrower's, or nobody's but the log's
            if slot.opened.done():
                log.warning("an item of a pool failed", error=repr(error))
            else:
                slot.opened.set_exception(error)
        finally:
            slot.dismissed.set()
            if not slot.opened.done():
                slot.opened.set_exception(PoolClosed())

    def _keep(self, slot: _Slot[T]) -> None:
        if self._closed:
            slot.dismissed.set()
        if slot.dismissed.is_set():
            return
        slot.idle_since = self._clock.monotonic()
        self._idle.append(slot)
        self._some_idle.set()

    async def _expire(self) -> None:
        while await self._some_idle.wait():
            self._some_idle.clear()
            while self._idle:
                left_s = self._idle[0].idle_since + self._idle_s - self._clock.monotonic()
                if left_s > 0:
                    await self._clock.sleep(left_s)
                else:
                    self._idle.popleft().dismissed.set()
