"""Runs from their beginning, or from where their process died, to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from random import SystemRandom

import msgspec

from symphony.commons.clock import Clock
from symphony.commons.errors import ErrorRecord, SymphonyError
from symphony.commons.secrets import scrub, scrub_record
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.execution import (
    RUN_ENDED,
    NodeStatus,
    RunCancelling,
    RunCreated,
    RunFinished,
    RunState,
    RunStatus,
)
from symphony.pit.artifacts import ArtifactStore
from symphony.pit.tracker._again import reusable
from symphony.pit.tracker._context import Observer
from symphony.pit.tracker._control import RunControl
from symphony.pit.tracker._engine import Engine
from symphony.pit.tracker._errors import DefinitionChanged, RunEnded
from symphony.pit.tracker._journal import Journal, Level
from symphony.pit.tracker._machine import Tracker
from symphony.pit.tracker._performance import Performance
from symphony.pit.tracker._plan import Plans
from symphony.pit.tracker._queue import Limits
from symphony.pit.tracker._recorder import Recorder
from symphony.pit.tracker._sole import sole
from symphony.workflow import Workflow, bind_inputs, dumps, fingerprint, loads

_chance = SystemRandom()


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How runs are carried out. A body that does not give up when it is cancelled is cancelled
    again every `grace_s`; after `timeout_s` a run is cancelled. With `fail_fast` the first failure
    cancels all others."""

    limits: Limits = Limits()
    level: Level = Level.PROCESS
    grace_s: float = 10.0
    timeout_s: float | None = None
    fail_fast: bool = False


class Prepared:
    """A valid workflow, compiled: for whoever runs one many times."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.plans = Plans(workflow)
        self.fingerprint = fingerprint(workflow)

    @cached_property
    def document(self) -> str:
        return dumps(self.workflow)


async def perform(
    workflow: Workflow | Prepared,
    inputs: Mapping[str, Value],
    *,
    run_id: str,
    engine: Engine,
    journal: Journal,
    store: ArtifactStore,
    clock: Clock,
    concurrency: int = 16,
    manner: Manner | None = None,
    observer: Observer | None = None,
    control: RunControl | None = None,
    again: tuple[str, Mapping[str, NodeStatus]] | None = None,
) -> RunStatus:
    """Run a valid workflow to its end, and return what became of it once that is committed.

    A node that fails takes with it those that need it; the others go on, and the run ends failed.
    `again` is a run with those of its nodes whose results still hold, see `reusable`.
    Raises InputsInvalid or RunExists before anything has begun, and the journal's error if it
    breaks, with all bodies cancelled and awaited. If the caller is cancelled, so is the run, in
    order, and `CancelledError` comes out when it has ended; a second cancellation stops the bodies
    once more and still waits for them. An error of `observer` ends the run; it may cancel the run,
    which then happens as soon as what it was told of is dealt with.
    """
    manner = manner or Manner(limits=Limits(concurrency))
    prepared = workflow if isinstance(workflow, Prepared) else Prepared(workflow)
    workflow, plans = prepared.workflow, prepared.plans
    created = RunCreated(
        run_id,
        workflow.id,
        workflow.name,
        workflow.version,
        prepared.fingerprint,
        plans.root.names,
        bind_inputs(workflow, inputs),
        plans.bodies,
        _chance.getrandbits(32),
        again[0] if again else "",
    )
    tracker = Tracker(plans, manner.limits, seed=created.seed, fail_fast=manner.fail_fast)
    recorder = Recorder(
        RunStatus(),
        run_id=run_id,
        journal=journal,
        level=manner.level,
        observer=observer,
        clock=clock,
    )
    with ExitStack() as stack:
        if manner.level is not Level.MEMORY:
            stack.enter_context(sole(journal.path, run_id))
            await journal.begin(run_id, created.fingerprint, prepared.document)
        show = _Show(
            tracker, recorder, engine, store, manner, again[1] if again else {}, created.inputs
        )
        return await show.to_its_end(created, control or RunControl())


async def resume(
    run_id: str,
    *,
    engine: Engine,
    journal: Journal,
    store: ArtifactStore,
    clock: Clock,
    concurrency: int = 16,
    manner: Manner | None = None,
    workflow: Workflow | None = None,
    observer: Observer | None = None,
    control: RunControl | None = None,
) -> RunStatus:
    """Go on with a run whose process died, by the definition that it began with, to its end.

    What had finished does not run again; a paused run goes on. Give `workflow` to make sure that
    the definition is still the same. Raises RunMissing, RunEnded, RunBusy, DefinitionChanged, and
    as `perform`.
    """
    manner = manner or Manner(limits=Limits(concurrency))
    with sole(journal.path, run_id):
        status = await journal.status(run_id)
        if status.state in RUN_ENDED:
            raise RunEnded(run_id, status.state)
        if workflow is not None and fingerprint(workflow) != status.fingerprint:
            raise DefinitionChanged(run_id, status.fingerprint, fingerprint(workflow))
        tracker = Tracker(
            Plans(loads(await journal.document(run_id))),
            manner.limits,
            seed=status.seed,
            fail_fast=manner.fail_fast,
        )
        recorder = Recorder(
            status,
            run_id=run_id,
            journal=journal,
            level=manner.level,
            observer=observer,
            clock=clock,
        )
        reused = await _reused(journal, status)
        show = _Show(tracker, recorder, engine, store, manner, reused, status.inputs)
        return await show.to_its_end(None, control or RunControl())


async def _reused(journal: Journal, status: RunStatus) -> Mapping[str, NodeStatus]:
    """A run that took over results, and died before it had them all, takes them over still."""
    if not status.again:
        return {}
    before = await journal.status(status.again)
    workflow = loads(await journal.document(status.run_id))
    old = loads(await journal.document(status.again))
    return reusable(old, before, workflow, status.inputs, frozenset())


class _Show:
    """What it takes to carry out one run."""

    def __init__(
        self,
        tracker: Tracker,
        recorder: Recorder,
        engine: Engine,
        store: ArtifactStore,
        manner: Manner,
        reused: Mapping[str, NodeStatus],
        inputs: Mapping[str, Value],
    ) -> None:
        self._tracker = tracker
        self._recorder = recorder
        self._engine = engine
        self._store = store
        self._manner = manner
        self._reused = reused
        self._inputs = inputs

    async def to_its_end(self, created: RunCreated | None, control: RunControl) -> RunStatus:
        async with task_scope() as tasks:
            play = tasks.create_task(self._play(created, control))
            try:
                await asyncio.wait([play])
            except asyncio.CancelledError:
                control.cancel("the program was stopped")
                await asyncio.wait([play])
                raise
        return self._recorder.status

    async def _play(self, created: RunCreated | None, control: RunControl) -> None:
        recorder = self._recorder
        performance: Performance | None = None
        try:
            async with task_scope() as tasks:
                watch = tasks.create_task(recorder.journal.watch())
                performance = Performance(
                    self._tracker,
                    self._inputs,
                    tasks=tasks,
                    recorder=recorder,
                    engine=self._engine,
                    store=self._store,
                    reused=self._reused,
                    grace_s=self._manner.grace_s,
                )
                performance.begin(control, created)
                state = await self._end(performance)
                watch.cancel()
        except asyncio.CancelledError:
            # Torn down while it was being cancelled in order, say by a second Ctrl-C. The bodies
            # have ended all the same, and a journal without an end would look like a run that died.
            if performance is not None and performance.outcome is not None:
                await recorder.record_end(RunFinished(performance.outcome))
            raise
        except Exception as error:
            await recorder.record_end(RunFinished(RunState.FAILED, _record_of(error)))
            raise
        await recorder.record_end(RunFinished(state))

    async def _end(self, performance: Performance) -> RunState:
        if self._manner.timeout_s is None:
            return await performance.end()
        loop, seconds = asyncio.get_running_loop(), self._manner.timeout_s
        late = RunCancelling(f"it ran longer than {seconds:g} s")
        timer = loop.call_later(seconds, performance.order, late)
        try:
            return await performance.end()
        finally:
            timer.cancel()


def _record_of(error: Exception) -> ErrorRecord:
    if isinstance(error, SymphonyError):
        return scrub_record(error.record())
    return ErrorRecord(SymphonyError.code, scrub(f"{type(error).__name__}: {error}"))
