"""The execution of graphs: a pure tracker, the journal of what happened, the shell around both."""

from __future__ import annotations

from symphony.pit.tracker._again import reusable
from symphony.pit.tracker._context import NodeProgress, Observer
from symphony.pit.tracker._control import RunControl
from symphony.pit.tracker._engine import Engine, NodeTask
from symphony.pit.tracker._errors import (
    CommandRefused,
    DefinitionChanged,
    MapTooLong,
    NodeMissing,
    OutputInvalid,
    RunBusy,
    RunEnded,
    RunExists,
    RunMissing,
    TrackerError,
)
from symphony.pit.tracker._journal import Journal, Level, RunSummary, open_journal
from symphony.pit.tracker._queue import Limits
from symphony.pit.tracker._shell import Manner, Prepared, perform, resume

__all__ = (
    "CommandRefused",
    "DefinitionChanged",
    "Engine",
    "Journal",
    "Level",
    "Limits",
    "Manner",
    "MapTooLong",
    "NodeMissing",
    "NodeProgress",
    "NodeTask",
    "Observer",
    "OutputInvalid",
    "Prepared",
    "RunBusy",
    "RunControl",
    "RunEnded",
    "RunExists",
    "RunMissing",
    "RunSummary",
    "TrackerError",
    "open_journal",
    "perform",
    "resume",
    "reusable",
)
