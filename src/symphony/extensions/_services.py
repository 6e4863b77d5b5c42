"""What an extension may ask of the host during a call, beyond secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from symphony.commons.values import ArtifactRef, Value


class Services(Protocol):
    """Given by the caller with each call; answers for one node of one run."""

    @property
    def run_id(self) -> str: ...

    @property
    def node(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    def progress(self, done: float, total: float, message: str = "") -> None:
        """`total` 0 means that it is not known."""
        ...

    def log(self, level: str, message: str, **facts: Value) -> None: ...

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes: ...

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        """A path is a temporary file: it is copied or taken over before this returns."""
        ...
