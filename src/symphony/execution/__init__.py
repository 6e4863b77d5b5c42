"""The pure state of a run: what can happen to it, and what it is after that. No I/O."""

from __future__ import annotations

from symphony.execution._body import Body, BodyContext, NodeTiming
from symphony.execution._codec import SCHEMA_VERSION, decode, encode
from symphony.execution._errors import (
    CorruptEvent,
    ExecutionError,
    ImpossibleEvent,
    UnknownEvent,
)
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
    kind_of,
)
from symphony.execution._progress import Progress
from symphony.execution._states import (
    NODE_ENDED,
    NODE_TRANSITIONS,
    RUN_ENDED,
    RUN_TRANSITIONS,
    NodeState,
    RunState,
)
from symphony.execution._status import NodeStatus, RunStatus, fold

__all__ = (
    "NODE_ENDED",
    "NODE_TRANSITIONS",
    "RUN_ENDED",
    "RUN_TRANSITIONS",
    "SCHEMA_VERSION",
    "Body",
    "BodyContext",
    "CorruptEvent",
    "Event",
    "ExecutionError",
    "ImpossibleEvent",
    "NodeCancelled",
    "NodeFailed",
    "NodeFinished",
    "NodeSkipped",
    "NodeStarted",
    "NodeState",
    "NodeStatus",
    "NodeTiming",
    "Progress",
    "Recorded",
    "RunCancelling",
    "RunCreated",
    "RunFinished",
    "RunStarted",
    "RunState",
    "RunStatus",
    "UnknownEvent",
    "decode",
    "encode",
    "fold",
    "kind_of",
)
