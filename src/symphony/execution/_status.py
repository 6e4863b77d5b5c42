"""What a run is after its events: a fold, and the only place that says what an event means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.commons.states import Transitions
from symphony.commons.values import ArtifactRef, Value
from symphony.execution._errors import ImpossibleEvent
from symphony.execution._events import (
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    Recorded,
    RunCancelling,
    RunCreated,
    RunFinished,
    RunStarted,
    kind_of,
)
from symphony.execution._states import NODE_TRANSITIONS, RUN_TRANSITIONS, NodeState, RunState

_RUN: Final = Transitions(RunState, RUN_TRANSITIONS)
_NODE: Final = Transitions(NodeState, NODE_TRANSITIONS)
#: While the run is in one of these, things happen to its nodes.
_ACTIVE: Final = (RunState.RUNNING, RunState.CANCELLING)


class NodeStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node of a run. Times are seconds since the epoch; `attempt` is 0 before the first.

    `outputs` are as in `NodeFinished`; `because` names the node for which this one was skipped.
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


_UNTOUCHED: Final = NodeStatus()


class RunStatus(msgspec.Struct):
    """A run so far. Empty until its first event; two that saw the same events are equal.

    `nodes` is in the order of the workflow, `running` in that of the starts. Every `NodeStatus`
    stays as it is for whoever holds it: an event puts a new one in its place.
    """

    seq: int = 0
    state: RunState = RunState.PENDING
    run_id: str = ""
    workflow_id: str = ""
    workflow_name: str = ""
    workflow_version: str = ""
    fingerprint: str = ""
    inputs: dict[str, Value] = {}
    nodes: dict[str, NodeStatus] = {}
    running: dict[str, None] = {}
    counts: dict[NodeState, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(NodeState, 0)
    )
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cancel_reason: str = ""
    error: ErrorRecord | None = None

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event; ImpossibleEvent leaves everything as it was."""
        if recorded.seq != self.seq + 1:
            raise _impossible(recorded, f"the next one is {self.seq + 1}")
        if (self.seq == 0) != isinstance(recorded.event, RunCreated):
            raise _impossible(recorded, "a run begins with its creation, and only once")
        self._take(recorded)
        self.seq = recorded.seq

    def _take(self, recorded: Recorded) -> None:
        match recorded.event:
            case NodeStarted() as event:
                self._node_started(recorded, event)
            case NodeFinished() as event:
                self._node_finished(recorded, event)
            case NodeFailed() as event:
                self._node_failed(recorded, event)
            case NodeSkipped() as event:
                self._node_left(recorded, event.node, NodeState.SKIPPED, event.because)
            case NodeCancelled() as event:
                self._node_left(recorded, event.node, NodeState.CANCELLED)
            case RunCreated() as event:
                self._created(recorded, event)
            case RunStarted():
                self._to(recorded, RunState.RUNNING)
                self.started_at = recorded.at
            case RunCancelling() as event:
                self._to(recorded, RunState.CANCELLING)
                self.cancel_reason = event.reason
            case RunFinished() as event:
                self._finished(recorded, event)
            case other:
                assert_never(other)

    def _created(self, recorded: Recorded, event: RunCreated) -> None:
        self.run_id = event.run_id
        self.workflow_id = event.workflow_id
        self.workflow_name = event.workflow_name
        self.workflow_version = event.workflow_version
        self.fingerprint = event.fingerprint
        self.inputs = event.inputs
        self.nodes = dict.fromkeys(event.nodes, _UNTOUCHED)
        self.counts[NodeState.PENDING] = len(self.nodes)
        self.created_at = recorded.at

    def _finished(self, recorded: Recorded, event: RunFinished) -> None:
        if event.state not in _RUN.final:
            raise _impossible(recorded, f"a run does not end {event.state}")
        self._to(recorded, event.state)
        self.error = event.error
        self.finished_at = recorded.at

    def _to(self, recorded: Recorded, wanted: RunState) -> None:
        if not _RUN.allows(self.state, wanted):
            raise _impossible(recorded, f"the run is {self.state}")
        self.state = wanted

    def _node_started(self, recorded: Recorded, event: NodeStarted) -> None:
        before = self._before(recorded, event.node, NodeState.RUNNING)
        if event.attempt <= before.attempt:
            raise _impossible(recorded, f"{event.node!r} had attempt {before.attempt} before")
        self._put(event.node, NodeStatus(NodeState.RUNNING, event.attempt, recorded.at))

    def _node_finished(self, recorded: Recorded, event: NodeFinished) -> None:
        before = self._before(recorded, event.node, NodeState.COMPLETED, event.attempt)
        after = NodeStatus(
            NodeState.COMPLETED,
            before.attempt,
            before.started_at,
            recorded.at,
            outputs=event.outputs,
            spilled=event.spilled,
            artifacts=event.artifacts,
        )
        self._put(event.node, after)

    def _node_failed(self, recorded: Recorded, event: NodeFailed) -> None:
        before = self._before(recorded, event.node, NodeState.FAILED, event.attempt)
        after = NodeStatus(
            NodeState.FAILED, before.attempt, before.started_at, recorded.at, event.error
        )
        self._put(event.node, after)

    def _node_left(
        self, recorded: Recorded, node: str, state: NodeState, because: str = ""
    ) -> None:
        before = self._before(recorded, node, state)
        after = NodeStatus(state, before.attempt, before.started_at, recorded.at, because=because)
        self._put(node, after)

    def _before(
        self, recorded: Recorded, node: str, wanted: NodeState, attempt: int | None = None
    ) -> NodeStatus:
        """The status of a node that may enter the state `wanted` now, in this attempt."""
        status = self.nodes.get(node)
        if status is None:
            raise _impossible(recorded, f"the run has no node {node!r}")
        if self.state not in _ACTIVE:
            raise _impossible(recorded, f"the run is {self.state}")
        if not _NODE.allows(status.state, wanted):
            raise _impossible(recorded, f"node {node!r} is {status.state}")
        if attempt is not None and attempt != status.attempt:
            raise _impossible(recorded, f"node {node!r} is at attempt {status.attempt}")
        return status

    def _put(self, node: str, after: NodeStatus) -> None:
        before = self.nodes[node].state
        self.nodes[node] = after
        self.counts[before] -= 1
        self.counts[after.state] += 1
        if after.state is NodeState.RUNNING:
            self.running[node] = None
        elif before is NodeState.RUNNING:
            del self.running[node]


def fold(events: Iterable[Recorded]) -> RunStatus:
    """The run that these events, from the first on, have made; raises ImpossibleEvent."""
    status = RunStatus()
    for recorded in events:
        status.apply(recorded)
    return status


def _impossible(recorded: Recorded, reason: str) -> ImpossibleEvent:
    return ImpossibleEvent(recorded.seq, kind_of(recorded.event), reason)
