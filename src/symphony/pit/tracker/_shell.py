"""Performs what the tracker decides: runs bodies, records events, holds values. Decides nothing.

A task a node would cost more than all the rest. So a worker awaits one body after the other in
place, and a fresh worker takes over the queue only when the others are suspended: a chain of
short bodies runs in one task, a thousand that wait in a thousand. A worker lets the loop turn
after each slice of about a millisecond.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, assert_never, cast

import msgspec

from symphony.commons.clock import Clock
from symphony.commons.errors import ErrorRecord, SymphonyError
from symphony.commons.logging import bound
from symphony.commons.schemas import Schema
from symphony.commons.secrets import scrub, scrub_record
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.execution import (
    NodeCancelled,
    NodeFailed,
    NodeStarted,
    Recorded,
    RunCancelling,
    RunCreated,
    RunFinished,
    RunStarted,
    RunState,
    RunStatus,
)
from symphony.pit.artifacts import ArtifactStore
from symphony.pit.tracker._context import NodeContext, NodeProgress, Observer, Surroundings
from symphony.pit.tracker._control import RunControl
from symphony.pit.tracker._engine import Engine, NodeTask
from symphony.pit.tracker._errors import OutputInvalid
from symphony.pit.tracker._journal import Journal
from symphony.pit.tracker._machine import (
    CancelNode,
    Effect,
    FinishRun,
    NodeEnded,
    Record,
    StartNode,
    Tracker,
)
from symphony.pit.tracker._outputs import held, keep
from symphony.pit.tracker._recorder import Recorder
from symphony.pit.tracker._values import Held, Values
from symphony.workflow import (
    DEFAULT_PORT,
    Graph,
    Node,
    NodeKind,
    PortRef,
    Workflow,
    assemble,
    bind_inputs,
    dumps,
    fingerprint,
)

_SLICE_SECONDS: Final = 0.001


async def perform(
    workflow: Workflow,
    inputs: Mapping[str, Value],
    *,
    run_id: str,
    engine: Engine,
    journal: Journal,
    store: ArtifactStore,
    concurrency: int,
    observer: Observer,
    clock: Clock,
    control: RunControl | None = None,
) -> RunStatus:
    """Run a valid workflow to its end, and return what became of it once that is committed.

    A node that fails takes with it those that need it; the others go on, and the run ends failed.
    Raises InputsInvalid or RunExists before anything has begun, and the journal's error if it
    breaks, with all bodies cancelled and awaited. If the caller is cancelled, so is the run, in
    order, and `CancelledError` comes out when it has ended; a second cancellation stops the bodies
    once more and still waits for them. An error of `observer` ends the run; it may cancel the run,
    which then happens as soon as what it was told of is dealt with.
    """
    control = control or RunControl()
    created = RunCreated(
        run_id,
        workflow.id,
        workflow.name,
        workflow.version,
        fingerprint(workflow),
        tuple(node.id for node in workflow.nodes),
        bind_inputs(workflow, inputs),
    )
    await journal.begin(run_id, created.fingerprint, dumps(workflow))
    recorder = Recorder(run_id, journal=journal, observer=observer, clock=clock)
    async with task_scope() as tasks:
        play = tasks.create_task(
            _play(
                workflow,
                created,
                recorder=recorder,
                journal=journal,
                engine=engine,
                store=store,
                concurrency=concurrency,
                control=control,
            )
        )
        try:
            await asyncio.wait([play])
        except asyncio.CancelledError:
            control.cancel("the program was stopped")
            await asyncio.wait([play])
            raise
    return recorder.status


async def _play(
    workflow: Workflow,
    created: RunCreated,
    *,
    recorder: Recorder,
    journal: Journal,
    engine: Engine,
    store: ArtifactStore,
    concurrency: int,
    control: RunControl,
) -> None:
    recorder.record(created)
    recorder.record(RunStarted())
    try:
        async with task_scope() as tasks:
            watch = tasks.create_task(journal.watch())
            performance = _Performance(
                workflow,
                created.inputs,
                tasks=tasks,
                recorder=recorder,
                engine=engine,
                store=store,
                concurrency=concurrency,
            )
            performance.begin()
            control.attach(performance.cancel)
            state = await performance.end()
            watch.cancel()
    except asyncio.CancelledError:
        # Torn down while it was being cancelled in order, say by a second Ctrl-C. The bodies have
        # ended all the same, and a journal without an end would look like a run that died.
        if performance.outcome is not None:
            await recorder.record_end(RunFinished(performance.outcome))
        raise
    except Exception as error:
        await recorder.record_end(RunFinished(RunState.FAILED, _record_of(error)))
        raise
    await recorder.record_end(RunFinished(state))


def _record_of(error: Exception) -> ErrorRecord:
    if isinstance(error, SymphonyError):
        return scrub_record(error.record())
    return ErrorRecord(SymphonyError.code, scrub(f"{type(error).__name__}: {error}"))


class _Performance:
    """One run in progress, in the tasks of one scope."""

    def __init__(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Value],
        *,
        tasks: asyncio.TaskGroup,
        recorder: Recorder,
        engine: Engine,
        store: ArtifactStore,
        concurrency: int,
    ) -> None:
        graph = Graph(workflow)
        self._nodes: dict[str, Node] = {node.id: node for node in workflow.nodes}
        self._inputs = inputs
        self._tasks = tasks
        self._recorder = recorder
        self._engine = engine
        self._store = store
        self._tracker = Tracker(graph.names, graph.children, concurrency=concurrency)
        self._values = Values(workflow)
        self._loop = asyncio.get_running_loop()
        self._surroundings = Surroundings(
            recorder.status, store, self._tell_progress, recorder.clock, self._loop
        )
        self._ready: deque[StartNode] = deque()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._to_be_cancelled: set[str] = set()
        self._worker_is_coming = False
        self._busy = False
        self._cancel_wanted: str | None = None
        self._ended: asyncio.Future[RunState] = self._loop.create_future()

    @property
    def outcome(self) -> RunState | None:
        """How the run has ended, once every node has."""
        if not self._ended.done() or self._ended.exception() is not None:
            return None
        return self._ended.result()

    def begin(self) -> None:
        with self._undivided():
            self._act(self._tracker.start())

    async def end(self) -> RunState:
        # Our being cancelled is not the end of the run: not `await self._ended`.
        await asyncio.wait([self._ended])
        return self._ended.result()

    def cancel(self, reason: str) -> None:
        """At once, or, if the observer asks for it, after the step it is told of. No effect on a
        run that has ended."""
        if self._busy:
            self._cancel_wanted = reason
        elif self._recorder.status.state is RunState.RUNNING and not self._ended.done():
            with self._undivided():
                event = RunCancelling(reason)
                self._recorder.record(event)
                self._ready.clear()
                self._act(self._tracker.handle(event))

    @contextmanager
    def _undivided(self) -> Iterator[None]:
        """A step in which the journal, the observers and the tracker come to know the same.

        In the middle of one, the tracker is behind the journal, and one observer behind another:
        a cancellation waits. An error leaves it that way; the run is torn down, and nothing can
        be asked of it any more.
        """
        within, self._busy = self._busy, True
        yield
        self._busy = within
        if not within and self._cancel_wanted is not None:
            reason, self._cancel_wanted = self._cancel_wanted, None
            self.cancel(reason)

    def _tell_progress(self, heard: Recorded | NodeProgress) -> None:
        """Called by the loop, to whom an error of the observer would be none of its business."""
        try:
            with self._undivided():
                self._recorder.tell(heard)
        except Exception as error:  # noqa: BLE001 - it ends the run
            if not self._ended.done():
                self._ended.set_exception(error)

    def _act(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case StartNode():
                    self._ready.append(effect)
                case Record(event):
                    self._recorder.record(event)
                    self._values.release(event.node)
                case CancelNode(node):
                    self._stop(node)
                case FinishRun(state):
                    self._finish(state)
                case other:
                    assert_never(other)
        self._call_worker()

    def _finish(self, state: RunState) -> None:
        # It is done already if an observer's error is the end.
        if not self._ended.done():
            self._ended.set_result(state)

    def _stop(self, node: str) -> None:
        if node in self._running:
            self._to_be_cancelled.add(node)
            self._running[node].cancel()
        else:
            self._conclude(NodeCancelled(node))

    def _call_worker(self) -> None:
        if self._ready and not self._worker_is_coming:
            self._worker_is_coming = True
            self._tasks.create_task(self._work())

    async def _work(self) -> None:
        self._worker_is_coming = False
        slice_end = self._loop.time() + _SLICE_SECONDS
        while self._ready:
            start = self._ready.popleft()
            self._call_worker()
            await self._run(self._nodes[start.node], start.attempt)
            if self._loop.time() > slice_end:
                await asyncio.sleep(0)
                slice_end = self._loop.time() + _SLICE_SECONDS

    async def _run(self, node: Node, attempt: int) -> None:
        worker = cast("asyncio.Task[None]", asyncio.current_task())
        self._running[node.id] = worker
        with self._undivided():
            self._recorder.record(NodeStarted(node.id, attempt))
        try:
            ended = await self._attempt(node, attempt)
        except asyncio.CancelledError:
            if node.id in self._to_be_cancelled or not worker.cancelling():
                self._conclude(NodeCancelled(node.id))
            raise
        finally:
            del self._running[node.id]
        self._conclude(ended)

    def _conclude(self, ended: NodeEnded) -> None:
        with self._undivided():
            self._recorder.record(ended)
            self._values.release(ended.node)
            self._act(self._tracker.handle(ended))

    async def _attempt(self, node: Node, attempt: int) -> NodeEnded:
        given = self._values.given_to(node.id)
        task = NodeTask(self._recorder.run_id, node, attempt, _inputs(node, given))
        try:
            outputs = await self._outputs(task, given)
            event, kept = await keep(task, outputs, self._store)
        except SymphonyError as error:
            return NodeFailed(node.id, attempt, scrub_record(error.record()))
        self._values.put(node.id, kept)
        return event

    async def _outputs(self, task: NodeTask, given: Mapping[PortRef, Held]) -> Mapping[str, Held]:
        match task.node.kind:
            case NodeKind.INPUT:
                return held(task, {DEFAULT_PORT: self._inputs[task.node.id]})
            case NodeKind.OUTPUT:
                _require_fit(task)
                # As it came, so that what is spilled already is not spilled again.
                whole = {at.port: value for at, value in given.items() if not at.member}
                return whole or held(task, task.inputs)
        context = NodeContext(task.node.id, task.attempt, self._surroundings)
        with bound(run=task.run_id, node=task.node.id):
            try:
                return held(task, await self._engine.run(task, context))
            finally:
                context.end()


def _inputs(node: Node, given: Mapping[PortRef, Held]) -> dict[str, Value]:
    """A body may do with them what it likes, so the parameters are copied too."""
    if node.params:
        params = msgspec.json.decode(msgspec.json.encode(node.params))
        node = msgspec.structs.replace(node, params=params)
    return assemble(node, {at: value.copy() for at, value in given.items()})


def _require_fit(task: NodeTask) -> None:
    if task.node.schema:
        for fault in Schema(task.node.schema).faults(task.inputs.get(DEFAULT_PORT), limit=1):
            reason = f"{fault.message} (at {fault.pointer or 'the whole value'})"
            raise OutputInvalid(task.run_id, task.node.id, DEFAULT_PORT, reason)
