"""What the tracker costs a node: 10,000 trivial bodies as chain, layers and fan, journal on.

    python bench/execution.py [--json] [--nodes 10000] [--passes 5] [--dir FOLDER]

Ours is `perform` as the app calls it: the workflow is pinned and its document kept, every event is
folded and committed to SQLite (level `process`: survives kill -9, not synced), values are checked
against the schemas of their ports, kept as JSON, and handed out as copies. The peer does nothing
of the sort: it is the loop one would write by hand, an asyncio task a node over a count of parents,
the floor that asyncio itself sets. Figures are microseconds a node, medians over the passes, in
which the two take turns; every final value is checked. FOLDER should lie on a real disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from symphony.commons.clock import SystemClock
from symphony.commons.values import Value
from symphony.engines import LocalEngine
from symphony.execution import BodyContext, RunState
from symphony.pit.artifacts import open_store
from symphony.pit.tracker import open_journal, perform
from symphony.workflow import (
    Edge,
    Graph,
    Node,
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Signature,
    Workflow,
)

CONCURRENCY = 16
WIDTH = 100
Row = dict[str, str | float | bool | None]


async def add(
    inputs: Mapping[str, Value],
    context: BodyContext,  # noqa: ARG001 - the protocol has it
) -> Mapping[str, Value]:
    """One more than the sum of what the parents gave, short enough for any machine word."""
    return {"value": total(value for value in inputs.values() if isinstance(value, int))}


def total(values: Iterable[int]) -> int:
    return (1 + sum(values)) % 1_000_003


class Catalog:
    """Operators `add0`, `add1`, ...: each has as many input ports as its name says."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        if kind is not NodeKind.OPERATOR:
            return None
        ports = range(int(use.removeprefix("add")))
        return Signature(
            tuple(Port(f"p{port}", {"type": "integer"}) for port in ports),
            (Port("value", {"type": "integer"}),),
        )

    def names(self, kind: NodeKind) -> list[str]:
        return ["add1"] if kind is NodeKind.OPERATOR else []


def chain(count: int) -> list[list[int]]:
    return [[number - 1] if number else [] for number in range(count)]


def layers(count: int) -> list[list[int]]:
    """Each node needs two of the layer before."""
    parents: list[list[int]] = []
    for number in range(count):
        layer, place = divmod(number, WIDTH)
        above = (layer - 1) * WIDTH
        parents.append([above + place, above + (place + 1) % WIDTH] if layer else [])
    return parents


def fan(count: int) -> list[list[int]]:
    return [[], *([0] for _ in range(count - 2)), list(range(1, count - 1))]


def workflow_of(parents: list[list[int]]) -> Workflow:
    names = [NodeId(f"n{number}") for number in range(len(parents))]
    return Workflow(
        "bench",
        tuple(
            Node(name, NodeKind.OPERATOR, use=f"add{len(above)}")
            for name, above in zip(names, parents, strict=True)
        ),
        tuple(
            Edge(PortRef(names[parent]), PortRef(names[number], f"p{port}"))
            for number, above in enumerate(parents)
            for port, parent in enumerate(above)
        ),
    )


def expected(parents: list[list[int]]) -> int:
    values: list[int] = []
    for above in parents:
        values.append(total(values[parent] for parent in above))
    return values[-1]


async def by_hand(parents: list[list[int]], children: list[list[int]]) -> int:
    values = [0] * len(parents)
    waiting = [len(above) for above in parents]

    async def body(number: int) -> None:
        values[number] = total(values[parent] for parent in parents[number])
        for child in children[number]:
            waiting[child] -= 1
            if not waiting[child]:
                tasks.create_task(body(child))

    async with asyncio.TaskGroup() as tasks:
        for number, count in enumerate(waiting[:]):
            if not count:
                tasks.create_task(body(number))
    return values[-1]


async def ours(workflow: Workflow, folder: Path) -> tuple[float, Value]:
    """Seconds, and the last node's value. Opening and closing the stores is not counted."""
    engine = LocalEngine(lambda _, __: add, Catalog(), default_timeout_s=60)
    async with (
        open_store(folder / "artifacts") as store,
        open_journal(folder / "runs.db") as journal,
    ):
        start = time.perf_counter()
        status = await perform(
            workflow,
            {},
            run_id="bench",
            engine=engine,
            journal=journal,
            store=store,
            concurrency=CONCURRENCY,
            observer=lambda _: None,
            clock=SystemClock(),
        )
        seconds = time.perf_counter() - start
    if status.state is not RunState.COMPLETED:
        raise SystemExit(f"the run ended {status.state}")
    return seconds, status.nodes[workflow.nodes[-1].id].outputs["value"]


def measured(name: str, parents: list[list[int]], passes: int, base: Path | None) -> Row:
    workflow, answer = workflow_of(parents), expected(parents)
    children = Graph(workflow).children
    mine: list[float] = []
    peers: list[float] = []
    for _ in range(passes):
        with tempfile.TemporaryDirectory(dir=base) as folder:
            seconds, value = asyncio.run(ours(workflow, Path(folder)))
        start = time.perf_counter()
        by_peer = asyncio.run(by_hand(parents, children))
        peers.append(time.perf_counter() - start)
        mine.append(seconds)
        if value != answer or by_peer != answer:
            raise SystemExit(f"{name}: {value} and {by_peer} instead of {answer}")
    per_node = 1e6 / len(parents)
    own, peer = statistics.median(mine) * per_node, statistics.median(peers) * per_node
    return {
        "measure": f"{name} of {len(parents):,}, us a node",
        "ours": round(own, 2),
        "peer": round(peer, 2),
        "peer_name": "one asyncio task a node, nothing recorded",
        "ratio": round(own / peer, 2),
        "goal": None,
        "met": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    rows = [
        measured(shape.__name__, shape(options.nodes), options.passes, options.dir)
        for shape in (chain, layers, fan)
    ]
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['measure']:32} ours {row['ours']:>8}  peer {row['peer']:>8}  x{row['ratio']}")


if __name__ == "__main__":
    main()
