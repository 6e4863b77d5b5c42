"""The one place through which everything that happens to a run goes."""

from __future__ import annotations

from symphony.commons.clock import Clock
from symphony.execution import Event, Recorded, RunFinished, RunStatus
from symphony.pit.tracker._context import NodeProgress, Observer
from symphony.pit.tracker._journal import Journal


class Recorder:
    """Gives events their number and time; the fold, the journal and the observer take them in."""

    def __init__(self, run_id: str, *, journal: Journal, observer: Observer, clock: Clock) -> None:
        self.run_id = run_id
        self.status = RunStatus()
        self.clock = clock
        self._journal = journal
        self._observer = observer
        self._observer_failed = False

    def record(self, event: Event) -> None:
        self.tell(self._append(event))

    async def record_end(self, event: RunFinished) -> None:
        """Nobody hears of the end before it, and all that led to it, is committed."""
        recorded = self._append(event)
        await self._journal.flush()
        self.tell(recorded)

    def tell(self, heard: Recorded | NodeProgress) -> None:
        """Raises what the observer raises, and then does not call it again: many nodes that
        failed for that one reason would hide it."""
        if self._observer_failed:
            return
        try:
            self._observer(heard)
        except BaseException:
            self._observer_failed = True
            raise

    def _append(self, event: Event) -> Recorded:
        recorded = Recorded(self.status.seq + 1, self.clock.now().timestamp(), event)
        self.status.apply(recorded)
        self._journal.append(self.run_id, recorded)
        return recorded
