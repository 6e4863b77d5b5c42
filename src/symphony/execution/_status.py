"""What a run is after its events: a fold, and the only place that says what an event means."""

# ruff: noqa: SLF001 - the table at the end is the class's own.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.commons.states import Transitions
from symphony.commons.values import ArtifactRef, Value
from symphony.execution._errors import ImpossibleEvent
from symphony.execution._events import (
    NodeCached,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRecovering,
    NodeRetried,
    NodeRetrying,
    NodesAdded,
    NodeSkipped,
    NodesQueued,
    NodeStarted,
    NodeWaiting,
    Recorded,
    RunCancelling,
    RunContinued,
    RunCreated,
    RunFinished,
    RunLimited,
    RunPaused,
    RunResumed,
    RunStarted,
    RunWaiting,
    kind_of,
)
from symphony.execution._names import inner_names
from symphony.execution._states import NODE_TRANSITIONS, RUN_TRANSITIONS, NodeState, RunState

_RUN: Final = Transitions(RunState, RUN_TRANSITIONS)
#: By states as text: an enum's member is slow as a key.
_BEFORE: Final = {
    wanted.value: tuple(state for state, after in NODE_TRANSITIONS.items() if wanted in after)
    for wanted in NodeState
}
#: While the run is in one of these, things happen to its nodes.
_ACTIVE: Final = (RunState.RUNNING, RunState.CANCELLING, RunState.PAUSED, RunState.WAITING)
_RUNNING: Final = NodeState.RUNNING


class NodeStatus(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A node of a run. Times are seconds since the epoch; `attempt` is 0 before the first.

    `outputs` are as in `NodeFinished`; `because` names the node for which this one was skipped, or
    that stands in for it; `by` says who decided, if no body did. `crashes` counts the deaths of its
    process while it ran. `due_at` is when the next attempt may begin, or its wait is over; `asked`
    is what a person is asked.
    """

    state: NodeState = NodeState.PENDING
    attempt: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    error: ErrorRecord | None = None
    because: str = ""
    outputs: dict[str, Value] = {}
    spilled: tuple[str, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    by: str = ""
    crashes: int = 0
    due_at: float | None = None
    asked: NodeWaiting | None = None


_UNTOUCHED: Final = NodeStatus()


class RunStatus(msgspec.Struct):
    """A run so far. Empty until its first event; two that saw the same events are equal.

    `nodes` is in the order of the workflow, then of their coming; `running` in that of the starts.
    Every `NodeStatus` stays as it is for whoever holds it: an event puts a new one in its place.
    """

    seq: int = 0
    state: RunState = RunState.PENDING
    run_id: str = ""
    workflow_id: str = ""
    workflow_name: str = ""
    workflow_version: str = ""
    fingerprint: str = ""
    inputs: dict[str, Value] = {}
    bodies: tuple[tuple[str, ...], ...] = ()
    nodes: dict[str, NodeStatus] = {}
    added: list[NodesAdded] = []
    running: dict[str, None] = {}
    #: How many nodes are in each state, by its value.
    tally: dict[str, int] = msgspec.field(
        default_factory=lambda: {state.value: 0 for state in NodeState}
    )
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cancel_reason: str = ""
    pause_reason: str = ""
    error: ErrorRecord | None = None
    concurrency: int = 0
    seed: int = 0
    again: str = ""

    @property
    def counts(self) -> dict[NodeState, int]:
        """How many nodes are in each state."""
        return {state: self.tally[state.value] for state in NodeState}

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event; ImpossibleEvent leaves everything as it was."""
        if recorded.seq != self.seq + 1:
            raise _impossible(recorded, f"the next one is {self.seq + 1}")
        event = recorded.event
        kind = type(event)
        if (self.seq == 0) != (kind is RunCreated):
            raise _impossible(recorded, "a run begins with its creation, and only once")
        _TAKE[kind](self, recorded, event)
        self.seq = recorded.seq

    def apply_turn(self, turn: Sequence[Recorded]) -> None:
        """As `apply` with each, in half the time for the two kinds that are nearly all."""
        nodes, running, active = self.nodes, self.running, self.state in _ACTIVE
        for recorded in turn:
            event = recorded.event
            kind = type(event)
            if active and recorded.seq == self.seq + 1:
                if kind is NodeFinished:
                    before = nodes.get(event.node)  # type: ignore[union-attr]  # the line above
                    if (
                        before is not None
                        and before.state is _RUNNING
                        and (
                            before.attempt == event.attempt  # type: ignore[union-attr]
                        )
                    ):
                        self._take_end(before, recorded, event)  # type: ignore[arg-type]
                        continue
                elif kind is NodeStarted:
                    node, attempt = event.node, event.attempt  # type: ignore[union-attr]
                    before = nodes.get(node)
                    if attempt == 1 and (before is _UNTOUCHED or before is _QUEUED):
                        nodes[node] = NodeStatus(_RUNNING, 1, recorded.at)
                        running[node] = None
                        tally = self.tally
                        tally["pending" if before is _UNTOUCHED else "queued"] -= 1
                        tally["running"] += 1
                        self.seq += 1
                        continue
            self.apply(recorded)
            nodes, running, active = self.nodes, self.running, self.state in _ACTIVE

    def _take_end(self, before: NodeStatus, recorded: Recorded, event: NodeFinished) -> None:
        self.nodes[event.node] = NodeStatus(
            NodeState.COMPLETED,
            before.attempt,
            before.started_at,
            recorded.at,
            event.error,
            "",
            event.outputs,
            event.spilled,
            event.artifacts,
            event.by,
            before.crashes,
        )
        del self.running[event.node]
        tally = self.tally
        tally["running"] -= 1
        tally["completed"] += 1
        self.seq += 1

    def _created(self, recorded: Recorded, event: RunCreated) -> None:
        self.run_id = event.run_id
        self.workflow_id = event.workflow_id
        self.workflow_name = event.workflow_name
        self.workflow_version = event.workflow_version
        self.fingerprint = event.fingerprint
        self.inputs = event.inputs
        self.bodies = event.bodies
        self.seed = event.seed
        self.again = event.again
        self.nodes = dict.fromkeys(event.nodes, _UNTOUCHED)
        self.tally["pending"] = len(self.nodes)
        self.created_at = recorded.at

    def _started(self, recorded: Recorded, event: RunStarted) -> None:
        if self.state is not RunState.PENDING:
            raise _impossible(recorded, f"the run is {self.state}")
        self._to(recorded, RunState.RUNNING)
        self.started_at = recorded.at

    def _finished(self, recorded: Recorded, event: RunFinished) -> None:
        if event.state not in _RUN.final:
            raise _impossible(recorded, f"a run does not end {event.state}")
        self._to(recorded, event.state)
        self.error = event.error
        self.finished_at = recorded.at

    def _cancelling(self, recorded: Recorded, event: RunCancelling) -> None:
        self._to(recorded, RunState.CANCELLING)
        self.cancel_reason = event.reason

    def _paused(self, recorded: Recorded, event: RunPaused) -> None:
        self._to(recorded, RunState.PAUSED)
        self.pause_reason = event.reason

    def _continued(self, recorded: Recorded, event: RunContinued) -> None:
        if self.state not in (RunState.PAUSED, RunState.WAITING):
            raise _impossible(recorded, f"the run is {self.state}")
        self.state = RunState.RUNNING
        self.pause_reason = ""

    def _waiting(self, recorded: Recorded, event: RunWaiting) -> None:
        self._to(recorded, RunState.WAITING)

    def _limited(self, recorded: Recorded, event: RunLimited) -> None:
        self._require_active(recorded)
        self.concurrency = event.concurrency

    def _resumed(self, recorded: Recorded, event: RunResumed) -> None:
        self._require_active(recorded)
        for node in event.nodes:
            before = self._before(recorded, node, NodeState.QUEUED)
            if before.state is not _RUNNING:
                raise _impossible(recorded, f"node {node!r} is {before.state}")
        for node in event.nodes:
            before = self.nodes[node]
            after = msgspec.structs.replace(
                before, state=NodeState.QUEUED, crashes=before.crashes + 1
            )
            self._put(node, before, after)
        self.fingerprint = event.fingerprint or self.fingerprint

    def _to(self, recorded: Recorded, wanted: RunState) -> None:
        if not _RUN.allows(self.state, wanted):
            raise _impossible(recorded, f"the run is {self.state}")
        self.state = wanted

    def _require_active(self, recorded: Recorded) -> None:
        if self.state not in _ACTIVE:
            raise _impossible(recorded, f"the run is {self.state}")

    def _node_started(self, recorded: Recorded, event: NodeStarted) -> None:
        before = self._before(recorded, event.node, _RUNNING)
        if event.attempt <= before.attempt:
            raise _impossible(recorded, f"{event.node!r} had attempt {before.attempt} before")
        if before.attempt:
            self._forget_inner(event.node)
            after = NodeStatus(_RUNNING, event.attempt, recorded.at, crashes=before.crashes)
        else:
            after = NodeStatus(_RUNNING, event.attempt, recorded.at)
        self._put(event.node, before, after)

    def _node_finished(self, recorded: Recorded, event: NodeFinished) -> None:
        before = self._before(recorded, event.node, NodeState.COMPLETED, event.attempt)
        after = NodeStatus(
            NodeState.COMPLETED,
            before.attempt,
            before.started_at,
            recorded.at,
            event.error,
            "",
            event.outputs,
            event.spilled,
            event.artifacts,
            event.by,
            before.crashes,
        )
        self._put(event.node, before, after)

    def _node_cached(self, recorded: Recorded, event: NodeCached) -> None:
        before = self._before(recorded, event.node, NodeState.CACHED)
        after = NodeStatus(
            NodeState.CACHED,
            before.attempt,
            before.started_at,
            recorded.at,
            outputs=event.outputs,
            spilled=event.spilled,
            artifacts=event.artifacts,
            by=event.source,
        )
        self._put(event.node, before, after)

    def _node_failed(self, recorded: Recorded, event: NodeFailed) -> None:
        before = self._before(recorded, event.node, NodeState.FAILED, event.attempt)
        after = NodeStatus(
            NodeState.FAILED,
            before.attempt,
            before.started_at,
            recorded.at,
            event.error,
            crashes=before.crashes,
        )
        self._put(event.node, before, after)

    def _node_skipped(self, recorded: Recorded, event: NodeSkipped) -> None:
        before = self._before(recorded, event.node, NodeState.SKIPPED)
        after = NodeStatus(
            NodeState.SKIPPED,
            before.attempt,
            before.started_at,
            recorded.at,
            because=event.because,
            outputs=event.outputs,
            by=event.by,
        )
        self._put(event.node, before, after)

    def _node_cancelled(self, recorded: Recorded, event: NodeCancelled) -> None:
        before = self._before(recorded, event.node, NodeState.CANCELLED)
        after = NodeStatus(NodeState.CANCELLED, before.attempt, before.started_at, recorded.at)
        self._put(event.node, before, after)

    def _node_retrying(self, recorded: Recorded, event: NodeRetrying) -> None:
        before = self._before(recorded, event.node, NodeState.RETRYING, event.attempt)
        self._change(
            event.node, before, state=NodeState.RETRYING, error=event.error, due_at=event.due_at
        )

    def _node_recovering(self, recorded: Recorded, event: NodeRecovering) -> None:
        before = self._before(recorded, event.node, NodeState.RECOVERING, event.attempt)
        self._change(
            event.node, before, state=NodeState.RECOVERING, error=event.error, because=event.by
        )

    def _node_waiting(self, recorded: Recorded, event: NodeWaiting) -> None:
        before = self._before(recorded, event.node, NodeState.WAITING, event.attempt)
        self._change(event.node, before, state=NodeState.WAITING, due_at=event.due_at, asked=event)

    def _node_retried(self, recorded: Recorded, event: NodeRetried) -> None:
        before = self._before(recorded, event.node, NodeState.QUEUED)
        if before.state not in (NodeState.FAILED, NodeState.WAITING):
            raise _impossible(recorded, f"node {event.node!r} is {before.state}")
        for node in event.again:
            self._before(recorded, node, NodeState.PENDING)
        self._change(event.node, before, state=NodeState.QUEUED, finished_at=None, asked=None)
        for node in event.again:
            self._put(node, self.nodes[node], _UNTOUCHED)

    def _nodes_queued(self, recorded: Recorded, event: NodesQueued) -> None:
        nodes = self.nodes
        fresh = self.state in _ACTIVE and len(set(event.nodes)) == len(event.nodes)
        if fresh and all(nodes.get(node) is _UNTOUCHED for node in event.nodes):
            nodes.update(dict.fromkeys(event.nodes, _QUEUED))
            self.tally["pending"] -= len(event.nodes)
            self.tally["queued"] += len(event.nodes)
            return
        for node in event.nodes:
            self._before(recorded, node, NodeState.QUEUED)
        for node in event.nodes:
            before = self.nodes[node]
            if before is _UNTOUCHED:
                self._put(node, before, _QUEUED)
            else:
                self._change(node, before, state=NodeState.QUEUED)

    def _nodes_added(self, recorded: Recorded, event: NodesAdded) -> None:
        above = self.nodes.get(event.node)
        if above is None or above.state is not _RUNNING or self.state not in _ACTIVE:
            raise _impossible(recorded, f"{event.node!r} does not run")
        if not 0 < event.body < len(self.bodies):
            raise _impossible(recorded, f"the run has no workflow {event.body}")
        names = list(inner_names(event, self.bodies[event.body]))
        if taken := self.nodes.keys() & set(names):
            raise _impossible(recorded, f"there is a node {min(taken)!r}")
        self.nodes.update(dict.fromkeys(names, _UNTOUCHED))
        self.tally["pending"] += len(names)
        self.added.append(event)

    def _forget_inner(self, node: str) -> None:
        """What carried out the attempt before."""
        inner = (f"{node}.", f"{node}[")
        if any(each.node == node for each in self.added):
            for name in [name for name in self.nodes if name.startswith(inner)]:
                self.tally[self.nodes.pop(name).state.value] -= 1
                self.running.pop(name, None)
            self.added = [
                each for each in self.added if each.node != node and not each.node.startswith(inner)
            ]

    def _before(
        self, recorded: Recorded, node: str, wanted: NodeState, attempt: int | None = None
    ) -> NodeStatus:
        """The status of a node that may enter the state `wanted` now, in this attempt."""
        status = self.nodes.get(node)
        if status is None:
            raise _impossible(recorded, f"the run has no node {node!r}")
        if self.state not in _ACTIVE:
            raise _impossible(recorded, f"the run is {self.state}")
        if status.state not in _BEFORE[wanted._value_]:
            raise _impossible(recorded, f"node {node!r} is {status.state}")
        if attempt is not None and attempt != status.attempt:
            raise _impossible(recorded, f"node {node!r} is at attempt {status.attempt}")
        return status

    def _change(self, node: str, before: NodeStatus, **fields: Any) -> None:
        # Any: the fields of NodeStatus, each of its own type.
        self._put(node, before, msgspec.structs.replace(before, **fields))

    def _put(self, node: str, before: NodeStatus, after: NodeStatus) -> None:
        tally, left, entered = self.tally, before.state, after.state
        self.nodes[node] = after
        tally[left._value_] -= 1
        tally[entered._value_] += 1
        if entered is _RUNNING:
            self.running[node] = None
        elif left is _RUNNING:
            del self.running[node]


_QUEUED: Final = NodeStatus(NodeState.QUEUED)
# Any: each takes the one kind of event under which it stands.
_TAKE: Final[dict[type, Callable[[RunStatus, Recorded, Any], None]]] = {
    RunCreated: RunStatus._created,
    RunStarted: RunStatus._started,
    RunPaused: RunStatus._paused,
    RunContinued: RunStatus._continued,
    RunWaiting: RunStatus._waiting,
    RunLimited: RunStatus._limited,
    RunResumed: RunStatus._resumed,
    RunCancelling: RunStatus._cancelling,
    RunFinished: RunStatus._finished,
    NodeStarted: RunStatus._node_started,
    NodeFinished: RunStatus._node_finished,
    NodeCached: RunStatus._node_cached,
    NodeFailed: RunStatus._node_failed,
    NodeSkipped: RunStatus._node_skipped,
    NodeCancelled: RunStatus._node_cancelled,
    NodeRetrying: RunStatus._node_retrying,
    NodeRecovering: RunStatus._node_recovering,
    NodeWaiting: RunStatus._node_waiting,
    NodeRetried: RunStatus._node_retried,
    NodesQueued: RunStatus._nodes_queued,
    NodesAdded: RunStatus._nodes_added,
}


def fold(events: Iterable[Recorded]) -> RunStatus:
    """The run that these events, from the first on, have made; raises ImpossibleEvent."""
    status = RunStatus()
    for recorded in events:
        status.apply(recorded)
    return status


def _impossible(recorded: Recorded, reason: str) -> ImpossibleEvent:
    return ImpossibleEvent(recorded.seq, kind_of(recorded.event), reason)
