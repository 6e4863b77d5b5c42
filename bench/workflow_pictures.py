"""What it costs to draw workflows, and to import those of other programs.

    python bench/workflow_pictures.py [--json] [--seed 1] [--repeat 7]

The graphs are random: most edges short, up to three into a node. `fan` is one node that feeds 500
which feed one, `chain` 500 in a row. The peer is the layout alone of grandalf, a layered one in
Python too (`pip install grandalf`), without ports, text or drawing. Milliseconds, medians.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from symphony.workflow import Edge, Node, NodeId, NodeKind, PortRef, Workflow
from symphony.workflow.imports import import_document
from symphony.workflow.pictures import svg, tree

Row = dict[str, str | float | bool | None]


def rows(seed: int = 1, repeat: int = 7) -> list[Row]:
    found = [
        _drawn("svg, 20 nodes", tangle(20, seed), 20.0, repeat),
        _drawn("svg, 100 nodes", tangle(100, seed), 200.0, repeat),
        _drawn("svg, 500 nodes", tangle(500, seed), 1000.0, repeat),
        _drawn("svg, fan of 500", fan(500), 1000.0, repeat),
        _drawn("svg, chain of 500", chain(500), 1000.0, repeat),
    ]
    large = tangle(500, seed)
    found.append(_row("tree, 500 nodes", _median(lambda: tree(_fresh(large)), repeat), 100.0))
    export = _export(500)
    found.append(
        _row("import of n8n, 500 nodes", _median(lambda: import_document(export), repeat), 250.0)
    )
    return found


def tangle(count: int, seed: int) -> Workflow:
    dice = random.Random(seed)
    pairs = {
        (dice.randrange(max(0, number - 12), number), number)
        for number in range(1, count)
        for _ in range(dice.choice((1, 1, 2, 3)))
    }
    return _workflow(count, sorted(pairs))


def fan(count: int) -> Workflow:
    inner = range(1, count + 1)
    pairs = [(0, number) for number in inner] + [(number, count + 1) for number in inner]
    return _workflow(count + 2, pairs)


def chain(count: int) -> Workflow:
    return _workflow(count, [(number, number + 1) for number in range(count - 1)])


def _workflow(count: int, pairs: list[tuple[int, int]]) -> Workflow:
    names = [NodeId(f"n{number}") for number in range(count)]
    nodes = tuple(Node(name, NodeKind.OPERATOR, use="text.template") for name in names)
    edges = (Edge(PortRef(names[a]), PortRef(names[b], f"in{a}")) for a, b in pairs)
    return Workflow("bench", nodes, tuple(edges))


def _export(count: int) -> str:
    nodes = [
        {
            "name": f"Step {number}",
            "type": "n8n-nodes-base.code",
            "position": [200 * number, 0],
            "parameters": {"jsCode": "return items;", "mode": "each"},
        }
        for number in range(count)
    ]
    connections = {
        f"Step {number}": {"main": [[{"node": f"Step {number + 1}", "type": "main", "index": 0}]]}
        for number in range(count - 1)
    }
    return json.dumps({"name": "bench", "nodes": nodes, "connections": connections})


def _drawn(measure: str, workflow: Workflow, goal: float, repeat: int) -> Row:
    ours = _median(lambda: svg(_fresh(workflow)), repeat)
    return _row(measure, ours, goal, _grandalf(workflow, repeat))


def _grandalf(workflow: Workflow, repeat: int) -> float | None:
    try:
        graphs: Any = importlib.import_module("grandalf.graphs")  # it has no types
        layouts: Any = importlib.import_module("grandalf.layouts")
    except ImportError:
        return None

    class View:
        w, h = 140, 46

    def lay_out() -> None:
        vertices = [graphs.Vertex(node.id) for node in workflow.nodes]
        for vertex in vertices:
            vertex.view = View()
        numbers = workflow.numbers
        edges = [
            graphs.Edge(vertices[numbers[edge.source.node]], vertices[numbers[edge.target.node]])
            for edge in workflow.edges
        ]
        for component in graphs.Graph(vertices, edges).C:
            layout = layouts.SugiyamaLayout(component)
            layout.init_all()
            layout.draw(3)

    try:
        return _median(lay_out, min(repeat, 3))
    except RecursionError:
        return None


def _fresh(workflow: Workflow) -> Workflow:
    """Without what it remembers."""
    return msgspec.structs.replace(workflow)


def _median(work: Callable[[], object], repeat: int) -> float:
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        spent.append((time.perf_counter() - start) * 1000)
    return statistics.median(spent)


def _row(measure: str, ours: float, goal: float, peer: float | None = None) -> Row:
    return {
        "measure": f"{measure}, ms",
        "ours": round(ours, 2),
        "peer": None if peer is None else round(peer, 2),
        "peer_name": "grandalf, layout alone",
        "ratio": None if peer is None else round(ours / peer, 3),
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
        print(f"{row['measure']:34} {row['ours']:>9} peer {row['peer']} goal {row['goal']}")


if __name__ == "__main__":
    main()
