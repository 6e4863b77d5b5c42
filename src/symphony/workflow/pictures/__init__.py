"""Pictures of a workflow: lines for a terminal, a Mermaid flowchart, an SVG, and the bare facts.

All take a workflow and give text; a faulty workflow has a picture too.
"""

from __future__ import annotations

from symphony.workflow.pictures._facts import Facts, InputFacts, OutputFacts, facts
from symphony.workflow.pictures._mermaid import mermaid
from symphony.workflow.pictures._svg import svg
from symphony.workflow.pictures._tree import Paint, Role, line, tree

__all__ = (
    "Facts",
    "InputFacts",
    "OutputFacts",
    "Paint",
    "Role",
    "facts",
    "line",
    "mermaid",
    "svg",
    "tree",
)
