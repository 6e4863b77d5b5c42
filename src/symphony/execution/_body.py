"""What running a node means: a body is called with the values of its ports and a context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from symphony.commons.values import ArtifactRef, Value
from symphony.execution._states import NodeState


class NodeTiming(msgspec.Struct, frozen=True):
    """When a node ran, in seconds since its run began, and for how long (so far, if it runs)."""

    node: str
    start_s: float
    duration_s: float
    state: NodeState


class BodyContext(Protocol):
    """What a body may ask of the run that it is part of. Safe to use from a worker thread, but
    for the two coroutines."""

    @property
    def run_id(self) -> str: ...

    @property
    def node(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    @property
    def key(self) -> str:
        """The same for every attempt at this node of this run: an idempotency key."""
        ...

    def progress(self, done: float, total: float, message: str = "") -> None:
        """Tell whoever watches how far this body is. Never journaled; cheap to call often."""
        ...

    def log(self, level: str, message: str, **facts: Value) -> None: ...

    def timings(self) -> Sequence[NodeTiming]:
        """Every node of this run that has started, in order of its start."""
        ...

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        """The verified content; raises if it is longer than `limit` bytes."""
        ...

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        """Keep content, given as bytes or as a file to be copied from, and get its reference."""
        ...


class Body(Protocol):
    """The code behind a node. Inputs and outputs are keyed by port name."""

    async def __call__(
        self, inputs: Mapping[str, Value], context: BodyContext
    ) -> Mapping[str, Value]: ...
