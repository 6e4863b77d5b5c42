"""The pure state of a run: what can happen to it, and what it is after that. No I/O."""

from __future__ import annotations

from symphony.execution._body import Body, BodyContext, NodeTiming
from symphony.execution._events import (
    Event,
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
)
from symphony.execution._states import (
    NODE_ENDED,
    NODE_TRANSITIONS,
    RUN_ENDED,
    RUN_TRANSITIONS,
    NodeState,
    RunState,
)

__all__ = (
    "NODE_ENDED",
    "NODE_TRANSITIONS",
    "RUN_ENDED",
    "RUN_TRANSITIONS",
    "Body",
    "BodyContext",
    "Event",
    "NodeCancelled",
    "NodeFailed",
    "NodeFinished",
    "NodeSkipped",
    "NodeStarted",
    "NodeState",
    "NodeTiming",
    "Recorded",
    "RunCancelling",
    "RunCreated",
    "RunFinished",
    "RunStarted",
    "RunState",
)
