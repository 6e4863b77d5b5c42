"""What somebody asks of a run, checked against its state, as the tracker takes it. Pure."""

from __future__ import annotations

import msgspec

from symphony.commons.names import did_you_mean
from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.execution import (
    NODE_COMMANDS,
    RUN_COMMANDS,
    Event,
    NodeFinished,
    NodeRetried,
    NodeSkipped,
    NodeState,
    RunCancelling,
    RunContinued,
    RunLimited,
    RunPaused,
    RunStatus,
)
from symphony.pit.tracker._board import NESTING
from symphony.pit.tracker._effects import Happening
from symphony.pit.tracker._errors import CommandRefused, NodeMissing, OutputInvalid
from symphony.pit.tracker._machine import Tracker
from symphony.workflow import NodeKind

_RUN = {
    RunCancelling: "cancel",
    RunPaused: "pause",
    RunContinued: "resume",
    RunLimited: "limit",
}
_NODE = {NodeRetried: "retry", NodeSkipped: "skip", NodeFinished: "provide"}
#: Asked for in vain, these harm nobody.
_HARMLESS = (RunCancelling, RunPaused, RunContinued)


def checked(event: Event, tracker: Tracker, status: RunStatus) -> Happening | None:
    """None if there is nothing to do. Raises CommandRefused, NodeMissing, OutputInvalid."""
    command = _RUN.get(type(event))
    if command is not None:
        if command in RUN_COMMANDS[status.state]:
            return -1, event
        if type(event) in _HARMLESS:
            return None
        possible = ", ".join(sorted(RUN_COMMANDS[status.state]))
        raise CommandRefused(status.run_id, "The run", command, status.state, possible)
    assert isinstance(event, NodeRetried | NodeSkipped | NodeFinished)  # noqa: S101 - RunControl's
    number = tracker.board.numbers.get(event.node)
    if number is None:
        hint = did_you_mean(event.node, tracker.board.numbers)
        raise NodeMissing(status.run_id, event.node, hint)
    available = available_for(event.node, tracker, status)
    command = _NODE[type(event)]
    if command not in available:
        node = status.nodes[event.node]
        shown = ", ".join(sorted(available))
        raise CommandRefused(status.run_id, f"Node {event.node!r}", command, node.state, shown)
    if isinstance(event, NodeFinished):
        return number, _answer(event, number, tracker, status)
    return number, event


def available_for(name: str, tracker: Tracker, status: RunStatus) -> frozenset[str]:
    """What can be asked for a node now."""
    if "cancel" not in RUN_COMMANDS[status.state]:
        return frozenset()
    node, number = status.nodes[name], tracker.board.numbers[name]
    commands = NODE_COMMANDS[node.state]
    if tracker.board.states[number] == NESTING:
        commands -= {"skip"}
    if node.state is NodeState.FAILED and not tracker.can_retry(number):
        commands -= {"retry"}
    if node.state is NodeState.WAITING and not (node.asked and node.asked.doubtful):
        commands -= {"retry"}
    return commands


def _answer(event: NodeFinished, number: int, tracker: Tracker, status: RunStatus) -> NodeFinished:
    board = tracker.board
    instance = board.instances[number]
    node = instance.plan.nodes[number - instance.base]
    value: Value = event.outputs["value"]
    outputs: dict[str, Value] = {"value": value}
    if node.kind is NodeKind.WAIT:
        for fault in Schema(node.schema).faults(value, limit=1) if node.schema else ():
            raise OutputInvalid(status.run_id, event.node, "value", fault.message)
    elif isinstance(value, dict):
        outputs = value
    else:
        raise OutputInvalid(status.run_id, event.node, "value", "give its outputs by port")
    return msgspec.structs.replace(event, attempt=board.attempts[number], outputs=outputs)
