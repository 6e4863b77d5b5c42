"""The one place through which everything that happens to a run goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symphony.commons.clock import Clock
from symphony.execution import STATE_AFTER, Event, Recorded, RunFinished, RunState, RunStatus
from symphony.pit.tracker._context import NodeProgress, Observer
from symphony.pit.tracker._journal import Journal, Level

_STATES = frozenset((*STATE_AFTER, RunFinished))


class Recorder:
    """Gives events their number and time; the fold, the journal and then the observer take them
    in. The observer hears of nothing that is not committed."""

    def __init__(
        self,
        status: RunStatus,
        *,
        run_id: str,
        journal: Journal,
        level: Level,
        observer: Observer | None,
        clock: Clock,
    ) -> None:
        self.run_id = run_id
        self.status = status
        self.clock = clock
        self.level = level
        self.journal = journal
        self._observer = observer
        self._observer_failed = False

    def record(
        self, events: Sequence[Event], at: float, then: Callable[[], None], *, grave: bool = False
    ) -> None:
        """The events of one turn; `then` is called when they are committed and all have heard.
        If they are `grave` and the level is `power`, they are synced first."""
        seq, status = self.status.seq, self.status
        turn = [Recorded(seq + place, at, event) for place, event in enumerate(events, 1)]
        status.apply_turn(turn)
        if self.level is Level.MEMORY:
            self._told(turn, then)
            return
        level = Level.STRICT if grave and self.level is Level.POWER else self.level
        turns = any(type(event) in _STATES for event in events)
        self.journal.append(
            self.run_id,
            turn,
            status.state if turns else None,
            lambda: self._told(turn, then),
            level=level,
        )

    def _told(self, turn: Sequence[Recorded], then: Callable[[], None]) -> None:
        if self._observer is not None:
            for each in turn:
                self.tell(each)
        then()

    async def record_end(self, event: RunFinished) -> None:
        """Nobody hears of the end before it, and all that led to it, is committed and, where the
        level says so, synced."""
        recorded = Recorded(self.status.seq + 1, self.clock.now().timestamp(), event)
        self.status.apply(recorded)
        if self.level is not Level.MEMORY:
            self.journal.append(self.run_id, [recorded], self.status.state, _nothing)
            await self.journal.flush(sync=self.level in (Level.POWER, Level.STRICT))
        self.tell(recorded)

    def tell(self, heard: Recorded | NodeProgress) -> None:
        """Raises what the observer raises, and then does not call it again: many nodes that
        failed for that one reason would hide it."""
        if self._observer is None or self._observer_failed:
            return
        try:
            self._observer(heard)
        except BaseException:
            self._observer_failed = True
            raise

    @property
    def state(self) -> RunState:
        return self.status.state


def _nothing() -> None:
    pass
