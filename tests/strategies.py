"""Hypothesis strategies for what the rooms exchange: values, graphs, workflows, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from symphony.commons.errors import ErrorRecord
from symphony.execution import (
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    NodeState,
    Recorded,
    RunCancelling,
    RunCreated,
    RunFinished,
    RunStarted,
    RunState,
    RunStatus,
)
from symphony.workflow import Edge, Node, NodeId, NodeKind, PortRef, Workflow

if TYPE_CHECKING:
    from symphony.commons.values import Value

SCALARS: st.SearchStrategy[Value] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
NAMES = st.text("ab7_-", max_size=4).map("n".__add__)
Pair = tuple[int, int]


@st.composite
def dags(draw: st.DrawFn, max_nodes: int = 12) -> tuple[int, list[Pair]]:
    """A number of nodes, and edges between them without a cycle, both in any order."""
    count = draw(st.integers(0, max_nodes))
    ranks = draw(st.permutations(range(count)))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return count, [(ranks[a], ranks[b]) for a, b in chosen]


def graph_of(count: int, pairs: list[Pair]) -> Workflow:
    """Operators n0, n1, ... with an edge for each pair, each into a port of its own."""
    return Workflow(
        "graph",
        tuple(Node(NodeId(f"n{number}"), NodeKind.OPERATOR, use="any") for number in range(count)),
        tuple(
            Edge(PortRef(NodeId(f"n{source}")), PortRef(NodeId(f"n{target}"), f"from_n{source}"))
            for source, target in pairs
        ),
    )


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    kind = draw(st.sampled_from(NodeKind))
    title, description = draw(st.text(max_size=5)), draw(st.text(max_size=5))
    position = draw(st.none() | st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)))
    if kind is NodeKind.INPUT:
        schema: dict[str, Value] = draw(st.sampled_from([{}, {"type": "string"}]))
        return Node(NodeId(name), kind, schema=schema, default="x", position=position)
    if kind is NodeKind.OUTPUT:
        return Node(NodeId(name), kind, title=title, description=description)
    return Node(
        NodeId(name),
        kind,
        use=draw(NAMES),
        params=draw(st.dictionaries(NAMES, VALUES, max_size=3)),
        timeout_s=draw(st.none() | st.floats(0.001, 1e6)),
        title=title,
        description=description,
        position=position,
    )


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Workflows in the right shape; whether their operators and ports exist is another matter."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    ids = st.sampled_from([NodeId(name) for name in names])
    edges = st.builds(
        Edge, st.builds(PortRef, ids, NAMES), st.builds(PortRef, ids, NAMES, st.just("") | NAMES)
    )
    return Workflow(
        id=draw(NAMES),
        nodes=tuple(draw(nodes(name)) for name in names),
        edges=tuple(draw(st.lists(edges, max_size=5))),
        name=draw(st.text(max_size=8)),
        version=draw(st.sampled_from(["0.1.0", "1.2.3-rc.1"])),
        description=draw(st.text(max_size=8)),
        extensions=tuple(draw(st.lists(st.text(max_size=5), max_size=2))),
        metadata=draw(st.dictionaries(st.text(max_size=4), VALUES, max_size=2)),
    )


ERRORS = st.builds(ErrorRecord, st.just("test.failed"), st.text(max_size=8))


def created(*nodes: str) -> RunCreated:
    """The first event of a run of these nodes."""
    return RunCreated("run-1", "hello", "Hello", "1.0.0", "f" * 64, nodes, {"folder": "."})


def recorded(*events: Event, start: float = 1000.0) -> list[Recorded]:
    """The events as a journal has them, a second between each two."""
    return [Recorded(seq, start + seq, event) for seq, event in enumerate(events, 1)]


@st.composite
def histories(draw: st.DrawFn, max_events: int = 30) -> list[Recorded]:
    """The journal of a run, up to its end or cut off before: each event follows from the last."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    history = recorded(created(*names))
    status = RunStatus()
    status.apply(history[0])
    for seq in range(2, draw(st.integers(1, max_events)) + 1):
        possible = _possible(status)
        if not possible:
            break
        event = draw(draw(st.sampled_from(possible)))
        history.append(Recorded(seq, history[-1].at + draw(st.floats(0, 5)), event))
        status.apply(history[-1])
    return history


def _possible(status: RunStatus) -> list[st.SearchStrategy[Event]]:
    """What may happen next to a run, by the life cycles of runs and nodes."""
    if status.state is RunState.PENDING:
        return [st.just(RunStarted()), st.just(RunFinished(RunState.CANCELLED))]
    if status.finished_at is not None:
        return []
    choices: list[st.SearchStrategy[Event]] = []
    for name, node in status.nodes.items():
        if node.state is NodeState.PENDING:
            choices.append(st.just(NodeStarted(name, 1)))
            choices.append(st.just(NodeSkipped(name, "other")))
            choices.append(st.just(NodeCancelled(name)))
        elif node.state is NodeState.RUNNING:
            outputs = st.dictionaries(NAMES, VALUES, max_size=2)
            choices.append(st.builds(NodeFinished, st.just(name), st.just(1), outputs))
            choices.append(st.builds(NodeFailed, st.just(name), st.just(1), ERRORS))
            choices.append(st.just(NodeCancelled(name)))
    if status.state is RunState.RUNNING:
        choices.append(st.just(RunCancelling("asked to")))
        choices.append(st.just(RunFinished(RunState.COMPLETED)))
    choices.append(st.builds(RunFinished, st.just(RunState.FAILED), st.none() | ERRORS))
    return choices
