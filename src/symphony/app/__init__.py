"""Where the wings meet: builds the concrete objects from the configuration and runs workflows."""

from __future__ import annotations

from symphony.app._bus import (
    NoBus,
    ServedAlready,
    as_address,
    bus_address,
    open_endpoint,
    open_served_bus,
)
from symphony.app._config import BusSettings, Config, ExtensionsConfig, RunConfig, read_config
from symphony.app._doctor import Check, Verdict, examine
from symphony.app._results import KeptArtifact, NodeResult, Results, collect
from symphony.app._run import Run
from symphony.app._symphony import Symphony, open_symphony

__all__ = (
    "BusSettings",
    "Check",
    "Config",
    "ExtensionsConfig",
    "KeptArtifact",
    "NoBus",
    "NodeResult",
    "Results",
    "Run",
    "RunConfig",
    "ServedAlready",
    "Symphony",
    "Verdict",
    "as_address",
    "bus_address",
    "collect",
    "examine",
    "open_endpoint",
    "open_served_bus",
    "open_symphony",
    "read_config",
)
