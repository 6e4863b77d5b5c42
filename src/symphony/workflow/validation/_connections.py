"""Rules: edges lead from a port to a port, and each port that needs a value gets one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._model import DEFAULT_PORT, EdgeKind, NodeKind, PortRef
from symphony.workflow.validation._context import Context

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: Kinds that need an edge though none of their ports needs a value.
_GATHERING: Final = (NodeKind.MERGE, NodeKind.JOIN)


def edge_ends(context: Context) -> Iterator[Problem]:
    """Both ends of an edge are there."""
    ports = context.ports
    ends = zip(context.edges, context.sources, context.targets, strict=True)
    for number, (edge, source, target) in enumerate(ends):
        if source < 0:
            yield _unknown_node(context, f"/edges/{number}/from", edge.source)
        if target < 0:
            yield _unknown_node(context, f"/edges/{number}/to", edge.target)
        if edge.kind is EdgeKind.CONTROL:
            continue
        known = ports[source] if source >= 0 else None
        if known is not None and edge.source.port not in known.outputs:
            where = f"/edges/{number}/from"
            yield unknown_port(context, source, "output", edge.source.port, known.outputs, where)
        known = ports[target] if target >= 0 else None
        if known is not None and not known.takes_any and edge.target.port not in known.inputs:
            where = f"/edges/{number}/to"
            yield unknown_port(context, target, "input", edge.target.port, known.inputs, where)


def control_edges(context: Context) -> Iterator[Problem]:
    """They lead from node to node, to one that can wait, and say something new."""
    seen: set[int] = set()
    for number, edge in enumerate(context.edges):
        if edge.kind is not EdgeKind.CONTROL:
            continue
        source, target = context.sources[number], context.targets[number]
        ends = source * len(context.nodes) + target
        here = f"/edges/{number}"
        if edge.source.port != DEFAULT_PORT:
            yield _port_of_control(context, edge.source, f"{here}/from")
        if edge.target.port != DEFAULT_PORT or edge.target.member:
            yield _port_of_control(context, edge.target, f"{here}/to")
        if edge.transform:
            message = "A control edge carries nothing that 'transform' could change."
            yield context.problem(ProblemCode.UNKNOWN_FIELD, message, f"{here}/transform")
        if target >= 0 and context.nodes[target].kind is NodeKind.INPUT:
            message = (
                f"The input {edge.target.node!r} is there from the start and waits for nothing."
            )
            yield context.problem(ProblemCode.BAD_VALUE, message, f"{here}/to")
        if ends in seen and not edge.when:
            first = f"{edge.target.node!r} wait for {edge.source.node!r}"
            message = f"An edge before this one makes {first} already."
            yield context.warning(ProblemCode.NO_EFFECT, message, here)
        seen.add(ends)


def _port_of_control(context: Context, ref: PortRef, pointer: str) -> Problem:
    message = f'A control edge leads from node to node, and "{ref}" is a port.'
    hint = f'Write "{ref.node}".'
    return context.problem(ProblemCode.BAD_VALUE, message, pointer, hint)


def fed_twice(context: Context) -> Iterator[Problem]:
    """A port gets one value; members add up, with each other and with an object in `params`. A
    merge is there to be given several."""
    fed, parts, nodes = context.fed, context.parts, context.nodes
    for number, (edge, target) in enumerate(zip(context.edges, context.targets, strict=True)):
        if target < 0 or edge.kind is not EdgeKind.DATA:
            continue
        into, node = edge.target, nodes[target]
        if node.kind is NodeKind.MERGE:
            continue
        whole = fed[target].get(into.port, number)
        other = parts[target][into.port][into.member] if into.member else whole
        if other == number:
            other = whole
        if other != number:
            message = f'"{into}" gets its value from "{context.edges[other].source}" already.'
        elif into.port in node.params and not _leaves_room(node.params[into.port], into.member):
            message = f"\"{into}\" gets a value from this edge and another from 'params'."
        else:
            continue
        yield context.problem(ProblemCode.PORT_TWICE, message, f"/edges/{number}/to")


def missing_values(context: Context) -> Iterator[Problem]:
    """Each port without a default gets a value, and a merge or join an edge."""
    fed = context.fed
    for name, number in context.numbers.items():
        ports, node = context.ports[number], context.nodes[number]
        if ports is None:
            continue
        for port in ports.required:
            if port not in node.params and not context.is_fed(number, port):
                message = f"Port {port!r} of node {name!r} gets no value."
                ref = PortRef(name, port)
                hint = f"Draw an edge to \"{ref}\", or give it in 'params'."
                yield context.problem(ProblemCode.MISSING_VALUE, message, f"/nodes/{number}", hint)
        if node.kind in _GATHERING and not fed[number] and number not in context.parts:
            message = f"No edge brings a value to the {node.kind} {name!r}."
            hint = f'Draw an edge to "{name}", or to a port of any name.'
            yield context.problem(ProblemCode.MISSING_VALUE, message, f"/nodes/{number}", hint)


def unneeded(context: Context) -> Iterator[Problem]:
    """Inputs that nothing reads; nodes whose work leads to no output."""
    needed, read = _needed(context), set(context.sources)
    for number, node in enumerate(context.nodes):
        here = f"/nodes/{number}"
        if node.kind is NodeKind.INPUT:
            if number not in read:
                message = f"Nothing reads the input {node.id!r}."
                hint = "Draw an edge from it, or remove it."
                yield context.warning(ProblemCode.UNUSED_INPUT, message, here, hint)
        elif needed is not None and not needed[number] and context.ports[number] is not None:
            message = f"No output needs node {node.id!r}."
            hint = "If it is there for what it does, draw a control edge from it to an output."
            yield context.warning(ProblemCode.UNNEEDED_NODE, message, here, hint)


def _needed(context: Context) -> list[bool] | None:
    """The nodes that outputs need, or that stand by for others; None if there is no output."""
    outputs = context.by_kind[NodeKind.OUTPUT]
    if not outputs:
        return None
    helpers = [context.numbers[name] for _, _, name in context.helpers() if name in context.numbers]
    needed = [False] * len(context.nodes)
    pending = [*outputs, *helpers]
    for number in pending:
        needed[number] = True
    while pending:
        for edge in context.into[pending.pop()]:
            source = context.sources[edge]
            if not needed[source]:
                needed[source] = True
                pending.append(source)
    return needed


def _unknown_node(context: Context, pointer: str, ref: PortRef) -> Problem:
    message = f"There is no node {ref.node!r}."
    hint = context.hint(ref.node, context.numbers)
    return context.problem(ProblemCode.UNKNOWN_NODE, message, pointer, hint)


def unknown_port(
    context: Context, number: int, side: str, name: str, known: Iterable[str], pointer: str
) -> Problem:
    node = context.nodes[number]
    hint = context.hint(name, known) or f"The {node.kind} has no {side} ports."
    message = f"Node {node.id!r} has no {side} port {name!r}."
    return context.problem(ProblemCode.UNKNOWN_PORT, message, pointer, hint)


def _leaves_room(param: Value, member: str) -> bool:
    """Whether an edge may add the member to a parameter."""
    return bool(member) and isinstance(param, dict) and member not in param
