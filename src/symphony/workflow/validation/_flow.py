"""Rules: whatever is drawn can run, and ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._model import ITEM, OTHERWISE, Edge, EdgeKind, NodeKind, Port, Signature
from symphony.workflow.validation._context import Context
from symphony.workflow.validation._structure import NAME, NAME_RULE

#: Of the branches above a node, the nearest that are looked at: more would cost the square.
MOST_BRANCHES: Final = 64

#: By the numbers of branches, the ways out of each by which a node may still be reached.
Ways: TypeAlias = "Mapping[int, frozenset[str]]"


def cycles(context: Context) -> Iterator[Problem]:
    """No nodes wait for each other, be it for a value or for the end."""
    for path in context.graph.find_cycles():
        ends = path[-2:]
        message = f"The nodes wait for each other: {' -> '.join(path)}."
        closing = next(
            number
            for number, edge in enumerate(context.edges)
            if [edge.source.node, edge.target.node] == ends
        )
        where = f"/edges/{closing}"
        yield context.problem(ProblemCode.CYCLE, message, where, "Remove an edge of it.")


def loops(context: Context) -> Iterator[Problem]:
    """A loop ends, and its rounds differ."""
    for number in context.by_kind[NodeKind.LOOP]:
        node, here = context.nodes[number], f"/nodes/{number}"
        if node.limit is None:
            message = f"Loop {node.id!r} lacks 'limit', the most rounds that it may take."
            yield context.problem(ProblemCode.MISSING_FIELD, message, here)
        if not node.until:
            message = f"Loop {node.id!r} has no 'until': it takes as many rounds as 'limit' says."
            yield context.warning(ProblemCode.NO_UNTIL, message, here)
        body = context.body(node)
        if body is None:
            continue
        if body.workflow.signature.outputs and not fed_back(body.workflow.signature):
            message = (
                f"No output of the workflow {node.use!r} is called like an input: each round of"
                f" {node.id!r} gets the same values."
            )
            hint = "Give an output the 'name' of the input that it becomes."
            yield context.warning(ProblemCode.NOTHING_FED_BACK, message, here, hint)


def fed_back(signature: Signature) -> list[tuple[Port, Port]]:
    """The outputs of a loop's workflow that are inputs in the next round, each with its input."""
    inputs = {port.name: port for port in signature.inputs}
    return [(port, inputs[port.name]) for port in signature.outputs if port.name in inputs]


def maps(context: Context) -> Iterator[Problem]:
    """The workflow of a map takes an item."""
    for number in context.by_kind[NodeKind.MAP]:
        node = context.nodes[number]
        body = context.body(node)
        if body is not None and all(port.name != ITEM for port in body.workflow.signature.inputs):
            message = f"Map {node.id!r} uses the workflow {node.use!r}, without an input {ITEM!r}."
            yield context.problem(ProblemCode.NO_ITEM, message, f"/nodes/{number}/use")


def limits(context: Context) -> Iterator[Problem]:
    """Bounds of loops and maps leave something to do."""
    for kind in (NodeKind.LOOP, NodeKind.MAP):
        for number in context.by_kind[kind]:
            node = context.nodes[number]
            if node.limit is not None and node.limit < 1:
                message = f"Node {node.id!r}: 'limit' must be at least 1, not {node.limit}."
                yield context.problem(ProblemCode.BAD_VALUE, message, f"/nodes/{number}/limit")
            if node.parallel < 0:
                message = f"Node {node.id!r}: 'parallel' must be at least 0, not {node.parallel}."
                yield context.problem(ProblemCode.BAD_VALUE, message, f"/nodes/{number}/parallel")


def branches(context: Context) -> Iterator[Problem]:
    """A branch has cases, each with a name of its own, and something takes each way."""
    for number in context.by_kind[NodeKind.BRANCH]:
        node, here = context.nodes[number], f"/nodes/{number}"
        if not node.cases:
            message = f"Branch {node.id!r} lacks 'cases'."
            yield context.problem(ProblemCode.MISSING_FIELD, message, here)
        seen: set[str] = set()
        for place, case in enumerate(node.cases):
            where = f"{here}/cases/{place}/name"
            if not NAME.fullmatch(case.name):
                message = f"Branch {node.id!r}: {case.name!r} is not a name for a case."
                yield context.problem(ProblemCode.BAD_VALUE, message, where, NAME_RULE)
            elif case.name == OTHERWISE:
                message = f"Branch {node.id!r}: {OTHERWISE!r} is the way when no case holds."
                yield context.problem(ProblemCode.BAD_VALUE, message, where, "Rename the case.")
            elif case.name in seen:
                message = f"Branch {node.id!r} has two cases named {case.name!r}."
                yield context.problem(ProblemCode.BAD_VALUE, message, where)
            elif case.name not in context.read(number):
                message = f"Nothing takes the way {case.name!r} out of branch {node.id!r}."
                yield context.warning(ProblemCode.UNUSED_WAY, message, f"{here}/cases/{place}")
            seen.add(case.name)


def exclusive_ways(context: Context) -> Iterator[Problem]:
    """No node needs what only comes if a branch goes two ways at once; no output waits for one
    that does."""
    branching = set(context.by_kind[NodeKind.BRANCH])
    if not branching:
        return
    ways: dict[int, Ways | None] = {}  # None: it never runs
    into, sources = context.into, context.sources
    for number in _in_order(context):
        for edge in into[number]:
            source = sources[edge]
            if ways[source] is not _FREE or source in branching:
                break
        else:
            ways[number] = _FREE
            continue
        arriving = [_along(context, edge, ways) for edge in into[number]]
        node = context.nodes[number]
        alive = [each for each in arriving if each is not None]
        if node.kind in (NodeKind.MERGE, NodeKind.JOIN):
            ways[number] = _either(context, alive)
        elif len(alive) < len(arriving):
            ways[number] = None
            if node.kind is NodeKind.OUTPUT:
                message = f"The output {node.id!r} waits for a node that can never run."
                yield context.problem(ProblemCode.UNREACHABLE_OUTPUT, message, f"/nodes/{number}")
        else:
            found = _every(alive)
            ways[number] = None if isinstance(found, int) else found
            if isinstance(found, int):
                yield _never_runs(context, number, found, alive)


def _never_runs(context: Context, number: int, branch: int, arriving: list[Ways]) -> Problem:
    names = sorted({way for each in arriving for way in each.get(branch, ())})
    message = (
        f"Node {context.nodes[number].id!r} can never run: it needs the ways"
        f" {' and '.join(map(repr, names))} out of branch {context.nodes[branch].id!r} at once."
    )
    hint = "Lead them through a merge."
    return context.problem(ProblemCode.NEVER_RUNS, message, f"/nodes/{number}", hint)


#: Of nodes that no branch is above, or no longer.
_FREE: Final[Ways] = {}


def _in_order(context: Context) -> Iterator[int]:
    graph = context.graph
    return (context.numbers[graph.names[place]] for place in graph.order())


def _along(context: Context, number: int, ways: Mapping[int, Ways | None]) -> Ways | None:
    """By which ways what an edge brings may have come."""
    edge, source = context.edges[number], context.sources[number]
    above = ways.get(source)
    if above is None or context.nodes[source].kind is not NodeKind.BRANCH:
        return above
    return above if edge.kind is EdgeKind.CONTROL else _narrowed(above, source, edge)


def _narrowed(above: Ways, branch: int, edge: Edge) -> Ways:
    nearest = list(above.items())[-MOST_BRANCHES:]
    return {**dict(nearest), branch: frozenset({edge.source.port})}


def _every(arriving: list[Ways]) -> Ways | int:
    """What all of them leave open; the branch of which they leave nothing."""
    if len(arriving) == 1:
        return arriving[0]
    found = dict(arriving[0])
    for ways in arriving[1:]:
        for branch, names in ways.items():
            found[branch] = found.get(branch, names) & names
            if not found[branch]:
                return branch
    return found or _FREE


def _either(context: Context, arriving: list[Ways]) -> Ways | None:
    """What any of them leaves open; None if nothing arrives. Of a branch whose ways all lead here,
    nothing is left to say."""
    if not arriving:
        return None
    found: dict[int, frozenset[str]] = {}
    for branch in set(arriving[0]).intersection(*arriving[1:]):
        names = frozenset[str]().union(*(ways[branch] for ways in arriving))
        if len(names) <= len(context.nodes[branch].cases):
            found[branch] = names
    return dict(sorted(found.items())) or _FREE
