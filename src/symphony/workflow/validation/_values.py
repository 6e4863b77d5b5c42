"""Rules: schemas are schemas, constants fit them, and no edge carries what can never fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from symphony.commons.schemas import SchemaInvalid
from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._model import (
    INDEX,
    ROUND,
    Edge,
    EdgeKind,
    NodeKind,
    Port,
    PortRef,
    Transform,
)
from symphony.workflow._scanner import pointer_to
from symphony.workflow._types import described, member_schema, members_of, types_of
from symphony.workflow.validation._compatibility import Clash, Compatibility
from symphony.workflow.validation._connections import unknown_port
from symphony.workflow.validation._context import Context
from symphony.workflow.validation._flow import fed_back
from symphony.workflow.validation._formulas import Formula, compiled
from symphony.workflow.validation._shapes import ANYTHING, View

if TYPE_CHECKING:
    from symphony.commons.values import Value

_INTEGER: dict[str, Value] = {"type": "integer"}


def schemas(context: Context) -> Iterator[Problem]:
    """The schemas of inputs, outputs and waits are JSON Schemas."""
    for kind in (NodeKind.INPUT, NodeKind.OUTPUT, NodeKind.WAIT):
        for number in context.by_kind[kind]:
            schema = context.nodes[number].schema
            if not schema:
                continue
            try:
                context.shared.schema(schema)
            except SchemaInvalid as error:
                where = f"/nodes/{number}/schema{error.pointer}"
                yield context.problem(ProblemCode.BAD_SCHEMA, error.message, where)


def defaults(context: Context) -> Iterator[Problem]:
    """A default fits its own schema; that of a wait can be taken."""
    for kind in (NodeKind.INPUT, NodeKind.WAIT):
        for number in context.by_kind[kind]:
            node = context.nodes[number]
            if node.default is msgspec.UNSET:
                continue
            here = f"/nodes/{number}/default"
            yield from misfits(
                context, f"The default of {kind} {node.id!r}", node.schema, node.default, here
            )
            if kind is NodeKind.WAIT and node.timeout_s is None:
                message = f"The default of wait {node.id!r} is never taken: it waits for ever."
                hint = "Give it a 'timeout_s'."
                yield context.warning(ProblemCode.NO_EFFECT, message, here, hint)


def parameters(context: Context) -> Iterator[Problem]:
    """Constants have ports, and fit them; what edges add to is not yet what the port will get."""
    for number in context.numbers.values():
        node, ports = context.nodes[number], context.ports[number]
        if not node.params or ports is None:
            continue
        for name, value in node.params.items():
            if type(value) is ports.plain.get(name):
                continue
            port = ports.input(name)
            if port is None:
                where = pointer_to(f"/nodes/{number}/params", name)
                yield unknown_port(context, number, "input", name, ports.inputs, where)
            elif port.schema and not context.is_fed(number, name):
                what = f"Parameter {name!r} of node {node.id!r}"
                where = pointer_to(f"/nodes/{number}/params", name)
                yield from misfits(context, what, port.schema, value, where)


def misfits(
    context: Context, what: str, document: dict[str, Value], value: Value, pointer: str
) -> list[Problem]:
    """How a value differs from what its port takes; nothing if the schema is none that is known
    to be wrong elsewhere."""
    if not document:
        return []
    try:
        schema = context.shared.schema(document)
    except SchemaInvalid as error:
        if any(document is node.schema for node in context.nodes):
            return []
        message = f"{what}: {error.message}"
        return [context.problem(ProblemCode.BAD_SCHEMA, message, pointer)]
    if schema.accepts(value):
        return []
    return [
        context.problem(
            ProblemCode.TYPE_MISMATCH,
            f"{what} does not fit: {fault.message}.",
            pointer + fault.pointer,
        )
        for fault in schema.faults(value)
    ]


def edge_types(context: Context) -> Iterator[Problem]:
    """What can never work, by both schemas and what changes the value on the way; whether each
    value fits shows at run time."""
    clash_of, ports = context.shared.types.clash, context.ports
    ends = zip(context.edges, context.sources, context.targets, strict=True)
    for number, (edge, source, target) in enumerate(ends):
        if source < 0 or target < 0 or edge.kind is not EdgeKind.DATA:
            continue
        givers, takers = ports[source], ports[target]
        if givers is None or takers is None:
            continue
        giver, taker = givers.outputs.get(edge.source.port), takers.input(edge.target.port)
        if giver is None or taker is None:
            continue
        if edge.target.member and (fault := _wrong_member(context, number, edge, taker)):
            yield fault
        elif edge.transform:
            yield from _transformed(context, number, edge, giver, taker)
        elif giver.schema and taker.schema:
            clash = clash_of(giver.schema, taker.schema, edge.target.member)
            if clash is not None:
                yield _mismatch(context, number, edge, clash)


def _mismatch(context: Context, number: int, edge: Edge, clash: Clash) -> Problem:
    gives, takes = clash.sides()
    changed = " after its transforms" if edge.transform else ""
    message = f'"{edge.source}" gives {gives}{changed}, "{edge.target}" takes {takes}.'
    where = f"/edges/{number}"
    if clash.only_empty:
        hint = "Only an empty list would pass."
        return context.warning(ProblemCode.ONLY_EMPTY, message, where, hint)
    return context.problem(ProblemCode.TYPE_MISMATCH, message, where)


def _wrong_member(context: Context, number: int, edge: Edge, taker: Port) -> Problem | None:
    member, where = edge.target.member, f"/edges/{number}/to"
    if not taker.schema:
        return None
    key, known = (id(taker.schema), member), context.shared.members
    if key not in known:
        has_members = "object" in types_of(taker.schema)
        known[key] = has_members, member_schema(taker.schema, member) is not False
    has_members, is_there = known[key]
    if not has_members:
        port = PortRef(edge.target.node, edge.target.port)
        message = f'"{port}" takes {described(taker.schema)}, which has no members.'
        return context.problem(ProblemCode.TYPE_MISMATCH, message, where)
    if not is_there:
        message = f"Port {edge.target.port!r} of node {edge.target.node!r} takes no {member!r}."
        hint = context.hint(member, members_of(taker.schema))
        return context.problem(ProblemCode.UNKNOWN_PORT, message, where, hint)
    return None


def _transformed(
    context: Context, number: int, edge: Edge, giver: Port, taker: Port
) -> Iterator[Problem]:
    """The type of the value is followed through the steps."""
    steps = tuple((step.map, step.filter, step.flatten, step.expression) for step in edge.transform)
    key = (id(giver.schema), steps, id(taker.schema), edge.target.member)
    known = context.shared.transformed
    if key not in known:
        known[key] = _followed(context.shared.types, edge, giver, taker)
    found = known[key]
    if isinstance(found, Clash):
        yield _mismatch(context, number, edge, found)
    elif found is not None:
        place, gives = found
        step = edge.transform[place]
        name = next(name for name in _LIST_STEPS if getattr(step, name))
        message = f"{name!r} changes lists, and what arrives here is {gives}."
        where = f"/edges/{number}/transform/{place}"
        yield context.problem(ProblemCode.TYPE_MISMATCH, message, where)


def _followed(
    types: Compatibility, edge: Edge, giver: Port, taker: Port
) -> Clash | tuple[int, str] | None:
    """Why nothing can arrive, or the step that takes lists, and what it is given."""
    view = View(giver.schema, giver.schema)
    for place, step in enumerate(edge.transform):
        if _needs_list(step) and "array" not in types_of(*view):
            return place, types.described(view)
        view = _after(types, step, view)
    return types.search(view, View(taker.schema, taker.schema), edge.target.member)


_LIST_STEPS = ("map", "filter", "reduce", "flatten")


def _needs_list(step: Transform) -> bool:
    return bool(step.map or step.filter or step.reduce or step.flatten)


def _after(types: Compatibility, step: Transform, view: View) -> View:
    """What a step makes of values of a type; anything, where that depends on them."""
    if step.map:
        return _list_of(_result(Formula.map(step.map)))
    if step.filter:
        return _list_of(types.items(view))
    if step.expression:
        return _result(Formula.expression(step.expression))
    if step.flatten:
        return _flattened(types, view, step.flatten)
    return ANYTHING


def _flattened(types: Compatibility, view: View, levels: int) -> View:
    """Items that are no lists stay as they are, so only lists of nothing but lists are known."""
    items = types.items(view)
    for _ in range(min(levels, 16)):
        if types_of(*items) != {"array"}:
            return View({"type": "array"}, True) if items.schema is True else _list_of(ANYTHING)
        items = types.items(items)
    return _list_of(items)


def _list_of(items: View) -> View:
    return View({"type": "array", "items": items.schema}, items.root)


def _result(formula: Formula) -> View:
    expression, _ = compiled(formula)
    if expression is None or not expression.result:
        return ANYTHING
    return View({"type": expression.result}, True)


def counters(context: Context) -> Iterator[Problem]:
    """The inputs that a loop or map counts with take numbers."""
    for number, body in context.uses():
        node = context.nodes[number]
        name = {NodeKind.LOOP: ROUND, NodeKind.MAP: INDEX}.get(node.kind, "")
        for port in body.workflow.signature.inputs:
            if port.name != name or not port.schema:
                continue
            clash = context.shared.types.clash(_INTEGER, port.schema)
            if clash is not None:
                takes = clash.sides()[1]
                message = f"The input {name!r} of workflow {node.use!r} takes {takes}, not a count."
                yield context.problem(ProblemCode.TYPE_MISMATCH, message, f"/nodes/{number}/use")


def rounds(context: Context) -> Iterator[Problem]:
    """What a loop's workflow gives in a round fits what it takes in the next."""
    for number, body in context.uses():
        node = context.nodes[number]
        if node.kind is not NodeKind.LOOP:
            continue
        for output, port in fed_back(body.workflow.signature):
            clash = context.shared.types.clash(output.schema, port.schema)
            if clash is not None and not clash.only_empty:
                gives, takes = clash.sides()
                message = (
                    f"Each round of {node.id!r} gives {gives} at {output.name!r}, and the next"
                    f" takes {takes} at {port.name!r}."
                )
                yield context.problem(ProblemCode.TYPE_MISMATCH, message, f"/nodes/{number}/use")
