"""The execution of graphs: a pure tracker, the journal of what happened, the shell around both."""

from __future__ import annotations

from symphony.pit.tracker._context import NodeProgress, Observer
from symphony.pit.tracker._control import RunControl
from symphony.pit.tracker._engine import Engine, NodeTask
from symphony.pit.tracker._errors import OutputInvalid, RunExists, RunMissing, TrackerError
from symphony.pit.tracker._journal import Journal, RunSummary, open_journal
from symphony.pit.tracker._shell import perform

__all__ = (
    "Engine",
    "Journal",
    "NodeProgress",
    "NodeTask",
    "Observer",
    "OutputInvalid",
    "RunControl",
    "RunExists",
    "RunMissing",
    "RunSummary",
    "TrackerError",
    "open_journal",
    "perform",
)
