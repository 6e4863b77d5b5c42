"""How one node's end lets others begin: edges, skips, attempts, stand-ins. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.execution import (
    Event,
    NodeCached,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRecovering,
    NodeRetrying,
    NodeSkipped,
    NodeWaiting,
    RunState,
)
from symphony.pit.tracker._board import (
    CACHED,
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    NESTING,
    PENDING,
    QUEUED,
    RECOVERING,
    RETRYING,
    RUNNING,
    SKIPPED,
    WAITING,
    WEIGHING,
    Board,
    Instance,
)
from symphony.pit.tracker._effects import Due, Effects, Outputs, Weighed
from symphony.pit.tracker._errors import InnerStopped, NodeUnanswered
from symphony.pit.tracker._plan import Plans
from symphony.pit.tracker._queue import Limits, Queue
from symphony.pit.tracker._recovery import next_delay


class Flow(ABC):
    """The part of the tracker that knows of nodes, and not yet of the run as a whole."""

    def __init__(
        self, plans: Plans, limits: Limits, *, seed: int = 0, fail_fast: bool = False
    ) -> None:
        self.board = Board(plans)
        self.queue = Queue(limits)
        self.state = RunState.PENDING
        self._needy = plans.has_needs
        self.seed = seed
        self.fail_fast = fail_fast
        self.crashes: dict[int, int] = {}
        #: When each timer is due that still means something.
        self.due: dict[int, float] = {}
        self.errors: dict[int, ErrorRecord] = {}
        self.causes: dict[int, int] = {}
        #: Those who stand in or undo, and have been asked to.
        self.awake: set[int] = set()
        #: Completed nodes that can be undone, in the order of their ends.
        self.undoable: list[int] = []
        self.undoing = False
        #: Nodes that were skipped while they ran, and still hold their place.
        self._lingering: set[int] = set()
        #: How many are weighed, gathered, retrying, waiting for a person.
        self.pending_answers = 0
        self.delayed = 0
        self.asked = 0
        self.effects = Effects()
        self._fresh: list[int] = []
        self._condemned: list[tuple[int, int]] = []
        self._now = 0.0

    def _begin(self, now: float) -> None:
        self.effects = Effects()
        self._now = now

    @abstractmethod
    def instance_ended(self, instance: Instance) -> None:
        """All nodes of an instance that carries out another node have ended."""

    # ---- ends ----

    def _finished(self, number: int, event: NodeFinished | NodeCached) -> None:
        code = self.board.states[number]
        if code >= ENDED:
            self._too_late(number)
            return
        self._leave(number, code)
        self.effects.record.append(event)
        self._end(number, CACHED if type(event) is NodeCached else COMPLETED, event.outputs, event)

    def _failed(self, number: int, event: NodeFailed) -> None:
        code = self.board.states[number]
        if code >= ENDED:
            self._too_late(number)
            return
        self._leave(number, code)
        instance = self.board.instances[number]
        policy = instance.plan.nodes[number - instance.base].policy
        name = self.board.names[number]
        if self.state is not RunState.CANCELLING or self.undoing:
            if policy.retry is not None and code in (RUNNING, NESTING):
                failures = event.attempt - self.crashes.get(number, 0)
                chance = f"{self.seed}:{name}:{event.attempt}"
                delay = next_delay(policy.retry, event.error.code, failures, chance)
                if delay is not None:
                    self._retry_later(number, event, self._now + delay)
                    return
            if policy.fallback is not None and event.attempt:
                if policy.fallback.value is not msgspec.UNSET:
                    value = policy.fallback.value
                    finished = NodeFinished(
                        name, event.attempt, value, by="fallback", error=event.error
                    )
                    self.effects.record.append(finished)
                    self._end(number, COMPLETED, value, finished)
                    return
                stand_in = instance.base + instance.plan.stand_in[number - instance.base]
                if self._call_stand_in(number, event, stand_in):
                    return
        self.fail(number, event)

    def fail(self, number: int, event: NodeFailed) -> None:
        self.effects.record.append(event)
        self.errors[number] = event.error
        self._end(number, FAILED, None, event)

    def _retry_later(self, number: int, event: NodeFailed, due_at: float) -> None:
        retrying = NodeRetrying(event.node, event.attempt, event.error, due_at)
        self.effects.record.append(retrying)
        self.board.states[number] = RETRYING
        self.delayed += 1
        self.wake_at(number, due_at)

    def wake_at(self, number: int, due_at: float) -> None:
        self.due[number] = due_at
        self.effects.timers.append((due_at, number))

    def _call_stand_in(self, number: int, event: NodeFailed, stand_in: int) -> bool:
        """Whether somebody can stand in: not one who was skipped, or failed for another."""
        board = self.board
        if stand_in in self.awake and board.states[stand_in] < ENDED:
            pass
        elif board.states[stand_in] == PENDING and not board.dead[stand_in]:
            self.awake.add(stand_in)
        else:
            return False
        self.effects.record.append(
            NodeRecovering(event.node, event.attempt, event.error, board.names[stand_in])
        )
        self.errors[number] = event.error
        board.states[number] = RECOVERING
        if not board.waiting[stand_in]:
            self.decide(stand_in)
        return True

    def _cancelled(self, number: int, event: NodeCancelled) -> None:
        code = self.board.states[number]
        if code >= ENDED:
            self._too_late(number)
            return
        self._leave(number, code)
        self.effects.record.append(event)
        self._end(number, CANCELLED, None, event)

    def _skipped(self, number: int, event: NodeSkipped) -> None:
        """By request; what runs is cancelled, and holds its place until it has ended."""
        code = self.board.states[number]
        if code >= ENDED or code == NESTING:
            return
        if code == RUNNING:
            self.effects.cancel.append(number)
            self._lingering.add(number)
        else:
            self._leave(number, code)
        self.effects.record.append(event)
        self._end(number, SKIPPED, event.outputs or None, event)

    def _too_late(self, number: int) -> None:
        if number in self._lingering:
            self._lingering.discard(number)
            self.queue.give_back(number)

    def _leave(self, number: int, code: int) -> None:
        """Give back what a node held in a state that it leaves."""
        if code == RUNNING:
            self.queue.give_back(number)
        elif code == QUEUED:
            if number in self._fresh:
                self._fresh.remove(number)
            else:
                self.queue.drop(number)
        elif code == RETRYING:
            self.delayed -= 1
            self.due.pop(number, None)
        elif code == WAITING:
            self.asked -= 1
            self.due.pop(number, None)
        elif code == WEIGHING or (code == NESTING and not self.board.nests[number].live):
            self.pending_answers -= 1

    def _end(self, number: int, code: int, outputs: Outputs | None, event: Event | None) -> None:
        """A node has ended; `outputs` are None if nothing of it flows on."""
        board = self.board
        board.states[number] = code
        instance = board.instances[number]
        base, plan = instance.base, instance.plan
        local = number - base
        waiting = board.waiting
        for target, port in plan.below[local]:
            below = base + target
            waiting[below] -= 1
            if outputs is None or (port is not None and port not in outputs):
                board.dead[below] += 1
                if not plan.merging[target]:
                    self._condemned.append((below, self.causes.get(number, number)))
                    continue
            if not waiting[below]:
                self.decide(below)
        self._close(number, local, instance, code, event)

    def _close(
        self, number: int, local: int, instance: Instance, code: int, event: Event | None
    ) -> None:
        plan = instance.plan
        if code in (FAILED, CANCELLED):
            if instance.failed is None and local not in plan.aside:
                name = self.board.names[number]
                instance.failed = (name, self.errors.get(number) or InnerStopped(name).record())
        elif plan.undoes[local] >= 0 and code == COMPLETED:
            self.undoable.append(number)
        if plan.stands_in and local in plan.stands_in:
            self._stood_in(instance, local, code, event)
        if plan.stand_in[local] >= 0:
            self._not_needed(instance, plan.stand_in[local])
        if local not in plan.aside:
            instance.open -= 1
            if not instance.open and instance.parent >= 0:
                self.instance_ended(instance)

    def _stood_in(self, instance: Instance, local: int, code: int, event: Event | None) -> None:
        """Who stood in has ended: so have those it stood in for."""
        board = self.board
        for each in instance.plan.stands_in[local]:
            number = instance.base + each
            if board.states[number] != RECOVERING:
                continue
            name, attempt, error = board.names[number], board.attempts[number], self.errors[number]
            if code == COMPLETED and isinstance(event, NodeFinished):
                finished = NodeFinished(
                    name,
                    attempt,
                    event.outputs,
                    event.spilled,
                    event.artifacts,
                    instance.plan.names[local],
                    error,
                )
                self.effects.record.append(finished)
                self._end(number, COMPLETED, event.outputs, finished)
            elif code == CANCELLED and self.state is RunState.CANCELLING:
                self.effects.record.append(NodeCancelled(name))
                self._end(number, CANCELLED, None, None)
            else:
                self.fail(number, NodeFailed(name, attempt, error))

    def _not_needed(self, instance: Instance, stand_in: int) -> None:
        """If nobody is left for whom it could stand in, it is skipped."""
        states, base = self.board.states, instance.base
        number = base + stand_in
        if number in self.awake or states[number] != PENDING:
            return
        if all(states[base + each] >= ENDED for each in instance.plan.stands_in[stand_in]):
            self._condemned.append((number, base + instance.plan.stands_in[stand_in][-1]))

    def _skip_condemned(self) -> None:
        """Nothing that needs them, at any distance, can have started."""
        board = self.board
        while self._condemned:
            skipped: list[tuple[int, int]] = []
            while self._condemned:
                number, cause = self._condemned.pop()
                if board.states[number] == PENDING:
                    board.states[number] = SKIPPED
                    self.causes[number] = cause
                    skipped.append((number, cause))
                    self._condemn_below(number, cause)
            skipped.sort()
            for number, cause in skipped:
                self.effects.record.append(NodeSkipped(board.names[number], board.names[cause]))
            for number, _ in skipped:
                instance = board.instances[number]
                self._close(number, number - instance.base, instance, SKIPPED, None)

    def _condemn_below(self, number: int, cause: int) -> None:
        board = self.board
        instance = board.instances[number]
        for target, _ in instance.plan.below[number - instance.base]:
            below = instance.base + target
            board.waiting[below] -= 1
            board.dead[below] += 1
            if not instance.plan.merging[target]:
                self._condemned.append((below, cause))
            elif not board.waiting[below]:
                self.decide(below)

    # ---- beginnings ----

    def open_up(self, instance: Instance) -> None:
        waits, base = instance.plan.waits, instance.base
        for local in range(instance.plan.size):
            if not waits[local]:
                self.decide(base + local)

    def decide(self, number: int) -> None:
        """All edges into it have been decided."""
        board = self.board
        if board.states[number] != PENDING:
            return
        instance = board.instances[number]
        plan, local = instance.plan, number - instance.base
        if local in plan.dormant and number not in self.awake:
            return
        dead = board.dead[number]
        if dead and (not plan.merging[local] or dead == plan.waits[local]):
            self.condemn(number)
        elif plan.weighed[local]:
            board.states[number] = WEIGHING
            self.pending_answers += 1
            self.effects.weigh.append(number)
        else:
            self.make_ready(number)

    def condemn(self, number: int) -> None:
        """It will be skipped, because of the first node above that brings it nothing."""
        board = self.board
        instance = board.instances[number]
        feeds = instance.plan.feeds[number - instance.base]
        above = [instance.base + feed.source for feed in feeds]
        lost = [each for each in above if board.states[each] > CACHED]
        cause = (lost or above)[0]
        self._condemned.append((number, self.causes.get(cause, cause)))

    def _weighed(self, number: int, weighed: Weighed) -> None:
        if self.board.states[number] != WEIGHING:
            return
        self.pending_answers -= 1
        name = self.board.names[number]
        if weighed.runs:
            self.make_ready(number)
        elif weighed.because >= 0:
            self.board.states[number] = PENDING
            self._condemned.append((number, weighed.because))
        else:
            skipped = NodeSkipped(name, "", "policy", weighed.outputs or {})
            self.effects.record.append(skipped)
            self._end(number, SKIPPED, weighed.outputs, skipped)

    def make_ready(self, number: int) -> None:
        self.board.states[number] = QUEUED
        self._fresh.append(number)

    def _waiting(self, number: int, event: NodeWaiting) -> None:
        if self.board.states[number] != RUNNING:
            self._too_late(number)
            return
        self.queue.give_back(number)
        self.board.states[number] = WAITING
        self.asked += 1
        self.effects.record.append(event)
        if event.due_at is not None:
            self.wake_at(number, event.due_at)

    def _came_due(self, number: int, _: Due) -> None:
        if self.due.pop(number, None) is None:
            return
        code, board = self.board.states[number], self.board
        if code == RETRYING:
            self.delayed -= 1
            if self.state is not RunState.CANCELLING or self.undoing:
                self.make_ready(number)
        elif code == WAITING:
            instance = board.instances[number]
            node = instance.plan.nodes[number - instance.base]
            name, attempt = board.names[number], board.attempts[number]
            if node.default is msgspec.UNSET:
                self._failed(number, NodeFailed(name, attempt, NodeUnanswered(name).record()))
            else:
                self._finished(
                    number, NodeFinished(name, attempt, {"value": node.default}, by="default")
                )
