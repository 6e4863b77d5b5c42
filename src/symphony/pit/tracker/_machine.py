"""What a run does next, decided without I/O: events in, effects out.

The same events always give the same effects: of two nodes that could start, the one that comes
first in the workflow does. Nodes are dense numbers inside, names at the border; what a node needs
is a count that its parents' ends bring to zero, so that a run costs the same a node in any shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TypeAlias

import msgspec

from symphony.commons.states import InvalidTransition, Transitions
from symphony.execution import (
    NODE_TRANSITIONS,
    RUN_TRANSITIONS,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeState,
    RunCancelling,
    RunState,
)

_NODE = Transitions(NodeState, NODE_TRANSITIONS)
_RUN = Transitions(RunState, RUN_TRANSITIONS)


class StartNode(msgspec.Struct, frozen=True, gc=False):
    """Run this node now. It counts against the limit until its end is told to the tracker."""

    node: str
    attempt: int


class CancelNode(msgspec.Struct, frozen=True, gc=False):
    """Stop this running node. How it ended is still to be told to the tracker."""

    node: str


class Record(msgspec.Struct, frozen=True):
    """A consequence the tracker has already drawn: to be recorded, not to be told back to it."""

    event: NodeSkipped | NodeCancelled


class FinishRun(msgspec.Struct, frozen=True, gc=False):
    """Every node has ended. The last effect of a run."""

    state: RunState


Effect: TypeAlias = StartNode | CancelNode | Record | FinishRun
NodeEnded: TypeAlias = NodeFinished | NodeFailed | NodeCancelled

_STATE_AFTER: dict[type[NodeEnded], NodeState] = {
    NodeFinished: NodeState.COMPLETED,
    NodeFailed: NodeState.FAILED,
    NodeCancelled: NodeState.CANCELLED,
}


class Tracker:
    """Decides for one run. `children[n]` are the numbers of the nodes that need node `n`.

    A failed node takes those with it that need it, and no others; then the run ends failed. At
    most `concurrency` nodes run at a time.
    """

    def __init__(
        self, names: Sequence[str], children: Sequence[Sequence[int]], *, concurrency: int
    ) -> None:
        self._names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        self._children = children
        self._waiting = [0] * len(names)
        for below in children:
            for child in below:
                self._waiting[child] += 1
        # Ascending, and so already a heap.
        self._ready = [number for number, waits in enumerate(self._waiting) if not waits]
        self._nodes = [NodeState.PENDING] * len(names)
        self._free = concurrency
        self._open = len(names)
        self._completed = 0
        self._state = RunState.PENDING

    @property
    def state(self) -> RunState:
        return self._state

    def start(self) -> list[Effect]:
        self._to(RunState.RUNNING)
        return self._continue()

    def handle(self, event: NodeEnded | RunCancelling) -> list[Effect]:
        """Draw the consequences of what happened. InvalidTransition, with nothing changed, if it
        cannot have happened: a node ends that does not run, a run is cancelled that has ended."""
        if isinstance(event, RunCancelling):
            effects = self._cancel()
        else:
            effects = self._end_running(self._numbers[event.node], event)
        return effects + self._continue()

    def _end_running(self, number: int, event: NodeEnded) -> list[Effect]:
        state = _STATE_AFTER[type(event)]
        if self._nodes[number] is not NodeState.RUNNING:
            allowed = NODE_TRANSITIONS[self._nodes[number]]
            raise InvalidTransition(self._nodes[number], state, allowed, self._names[number])
        self._end(number, state)
        self._free += 1
        if state is not NodeState.COMPLETED:
            return self._skip_below(number)
        self._completed += 1
        for child in self._children[number]:
            self._waiting[child] -= 1
            if not self._waiting[child]:
                heappush(self._ready, child)
        return []

    def _cancel(self) -> list[Effect]:
        self._to(RunState.CANCELLING)
        effects: list[Effect] = []
        for number, state in enumerate(self._nodes):
            if state is NodeState.RUNNING:
                effects.append(CancelNode(self._names[number]))
            elif state is NodeState.PENDING:
                self._end(number, NodeState.CANCELLED)
                effects.append(Record(NodeCancelled(self._names[number])))
        return effects

    def _continue(self) -> list[Effect]:
        """What can begin now, or the end of the run."""
        effects: list[Effect] = []
        if self._state is RunState.RUNNING:
            while self._free > 0 and self._ready:
                number = heappop(self._ready)
                if self._nodes[number] is NodeState.PENDING:
                    self._free -= 1
                    self._nodes[number] = NodeState.RUNNING
                    effects.append(StartNode(self._names[number], 1))
        if not self._open:
            self._to(self._final_state())
            effects.append(FinishRun(self._state))
        return effects

    def _final_state(self) -> RunState:
        if self._state is RunState.CANCELLING:
            return RunState.CANCELLED
        all_completed = self._completed == len(self._names)
        return RunState.COMPLETED if all_completed else RunState.FAILED

    def _skip_below(self, number: int) -> list[Effect]:
        """Nothing that needs this node, at any distance, can have started."""
        because = self._names[number]
        effects: list[Effect] = []
        for below in sorted(self._pending_below(number)):
            self._end(below, NodeState.SKIPPED)
            effects.append(Record(NodeSkipped(self._names[below], because)))
        return effects

    def _pending_below(self, number: int) -> set[int]:
        found: set[int] = set()
        frontier = [number]
        while frontier:
            for child in self._children[frontier.pop()]:
                if child not in found and self._nodes[child] is NodeState.PENDING:
                    found.add(child)
                    frontier.append(child)
        return found

    def _end(self, number: int, state: NodeState) -> None:
        self._nodes[number] = _NODE.check(self._nodes[number], state, self._names[number])
        self._open -= 1

    def _to(self, state: RunState) -> None:
        self._state = _RUN.check(self._state, state, "The run")
