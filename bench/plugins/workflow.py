"""Our engine in the harness of the peers, `../shared/bench/wf/peers.py`.

    python ../shared/bench/wf/peers.py run --plugin bench/plugins/workflow.py \\
        --peers ours,ours-durable,hamilton,traversal-async --against traversal-async

State and events are on: every event is folded, and read by nobody. `ours` keeps no journal, as the
peers in memory do; `ours-durable` commits each node's end before another starts for it. The store
and the journal are opened once, and as many nodes may run at a time as want to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from peers import Graph, Peer, step  # type: ignore[import-not-found]  # of the harness

from symphony.commons.clock import SystemClock
from symphony.commons.values import Value
from symphony.execution import BodyContext
from symphony.pit.artifacts import open_store
from symphony.pit.tracker import (
    Level,
    Limits,
    Manner,
    NodeTask,
    Prepared,
    open_journal,
    perform,
)
from symphony.workflow import Edge, Node, NodeId, NodeKind, PortRef, Workflow


class Steps:
    """An engine of one body."""

    async def run(self, task: NodeTask, _: BodyContext) -> Mapping[str, Value]:
        return {"value": step(*task.inputs.values())}


class Ours(Peer):  # type: ignore[misc]  # of the harness
    name = "ours"
    level = Level.MEMORY

    def build(self, graph: Graph) -> None:
        names = [NodeId(f"n{number}") for number in range(graph.size)]
        nodes = tuple(Node(name, NodeKind.OPERATOR, use="step") for name in names)
        edges = tuple(
            Edge(PortRef(names[parent]), PortRef(names[number], f"p{port}"))
            for number, above in enumerate(graph.parents)
            for port, parent in enumerate(above)
        )
        self.plan = Prepared(Workflow("bench", nodes, edges))
        self.sink = names[graph.sink]
        self.runs = 0
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.runner.run(self._open(Path(self.dir)))

    async def _open(self, folder: Path) -> None:
        self.store = await self.stack.enter_async_context(open_store(folder / "artifacts"))
        self.journal = await self.stack.enter_async_context(open_journal(folder / "runs.db"))

    def run(self) -> Any:  # Any: the harness compares it
        return self.runner.run(self._run())

    async def _run(self) -> Value:
        self.runs += 1
        status = await perform(
            self.plan,
            {},
            run_id=f"run-{self.runs}",
            engine=Steps(),
            journal=self.journal,
            store=self.store,
            clock=SystemClock(),
            manner=Manner(limits=Limits(1_000_000), level=self.level),
        )
        return status.nodes[self.sink].outputs["value"]


class OursDurable(Ours):
    name = "ours-durable"
    durable = True
    level = Level.PROCESS
