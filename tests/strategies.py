"""Hypothesis strategies for what the rooms exchange: values, graphs, workflows, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
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
from symphony.workflow import (
    Case,
    Edge,
    EdgeKind,
    Fallback,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    Policy,
    PortRef,
    Resources,
    Retry,
    Skip,
    Transform,
    Workflow,
)

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


Values = st.SearchStrategy["Value"]
EXPRESSIONS = st.sampled_from(["value > 1", "size(items) == 0", 'rounds >= 3 && "é" in tags'])
SECONDS = st.floats(0.001, 1e6)


def objects(values: Values) -> st.SearchStrategy[dict[str, Value]]:
    return st.dictionaries(NAMES, values, max_size=3)


def policies(values: Values, ids: st.SearchStrategy[str]) -> st.SearchStrategy[Policy]:
    given = st.just(msgspec.UNSET) | objects(values)
    retries = st.builds(
        Retry, st.integers(1, 9), SECONDS, st.floats(1, 4), SECONDS, st.floats(0, 1), st.just(())
    )
    resources = st.builds(
        Resources,
        st.floats(0, 64),
        st.integers(0, 2**20),
        st.dictionaries(NAMES, st.integers(1, 9), max_size=2),
    )
    return st.builds(
        Policy,
        st.none() | retries | st.just(Retry(factor=float("2"), on=("http.timeout",))),
        st.none() | st.builds(Fallback, st.just("") | ids, given),
        st.none() | st.builds(Skip, EXPRESSIONS, given),
        st.just(Resources()) | resources,
        st.integers(-9, 9),
        st.none() | st.booleans(),
        st.booleans(),
        st.just("") | ids,
    )


@st.composite
def nodes(draw: st.DrawFn, name: str, values: Values = VALUES) -> Node:
    """A node of any kind with any of the fields, though not all mean something on each."""
    cases = st.builds(Case, NAMES, EXPRESSIONS)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "use": NAMES,
        "name": NAMES,
        "params": objects(values),
        "schema": st.sampled_from([{}, {"type": "string"}, {"enum": ["a", 1], "title": "T"}]),
        "default": values,
        "cases": st.lists(cases, max_size=2).map(tuple),
        "until": EXPRESSIONS,
        "limit": st.integers(1, 9),
        "parallel": st.integers(0, 9),
        "timeout_s": SECONDS,
        "estimate_s": SECONDS,
        "policy": st.just(Policy()) | st.just(Policy(once=True)) | policies(values, st.just(name)),
        "title": st.text(max_size=5),
        "description": st.text(max_size=40),
        "position": st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    }
    given: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=optional))
    return Node(NodeId(name), draw(st.sampled_from(NodeKind)), **given)


def edges(ids: st.SearchStrategy[NodeId], values: Values) -> st.SearchStrategy[Edge]:
    ends = st.builds(PortRef, ids, NAMES | st.just("value"))
    steps = st.one_of(
        st.builds(Transform, map=EXPRESSIONS),
        st.builds(Transform, filter=EXPRESSIONS),
        st.builds(Transform, reduce=EXPRESSIONS, initial=st.just(msgspec.UNSET) | values),
        st.builds(Transform, flatten=st.integers(1, 3)),
        st.builds(Transform, expression=EXPRESSIONS),
    )
    plain = st.builds(Edge, ends, st.builds(PortRef, ids, NAMES, st.just("") | NAMES))
    return plain | st.builds(
        Edge,
        ends,
        ends,
        st.sampled_from(EdgeKind),
        st.just("") | EXPRESSIONS,
        st.text(max_size=5),
        st.integers(-9, 9),
        st.lists(steps, max_size=2).map(tuple),
    )


def metadata(values: Values) -> st.SearchStrategy[Metadata]:
    text = st.text(max_size=5)
    return st.builds(
        Metadata,
        text,
        st.lists(text, max_size=2).map(tuple),
        text,
        text,
        st.sampled_from(["", "#00ff7f"]),
        st.dictionaries(st.text(max_size=4), values, max_size=2),
    )


@st.composite
def workflows(draw: st.DrawFn, values: Values = VALUES, depth: int = 1, name: str = "") -> Workflow:
    """Workflows in the right shape, up to `depth` others inside each other; whether their
    operators and ports exist is another matter. One with a `name` stands in another."""
    names = draw(st.lists(NAMES, min_size=1, max_size=2 if name else 4, unique=True))
    ids = st.sampled_from([NodeId(each) for each in names])
    inner = [draw(NAMES)] if depth and draw(st.integers(0, 2)) == 0 else []
    return Workflow(
        id=name or draw(NAMES),
        nodes=tuple(draw(nodes(each, values)) for each in names),
        edges=tuple(draw(st.lists(edges(ids, values), max_size=3))),
        name=draw(st.text(max_size=8)),
        version=draw(st.sampled_from(["0.1.0", "1.2.3-rc.1"])),
        description=draw(st.text(max_size=8)),
        extensions=() if name else tuple(draw(st.lists(st.text(max_size=5), max_size=2))),
        metadata=draw(st.just(Metadata()) | metadata(values)),
        workflows={each: draw(workflows(values, depth - 1, each)) for each in inner},
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
