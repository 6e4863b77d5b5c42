"""Where the wings meet: builds the concrete objects from the configuration and runs workflows."""

from __future__ import annotations

from symphony.app._config import Config, ExtensionsConfig, RunConfig, read_config
from symphony.app._doctor import Check, Verdict, examine
from symphony.app._results import KeptArtifact, NodeResult, Results, collect
from symphony.app._symphony import Run, Symphony, open_symphony

__all__ = (
    "Check",
    "Config",
    "ExtensionsConfig",
    "KeptArtifact",
    "NodeResult",
    "Results",
    "Run",
    "RunConfig",
    "Symphony",
    "Verdict",
    "collect",
    "examine",
    "open_symphony",
    "read_config",
)
