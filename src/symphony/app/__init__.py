"""Where the wings meet: builds the concrete objects from the configuration and runs workflows."""

from __future__ import annotations

from symphony.app._config import Config, ExtensionsConfig, RunConfig, read_config
from symphony.app._doctor import Check, Verdict, examine

__all__ = (
    "Check",
    "Config",
    "ExtensionsConfig",
    "RunConfig",
    "Verdict",
    "examine",
    "read_config",
)
