from __future__ import annotations

from symphony.commons.errors import Category, leaves
from symphony.execution import CorruptEvent, ExecutionError, ImpossibleEvent, UnknownEvent

UNKNOWN = "The journal holds an event of the kind 'node.paused', which this Symphony does not know."


def test_every_error_says_what_happened_and_under_which_code() -> None:
    errors: list[ExecutionError] = [
        ImpossibleEvent(7, "node.started", "the run is completed"),
        UnknownEvent("the kind 'node.paused'"),
        CorruptEvent("it ends too early"),
    ]
    assert {type(error) for error in errors} == set(leaves(ExecutionError))
    records = [error.record() for error in errors]
    assert [(record.code, record.category, record.message) for record in records] == [
        (
            "execution.impossible_event",
            Category.CONFLICT,
            "Event 7 (node.started) cannot be: the run is completed.",
        ),
        (
            "execution.unknown_event",
            Category.UNAVAILABLE,
            UNKNOWN,
        ),
        (
            "execution.corrupt_event",
            Category.SERIALIZATION,
            "The journal holds something that is no event: it ends too early.",
        ),
    ]
    assert records[0].facts == {
        "seq": 7,
        "kind": "node.started",
        "reason": "the run is completed",
    }
    assert records[1].hint == "It was written by a newer Symphony: update this one."
