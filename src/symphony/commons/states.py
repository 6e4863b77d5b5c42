"""The one state machine of the house: a life cycle is an enum and one table of transitions.

    class Lamp(StrEnum):
        OFF = "off"
        ON = "on"
        BROKEN = "broken"

    LAMP = Transitions(Lamp, {Lamp.OFF: {Lamp.ON}, Lamp.ON: {Lamp.OFF, Lamp.BROKEN}})

A state without a row has no way out: it is final. Where thousands of things share a life cycle
and only the present state matters, hold the enum's member and call `LAMP.check(old, new)`; where
one thing's past or its listeners matter, keep a `Machine`. Both are pure: no clock, no I/O.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from symphony.commons.errors import Category, SymphonyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

S = TypeVar("S", bound=Enum)


class InvalidTransition(SymphonyError):
    """A thing was asked to enter a state that cannot follow its present one."""

    code = "commons.invalid_transition"
    category = Category.CONFLICT

    def __init__(self, current: Enum, wanted: Enum, allowed: Iterable[Enum], subject: str) -> None:
        self.current = str(current.value)
        self.wanted = str(wanted.value)
        self.subject = subject
        ways_out = ", ".join(sorted(str(state.value) for state in allowed))
        super().__init__(
            f"{subject or type(current).__name__} is {self.current}"
            f" and cannot become {self.wanted}.",
            hint=f"From here it can become: {ways_out}." if ways_out else "This state is final.",
        )


class Transitions(Generic[S]):
    """Which state may follow which."""

    __slots__ = ("_table", "final")

    def __init__(self, states: type[S], table: Mapping[S, Iterable[S]]) -> None:
        self._table = {state: frozenset(table.get(state, ())) for state in states}
        self.final = frozenset(state for state, following in self._table.items() if not following)

    def allows(self, current: S, wanted: S) -> bool:
        return wanted in self._table[current]

    def check(self, current: S, wanted: S, subject: str = "") -> S:
        """`wanted`, or InvalidTransition in which `subject` names the thing ("run 01J...")."""
        if not self.allows(current, wanted):
            raise InvalidTransition(current, wanted, self._table[current], subject)
        return wanted


class Change(NamedTuple, Generic[S]):
    """One step in the life of a machine."""

    before: S
    after: S
    reason: str = ""


class Machine(Generic[S]):
    """The state of one thing, its last changes, and who is told of the next.

    Listeners are called in order after the state has changed. What one raises reaches the caller
    of `to`, with the change made and later listeners not told. A listener may call `to` itself:
    the nested change is told to everyone before the outer one's remaining listeners hear of it.
    """

    def __init__(
        self,
        initial: S,
        transitions: Transitions[S],
        *,
        subject: str = "",
        history_limit: int = 32,
        on_change: Iterable[Callable[[Change[S]], None]] = (),
    ) -> None:
        self._state = initial
        self._transitions = transitions
        self._subject = subject
        self._history: deque[Change[S]] = deque(maxlen=history_limit)
        self._listeners = list(on_change)

    @property
    def state(self) -> S:
        return self._state

    @property
    def history(self) -> tuple[Change[S], ...]:
        """The last `history_limit` changes, oldest first."""
        return tuple(self._history)

    def to(self, wanted: S, *, reason: str = "") -> Change[S]:
        """Enter `wanted`; InvalidTransition leaves everything as it was."""
        after = self._transitions.check(self._state, wanted, self._subject)
        change = Change(self._state, after, reason)
        self._state = after
        self._history.append(change)
        for listener in self._listeners:
            listener(change)
        return change
