"""A stage for runs: workflows in a few words, an engine of plain coroutine functions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from symphony.commons.clock import Clock, SystemClock
from symphony.commons.errors import Category, SymphonyError
from symphony.commons.values import Value
from symphony.execution import (
    BodyContext,
    Event,
    NodeStatus,
    Recorded,
    RunStatus,
    decode_turn,
    encode_turn,
)
from symphony.pit.artifacts import ArtifactStore, open_store
from symphony.pit.tracker import (
    Journal,
    Manner,
    NodeProgress,
    NodeTask,
    Observer,
    RunControl,
    open_journal,
    perform,
    resume,
)
from symphony.workflow import Edge, EdgeKind, Node, NodeId, NodeKind, PortRef, Workflow

Function = Callable[[Mapping[str, Value], BodyContext], Awaitable[Mapping[str, Value]]]


def operator(name: str, use: str = "pass", **params: Value) -> Node:
    return Node(NodeId(name), NodeKind.OPERATOR, use=use, params=params)


def source(name: str, **fields: Value) -> Node:
    return Node(NodeId(name), NodeKind.INPUT, **fields)  # type: ignore[arg-type]  # as given


def sink(id_: str, schema: dict[str, Value] | None = None, name: str = "") -> Node:
    return Node(NodeId(id_), NodeKind.OUTPUT, schema=schema or {}, name=name)


def node(name: str, kind: NodeKind, **fields: object) -> Node:
    return Node(NodeId(name), kind, **fields)  # type: ignore[arg-type]  # as given


def edge(spelled: str, **fields: object) -> Edge:
    start, end = spelled.split(" -> ")
    return Edge(PortRef.parse(start), PortRef.parse(end), **fields)  # type: ignore[arg-type]


def after(spelled: str, when: str = "") -> Edge:
    """A control edge."""
    return edge(spelled, kind=EdgeKind.CONTROL, when=when)


def workflow(nodes: list[Node], *edges: str | Edge, **inner: Workflow) -> Workflow:
    """Edges are spelled "a -> b.port"; `inner` are the workflows that nodes may use."""
    made = tuple(edge(each) if isinstance(each, str) else each for each in edges)
    return Workflow("test", tuple(nodes), made, workflows=inner)


class Functions:
    """An engine that calls the function that a node uses."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = {"pass": pass_on, **functions}

    async def run(self, task: NodeTask, context: BodyContext) -> Mapping[str, Value]:
        return await self._functions[task.node.use](task.inputs, context)


async def pass_on(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
    return {"value": inputs.get("value")}


class BodyBroke(SymphonyError):
    code = "test.broke"
    category = Category.IO

    def __init__(self) -> None:
        super().__init__("It broke.", hint="Mend it.")


async def breaks(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
    raise BodyBroke


async def adds(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
    return {"value": sum(value for value in inputs.values() if isinstance(value, int))}


def gives(value: Value) -> Function:
    async def body(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        return {"value": value}

    return body


def states(status: RunStatus) -> dict[str, str]:
    return {name: str(node.state) for name, node in status.nodes.items()}


class Gate:
    """A body that says that it has begun and ends when it is let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.cancelled = False

    async def __call__(
        self, inputs: Mapping[str, Value], context: BodyContext
    ) -> Mapping[str, Value]:
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await pass_on(inputs, context)


@dataclass
class Stage:
    """Performs workflows with a real journal and a real store in one folder."""

    folder: Path
    store: ArtifactStore
    journal: Journal
    heard: list[Recorded | NodeProgress] = field(default_factory=list)
    clock: Clock = field(default_factory=SystemClock)
    waiting: list[tuple[Callable[[Event], bool], asyncio.Event]] = field(default_factory=list)

    async def play(
        self,
        workflow: Workflow,
        functions: Mapping[str, Function] | None = None,
        inputs: Mapping[str, Value] | None = None,
        *,
        run_id: str = "run-1",
        concurrency: int = 4,
        control: RunControl | None = None,
        observer: Observer | None = None,
        manner: Manner | None = None,
        again: tuple[str, Mapping[str, NodeStatus]] | None = None,
    ) -> RunStatus:
        return await perform(
            workflow,
            inputs or {},
            run_id=run_id,
            engine=Functions(functions or {}),
            journal=self.journal,
            store=self.store,
            concurrency=concurrency,
            observer=observer or self.hear,
            clock=self.clock,
            control=control,
            manner=manner,
            again=again,
        )

    async def go_on(
        self,
        functions: Mapping[str, Function] | None = None,
        *,
        run_id: str = "run-1",
        concurrency: int = 4,
        control: RunControl | None = None,
        workflow: Workflow | None = None,
    ) -> RunStatus:
        return await resume(
            run_id,
            engine=Functions(functions or {}),
            journal=self.journal,
            store=self.store,
            concurrency=concurrency,
            observer=self.hear,
            clock=self.clock,
            control=control,
            workflow=workflow,
        )

    def cut_off(self, count: int, run_id: str = "run-1", new_id: str = "cut") -> None:
        """Make a run of the first `count` events of another, as if its process had died then."""
        with closing(sqlite3.connect(self.folder / "runs.db")) as db, db:
            db.execute(
                "INSERT INTO runs (run, fingerprint) SELECT ?, fingerprint FROM runs WHERE run = ?",
                (new_id, run_id),
            )
            rows = db.execute("SELECT seq, body FROM turns WHERE run = ? ORDER BY seq", (run_id,))
            events = [each for seq, body in rows for each in decode_turn(seq, body)][:count]
            row = (new_id, 1, count, "running", encode_turn(events))
            db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?)", row)

    def hear(self, news: Recorded | NodeProgress) -> None:
        self.heard.append(news)
        for happens, happened in self.waiting:
            if isinstance(news, Recorded) and happens(news.event):
                happened.set()

    async def until(self, happens: Callable[[Event], bool]) -> None:
        """Return soon after the first event from now on of which this is true."""
        happened = asyncio.Event()
        self.waiting.append((happens, happened))
        await asyncio.wait_for(happened.wait(), 5)

    @property
    def events(self) -> list[Event]:
        return [each.event for each in self.heard if isinstance(each, Recorded)]


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    async with (
        open_store(folder / "artifacts", cache_bytes=0) as store,
        open_journal(folder / "runs.db") as journal,
    ):
        yield Stage(folder, store, journal)


def on_stage(folder: Path, act: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_stage(folder) as stage:
            await act(stage)

    asyncio.run(main())
