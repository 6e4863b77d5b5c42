"""One run in progress: performs what the tracker decides, in the tasks of one scope."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, cast

import msgspec

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import bound
from symphony.commons.secrets import scrub_record
from symphony.commons.values import Value
from symphony.execution import (
    Event,
    NodeCached,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStatus,
    NodeWaiting,
    Recorded,
    RunContinued,
    RunCreated,
    RunStarted,
    RunState,
    rest_of,
)
from symphony.pit.artifacts import ArtifactStore
from symphony.pit.tracker._board import NESTING, RUNNING, WEIGHING
from symphony.pit.tracker._context import NodeContext, NodeProgress, Surroundings
from symphony.pit.tracker._control import RunControl
from symphony.pit.tracker._effects import Due, Effects, Happening, Unfold, Weighed
from symphony.pit.tracker._engine import Engine, NodeTask
from symphony.pit.tracker._machine import Tracker
from symphony.pit.tracker._orders import checked
from symphony.pit.tracker._outputs import Keeper, is_plain
from symphony.pit.tracker._recorder import Recorder
from symphony.pit.tracker._restore import restore
from symphony.pit.tracker._steps import Steps
from symphony.pit.tracker._values import Held, Values
from symphony.workflow import Node, NodeKind

_SLICE_SECONDS: Final = 0.001
_GIVING: Final = frozenset({NodeFinished, NodeCached, NodeSkipped})
_BODIES: Final = frozenset({NodeKind.OPERATOR, NodeKind.INSTRUMENT})


class _Begun(NamedTuple):
    """A body that has to wait, or gave outputs that have to be looked at."""

    context: NodeContext
    call: Coroutine[Any, Any, Mapping[str, Value]] | None = None
    waits_for: object = None
    outputs: Mapping[str, Value] | None = None


class Performance:
    """What ended since the last turn, and what was asked for, waits in `_inbox`; a turn tells it to
    the tracker, records what that decides, and when it is committed lets it happen.

    Bodies are awaited by a few workers, one after the other as long as none waits for anything.
    """

    def __init__(
        self,
        tracker: Tracker,
        inputs: Mapping[str, Value],
        *,
        tasks: asyncio.TaskGroup,
        recorder: Recorder,
        engine: Engine,
        store: ArtifactStore,
        reused: Mapping[str, NodeStatus],
        grace_s: float,
    ) -> None:
        self._tracker = tracker
        self._board = tracker.board
        self._tasks = tasks
        self._recorder = recorder
        self._engine = engine
        self._reused = reused
        self._grace_s = grace_s
        self._values = Values(tracker.board, store)
        self._steps = Steps(recorder.run_id, tracker.board, self._values, inputs)
        self._keeper = Keeper(recorder.run_id, store, self._values)
        self._loop = asyncio.get_running_loop()
        self._surroundings = Surroundings(
            recorder.status, store, self._tell_progress, recorder.clock, self._loop
        )
        self._has_once = tracker.board.plans.has_once
        self._inbox: list[Happening] = []
        self._ready: deque[int] = deque()
        self._revoked: set[int] = set()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._to_be_cancelled: set[int] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._worker_is_coming = False
        self._turning = False
        #: The body that is in its first step now.
        self._stepping = -1
        self._ended: asyncio.Future[RunState] = self._loop.create_future()

    @property
    def outcome(self) -> RunState | None:
        """How the run has ended, once every node has."""
        if not self._ended.done() or self._ended.exception() is not None:
            return None
        return self._ended.result()

    def _recall(self) -> None:
        for name, node in self._recorder.status.nodes.items():
            if node.outputs:
                self._values.put(self._board.numbers[name], node.outputs, node.spilled)

    def begin(self, control: RunControl, created: RunCreated | None) -> None:
        """From the start, or, without `created`, where the record of the run ends."""
        self._turning = True
        control.attach(self.order)
        tracker, status = self._tracker, self._recorder.status
        now = self._recorder.clock.now().timestamp()
        if created is None and status.state is not RunState.PENDING:
            effects = restore(tracker, status, now)
            self._recall()
            if status.state is RunState.PAUSED:
                self._inbox.insert(0, (-1, RunContinued()))
        else:
            asked, self._inbox = self._inbox, []
            effects = tracker.start(asked, now)
            effects.record[:0] = [RunStarted()] if created is None else [created, RunStarted()]
        self._carry_out(effects, now)
        self._turning = False
        self.turn()

    async def end(self) -> RunState:
        # Our being cancelled is not the end of the run: not `await self._ended`.
        await asyncio.wait([self._ended])
        for timer in self._timers:
            timer.cancel()
        return self._ended.result()

    def order(self, event: Event) -> None:
        """Somebody outside asks for something. No effect on a run that has ended."""
        if self._ended.done():
            return
        happening = checked(event, self._tracker, self._recorder.status)
        if happening is not None:
            self._inbox.append(happening)
            self.turn()

    def turn(self) -> None:
        """Let everything that is known have its consequences, unless that is going on already."""
        if self._turning:
            return
        self._turning = True
        try:
            while self._inbox and not self._ended.done():
                happenings, self._inbox = self._inbox, []
                now = self._recorder.clock.now().timestamp()
                self._carry_out(self._tracker.handle(happenings, now), now)
        except Exception as error:  # noqa: BLE001 - of an observer or ours: it ends the run
            self._fail(error)
        finally:
            self._turning = False

    def _fail(self, error: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)

    def _carry_out(self, effects: Effects, now: float) -> None:
        events = effects.record
        if not events:
            self._committed(effects)
            return
        numbers = self._board.numbers
        for event in events:
            if type(event) in _GIVING:
                self._keep_values(numbers[event.node], event)  # type: ignore[union-attr,arg-type]
        grave = self._has_once and any(map(self._is_once, effects.start))
        then = partial(self._committed_safely, effects)
        self._recorder.record(events, now, then, grave=grave)

    def _is_once(self, number: int) -> bool:
        instance = self._board.instances[number]
        return instance.plan.nodes[number - instance.base].policy.once

    def _keep_values(self, number: int, event: NodeFinished | NodeCached | NodeSkipped) -> None:
        if type(event) is NodeSkipped:
            if event.outputs:
                self._values.put(number, event.outputs, ())
        else:
            self._values.put(number, event.outputs, event.spilled)  # type: ignore[union-attr]

    def _committed_safely(self, effects: Effects) -> None:
        try:
            self._committed(effects)
        except Exception as error:  # noqa: BLE001 - we may be called by the loop itself
            self._fail(error)
        self.turn()

    def _committed(self, effects: Effects) -> None:
        self._ready.extend(effects.start)
        if effects.is_special:
            for number in effects.cancel:
                self._stop(number)
            self._ready.extend(effects.weigh)
            self._ready.extend(effects.gather)
            for due_at, number in effects.timers:
                self._set_timer(due_at, number)
        if effects.state is not None and not self._ended.done():
            self._ended.set_result(effects.state)
        self._call_worker()

    def _set_timer(self, due_at: float, number: int) -> None:
        wait = max(0.0, due_at - self._recorder.clock.now().timestamp())
        sleeping = self._tasks.create_task(self._ring(wait, number))
        self._ended.add_done_callback(lambda _: sleeping.cancel())

    async def _ring(self, wait: float, number: int) -> None:
        await self._recorder.clock.sleep(wait)
        self._tell(number, Due())

    def _tell(self, number: int, event: Event | Weighed | Unfold | Due) -> None:
        self._inbox.append((number, event))
        self.turn()

    def _tell_progress(self, heard: Recorded | NodeProgress) -> None:
        """Called by the loop, to whom an error of the observer would be none of its business."""
        within, self._turning = self._turning, True
        try:
            self._recorder.tell(heard)
        except Exception as error:  # noqa: BLE001 - it ends the run
            self._fail(error)
        finally:
            self._turning = within
        self.turn()

    # ---- workers ----

    def _stop(self, number: int) -> None:
        """Gracefully, then again and again: an extension is killed, a coroutine only asked."""
        task = self._running.get(number)
        if task is not None:
            self._to_be_cancelled.add(number)
            task.cancel()
            self._stop_again_later(number, task)
        elif number == self._stepping:
            self._to_be_cancelled.add(number)
        else:
            if number in self._ready:
                self._ready.remove(number)
            else:
                self._revoked.add(number)
            self._inbox.append((number, NodeCancelled(self._board.names[number])))

    def _stop_again_later(self, number: int, task: asyncio.Task[None]) -> None:
        def again() -> None:
            self._timers.discard(timer)
            if self._running.get(number) is task:
                task.cancel()
                self._stop_again_later(number, task)

        timer = self._loop.call_later(self._grace_s, again)
        self._timers.add(timer)

    def _call_worker(self) -> None:
        waits = self._ready or (self._inbox and not self._turning)
        if waits and not self._worker_is_coming and not self._ended.done():
            self._worker_is_coming = True
            self._tasks.create_task(self._work())

    async def _work(self) -> None:
        self._worker_is_coming = False
        ready, time = self._ready, self._loop.time
        slice_end = time() + _SLICE_SECONDS
        with bound(run=self._recorder.run_id):
            while True:
                if self._inbox and not ready:
                    self.turn()
                if not ready:
                    return
                number = ready.popleft()
                if ready or self._inbox:
                    self._call_worker()
                if self._is_straight(number):
                    begun = self._begin(number)
                    if begun is not None:
                        await self._run(number, begun)
                else:
                    await self._run(number)
                if time() > slice_end:
                    self.turn()
                    if not ready:
                        return
                    await asyncio.sleep(0)
                    slice_end = time() + _SLICE_SECONDS

    def _is_straight(self, number: int) -> bool:
        """Whether a body can be begun with what is at hand."""
        instance = self._board.instances[number]
        local = number - instance.base
        return (
            instance.plan.straight[local]
            and instance.plan.kinds[local] in _BODIES
            and self._board.states[number] == RUNNING
            and not self._reused
            and not self._revoked
        )

    def _begin(self, number: int) -> _Begun | None:
        """Begin a body; None if it has ended, and nobody had to wait for anything."""
        inputs = self._values.straight(number)
        board, recorder = self._board, self._recorder
        name, attempt = board.names[number], board.attempts[number]
        instance = board.instances[number]
        context = NodeContext(name, attempt, self._surroundings)
        if inputs is None:
            return _Begun(context)
        node = instance.plan.nodes[number - instance.base]
        task = NodeTask(recorder.run_id, node, attempt, inputs, name)
        call = self._engine.run(task, context)
        self._stepping = number
        try:
            waits_for = call.send(None)
        except StopIteration as end:
            outputs = end.value
            for value in outputs.values():
                if not is_plain(value):
                    return _Begun(context, outputs=outputs)
            context.end()
            self._inbox.append((number, NodeFinished(name, attempt, dict(outputs))))
        except SymphonyError as error:
            context.end()
            failed = NodeFailed(name, attempt, scrub_record(error.record()))
            self._inbox.append((number, failed))
        except asyncio.CancelledError:
            context.end()
            self._tell(number, NodeCancelled(name))
        except Exception as error:  # noqa: BLE001 - a bug of an engine, or ours: it ends the run
            self._fail(error)
        else:
            return _Begun(context, call, waits_for)
        finally:
            self._stepping = -1
        return None

    async def _run(self, number: int, begun: _Begun | None = None) -> None:
        if self._revoked and number in self._revoked:
            self._revoked.discard(number)
            return
        board = self._board
        instance = board.instances[number]
        local = number - instance.base
        running = board.states[number] == RUNNING
        if running:
            self._running[number] = cast("asyncio.Task[None]", asyncio.current_task())
        happening: Event | Weighed | Unfold
        try:
            if running and instance.plan.kinds[local] in _BODIES:
                if number in self._to_be_cancelled:
                    self._running[number].cancel()
                happening = await self._body(number, instance.plan.nodes[local], begun)
            else:
                happening = await self._step(number)
        except asyncio.CancelledError:
            worker = cast("asyncio.Task[None]", asyncio.current_task())
            if number in self._to_be_cancelled or not worker.cancelling():
                self._tell(number, NodeCancelled(board.names[number]))
            raise
        except Exception as error:  # noqa: BLE001 - a bug of an engine, or ours: it ends the run
            self._fail(error)
            return
        finally:
            if running:
                del self._running[number]
        self._inbox.append((number, happening))

    async def _body(self, number: int, node: Node, begun: _Begun | None) -> Event:
        recorder = self._recorder
        name, attempt = self._board.names[number], self._board.attempts[number]
        if self._reused and name in self._reused:
            return _reuse(name, recorder.status.again, self._reused[name])
        begun = begun or _Begun(NodeContext(name, attempt, self._surroundings))
        try:
            if begun.outputs is not None:
                outputs = begun.outputs
            elif begun.call is not None:
                outputs = await rest_of(begun.call, begun.waits_for)
            else:
                inputs = await self._values.inputs(number)
                task = NodeTask(recorder.run_id, node, attempt, inputs, name)
                outputs = await self._engine.run(task, begun.context)
            return await self._keeper.keep(name, attempt, outputs)
        except SymphonyError as error:
            return NodeFailed(name, attempt, scrub_record(error.record()))
        finally:
            begun.context.end()

    async def _step(self, number: int) -> Event | Weighed | Unfold:
        board = self._board
        code, name, attempt = board.states[number], board.names[number], board.attempts[number]
        instance = board.instances[number]
        node = instance.plan.nodes[number - instance.base]
        try:
            if code == WEIGHING:
                return await self._steps.weigh(number)
            if name in self._reused:
                return _reuse(name, self._recorder.status.again, self._reused[name])
            result: Mapping[str, Held] | Unfold | NodeWaiting
            if code == NESTING:
                result = await self._steps.gather(number)
            else:
                result = await self._steps.kinds[node.kind](number, node)
                if isinstance(result, Unfold) and not result.total:
                    result = await self._steps.gather(number)
            if isinstance(result, Unfold):
                return result
            if isinstance(result, NodeWaiting):
                return self._with_time(result)
            self._steps.forget(number)
            return await self._keeper.keep(name, attempt, result)
        except SymphonyError as error:
            return NodeFailed(name, attempt, scrub_record(error.record()))

    def _with_time(self, event: NodeWaiting) -> NodeWaiting:
        if event.due_at is None:
            return event
        now = self._recorder.clock.now().timestamp()
        return msgspec.structs.replace(event, due_at=now + event.due_at)


def _reuse(name: str, source: str, node: NodeStatus) -> NodeCached:
    return NodeCached(name, node.outputs, source, node.spilled, node.artifacts)
