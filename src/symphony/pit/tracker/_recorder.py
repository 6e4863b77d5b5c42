"""The one place through which everything that happens to a run goes."""

from __future__ import annotations

from symphony.commons.clock import Clock
from symphony.execution import Event, Recorded, RunFinished, RunStatus
from symphony.pit.tracker._context import Observer
from symphony.pit.tracker._journal import Journal


class Recorder:
    """Gives events their number and time; the fold, the journal and the observer take them in."""

    def __init__(self, run_id: str, *, journal: Journal, observer: Observer, clock: Clock) -> None:
        self.run_id = run_id
        self.status = RunStatus()
        self.observer = observer
        self.clock = clock
        self._journal = journal

    def record(self, event: Event) -> None:
        self.observer(self.append(event))

    async def record_end(self, event: RunFinished) -> None:
        """Nobody hears of the end before it, and all that led to it, is committed."""
        recorded = self.append(event)
        await self._journal.flush()
        self.observer(recorded)

    def append(self, event: Event) -> Recorded:
        """Record without telling the observer."""
        recorded = Recorded(self.status.seq + 1, self.clock.now().timestamp(), event)
        self.status.apply(recorded)
        self._journal.append(self.run_id, recorded)
        return recorded
