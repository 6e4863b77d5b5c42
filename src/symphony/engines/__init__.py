"""Where the bodies of nodes run. In this process, for now."""

from __future__ import annotations

from symphony.engines._errors import (
    BadInput,
    BadOutput,
    BodyFailed,
    BodyTimeout,
    BodyUnknown,
    EngineError,
)
from symphony.engines._local import LocalEngine

__all__ = (
    "BadInput",
    "BadOutput",
    "BodyFailed",
    "BodyTimeout",
    "BodyUnknown",
    "EngineError",
    "LocalEngine",
)
