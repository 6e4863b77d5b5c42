"""What can be asked of a run and of a node, by their states."""

from __future__ import annotations

from typing import Final

from symphony.execution._states import RUN_ENDED, NodeState, RunState

_ALWAYS: Final = frozenset({"cancel", "limit"})
_PENDING: Final = frozenset({"skip"})

RUN_COMMANDS: Final[dict[RunState, frozenset[str]]] = {
    RunState.PENDING: _ALWAYS | {"pause"},
    RunState.RUNNING: _ALWAYS | {"pause"},
    RunState.PAUSED: _ALWAYS | {"resume"},
    RunState.WAITING: _ALWAYS | {"pause"},
    RunState.CANCELLING: frozenset(),
    **dict.fromkeys(RUN_ENDED, frozenset({"rerun"})),
}

#: While its run can be cancelled.
NODE_COMMANDS: Final[dict[NodeState, frozenset[str]]] = {
    NodeState.PENDING: _PENDING,
    NodeState.QUEUED: _PENDING,
    NodeState.RUNNING: _PENDING,
    NodeState.RETRYING: _PENDING,
    NodeState.RECOVERING: frozenset(),
    #: To retry one is for those that a crash has interrupted.
    NodeState.WAITING: frozenset({"provide", "skip", "retry"}),
    NodeState.COMPLETED: frozenset(),
    NodeState.CACHED: frozenset(),
    NodeState.FAILED: frozenset({"retry"}),
    NodeState.SKIPPED: frozenset(),
    NodeState.CANCELLED: frozenset(),
}
