"""What it costs to validate a workflow: a large one of all kinds, one of everyday size, and one in
which everything is wrong.

    python bench/workflow_validation.py [--json] [--seed 1] [--repeat 7]

The large one has 10,000 nodes and 20,000 edges: operators of the built-in catalog with constants,
expressions and templates among their parameters, conditions and transforms on edges, policies,
branches and merges, and nodes that run workflows. `peer` is null: no peer validates as much.
Figures are milliseconds, medians; expressions are compiled anew for each.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterable

import msgspec

from symphony.commons.values import Value
from symphony.operators import BUILTIN
from symphony.workflow import (
    Case,
    Edge,
    EdgeKind,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    Severity,
    Signature,
    Workflow,
    dumps,
    loads,
    validate,
)
from symphony.workflow._model import Transform
from symphony.workflow._policy import Policy, Retry
from symphony.workflow.validation._formulas import compiled, template_names

Row = dict[str, str | float | bool | None]

NODES, EDGES = 10_000, 20_000
GOAL_LARGE_MS, GOAL_SMALL_MS, GOAL_FAULTS_MS = 150.0, 10.0, 1_000.0

#: Uses, with what goes into each and comes out: mixed as in workflows that people draw.
STEPS: tuple[tuple[str, dict[str, Value], str, tuple[str, ...]], ...] = (
    ("text.template", {"template": "{{ value }} of {{ other }}"}, "value", ("value", "with.other")),
    ("list.filter", {"expression": "item != null && index < 100"}, "value", ("items",)),
    ("list.map", {"expression": "string(item) + suffix"}, "value", ("items", "with.suffix")),
    ("list.sort", {"by": "item", "limit": 10}, "value", ("items",)),
    ("value.expression", {"expression": "value"}, "value", ("value",)),
    ("json.write", {"path": "out.json"}, "path", ("value",)),
    ("list.group", {"by": "item.kind", "aggregate": {"n": {"count": "true"}}}, "value", ("items",)),
)
LISTS = ("list.filter", "list.map", "list.sort", "list.group")


class BuiltIn:
    """The operators that come with Symphony."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        operator = BUILTIN.get(use) if kind is NodeKind.OPERATOR else None
        return None if operator is None else operator.signature

    def names(self, kind: NodeKind) -> Iterable[str]:
        return BUILTIN if kind is NodeKind.OPERATOR else ()


def _inner() -> Workflow:
    nodes = (
        Node(NodeId("item"), NodeKind.INPUT),
        Node(
            NodeId("step"),
            NodeKind.OPERATOR,
            use="value.expression",
            params={"expression": "value"},
        ),
        Node(NodeId("result"), NodeKind.OUTPUT),
    )
    edges = (_edge("item", "step.value"), _edge("step", "result"))
    return Workflow("inner", nodes, edges)


def _edge(source: str, target: str) -> Edge:
    return Edge(PortRef.parse(source), PortRef.parse(target))


def large(seed: int, count: int = NODES, edge_count: int = EDGES) -> Workflow:
    """A valid workflow in which each node takes from those before it."""
    choose = random.Random(seed)
    nodes: list[Node] = [Node(NodeId("start"), NodeKind.INPUT)]
    edges: list[Edge] = []
    lists, values = ["start"], ["start"]

    def source(*, is_list: bool = False) -> str:
        return choose.choice((lists if is_list else values)[-200:])

    while len(nodes) < count - 1:
        name = f"n{len(nodes)}"
        roll = choose.random()
        if roll < 0.03:
            nodes.append(Node(NodeId(name), NodeKind.BRANCH, cases=(Case("yes", "value != null"),)))
            edges.append(_edge(source(), name))
            merge = f"{name}-m"
            nodes.append(Node(NodeId(merge), NodeKind.MERGE))
            edges += [_edge(f"{name}.yes", merge), _edge(f"{name}.otherwise", merge)]
            values.append(merge)
        elif roll < 0.06:
            nodes.append(Node(NodeId(name), NodeKind.MAP, use="inner", limit=100))
            edges.append(_edge(source(is_list=True), f"{name}.items"))
            lists.append(f"{name}.result")
        elif roll < 0.08:
            nodes.append(Node(NodeId(name), NodeKind.JOIN))
            edges += [_edge(source(), f"{name}.p{port}") for port in range(3)]
            values.append(name)
        else:
            use, params, port, inputs = choose.choice(STEPS)
            policy = Policy(retry=Retry(attempts=5)) if choose.random() < 0.1 else Policy()
            nodes.append(
                Node(NodeId(name), NodeKind.OPERATOR, use=use, params=params, policy=policy)
            )
            for each in inputs:
                edge = _edge(source(is_list=each == "items"), f"{name}.{each}")
                if choose.random() < 0.05:
                    edge = msgspec.structs.replace(edge, when="value != null")
                elif each == "items" and choose.random() < 0.1:
                    step = Transform(filter="item != null")
                    edge = msgspec.structs.replace(edge, transform=(step,))
                edges.append(edge)
            (lists if use in LISTS else values).append(
                name if port == "value" else f"{name}.{port}"
            )
    end = NodeId("end")
    nodes.append(Node(end, NodeKind.OUTPUT, params={"value": True}))
    used = {edge.source.node for edge in edges}
    unread = [node.id for node in nodes[:-1] if node.id not in used]
    edges += [Edge(PortRef(each), PortRef(end), EdgeKind.CONTROL) for each in unread]
    while len(edges) < edge_count:
        one, other = sorted(choose.sample(range(1, count - 1), 2))
        pair = (PortRef(nodes[one].id), PortRef(nodes[other].id))
        edges.append(Edge(*pair, kind=EdgeKind.CONTROL))
    return Workflow("large", tuple(nodes), tuple(edges), workflows={"inner": _inner()})


def everyday(seed: int) -> str:
    """The text of one with 20 nodes."""
    return dumps(large(seed, 20, 30))


def faulty() -> Workflow:
    """Each of 10,000 edges leads to a node that is not there."""
    node = Node(NodeId("n"), NodeKind.OPERATOR, use="text.template", params={"template": "x"})
    nodes = tuple(msgspec.structs.replace(node, id=NodeId(f"node-{n}")) for n in range(NODES))
    edges = (_edge(f"node-{n}", f"nod-{n}.value") for n in range(NODES))
    return loads(dumps(Workflow("faulty", nodes, tuple(edges))))


def _median_ms(action: Callable[[], object], repeat: int) -> float:
    taken = []
    for _ in range(repeat):
        compiled.cache_clear()
        template_names.cache_clear()
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def rows(seed: int, repeat: int) -> list[Row]:
    catalog = BuiltIn()
    workflow, text, wrong = large(seed), everyday(seed), dumps(faulty())
    errors = [each for each in validate(workflow, catalog) if each.severity is Severity.ERROR]
    assert not errors, errors[0]
    return [
        _row(
            f"validate {len(workflow.nodes):,} nodes, {len(workflow.edges):,} edges, ms",
            _median_ms(lambda: validate(_fresh(workflow), catalog), repeat),
            GOAL_LARGE_MS,
        ),
        _row(
            "load and validate 20 nodes, ms",
            _median_ms(lambda: validate(loads(text), catalog), repeat),
            GOAL_SMALL_MS,
        ),
        _row(
            "load and validate 10,000 faults, ms",
            _median_ms(lambda: validate(loads(wrong), catalog), max(3, repeat // 2)),
            GOAL_FAULTS_MS,
        ),
    ]


def _fresh(workflow: Workflow) -> Workflow:
    """Without what it remembers."""
    return msgspec.structs.replace(workflow)


def _row(measure: str, ours: float, goal: float) -> Row:
    return {
        "measure": measure,
        "ours": round(ours, 2),
        "peer": None,
        "peer_name": None,
        "ratio": None,
        "goal": f"<= {goal:g}",
        "met": ours <= goal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    found = rows(options.seed, options.repeat)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for row in found:
        print(f"{row['measure']:50} {row['ours']:>10} goal {row['goal']} met {row['met']}")


if __name__ == "__main__":
    main()
