"""Graphs, edits and the builder, on a random graph of 10,000 nodes and about 20,000 edges.

    python bench/workflow.py [--json] [--seed 3] [--repeat 9] [--large 1000000]

The graph has two parents a node among the thousand nodes before it, and comes from the text of a
workflow file. The peers get the same workflow and read the same names off its edges; they and ours
take turns, each with a fresh graph; results are compared. A peer that is not installed gives a row
with `peer` null (`pip install networkx rustworkx`). Figures are medians. `--large 0` leaves out the
graph of a million nodes, which takes a minute and 2 GB. The rows of `workflow_<part>.py` follow.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from symphony.workflow import (
    Edge,
    Graph,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    Workflow,
    WorkflowBuilder,
    dumps,
    loads,
    with_edge,
    with_node,
    with_params,
    with_position,
    with_renamed_node,
    without_edge,
    without_node,
)

NODES = 10_000
WINDOW = 1000
Row = dict[str, str | float | bool | None]
#: A library's graph, made of the workflow, and what it does with it: order, levels and so on.
Library = Any  # none of them has types
Step = Callable[[Workflow], Workflow]


def pairs(count: int, seed: int) -> list[tuple[int, int]]:
    """Parent and child; the same graph as in the peers' own comparisons."""
    chance = random.Random(seed)
    parents = [
        sorted({max(0, number - chance.randint(1, WINDOW)) for _ in range(2)}) if number else []
        for number in range(count)
    ]
    return [(parent, number) for number, above in enumerate(parents) for parent in above]


def workflow_of(count: int, edges: list[tuple[int, int]]) -> Workflow:
    names = [NodeId(f"n{number}") for number in range(count)]
    refs = [PortRef(name) for name in names]
    nodes = tuple(
        Node(name, NodeKind.OPERATOR, "any", estimate_s=float(number % 7))
        for number, name in enumerate(names)
    )
    return Workflow("bench", nodes, tuple(Edge(refs[a], refs[b]) for a, b in edges))


def fresh(workflow: Workflow) -> Workflow:
    """Without what it remembers."""
    return msgspec.structs.replace(workflow)


def numbers(workflow: Workflow) -> tuple[list[str], list[tuple[int, int]]]:
    """What a library that counts nodes has to be told."""
    places = {node.id: number for number, node in enumerate(workflow.nodes)}
    links = [(places[edge.source.node], places[edge.target.node]) for edge in workflow.edges]
    return list(places), links


class Ours:
    name = "symphony"

    def build(self, workflow: Workflow) -> Graph:
        return Graph(workflow)

    def sort(self, graph: Graph) -> tuple[bool, int, int]:
        """Without a cycle? How many nodes in order, and on how many levels?"""
        return not graph.find_cycles(), len(graph.order()), len(graph.levels())

    def order(self, graph: Graph) -> int:
        return len(graph.order())

    def leads(self, graph: Graph, a: int, b: int) -> bool:
        return graph.would_create_cycle(f"n{b}", f"n{a}")

    def ancestors(self, graph: Graph, number: int) -> int:
        return len(graph.ancestors(f"n{number}"))

    def longest(self, graph: Graph) -> float:
        return graph.critical_path().seconds


class Rustworkx:
    name = "rustworkx"

    def __init__(self) -> None:
        self.library: Library = importlib.import_module("rustworkx")

    def build(self, workflow: Workflow) -> Library:
        _, links = numbers(workflow)
        graph = self.library.PyDiGraph()
        graph.add_nodes_from(list(workflow.nodes))
        graph.add_edges_from_no_data(links)
        return graph

    def sort(self, graph: Library) -> tuple[bool, int, int]:
        return (
            self.library.is_directed_acyclic_graph(graph),
            self.order(graph),
            len(self.library.topological_generations(graph)),
        )

    def order(self, graph: Library) -> int:
        return len(list(self.library.topological_sort(graph)))

    def leads(self, graph: Library, a: int, b: int) -> bool:
        return bool(self.library.has_path(graph, a, b))

    def ancestors(self, graph: Library, number: int) -> int:
        return len(self.library.ancestors(graph, number))

    def longest(self, graph: Library) -> float:
        nodes = graph.nodes()
        path = self.library.dag_weighted_longest_path(
            graph, lambda _, target, __: seconds(nodes[target])
        )
        return sum(seconds(nodes[number]) for number in path)


class Networkx:
    name = "networkx"

    def __init__(self) -> None:
        self.library: Library = importlib.import_module("networkx")

    def build(self, workflow: Workflow) -> Library:
        _, links = numbers(workflow)
        graph = self.library.DiGraph()
        graph.add_nodes_from(range(len(workflow.nodes)))
        graph.add_edges_from(links)
        graph.graph["nodes"] = workflow.nodes
        return graph

    def sort(self, graph: Library) -> tuple[bool, int, int]:
        return (
            self.library.is_directed_acyclic_graph(graph),
            self.order(graph),
            len(list(self.library.topological_generations(graph))),
        )

    def order(self, graph: Library) -> int:
        return len(list(self.library.topological_sort(graph)))

    def leads(self, graph: Library, a: int, b: int) -> bool:
        return bool(self.library.has_path(graph, a, b))

    def ancestors(self, graph: Library, number: int) -> int:
        return len(self.library.ancestors(graph, number))

    def longest(self, graph: Library) -> float:
        nodes = graph.graph["nodes"]
        for _, target, data in graph.edges(data=True):
            data["weight"] = seconds(nodes[target])
        path = self.library.dag_longest_path(graph)
        return sum(seconds(nodes[number]) for number in path)


def seconds(node: Node) -> float:
    return node.estimate_s or 0.0


def installed() -> list[Library]:
    found = []
    for peer in (Rustworkx, Networkx):
        try:
            found.append(peer())
        except ModuleNotFoundError:
            continue
    return found


def timed(action: Callable[[], object]) -> tuple[float, object]:
    gc.collect()
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def compared(
    measure: str,
    act: Callable[[Library, Any], object],
    prepare: Callable[[Library], object],
    repeat: int,
    *,
    scale: float = 1e3,
    goal: float | None = None,
    ratio: float | None = None,
) -> list[Row]:
    """A row for ours beside each peer. Raises SystemExit if their results differ."""
    libraries: list[Library] = [Ours(), *installed()]
    taken: dict[str, list[float]] = {library.name: [] for library in libraries}
    for _ in range(repeat):
        results = set()
        for library in libraries:
            prepared = prepare(library)
            spent, result = timed(partial(act, library, prepared))
            taken[library.name].append(spent * scale)
            results.add(result)
        if len(results) > 1:
            raise SystemExit(f"{measure}: the results differ: {results}")
    own = statistics.median(taken.pop("symphony"))
    peers = {name: statistics.median(each) for name, each in taken.items()}
    return [
        row(
            measure,
            own,
            peers.get(name),
            name,
            goal=goal,
            ratio=ratio if name == "rustworkx" else None,
        )
        for name in ("rustworkx", "networkx")
    ]


def row(
    measure: str,
    own: float,
    peer: float | None = None,
    name: str | None = None,
    *,
    goal: float | None = None,
    ratio: float | None = None,
) -> Row:
    """Both goals have to be met, as far as they are set and the peer is there."""
    goals = [f"<= {goal:g}"] if goal is not None else []
    goals += [f"<= {ratio:g}x"] if ratio is not None else []
    met = (goal is None or own <= goal) and (ratio is None or peer is None or own <= ratio * peer)
    return {
        "measure": measure,
        "ours": round(own, 3),
        "peer": None if peer is None else round(peer, 3),
        "peer_name": name,
        "ratio": None if peer is None else round(own / peer, 2),
        "goal": ", ".join(goals) or None,
        "met": met if goals else None,
    }


def graph_rows(seed: int, repeat: int) -> list[Row]:
    workflow = loads(dumps(workflow_of(NODES, pairs(NODES, seed))))
    chance = random.Random(seed)
    asked = [(chance.randrange(NODES), chance.randrange(NODES)) for _ in range(100)]
    size = f"{NODES:,} nodes, {len(workflow.edges):,} edges"
    return [
        *compared(
            f"{size}: names to graph, cycle, order, levels, ms",
            lambda library, flow: library.sort(library.build(flow)),
            lambda _: fresh(workflow),
            repeat,
            goal=5,
            ratio=2.2,
        ),
        *compared(
            "the graph alone, ms",
            lambda library, flow: library.build(flow) is None,
            lambda _: fresh(workflow),
            repeat,
        ),
        *compared(
            "cycle, order and levels on it, ms",
            lambda library, graph: library.sort(graph),
            lambda library: library.build(workflow),
            repeat,
            ratio=2.2,
        ),
        *compared(
            "would an edge create a cycle, us",
            lambda library, graph: sum(library.leads(graph, a, b) for a, b in asked if a != b),
            lambda library: warmed(library.build(workflow)),
            repeat,
            scale=1e6 / len(asked),
        ),
        *compared(
            "all ancestors of the middle node, ms",
            lambda library, graph: library.ancestors(graph, NODES // 2),
            lambda library: warmed(library.build(workflow)),
            repeat,
        ),
        *compared(
            "critical path, ms",
            lambda library, graph: library.longest(graph),
            lambda library: warmed(library.build(workflow)),
            repeat,
        ),
    ]


def warmed(graph: Library) -> Library:
    """Ours works some lists out at the first call, which is measured above."""
    if isinstance(graph, Graph):
        graph.would_create_cycle("n0", "n1")
        _ = graph.parents
    return graph


def large_rows(count: int, seed: int) -> list[Row]:
    if not count:
        return []
    workflow = workflow_of(count, pairs(count, seed))
    graphs: dict[str, Library] = {}

    def built(library: Library) -> Library:
        if library.name not in graphs:
            graphs[library.name] = library.build(workflow)
        return graphs[library.name]

    found = compared(
        f"{count:,} nodes: topological order, s",
        lambda library, graph: library.order(graph),
        built,
        1,
        scale=1,
        goal=1,
    )
    chain = Graph(workflow_of(count, [(number, number + 1) for number in range(count - 1)]))
    spent, length = timed(lambda: len(chain.critical_path().nodes))
    if length != count:
        raise SystemExit(f"the critical path of a chain has {length} nodes")
    return [*found, row(f"a chain of {count:,} nodes: critical path, s", spent)]


def edit_rows(seed: int, repeat: int) -> list[Row]:
    base = workflow_of(NODES, pairs(NODES, seed))
    first = with_params(base, "n0", {"a": 1})  # makes the index
    chance = random.Random(seed)
    names = [f"n{number}" for number in chance.sample(range(NODES), 100)]
    edges = chance.sample(first.edges, 100)
    extra = [Node(NodeId(f"x{number}"), NodeKind.JOIN) for number in range(100)]
    edits = {
        "parameters": [edit(with_params, name, {"a": 2}) for name in names],
        "position": [edit(with_position, name, (1, 2)) for name in names],
        "one more node": [edit(with_node, node) for node in extra],
        "one node less, with its edges": [edit(without_node, name) for name in names],
        "another name": [edit(with_renamed_node, name, f"{name}-new") for name in names],
        "one more edge": [edit(with_edge, each) for each in edges],
        "one edge less": [edit(without_edge, each) for each in edges],
    }
    rows = []
    for what, steps in edits.items():
        taken: list[float] = []
        floor: list[float] = []
        for _ in range(repeat):
            taken.append(timed(partial(in_turn, first, steps))[0] * 1e6 / len(steps))
            floor.append(timed(partial(copied, first, len(steps)))[0] * 1e6 / len(steps))
        own, peer = statistics.median(taken), statistics.median(floor)
        rows.append(row(f"edit, {what}, us", own, peer, "nodes and edges copied", goal=200))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    versions = [first]
    for step in [step for steps in zip(*edits.values(), strict=True) for step in steps[:2]][:100]:
        versions.append(step(versions[-1]))
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return [*rows, row("a version after an edit, kB", kept / 1000 / (len(versions) - 1))]


def edit(act: Callable[..., Workflow], *given: object) -> Step:
    return lambda workflow: act(workflow, *given)


def copied(workflow: Workflow, times: int) -> None:
    """What an edit of plain lists would cost at least."""
    for _ in range(times):
        _ = (*workflow.nodes,), (*workflow.edges,)


def in_turn(workflow: Workflow, steps: list[Step]) -> Workflow:
    for step in steps:
        workflow = step(workflow)
    return workflow


def builder_rows(seed: int, repeat: int) -> list[Row]:
    links = pairs(NODES, seed)
    above: list[list[int]] = [[] for _ in range(NODES)]
    for parent, number in links:
        above[number].append(parent)

    def built() -> Workflow:
        flow = WorkflowBuilder("bench")
        handles: list[Any] = []
        for parents in above:
            given = {f"p{port}": handles[parent] for port, parent in enumerate(parents)}
            handles.append(flow.operator("area.step", given))
        return flow.build()

    taken = [timed(built)[0] * 1e6 / NODES for _ in range(repeat)]
    return [row(f"the builder, {NODES:,} operators, us a node", statistics.median(taken))]


def parts() -> list[Any]:
    """The modules beside this one that have rows of their own."""
    found = sorted(Path(__file__).parent.glob("workflow_*.py"))
    return [importlib.import_module(path.stem) for path in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--alone", action="store_true", help="without the other parts")
    options = parser.parse_args()
    found = [
        *graph_rows(options.seed, options.repeat),
        *edit_rows(options.seed, options.repeat),
        *builder_rows(options.seed, options.repeat),
        *large_rows(options.large, options.seed),
    ]
    for part in [] if options.alone else parts():
        found += part.rows(options.seed, options.repeat)
    if options.json:
        print(json.dumps(found))
        return
    for each in found:
        peer = f"{each['peer_name']} {each['peer']} x{each['ratio']}" if each["peer"] else ""
        goal = f"goal {each['goal']} met {each['met']}" if each["goal"] else ""
        print(f"{each['measure']:68} {each['ours']:>10}  {peer:28} {goal}")


if __name__ == "__main__":
    main()
