"""What can be wrong with the record of a run."""

from __future__ import annotations

from symphony.commons.errors import Category, SymphonyError


class ExecutionError(SymphonyError):
    """The journal of a run does not make sense, or not to this version of Symphony."""


class ImpossibleEvent(ExecutionError):
    """An event that cannot follow those before it: the journal is damaged, or its writer wrong."""

    code = "execution.impossible_event"
    category = Category.CONFLICT

    def __init__(self, seq: int, kind: str, reason: str) -> None:
        self.seq = seq
        self.kind = kind
        self.reason = reason
        super().__init__(f"Event {seq} ({kind}) cannot be: {reason}.")


class UnknownEvent(ExecutionError):
    """An event of a kind, or in a format, that this version does not know; `what` names it."""

    code = "execution.unknown_event"
    category = Category.UNAVAILABLE

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"The journal holds an event of {what}, which this Symphony does not know.",
            hint="It was written by a newer Symphony: update this one.",
        )


class CorruptEvent(ExecutionError):
    """Bytes that are no event."""

    code = "execution.corrupt_event"
    category = Category.SERIALIZATION

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The journal holds something that is no event: {reason}.")
