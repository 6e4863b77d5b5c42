"""Rules: expressions and templates can be compiled, and name what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from symphony.commons.expressions import ExpressionSyntax
from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._model import DEFAULT_PORT, ROUNDS, NodeKind, Transform
from symphony.workflow._scanner import pointer_to
from symphony.workflow._types import described, type_of, types_of
from symphony.workflow.validation._context import FORMULA_FORMATS, TEMPLATE_FORMAT, Context
from symphony.workflow.validation._formulas import Formula, compiled, template_names

if TYPE_CHECKING:
    from symphony.commons.values import Value


def edge_conditions(context: Context) -> Iterator[Problem]:
    for number, edge in enumerate(context.edges):
        if edge.when:
            yield from _faults(context, Formula.when(edge.when), f"/edges/{number}/when")


def transforms(context: Context) -> Iterator[Problem]:
    """Each step changes one thing, by an expression that is one."""
    for number, edge in enumerate(context.edges):
        for place, step in enumerate(edge.transform):
            here = f"/edges/{number}/transform/{place}"
            given = [name for name in _STEPS if getattr(step, name)]
            if step.flatten < 0:
                message = f"'flatten' must be at least 1, not {step.flatten}."
                yield context.problem(ProblemCode.BAD_VALUE, message, f"{here}/flatten")
            elif len(given) != 1:
                message = f"A step of 'transform' has one of {', '.join(_STEPS)}, not {len(given)}."
                yield context.problem(ProblemCode.BAD_VALUE, message, here)
            elif given != ["flatten"]:
                formula = _formula(step)
                yield from _faults(context, formula, f"{here}/{given[0]}")
            if step.initial is not msgspec.UNSET and not step.reduce:
                message = "'initial' is where 'reduce' begins, and there is none."
                yield context.warning(ProblemCode.NO_EFFECT, message, f"{here}/initial")


_STEPS: Final = ("map", "filter", "reduce", "flatten", "expression")


def _formula(step: Transform) -> Formula:
    if step.map:
        return Formula.map(step.map)
    if step.filter:
        return Formula.filter(step.filter)
    return Formula.reduce(step.reduce) if step.reduce else Formula.expression(step.expression)


def cases(context: Context) -> Iterator[Problem]:
    for number in context.by_kind[NodeKind.BRANCH]:
        node = context.nodes[number]
        arriving = (*context.fed[number], *context.parts.get(number, ()))
        inputs = {DEFAULT_PORT, *arriving, *node.params}
        for place, case in enumerate(node.cases):
            where = f"/nodes/{number}/cases/{place}/when"
            yield from _faults(context, Formula.over_ports(case.when, inputs), where)


def ends_of_loops(context: Context) -> Iterator[Problem]:
    for number in context.by_kind[NodeKind.LOOP]:
        node, ports = context.nodes[number], context.ports[number]
        if node.until and ports is not None:
            formula = Formula.over_ports(node.until, {*ports.outputs, ROUNDS})
            yield from _faults(context, formula, f"/nodes/{number}/until")


def skips(context: Context) -> Iterator[Problem]:
    for number in context.with_policy:
        node = context.nodes[number]
        skip, ports = node.policy.skip, context.ports[number]
        if skip is not None and ports is not None:
            formula = Formula.over_ports(skip.when, ports.inputs)
            yield from _faults(context, formula, f"/nodes/{number}/policy/skip/when")


def constant_formulas(context: Context) -> Iterator[Problem]:
    """Expressions and templates that are given as parameters, where the port says that it takes
    one: `format` in its schema, `variables` the names it may use, and `variablesFrom` the port
    whose members are names too."""
    sound = context.shared.sound
    for number in context.numbers.values():
        node, ports = context.nodes[number], context.ports[number]
        if ports is None or not node.params:
            continue
        for name in ports.formulas:
            if name not in node.params:
                continue
            schema, value = ports.inputs[name].schema, node.params[name]
            key: object = None
            if isinstance(value, str):
                key = (id(schema), value, _given(context, number, schema))
                if key in sound:
                    continue
            where = pointer_to(f"/nodes/{number}/params", name)
            found = [
                problem
                for text in _written(schema, value, where, 0)
                for problem in _constant(context, number, *text)
            ]
            yield from found
            if key is not None and not found:
                sound.add(key)


def _given(
    context: Context, number: int, schema: dict[str, Value]
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """What decides which names a formula may use beside those that the schema lists."""
    more = schema.get("variablesFrom")
    constant = context.nodes[number].params.get(str(more))
    parts = context.parts.get(number)
    return (
        tuple(constant) if isinstance(constant, dict) else (),
        tuple(parts.get(str(more), ())) if parts else (),
        more in context.fed[number],
    )


def _written(
    schema: Value, value: Value, pointer: str, depth: int
) -> Iterator[tuple[dict[str, Value], str, str]]:
    """The formulas in a value, each with the schema that says so."""
    if not isinstance(schema, dict) or depth > 8:
        return
    if isinstance(value, str) and schema.get("format") in FORMULA_FORMATS:
        yield schema, value, pointer
        return
    branches = schema.get("anyOf")
    for branch in branches if isinstance(branches, list) else ():
        if type_of(value) in types_of(branch):
            yield from _written(branch, value, pointer, depth + 1)
    if isinstance(value, dict):
        for name, each in value.items():
            inner = schema.get("additionalProperties")
            yield from _written(inner, each, pointer_to(pointer, name), depth + 1)


def _constant(
    context: Context, number: int, schema: dict[str, Value], text: str, pointer: str
) -> Iterator[Problem]:
    names, is_open = _names(context, number, schema)
    if schema["format"] == TEMPLATE_FORMAT:
        yield from _template_faults(context, text, names, pointer, is_open=is_open)
    else:
        formula = Formula(text, names)
        yield from _faults(context, formula, pointer, is_open=is_open)


def _names(context: Context, number: int, schema: dict[str, Value]) -> tuple[frozenset[str], bool]:
    """What may be named, and whether more than that."""
    fixed = _fixed_names(context, schema)
    constant, parts, is_open = _given(context, number, schema)
    return fixed.union(constant, parts), is_open


def _fixed_names(context: Context, schema: dict[str, Value]) -> frozenset[str]:
    known = context.shared.variables
    if id(schema) not in known:
        listed = schema.get("variables")
        known[id(schema)] = frozenset(map(str, listed) if isinstance(listed, list) else ())
    return known[id(schema)]


def _template_faults(
    context: Context, text: str, names: frozenset[str], pointer: str, *, is_open: bool
) -> Iterator[Problem]:
    used, fault = template_names(text)
    if fault is not None:
        place = f" in line {fault.line}" if fault.line else ""
        message = f"The template is wrong{place}: {fault.reason}."
        yield context.problem(ProblemCode.BAD_TEMPLATE, message, pointer)
    for name in sorted(used - names) if not is_open else ():
        message = f"The template names {name!r}, which is not given to it."
        hint = context.hint(name, names)
        yield context.warning(ProblemCode.BAD_TEMPLATE, message, pointer, hint)


def _faults(
    context: Context, formula: Formula, pointer: str, *, is_open: bool = False
) -> Iterator[Problem]:
    expression, error = compiled(formula)
    if error is not None:
        undeclared = isinstance(error, ExpressionSyntax) and error.reason.startswith("undeclared")
        if not (is_open and undeclared):
            yield context.problem(ProblemCode.BAD_EXPRESSION, error.message, pointer, error.hint)
        return
    result = expression.result if expression is not None and formula.is_condition else ""
    if result not in ("", "boolean"):
        gives = described({"type": result})
        message = f"The condition {formula.text!r} gives {gives}, not true or false."
        yield context.problem(ProblemCode.BAD_EXPRESSION, message, pointer)
