"""What the tracker costs a node: 10,000 trivial bodies in three shapes, at every commit level.

    python bench/execution.py [--json] [--nodes 10000] [--passes 5] [--dir FOLDER]

Ours is `perform` as the app calls it, of a workflow that was compiled before: every event is
folded, and committed as its level says; values are checked against the schemas of their ports, and
no body can change another's. Each row has its limit in the same run: at `memory` the loop one would
write by hand, an asyncio task a node over a count of parents, which does nothing of the sort; at
`process` and `power` a row of 120 bytes a node, committed to SQLite by itself without a sync; at
`strict` a write and fdatasync a node. Figures are microseconds of wall time a node, medians over
the passes, in which the two take turns; every final value is checked. Then the milliseconds that it
takes to read back a run of so many finished nodes for a resume, and to write its snapshot. FOLDER
should lie on a real disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from symphony.commons.clock import SystemClock
from symphony.commons.values import Value
from symphony.engines import LocalEngine
from symphony.execution import BodyContext, RunState
from symphony.pit.artifacts import open_store
from symphony.pit.tracker import Level, Limits, Manner, Prepared, open_journal, perform
from symphony.pit.tracker._machine import Tracker
from symphony.pit.tracker._plan import Plans
from symphony.pit.tracker._restore import restore
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


async def ours(workflow: Prepared, folder: Path, level: Level) -> tuple[float, Value]:
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
            clock=SystemClock(),
            manner=Manner(limits=Limits(CONCURRENCY), level=level),
        )
        seconds = time.perf_counter() - start
    if status.state is not RunState.COMPLETED:
        raise SystemExit(f"the run ended {status.state}")
    return seconds, status.nodes[workflow.workflow.nodes[-1].id].outputs["value"]


def committed_alone(count: int, folder: Path) -> float:
    """Seconds for so many rows, each committed to SQLite without a sync."""
    with closing(sqlite3.connect(folder / "limit.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB)")
        start = time.perf_counter()
        for number in range(count):
            db.execute("INSERT INTO rows VALUES (?, ?)", (number, b"x" * 120))
        return time.perf_counter() - start


def synced_alone(count: int, folder: Path) -> float:
    """Seconds for so many writes, each followed by a sync."""
    file = os.open(folder / "limit", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        start = time.perf_counter()
        for _ in range(count):
            os.write(file, b"x" * 120)
            os.fdatasync(file)
        return time.perf_counter() - start
    finally:
        os.close(file)


def limit_of(level: Level, parents: list[list[int]], folder: Path) -> float:
    if level is Level.STRICT:
        return synced_alone(len(parents), folder)
    if level is not Level.MEMORY:
        return committed_alone(len(parents), folder)
    children = Graph(workflow_of(parents)).children
    start = time.perf_counter()
    if asyncio.run(by_hand(parents, children)) != expected(parents):
        raise SystemExit("the loop by hand is wrong")
    return time.perf_counter() - start


#: At most so many times the limit; that of `memory` holds for the best peer, see the plug-in.
GOALS = {Level.PROCESS: 5.0, Level.POWER: 5.0, Level.STRICT: 2.0}
LIMITS = {
    Level.MEMORY: "one asyncio task a node, nothing recorded",
    Level.PROCESS: "a SQLite commit a node, no sync",
    Level.POWER: "a SQLite commit a node, no sync",
    Level.STRICT: "a write and fdatasync a node",
}


def measured(
    name: str, parents: list[list[int]], level: Level, passes: int, base: Path | None
) -> Row:
    workflow, answer = Prepared(workflow_of(parents)), expected(parents)
    mine: list[float] = []
    limits: list[float] = []
    for _ in range(passes):
        with tempfile.TemporaryDirectory(dir=base) as folder:
            seconds, value = asyncio.run(ours(workflow, Path(folder), level))
            limits.append(limit_of(level, parents, Path(folder)))
        mine.append(seconds)
        if value != answer:
            raise SystemExit(f"{name}: {value} instead of {answer}")
    per_node = 1e6 / len(parents)
    own, limit = statistics.median(mine) * per_node, statistics.median(limits) * per_node
    goal = GOALS.get(level)
    return {
        "measure": f"{name} of {len(parents):,}, {level}, us a node",
        "ours": round(own, 2),
        "peer": round(limit, 2),
        "peer_name": LIMITS[level],
        "ratio": round(own / limit, 2),
        "goal": goal,
        "met": None if goal is None else own <= goal * limit,
    }


def row_of(measure: str, milliseconds: float, goal: float) -> Row:
    return {
        "measure": measure,
        "ours": round(milliseconds, 1),
        "peer": None,
        "peer_name": None,
        "ratio": None,
        "goal": goal,
        "met": milliseconds <= goal,
    }


async def reading_back(nodes: int, base: Path | None) -> list[Row]:
    """A run of so many finished nodes, as its resume reads it, and its snapshot."""
    plan = Prepared(workflow_of(layers(nodes)))
    with tempfile.TemporaryDirectory(dir=base) as folder:
        await ours(plan, Path(folder), Level.PROCESS)
        async with open_journal(Path(folder) / "runs.db") as journal:
            start = time.perf_counter()
            status = await journal.status("bench")
            tracker = Tracker(Plans(plan.workflow), Limits(CONCURRENCY))
            status.state = RunState.RUNNING
            restore(tracker, status, 0.0)
            read = time.perf_counter() - start
            start = time.perf_counter()
            await journal.keep_snapshot(status)
            kept = time.perf_counter() - start
    return [
        row_of(f"resume of {nodes:,} finished nodes, ms", read * 1e3, 500.0),
        row_of(f"snapshot of {nodes:,} nodes, ms", kept * 1e3, 100.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    plans = [
        (chain, Level.MEMORY),
        (layers, Level.MEMORY),
        (fan, Level.MEMORY),
        (chain, Level.PROCESS),
        (layers, Level.PROCESS),
        (layers, Level.POWER),
        (chain, Level.STRICT),
    ]
    rows = [
        measured(
            shape.__name__,
            shape(options.nodes // 10 if level is Level.STRICT else options.nodes),
            level,
            options.passes,
            options.dir,
        )
        for shape, level in plans
    ]
    rows += asyncio.run(reading_back(options.nodes, options.dir))
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['measure']:44} ours {row['ours']:>8}  limit {row['peer'] or '-':>8}", end="")
        print(f"  x{row['ratio']}" if row["ratio"] else f"  goal {row['goal']}")


if __name__ == "__main__":
    main()
