"""What a run does next, decided without I/O: what happened in, effects out.

The same happenings always give the same effects: time, chance and limits come with them, and of
two nodes that could start, the one of the better rank does. Nodes are dense numbers inside; what a
node needs is a count that the ends of others bring to zero, so that a run costs the same a node in
any shape. All that the tracker decides is an event in `Effects.record`: after a crash nothing is
decided a second time, see `_restore`.
"""

# ruff: noqa: SLF001 - the table at the end is the class's own.
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from symphony.execution import (
    RUN_ENDED,
    NodeCached,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodesAdded,
    NodeSkipped,
    NodesQueued,
    NodeStarted,
    NodeWaiting,
    RunCancelling,
    RunContinued,
    RunLimited,
    RunPaused,
    RunState,
    RunWaiting,
)
from symphony.pit.tracker._board import (
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    NESTING,
    PENDING,
    QUEUED,
    RUNNING,
    SKIPPED,
    WAITING,
    Instance,
    Nest,
)
from symphony.pit.tracker._effects import Due, Effects, Happening, Unfold, Weighed
from symphony.pit.tracker._flow import Flow
from symphony.pit.tracker._recovery import nested
from symphony.workflow import NodeKind


class Tracker(Flow):
    """Decides for one run.

    A node that fails takes those with it that need it, and no others; then the run ends failed.
    With `fail_fast` all others are cancelled too.
    """

    def start(self, happenings: Iterable[Happening] = (), now: float = 0.0) -> Effects:
        """Begin with what was asked for before the beginning."""
        self._begin(now)
        self.state = RunState.RUNNING
        self.open_up(self.board.root)
        return self._take(happenings)

    def go_on(self, continued: Callable[[], None], now: float = 0.0) -> Effects:
        """A turn in which `continued` brings a restored run to where it goes on."""
        self._begin(now)
        continued()
        return self._finish_turn()

    def handle(self, happenings: Iterable[Happening], now: float = 0.0) -> Effects:
        """Draw the consequences of what happened, at the time `now`. What comes too late, of a
        node that has ended since, has none."""
        self._begin(now)
        return self._take(happenings)

    def _take(self, happenings: Iterable[Happening]) -> Effects:
        states = self.board.states
        for number, event in happenings:
            kind = type(event)
            if kind is NodeFinished and states[number] == RUNNING:
                self.queue.give_back(number)
                self.effects.record.append(event)  # type: ignore[arg-type]  # the line above
                self._end(number, COMPLETED, event.outputs, event)  # type: ignore[union-attr,arg-type]
            else:
                _TAKE[kind](self, number, event)
            if self._condemned:
                self._skip_condemned()
        return self._finish_turn()

    # ---- nodes inside nodes ----

    def _unfold(self, number: int, unfold: Unfold) -> None:
        board = self.board
        if board.states[number] == RUNNING:
            self.queue.give_back(number)
            board.states[number] = NESTING
            board.nests[number] = Nest()
        elif board.states[number] == NESTING:
            self.pending_answers -= 1
        else:
            self._too_late(number)
            return
        nest = board.nests[number]
        nest.total = unfold.total
        left = nest.total - nest.added
        instance = board.instances[number]
        parallel = instance.plan.nodes[number - instance.base].parallel
        if left:
            self._add_inside(number, nest, min(parallel or left, left))
        else:
            self._gather(number)

    def _add_inside(self, number: int, nest: Nest, count: int) -> None:
        board = self.board
        instance = board.instances[number]
        local = number - instance.base
        kind = instance.plan.kinds[local]
        plan = board.plans[instance.plan.inner[local]]
        start = nest.added + (1 if kind is NodeKind.LOOP else 0)
        added = NodesAdded(
            board.names[number],
            plan.body,
            None if kind is NodeKind.WORKFLOW else start,
            count,
            nest.total,
        )
        self.effects.record.append(added)
        for inner in board.unfold(number, nest, added):
            if inner.open:
                self.open_up(inner)
            else:
                self.instance_ended(inner)

    def instance_ended(self, instance: Instance) -> None:
        number = instance.parent
        nest = self.board.nests[number]
        nest.live -= 1
        nest.failed = nest.failed or instance.failed
        if self.state is RunState.CANCELLING:
            if not nest.live:
                self.pending_answers += 1  # as if it were gathered
                self._cancelled(number, NodeCancelled(self.board.names[number]))
        elif nest.added < nest.total:
            self._add_inside(number, nest, 1)
        elif not nest.live and nest.failed is not None:
            self.pending_answers += 1
            name, error = nest.failed
            event = NodeFailed(
                self.board.names[number], self.board.attempts[number], nested(name, error)
            )
            self._failed(number, event)
        elif not nest.live:
            self._gather(number)

    def _gather(self, number: int) -> None:
        self.pending_answers += 1
        self.effects.gather.append(number)

    # ---- the run as a whole ----

    def _cancel(self, _: int, event: RunCancelling) -> None:
        if self.state not in (RunState.RUNNING, RunState.PAUSED, RunState.WAITING):
            return
        self.effects.record.append(event)
        self.state = RunState.CANCELLING
        self.queue.clear()
        self._fresh.clear()
        board = self.board
        for number in range(len(board.states)):
            code = board.states[number]
            if code == RUNNING:
                self.effects.cancel.append(number)
            elif code < ENDED and code != NESTING:
                self.cancel_node(number)
        for number, nest in list(board.nests.items()):
            if board.states[number] == NESTING and not nest.live:
                self._cancelled(number, NodeCancelled(board.names[number]))

    def cancel_node(self, number: int) -> None:
        """One that does not run, and is in no queue. Who undoes others is still needed."""
        board = self.board
        instance, code = board.instances[number], board.states[number]
        if number - instance.base in instance.plan.aside and number not in self.awake:
            return
        if code != QUEUED:
            self._leave(number, code)
        board.states[number] = CANCELLED
        self.effects.record.append(NodeCancelled(board.names[number]))
        self._close(number, number - instance.base, instance, CANCELLED, None)

    def _pause(self, _: int, event: RunPaused) -> None:
        if self.state in (RunState.RUNNING, RunState.WAITING):
            self.effects.record.append(event)
            self.state = RunState.PAUSED

    def _go_on(self, _: int, event: RunContinued) -> None:
        if self.state in (RunState.PAUSED, RunState.WAITING):
            self.effects.record.append(event)
            self.state = RunState.RUNNING

    def _limit(self, _: int, event: RunLimited) -> None:
        self.effects.record.append(event)
        self.queue.limit = event.concurrency

    def _retry(self, number: int, event: NodeRetried) -> None:
        """A failed node runs again, and what was skipped for it waits again; or one that a person
        was asked about does."""
        board = self.board
        code = board.states[number]
        if code == WAITING:
            self._leave(number, code)
            self.effects.record.append(event)
            self.requeue(number)
            return
        if not self.can_retry(number):
            return
        instance = board.instances[number]
        again = [each for each, cause in self.causes.items() if cause == number]
        again = sorted(each for each in again if board.states[each] == SKIPPED)
        self.effects.record.append(
            NodeRetried(event.node, tuple(board.names[each] for each in again))
        )
        for each in (number, *again):
            self._reopen(each)
        for each in again:
            board.states[each] = PENDING
            del self.causes[each]
        instance.failed = next(
            (
                (board.names[each], self.errors[each])
                for each in board.inside(instance)
                if board.states[each] == FAILED and each != number
            ),
            None,
        )
        self.requeue(number)

    def requeue(self, number: int) -> None:
        """As an event has said already."""
        self.board.states[number] = QUEUED
        self._put(number)

    def _put(self, number: int) -> None:
        board = self.board
        instance = board.instances[number]
        needs = instance.plan.needs[number - instance.base]
        self.queue.put(board.ranks[number], number, needs)

    def _reopen(self, number: int) -> None:
        board = self.board
        instance = board.instances[number]
        if number - instance.base not in instance.plan.aside:
            instance.open += 1
        for target, _ in instance.plan.below[number - instance.base]:
            board.waiting[instance.base + target] += 1
            board.dead[instance.base + target] -= 1

    def can_retry(self, number: int) -> bool:
        return (
            self.board.states[number] == FAILED
            and self.board.instances[number].open > 0
            and self.state in (RunState.RUNNING, RunState.PAUSED, RunState.WAITING)
        )

    def _finish_turn(self) -> Effects:
        """Let start what can; see whether the run has ended, or waits for a person."""
        if self._condemned:
            self._skip_condemned()
        root = self.board.root
        if self.fail_fast and root.failed is not None and self.state is not RunState.CANCELLING:
            self._cancel(-1, RunCancelling(f"{root.failed[0]} failed"))
        self._begin_nodes()
        if not root.open:
            self._wind_up()
        elif self.state is RunState.RUNNING and self.asked and not self._anything_else():
            self.effects.record.append(RunWaiting())
            self.state = RunState.WAITING
        return self.effects

    def _anything_else(self) -> bool:
        return bool(
            self.queue.busy
            or len(self.queue)
            or self._fresh
            or self.delayed
            or self.pending_answers
        )

    def _begin_nodes(self) -> None:
        if self.state is RunState.WAITING and self._anything_else():
            self.effects.record.append(RunContinued())
            self.state = RunState.RUNNING
        fresh, starting = self._fresh, self.state is RunState.RUNNING or self.undoing
        if fresh and starting and self.queue.has_room(len(fresh)) and not self._needy:
            # All can start: nobody has to queue.
            if len(fresh) > 1:
                fresh.sort(key=self.board.ranks.__getitem__)
            self.queue.busy += len(fresh)
            for number in fresh:
                self._start(number)
            fresh.clear()
            return
        for number in fresh:
            self._put(number)
        if starting:
            queue = self.queue
            while len(queue) and (number := queue.take()) >= 0:
                self._start(number)
        if fresh:
            states, names = self.board.states, self.board.names
            behind = [names[each] for each in fresh if states[each] == QUEUED]
            if behind:
                self.effects.record.append(NodesQueued(tuple(behind)))
            fresh.clear()

    def _start(self, number: int) -> None:
        board = self.board
        board.states[number] = RUNNING
        attempt = board.attempts[number] = board.attempts[number] + 1
        self.effects.start.append(number)
        self.effects.record.append(NodeStarted(board.names[number], attempt))

    def _wind_up(self) -> None:
        """Every node has ended but those set aside: if the run failed, undo what can be undone,
        the last first; then it has ended."""
        if self.state in RUN_ENDED or self.asked or self._anything_else():
            return
        if self.state is RunState.WAITING:
            self._go_on(-1, RunContinued())
        failed = self.board.root.failed is not None
        if failed or self.state is RunState.CANCELLING:
            self.undoing = True
            while self.undoable:
                if self._undo(self.undoable.pop()):
                    return
        for number, code in enumerate(self.board.states):
            if code == PENDING:
                self.board.states[number] = SKIPPED
                self.effects.record.append(NodeSkipped(self.board.names[number], "", "unused"))
        if self.state is RunState.CANCELLING and not (failed and self.fail_fast):
            self.state = RunState.CANCELLED
        else:
            self.state = RunState.FAILED if failed else RunState.COMPLETED
        self.effects.state = self.state

    def _undo(self, number: int) -> bool:
        """Whether somebody undoes it now."""
        instance = self.board.instances[number]
        other = instance.base + instance.plan.undoes[number - instance.base]
        if self.board.states[other] != PENDING or self.board.dead[other]:
            return False
        self.awake.add(other)
        self.make_ready(other)
        self._begin_nodes()
        return True


# Any: each takes the one kind under which it stands.
_TAKE: Final[dict[type, Callable[[Tracker, int, Any], None]]] = {
    NodeFinished: Tracker._finished,
    NodeCached: Tracker._finished,
    NodeFailed: Tracker._failed,
    NodeCancelled: Tracker._cancelled,
    NodeSkipped: Tracker._skipped,
    NodeWaiting: Tracker._waiting,
    NodeRetried: Tracker._retry,
    Weighed: Tracker._weighed,
    Unfold: Tracker._unfold,
    Due: Tracker._came_due,
    RunCancelling: Tracker._cancel,
    RunPaused: Tracker._pause,
    RunContinued: Tracker._go_on,
    RunLimited: Tracker._limit,
}
