"""What is told to the tracker, and what it wants done."""

from __future__ import annotations

import msgspec

from symphony.commons.values import Value
from symphony.execution import Event, RunState

Outputs = dict[str, Value]


class Weighed(msgspec.Struct, frozen=True):
    """What the conditions of a node say: it runs, or is skipped because of the node `because`
    (-1: its own policy says so), with outputs or without."""

    runs: bool
    because: int = -1
    outputs: Outputs | None = None


class Unfold(msgspec.Struct, frozen=True):
    """A running node is carried out by others, so many times in all (of a loop: so far)."""

    total: int


class Due(msgspec.Struct, frozen=True):
    """The time of a node has come: for its next attempt, or the end of its wait."""


Happening = tuple[int, Event | Weighed | Unfold | Due]


class Effects:
    """What is to be done, in this order. Numbers are nodes."""

    __slots__ = ("cancel", "gather", "record", "start", "state", "timers", "weigh")

    def __init__(self) -> None:
        self.record: list[Event] = []
        self.cancel: list[int] = []
        #: Look at their conditions, and tell `Weighed` or `NodeFailed`.
        self.weigh: list[int] = []
        #: Those that carry it out have ended: tell `NodeFinished`, or `Unfold` for another round.
        self.gather: list[int] = []
        self.start: list[int] = []
        #: Tell `Due` at these times.
        self.timers: list[tuple[float, int]] = []
        #: How the run has ended, once it has.
        self.state: RunState | None = None

    @property
    def is_special(self) -> bool:
        """Whether more is to be done than to record and start."""
        return bool(self.cancel or self.weigh or self.gather or self.timers)
