from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest

from symphony.commons.values import ArtifactRef, Value
from symphony.execution import NodeTiming
from symphony.operators import BUILTIN

Outputs: TypeAlias = "Mapping[str, Value]"
Call: TypeAlias = "Callable[..., Outputs]"


@dataclass
class Context:
    """A run's context that keeps artifacts in memory."""

    run_id: str = "run"
    node: str = "node"
    attempt: int = 1
    key: str = "run:node"
    artifacts: list[tuple[bytes, str, str]] = field(default_factory=list)

    def progress(self, done: float, total: float, message: str = "") -> None: ...

    def log(self, level: str, message: str, **facts: Value) -> None: ...

    def timings(self) -> Sequence[NodeTiming]:
        return ()

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        return self.artifacts[int(ref.id.removeprefix("memory:"))][0]

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        assert isinstance(content, bytes)
        data = content
        self.artifacts.append((data, media_type, name))
        return ArtifactRef(f"memory:{len(self.artifacts) - 1}", media_type, len(data), name)


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def call(context: Context) -> Call:
    """Run a built-in operator by its name with the values of its ports."""

    def run(name: str, /, **inputs: Value) -> Outputs:
        ports = {port.rstrip("_"): value for port, value in inputs.items()}
        return asyncio.run(BUILTIN[name].run(ports, context))

    return run
