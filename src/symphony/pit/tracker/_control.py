"""How somebody outside a run steers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from symphony.commons.values import Value
from symphony.execution import (
    Event,
    NodeFinished,
    NodeRetried,
    NodeSkipped,
    RunCancelling,
    RunContinued,
    RunLimited,
    RunPaused,
)

#: Told to whoever carries out the run; raises CommandRefused.
Listener: TypeAlias = Callable[[Event], None]


class RunControl:
    """Give one to `perform` and keep it. Call it from the thread of the run's event loop.

    What is asked for takes effect at once: it stands in the journal before the call returns, or, if
    an observer asks, when all have been told of what it was told of. Before the run has begun it
    waits for that. What the state of the run or node does not allow raises CommandRefused, but
    `cancel`, `pause` and `resume` have no effect where there is none to have.
    """

    def __init__(self) -> None:
        self._early: list[Event] = []
        self._listener: Listener | None = None
        self._cancelled = False

    def cancel(self, reason: str = "cancelled by request") -> None:
        """Let nothing more start, and stop what runs. Once only."""
        if not self._cancelled:
            self._cancelled = True
            self._send(RunCancelling(reason))

    def pause(self, reason: str = "paused by request") -> None:
        """Let nothing more start; what runs goes on to its end."""
        self._send(RunPaused(reason))

    def resume(self) -> None:
        """Let a paused run go on."""
        self._early = [event for event in self._early if not isinstance(event, RunPaused)]
        if self._listener is not None:
            self._send(RunContinued())

    def limit(self, concurrency: int) -> None:
        """From now on let at most so many nodes run at a time; more that run go on."""
        self._send(RunLimited(max(concurrency, 1)))

    def retry(self, node: str) -> None:
        """Run a failed node again, or one that a person was asked about after a crash."""
        self._send(NodeRetried(node))

    def skip(self, node: str, outputs: dict[str, Value] | None = None) -> None:
        """Do not run a node, or stop it; it hands on `outputs` by port instead, if given."""
        self._send(NodeSkipped(node, "", "person", outputs or {}))

    def provide(self, node: str, value: Value) -> None:
        """Answer for a node that waits. One of another kind than `wait` takes its outputs by
        port."""
        self._send(NodeFinished(node, 0, {"value": value}, by="person"))

    def attach(self, listener: Listener) -> None:
        """For the run: be told of commands, also of those that have come already."""
        self._listener = listener
        early, self._early = self._early, []
        for event in early:
            listener(event)

    def _send(self, event: Event) -> None:
        if self._listener is None:
            self._early.append(event)
        else:
            self._listener(event)
