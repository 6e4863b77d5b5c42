"""The content store: whatever is too large or not fit to travel on an edge, kept by its hash."""

from __future__ import annotations

from symphony.pit.artifacts._errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMissing,
    ArtifactTooLarge,
)
from symphony.pit.artifacts._store import ArtifactInfo, ArtifactStore, open_store

__all__ = (
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactInfo",
    "ArtifactMissing",
    "ArtifactStore",
    "ArtifactTooLarge",
    "open_store",
)
