"""A clock that moves when it is told to."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

#: How many turns of the loop a woken task gets to come to its next wait.
TURNS = 20


class FakeClock:
    """Time stands still until `advance`; keeps the promises of `symphony.commons.clock.Clock`.

        clock = FakeClock()
        task = asyncio.create_task(retry(operation, clock=clock))
        await clock.sleepers(1)     # it failed once and waits
        await clock.advance(30.0)   # now it has tried again

    For one event loop. Tasks that wait for a thread, process or socket are not waited for.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = 0
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        alarm = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleeping, (self._elapsed + seconds, self._order, alarm))
        self._fell_asleep.set()
        await alarm

    async def sleepers(self, count: int) -> None:
        """Return as soon as at least `count` tasks sleep on this clock."""
        while len(self._waiting()) < count:
            self._fell_asleep.clear()
            await self._fell_asleep.wait()

    async def advance(self, seconds: float) -> None:
        """Move time on, waking sleepers in order, each at its moment, also those who sleep again.

        The tasks that run on return have had several turns: what needs no real waiting is done.
        """
        target = self._elapsed + seconds
        await self._settle()
        while (due := self._waiting()) and due[0][0] <= target:
            moment, _, alarm = heapq.heappop(self._sleeping)
            self._elapsed = moment
            alarm.set_result(None)
            await self._settle()
        self._elapsed = target

    def _waiting(self) -> list[tuple[float, int, asyncio.Future[None]]]:
        """Those asleep as a heap, without the cancelled."""
        self._sleeping = [entry for entry in self._sleeping if not entry[2].done()]
        heapq.heapify(self._sleeping)
        return self._sleeping

    async def _settle(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
