"""The rules together, and their problems in the order of the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from symphony.workflow._errors import Problem, Severity, WorkflowInvalid
from symphony.workflow._model import Catalog, Workflow
from symphony.workflow.validation import (
    _connections,
    _expressions,
    _flow,
    _policies,
    _structure,
    _values,
)
from symphony.workflow.validation._context import Context, contexts_of

Rule: TypeAlias = Callable[[Context], Iterable[Problem]]

RULES: Final[tuple[Rule, ...]] = (
    _structure.header,
    _structure.node_names,
    _structure.output_names,
    _structure.fields,
    _structure.times,
    _structure.uses,
    _structure.workflows,
    _structure.recursion,
    _connections.edge_ends,
    _connections.control_edges,
    _connections.fed_twice,
    _connections.missing_values,
    _connections.unneeded,
    _values.schemas,
    _values.defaults,
    _values.parameters,
    _values.edge_types,
    _values.counters,
    _values.rounds,
    _flow.cycles,
    _flow.loops,
    _flow.maps,
    _flow.limits,
    _flow.branches,
    _flow.exclusive_ways,
    _expressions.edge_conditions,
    _expressions.transforms,
    _expressions.cases,
    _expressions.ends_of_loops,
    _expressions.skips,
    _expressions.constant_formulas,
    _policies.policies,
    _policies.given_values,
    _policies.stand_ins,
)


def validate(workflow: Workflow, catalog: Catalog, rules: Sequence[Rule] = RULES) -> list[Problem]:
    """Every fault and warning, in the order of the text; what lies in a file that another refers
    to comes after that one."""
    found: dict[Context, list[Problem]] = {}
    for context in contexts_of(workflow, catalog):
        told = [problem for rule in rules for problem in rule(context)]
        told.sort(key=lambda problem: _place(problem.pointer[len(context.at) :]))
        found.setdefault(_read_from(context), []).extend(told)
    return [each for context, problems in found.items() for each in _located(context, problems)]


def check(workflow: Workflow, catalog: Catalog, rules: Sequence[Rule] = RULES) -> None:
    """Raise WorkflowInvalid, with all faults, unless the workflow can run."""
    problems = validate(workflow, catalog, rules)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        name = workflow.source.name if workflow.source else f"Workflow {workflow.id!r}"
        raise WorkflowInvalid(name, errors)


def _read_from(context: Context) -> Context:
    """The nearest workflow around that stands for a text of its own."""
    while context.around is not None and context.workflow.source is None:
        context = context.around
    return context


def _located(context: Context, problems: list[Problem]) -> list[Problem]:
    source, at = context.workflow.source, context.at
    if source is None:
        return problems
    if not at:
        return source.located(problems)
    inside = [
        msgspec.structs.replace(each, pointer=each.pointer.removeprefix(at)) for each in problems
    ]
    return [
        msgspec.structs.replace(each, pointer=f"{at}{each.pointer}", file=source.name)
        for each in source.located(inside)
    ]


_SECTIONS: Final = {"nodes": 1, "edges": 2, "workflows": 3}


def _place(pointer: str) -> tuple[int, int]:
    """Where a pointer leads, as far as that does not depend on how the file is written."""
    _, section, number, *_ = f"{pointer}//".split("/", 3)
    return _SECTIONS.get(section, 0), int(number) if number.isdecimal() else 0
