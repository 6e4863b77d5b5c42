"""The two life cycles, one transition table each."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RunState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NodeState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


RUN_TRANSITIONS: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.CANCELLING, RunState.COMPLETED, RunState.FAILED}),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.FAILED}),
    RunState.COMPLETED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

NODE_TRANSITIONS: Final[dict[NodeState, frozenset[NodeState]]] = {
    NodeState.PENDING: frozenset({NodeState.RUNNING, NodeState.SKIPPED, NodeState.CANCELLED}),
    NodeState.RUNNING: frozenset({NodeState.COMPLETED, NodeState.FAILED, NodeState.CANCELLED}),
    NodeState.COMPLETED: frozenset(),
    NodeState.FAILED: frozenset(),
    NodeState.SKIPPED: frozenset(),
    NodeState.CANCELLED: frozenset(),
}

RUN_ENDED: Final = frozenset(state for state, after in RUN_TRANSITIONS.items() if not after)
NODE_ENDED: Final = frozenset(state for state, after in NODE_TRANSITIONS.items() if not after)
