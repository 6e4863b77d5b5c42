"""Time as something that is passed in, so that a test can hold it still.

`symphony.testing.FakeClock` is the other implementation.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a room gets its time from; never from `time` or `datetime` directly."""

    def now(self) -> datetime:
        """The date and time, aware, in UTC. May jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back. For durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; zero or less gives other tasks one turn. Safe to cancel."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
