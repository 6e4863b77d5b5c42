"""What a body sees of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast, get_args

import msgspec

from symphony.commons.clock import Clock
from symphony.commons.logging import LevelName, bound, get_logger
from symphony.commons.values import ArtifactRef, Value
from symphony.execution import NodeTiming, Recorded, RunStatus
from symphony.pit.artifacts import ArtifactStore

_logger = get_logger("pit.tracker")
_LEVELS = get_args(LevelName)


class NodeProgress(msgspec.Struct, frozen=True):
    """How far the body of a running node is. Never journaled."""

    node: str
    done: float
    total: float
    message: str = ""


Observer: TypeAlias = Callable[[Recorded | NodeProgress], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the contexts of all nodes of a run share."""

    status: RunStatus
    store: ArtifactStore
    observer: Observer
    clock: Clock
    loop: asyncio.AbstractEventLoop


class NodeContext:
    """The `BodyContext` of one attempt at one node."""

    __slots__ = ("_attempt", "_ended", "_latest", "_node", "_report_due", "_run")

    def __init__(self, node: str, attempt: int, run: Surroundings) -> None:
        self._node = node
        self._attempt = attempt
        self._run = run
        self._latest: NodeProgress | None = None
        self._report_due = False
        self._ended = False

    @property
    def run_id(self) -> str:
        return self._run.status.run_id

    @property
    def node(self) -> str:
        return self._node

    @property
    def attempt(self) -> int:
        return self._attempt

    @property
    def key(self) -> str:
        return f"{self.run_id}:{self._node}"

    def progress(self, done: float, total: float, message: str = "") -> None:
        """The observer hears in the loop's thread, of the last report only if they come fast."""
        self._latest = NodeProgress(self._node, done, total, message)
        if not self._report_due and not self._ended:
            self._report_due = True
            self._run.loop.call_soon_threadsafe(self._report)

    def _report(self) -> None:
        # Before the look at `_latest`: what comes after it is due again.
        self._report_due = False
        if not self._ended and self._latest is not None:
            self._run.observer(self._latest)

    def log(self, level: str, message: str, **facts: Value) -> None:
        with bound(run=self.run_id, node=self._node):
            _logger.log(cast(LevelName, level) if level in _LEVELS else "info", message, **facts)

    def timings(self) -> list[NodeTiming]:
        # One call into C each, so that a worker thread sees a dict that does not change meanwhile.
        nodes = list(self._run.status.nodes.items())
        origin, now = self._run.status.started_at or 0.0, self._run.clock.now().timestamp()
        timings = [
            NodeTiming(
                name,
                node.started_at - origin,
                (now if node.finished_at is None else node.finished_at) - node.started_at,
                node.state,
            )
            for name, node in nodes
            if node.started_at is not None
        ]
        return sorted(timings, key=lambda timing: timing.start_s)

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        return await self._run.store.get(ref, limit)

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        if isinstance(content, Path):
            return await self._run.store.put_file(content, media_type, name)
        return await self._run.store.put(content, media_type, name)

    def end(self) -> None:
        """The attempt is over: what a thread that was left behind still reports goes nowhere."""
        self._ended = True
