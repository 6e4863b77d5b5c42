"""A run that was started, and the feed of what happens in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from symphony.commons.values import Value
from symphony.execution import Recorded, RunStatus
from symphony.pit.tracker import NodeProgress, Observer, RunControl


class Feed:
    """Hands every event of a run to whoever watches, those of the past included, and its outcome
    to whoever waits."""

    def __init__(self, past: Iterable[Recorded] = ()) -> None:
        """`past` are the events of a run that is taken up again."""
        self.outcome: asyncio.Future[RunStatus] = asyncio.get_running_loop().create_future()
        # Nobody has to ask for it: what went wrong is in the log.
        self.outcome.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._history = list(past)
        self._observers: list[Observer] = []

    def take(self, news: Recorded | NodeProgress) -> None:
        if isinstance(news, Recorded):
            self._history.append(news)
        for observer in tuple(self._observers):
            observer(news)

    def add(self, observer: Observer) -> None:
        for recorded in self._history:
            observer(recorded)
        self._observers.append(observer)

    def remove(self, observer: Observer) -> None:
        self._observers.remove(observer)


class Run:
    """A run that was started; it goes on whether or not anybody looks at it."""

    def __init__(self, run_id: str, feed: Feed, control: RunControl) -> None:
        self.id = run_id
        self._feed = feed
        self._control = control

    async def result(self) -> RunStatus:
        """Wait for the end. A failed run is a result too; raises only what kept the run from
        being carried out or recorded. Cancelling the wait does not cancel the run."""
        return await asyncio.shield(self._feed.outcome)

    # What is asked for takes effect at once, and raises CommandRefused where the state of the run
    # or node does not allow it, NodeMissing for a node that is not there.

    def cancel(self, reason: str = "cancelled by request") -> None:
        """Start nothing more and stop what runs; `result` then tells how it ended."""
        self._control.cancel(reason)

    def pause(self, reason: str = "paused by request") -> None:
        """Start nothing more; what runs goes on to its end."""
        self._control.pause(reason)

    def resume(self) -> None:
        """Go on after a pause."""
        self._control.resume()

    def limit(self, concurrency: int) -> None:
        """From now on let at most so many nodes run at a time."""
        self._control.limit(concurrency)

    def retry(self, node: str) -> None:
        """Run a failed node again, and what was skipped for it."""
        self._control.retry(node)

    def skip(self, node: str, outputs: dict[str, Value] | None = None) -> None:
        """Do not run a node, or stop it; it hands on `outputs` by port, if given."""
        self._control.skip(node, outputs)

    def provide(self, node: str, value: Value) -> None:
        """Answer for a node that waits; raises OutputInvalid if its schema does not take it."""
        self._control.provide(node, value)

    def watch(self, observer: Observer) -> None:
        """Call `observer` with every event, those of the past first, and with live progress.

        An observer that raises ends the run.
        """
        self._feed.add(observer)

    async def events(self) -> AsyncIterator[Recorded]:
        """Every event from the first to the last. Several may read, each at its own pace.

        Ends with the run, even with one that could not record its end.
        """
        queue: asyncio.Queue[Recorded | None] = asyncio.Queue()

        def take(news: Recorded | NodeProgress) -> None:
            if isinstance(news, Recorded):
                queue.put_nowait(news)

        def end(_: asyncio.Future[RunStatus]) -> None:
            queue.put_nowait(None)

        self._feed.add(take)
        self._feed.outcome.add_done_callback(end)
        try:
            while (recorded := await queue.get()) is not None:
                yield recorded
        finally:
            self._feed.outcome.remove_done_callback(end)
            self._feed.remove(take)
