"""Whether a workflow can run with what a catalog offers: everything that is wrong, in one go.

A rule is a function that looks at one workflow, by way of a `Context`, and tells what is wrong in
its own respect. It is called for the workflow and for each of those inside it. `RULES` are ours, in
no particular order; whoever has conventions of their own adds rules, or leaves some out.
"""

from __future__ import annotations

from symphony.workflow.validation._context import MAX_DEPTH, MAX_WORKFLOWS, Context
from symphony.workflow.validation._rules import RULES, Rule, check, validate

__all__ = ("MAX_DEPTH", "MAX_WORKFLOWS", "RULES", "Context", "Rule", "check", "validate")
