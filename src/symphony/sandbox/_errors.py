"""What can go wrong with a sandbox."""

from __future__ import annotations

from pathlib import Path

from symphony.commons.errors import Category, SymphonyError


class SandboxError(SymphonyError):
    """The root of the room's errors."""


class SpawnFailed(SandboxError):
    """A process could not be started at all; one that starts and then fails is not this."""

    code = "sandbox.spawn_failed"
    category = Category.UNAVAILABLE

    def __init__(self, program: str, folder: Path, reason: str) -> None:
        self.program = program
        self.folder = folder
        self.reason = reason
        super().__init__(f"Could not start {program} in {folder}: {reason}.")
