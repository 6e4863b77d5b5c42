"""The two life cycles, one transition table each."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RunState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    #: Nothing starts until somebody lets it go on; what ran before may still run.
    PAUSED = "paused"
    #: Nothing can go on before a person has answered.
    WAITING = "waiting"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NodeState(StrEnum):
    PENDING = "pending"
    #: It could run, and others run before it.
    QUEUED = "queued"
    RUNNING = "running"
    #: An attempt failed, and the next one has its time.
    RETRYING = "retrying"
    #: Its last attempt failed, and another node stands in for it.
    RECOVERING = "recovering"
    #: A person is asked for its value, or whether it may run again.
    WAITING = "waiting"
    COMPLETED = "completed"
    #: Completed with the outputs of an earlier run.
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


RUN_TRANSITIONS: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: frozenset(
        {
            RunState.PAUSED,
            RunState.WAITING,
            RunState.CANCELLING,
            RunState.COMPLETED,
            RunState.FAILED,
        }
    ),
    RunState.PAUSED: frozenset(
        {RunState.RUNNING, RunState.CANCELLING, RunState.COMPLETED, RunState.FAILED}
    ),
    RunState.WAITING: frozenset(
        {RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING, RunState.FAILED}
    ),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.FAILED}),
    RunState.COMPLETED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

NODE_TRANSITIONS: Final[dict[NodeState, frozenset[NodeState]]] = {
    NodeState.PENDING: frozenset(
        {
            NodeState.QUEUED,
            NodeState.RUNNING,
            NodeState.CACHED,
            NodeState.FAILED,
            NodeState.SKIPPED,
            NodeState.CANCELLED,
        }
    ),
    NodeState.QUEUED: frozenset(
        {
            NodeState.RUNNING,
            NodeState.CACHED,
            NodeState.FAILED,
            NodeState.SKIPPED,
            NodeState.CANCELLED,
        }
    ),
    NodeState.RUNNING: frozenset(
        {
            NodeState.QUEUED,
            NodeState.RETRYING,
            NodeState.RECOVERING,
            NodeState.WAITING,
            NodeState.COMPLETED,
            NodeState.CACHED,
            NodeState.FAILED,
            NodeState.SKIPPED,
            NodeState.CANCELLED,
        }
    ),
    NodeState.RETRYING: frozenset(
        {
            NodeState.QUEUED,
            NodeState.RUNNING,
            NodeState.FAILED,
            NodeState.SKIPPED,
            NodeState.CANCELLED,
        }
    ),
    NodeState.RECOVERING: frozenset(
        {NodeState.COMPLETED, NodeState.FAILED, NodeState.SKIPPED, NodeState.CANCELLED}
    ),
    NodeState.WAITING: frozenset(
        {
            NodeState.QUEUED,
            NodeState.RUNNING,
            NodeState.COMPLETED,
            NodeState.FAILED,
            NodeState.SKIPPED,
            NodeState.CANCELLED,
        }
    ),
    NodeState.COMPLETED: frozenset(),
    NodeState.CACHED: frozenset(),
    # By request: it is tried again, and what was skipped for it waits for it again.
    NodeState.FAILED: frozenset({NodeState.QUEUED}),
    NodeState.SKIPPED: frozenset({NodeState.PENDING}),
    NodeState.CANCELLED: frozenset(),
}

RUN_ENDED: Final = frozenset(state for state, after in RUN_TRANSITIONS.items() if not after)
NODE_ENDED: Final = frozenset(
    {
        NodeState.COMPLETED,
        NodeState.CACHED,
        NodeState.FAILED,
        NodeState.SKIPPED,
        NodeState.CANCELLED,
    }
)
