"""A tracker that goes on where the record of a run ends. Pure.

What is recorded is not decided again; what follows from it and is not recorded yet is. What ran
when the process died is queued again, with a count of such deaths; a node marked `once` waits for
a person's decision instead.
"""

from __future__ import annotations

from typing import Final

from symphony.execution import (
    NodeFailed,
    NodeState,
    NodeStatus,
    NodeWaiting,
    RunResumed,
    RunState,
    RunStatus,
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
    Board,
    Instance,
    Nest,
)
from symphony.pit.tracker._effects import Effects
from symphony.pit.tracker._errors import InnerStopped, NodeCrashed
from symphony.pit.tracker._machine import Tracker
from symphony.pit.tracker._recovery import MOST_CRASHES

_CODES: Final = {
    NodeState.PENDING: PENDING,
    NodeState.QUEUED: QUEUED,
    NodeState.RUNNING: RUNNING,
    NodeState.RETRYING: RETRYING,
    NodeState.RECOVERING: RECOVERING,
    NodeState.WAITING: WAITING,
    NodeState.COMPLETED: COMPLETED,
    NodeState.CACHED: CACHED,
    NodeState.FAILED: FAILED,
    NodeState.SKIPPED: SKIPPED,
    NodeState.CANCELLED: CANCELLED,
}
_DOUBT: Final = (
    "It was interrupted, and may not run twice without a decision: did it do its work? "
    "Retry it, skip it, or provide its value."
)


def restore(tracker: Tracker, status: RunStatus, now: float, fingerprint: str = "") -> Effects:
    """Let a new tracker of the same workflow go on. `fingerprint` is that of the workflow if it
    is another than the one recorded."""
    board = tracker.board
    tracker.state = status.state
    if status.concurrency:
        tracker.queue.limit = status.concurrency
    _take_in(board, status)
    for name, node in status.nodes.items():
        _place(tracker, board.numbers[name], node)
    for number in range(len(board.states)):
        if board.states[number] >= ENDED:
            _flow(tracker, number, status.nodes[board.names[number]])
    ends = {board.numbers[name]: node.finished_at or 0.0 for name, node in status.nodes.items()}
    tracker.undoable.sort(key=lambda number: ends[number])
    return tracker.go_on(lambda: _continue(tracker, status, fingerprint), now)


def _take_in(board: Board, status: RunStatus) -> None:
    for added in status.added:
        number = board.numbers[added.node]
        nest = board.nests.setdefault(number, Nest())
        nest.total = added.total
        board.states[number] = NESTING
        board.unfold(number, nest, added)


def _place(tracker: Tracker, number: int, node: NodeStatus) -> None:
    board = tracker.board
    code = _CODES[node.state]
    if not (code == RUNNING and board.states[number] == NESTING):
        board.states[number] = code
    board.attempts[number] = node.attempt
    if node.crashes:
        tracker.crashes[number] = node.crashes
    if node.error is not None:
        tracker.errors[number] = node.error
    if node.because and code == SKIPPED:
        tracker.causes[number] = board.numbers[node.because]
    if code == RECOVERING:
        tracker.awake.add(board.numbers[node.because])
    if code == RETRYING:
        tracker.delayed += 1
    if code == WAITING:
        tracker.asked += 1


def _flow(tracker: Tracker, number: int, node: NodeStatus) -> None:
    """Bring the counts of those below to where the end of this node has brought them."""
    board = tracker.board
    instance = board.instances[number]
    plan, local = instance.plan, number - instance.base
    flows = board.states[number] in (COMPLETED, CACHED) or bool(node.outputs)
    for target, port in plan.below[local]:
        below = instance.base + target
        board.waiting[below] -= 1
        if not flows or (port is not None and port not in node.outputs):
            board.dead[below] += 1
    if local not in plan.aside:
        instance.open -= 1
        if node.state in (NodeState.FAILED, NodeState.CANCELLED) and instance.failed is None:
            name = board.names[number]
            instance.failed = (name, node.error or InnerStopped(name).record())
    if plan.undoes[local] >= 0 and board.states[number] == COMPLETED:
        tracker.undoable.append(number)


def _continue(tracker: Tracker, status: RunStatus, fingerprint: str) -> None:
    board = tracker.board
    running = [number for number, code in enumerate(board.states) if code == RUNNING]
    doubtful = [number for number in running if _once(board, number)]
    again = [number for number in running if number not in set(doubtful)]
    names = tuple(board.names[number] for number in again)
    tracker.effects.record.append(RunResumed(names, fingerprint))
    tracker.undoing = _was_undoing(tracker)
    for number in doubtful:
        _ask(tracker, number)
    for number in again:
        board.states[number] = QUEUED
        tracker.crashes[number] = tracker.crashes.get(number, 0) + 1
    for number in range(len(board.states)):
        _go_on_with(tracker, number, status.nodes.get(board.names[number]))
    for number, nest in board.nests.items():
        _count(nest)
        if board.states[number] == NESTING and not nest.live:
            nest.live = 1
            tracker.instance_ended(nest.instances[-1])


def _was_undoing(tracker: Tracker) -> bool:
    root = tracker.board.root
    failing = root.failed is not None or tracker.state is RunState.CANCELLING
    return not root.open and failing


def _once(board: Board, number: int) -> bool:
    instance = board.instances[number]
    return instance.plan.nodes[number - instance.base].policy.once


def _ask(tracker: Tracker, number: int) -> None:
    board = tracker.board
    tracker.effects.record.append(
        NodeWaiting(board.names[number], board.attempts[number], _DOUBT, doubtful=True)
    )
    board.states[number] = WAITING
    tracker.asked += 1


def _go_on_with(tracker: Tracker, number: int, node: NodeStatus | None) -> None:
    board = tracker.board
    code = board.states[number]
    if code >= ENDED or node is None:
        return
    if tracker.state is RunState.CANCELLING and not tracker.undoing and code != NESTING:
        tracker.cancel_node(number)
    elif code == QUEUED:
        _queue_again(tracker, number)
    elif code in (RETRYING, WAITING) and node.due_at is not None:
        tracker.wake_at(number, node.due_at)
    elif code == PENDING:
        _decide_again(tracker, number)


def _queue_again(tracker: Tracker, number: int) -> None:
    board = tracker.board
    name = board.names[number]
    if tracker.crashes.get(number, 0) >= MOST_CRASHES:
        tracker.fail(
            number,
            NodeFailed(name, board.attempts[number], NodeCrashed(name, MOST_CRASHES).record()),
        )
    else:
        tracker.requeue(number)


def _decide_again(tracker: Tracker, number: int) -> None:
    """The last turn was recorded whole: only what it handed to the shell is open again."""
    board = tracker.board
    instance: Instance = board.instances[number]
    merging = instance.plan.merging[number - instance.base]
    if board.dead[number] and not merging:
        tracker.condemn(number)
    elif not board.waiting[number]:
        tracker.decide(number)


def _count(nest: Nest) -> None:
    nest.live = sum(1 for instance in nest.instances if instance.open)
    for instance in nest.instances:
        if not instance.open and nest.failed is None:
            nest.failed = instance.failed
