"""Rules: what is to happen around a node can happen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._graph import Graph
from symphony.workflow._model import NESTING, Edge, EdgeKind, NodeKind, PortRef
from symphony.workflow._policy import Policy, Resources, Retry
from symphony.workflow._scanner import pointer_to
from symphony.workflow.validation._context import Context
from symphony.workflow.validation._values import misfits

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: The kinds that do work, and so can fail, be put off, and stand in for others.
WORKING: Final = NESTING | {NodeKind.OPERATOR, NodeKind.INSTRUMENT, NodeKind.WAIT}

_NONE: Final = Policy()
_UNLESS_WAITING: Final = ("retry", "resources", "cache", "once")


def policies(context: Context) -> Iterator[Problem]:
    """The figures of a policy are possible, and none of its wishes excludes another."""
    for number in context.with_policy:
        node = context.nodes[number]
        policy = node.policy
        if node.kind not in WORKING:
            continue
        here = f"/nodes/{number}/policy"
        for where, rule in _impossible(policy):
            message = f"Node {node.id!r}: {rule}."
            yield context.problem(ProblemCode.BAD_VALUE, message, f"{here}/{where}")
        if policy.once and policy.retry is not None:
            message = f"Node {node.id!r} is to run 'once', and has a 'retry'."
            yield context.problem(ProblemCode.CONTRADICTION, message, f"{here}/retry")
        if node.kind is NodeKind.WAIT:
            for field in _UNLESS_WAITING:
                if getattr(policy, field) != getattr(_NONE, field):
                    message = f"Node {node.id!r} has {field!r}, which means nothing on a wait."
                    yield context.problem(ProblemCode.UNKNOWN_FIELD, message, f"{here}/{field}")


def _impossible(policy: Policy) -> Iterator[tuple[str, str]]:
    """Where in the policy, and the rule that is broken there."""
    if policy.retry is not None:
        yield from _impossible_retry(policy.retry)
    yield from _impossible_resources(policy.resources)


def _impossible_retry(retry: Retry) -> Iterator[tuple[str, str]]:
    if retry.attempts < 1:
        yield "retry/attempts", f"'attempts' must be at least 1, not {retry.attempts}"
    for field in ("delay_s", "max_delay_s"):
        seconds = getattr(retry, field)
        if not 0 <= seconds < math.inf:
            yield f"retry/{field}", f"{field!r} must be at least 0, not {seconds:g}"
    if not 1 <= retry.factor < math.inf:
        yield "retry/factor", f"'factor' must be at least 1, not {retry.factor:g}"
    if not 0 <= retry.jitter <= 1:
        yield "retry/jitter", f"'jitter' must be from 0 to 1, not {retry.jitter:g}"
    for place, code in enumerate(retry.on):
        if not code.strip("."):
            yield f"retry/on/{place}", f"{code!r} is no code of an error"


def _impossible_resources(resources: Resources) -> Iterator[tuple[str, str]]:
    if not 0 <= resources.cpu < math.inf:
        yield "resources/cpu", f"'cpu' must be at least 0, not {resources.cpu:g}"
    if resources.memory_mb < 0:
        yield "resources/memory_mb", f"'memory_mb' must be at least 0, not {resources.memory_mb}"
    for name, count in resources.slots.items():
        if count < 1:
            where = pointer_to("resources/slots", name)
            yield where, f"of the slots {name!r} it must take at least 1, not {count}"


def given_values(context: Context) -> Iterator[Problem]:
    """What is handed on instead of a node's own outputs has all that is read, and fits."""
    for number in context.with_policy:
        node = context.nodes[number]
        fallback, skip = node.policy.fallback, node.policy.skip
        here = f"/nodes/{number}/policy"
        if fallback is not None:
            if fallback.value is not msgspec.UNSET:
                yield from _given(context, number, fallback.value, f"{here}/fallback/value")
                if fallback.node:
                    message = f"Node {node.id!r} has a 'node' and a 'value' to fall back on."
                    yield context.problem(ProblemCode.CONTRADICTION, message, f"{here}/fallback")
            elif not fallback.node:
                message = f"Node {node.id!r} has a fallback without 'node' or 'value'."
                yield context.problem(ProblemCode.MISSING_FIELD, message, f"{here}/fallback")
        if skip is not None and skip.value is not msgspec.UNSET:
            yield from _given(context, number, skip.value, f"{here}/skip/value")


def _given(
    context: Context, number: int, value: dict[str, Value], pointer: str
) -> Iterator[Problem]:
    node, ports = context.nodes[number], context.ports[number]
    if ports is None:
        return
    for name, each in value.items():
        port, where = ports.outputs.get(name), pointer_to(pointer, name)
        if port is None:
            message = f"Node {node.id!r} has no output port {name!r}."
            hint = context.hint(name, ports.outputs)
            yield context.problem(ProblemCode.UNKNOWN_PORT, message, where, hint)
        else:
            what = f"What is given for port {name!r} of node {node.id!r}"
            yield from misfits(context, what, port.schema, each, where)
    for name in sorted(context.read(number) & ports.outputs.keys() - value.keys()):
        message = f"Nothing is given for port {name!r} of node {node.id!r}, which an edge reads."
        yield context.problem(ProblemCode.MISSING_VALUE, message, pointer)


def stand_ins(context: Context) -> Iterator[Problem]:
    """A node named by `fallback` or `compensate` is there, can do it, and does nothing else."""
    owners: dict[str, str] = {}
    for number, field, name in context.helpers():
        owner, helper = context.nodes[number], context.numbers.get(name)
        if helper is None:
            message = f"There is no node {name!r}."
            hint = context.hint(name, context.numbers)
            yield context.problem(ProblemCode.UNKNOWN_NODE, message, _where(number, field), hint)
            continue
        reason = _unfit(context, number, helper)
        if name in owners:
            reason = f"it is there for {owners[name]!r} already"
        elif not reason and field == "fallback":
            reason = _no_substitute(context, number, helper)
        owners.setdefault(name, owner.id)
        if reason:
            yield _cannot(context, number, field, name, reason)
    if owners:
        yield from _circles(context)


def _where(number: int, field: str) -> str:
    return f"/nodes/{number}/policy/{'fallback/node' if field == 'fallback' else field}"


def _cannot(context: Context, number: int, field: str, name: str, reason: str) -> Problem:
    code = ProblemCode.BAD_FALLBACK if field == "fallback" else ProblemCode.BAD_COMPENSATION
    message = f"Node {name!r} cannot be the {field!r} of {context.nodes[number].id!r}: {reason}."
    return context.problem(code, message, _where(number, field))


def _unfit(context: Context, owner: int, helper: int) -> str:
    if helper == owner:
        return "it is that node itself"
    if context.nodes[helper].kind not in WORKING:
        return f"it is of the kind {context.nodes[helper].kind.value!r}, which does no work"
    return "edges lead away from it" if context.read(helper) else ""


def _no_substitute(context: Context, owner: int, helper: int) -> str:
    """Its outputs are handed on as those of the node that failed, and it cannot wait for that."""
    if _reads(context, owner, helper):
        return f"it takes a value from {context.nodes[owner].id!r}, which has none when it fails"
    ports = context.ports[helper]
    if ports is None:
        return ""
    lacking = sorted(context.read(owner) - {""} - ports.outputs.keys())
    return f"it has no output port {lacking[0]!r}, which an edge reads" if lacking else ""


def _reads(context: Context, owner: int, helper: int) -> bool:
    return any(
        context.sources[edge] == owner and context.edges[edge].kind is EdgeKind.DATA
        for edge in context.into[helper]
    )


def _circles(context: Context) -> Iterator[Problem]:
    """A helper waits for its node, and what reads a node waits for the one that may stand in."""
    helpers = [
        (number, field, name)
        for number, field, name in context.helpers()
        if name in context.numbers
        and not _unfit(context, number, context.numbers[name])
        and not (field == "fallback" and _reads(context, number, context.numbers[name]))
    ]
    if len(context.numbers) < len(context.nodes) or context.graph.find_cycles(1):
        return
    graph, nodes = context.graph, context.nodes
    waits = {(nodes[number].id, name) for number, _, name in helpers}
    for number, field, name in helpers:
        if field == "fallback":
            waits.update((name, nodes[child].id) for child in graph.children[number])
    added = (Edge(PortRef(one), PortRef(other), EdgeKind.CONTROL) for one, other in sorted(waits))
    whole = msgspec.structs.replace(context.workflow, edges=(*context.drawn, *added))
    for path in Graph(whole).find_cycles():
        for number, field, name in helpers:
            if name in path and (nodes[number].id in path or field == "fallback"):
                reason = f"they would wait for each other: {' -> '.join(path)}"
                yield _cannot(context, number, field, name, reason)
                break
