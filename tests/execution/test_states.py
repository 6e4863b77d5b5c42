from __future__ import annotations

from enum import Enum
from typing import TypeVar

from symphony.execution import (
    NODE_ENDED,
    NODE_TRANSITIONS,
    RUN_ENDED,
    RUN_TRANSITIONS,
    NodeState,
    RunState,
)

S = TypeVar("S", bound=Enum)


def reachable(table: dict[S, frozenset[S]], start: S) -> set[S]:
    seen, pending = {start}, [start]
    while pending:
        new = table[pending.pop()] - seen
        seen |= new
        pending.extend(new)
    return seen


def test_every_state_has_a_row_and_can_be_reached() -> None:
    assert RUN_TRANSITIONS.keys() == set(RunState)
    assert NODE_TRANSITIONS.keys() == set(NodeState)
    assert reachable(RUN_TRANSITIONS, RunState.PENDING) == set(RunState)
    assert reachable(NODE_TRANSITIONS, NodeState.PENDING) == set(NodeState)


def test_an_end_can_be_reached_from_everywhere_and_is_one() -> None:
    assert {RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED} == RUN_ENDED
    assert {
        NodeState.COMPLETED,
        NodeState.CACHED,
        NodeState.FAILED,
        NodeState.SKIPPED,
        NodeState.CANCELLED,
    } == NODE_ENDED
    assert all(reachable(RUN_TRANSITIONS, state) & RUN_ENDED for state in RunState)
    assert all(reachable(NODE_TRANSITIONS, state) & NODE_ENDED for state in NodeState)


def test_a_run_that_is_being_cancelled_cannot_complete() -> None:
    assert RunState.COMPLETED not in reachable(RUN_TRANSITIONS, RunState.CANCELLING)
