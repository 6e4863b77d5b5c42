"""Reading what others wrote: each value is looked at before it is used, and what does not fit
becomes a problem with its place. The other programs forgive much, and so does this: only what
leaves no sense to be made is a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from symphony.workflow import Problem, ProblemCode

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: Positions farther out are taken for mistakes.
_FARTHEST: Final = 1e6
#: A file with more nodes is refused.
MAX_NODES: Final = 20_000
#: Deeper values become text: a workflow file may be nested 64 levels deep in all.
MAX_DEPTH: Final = 40


class Faults:
    """All that is wrong with a document."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, message: str, pointer: str, code: ProblemCode = ProblemCode.BAD_VALUE) -> None:
        self.problems.append(Problem(code, message, pointer))

    def objects(
        self, value: Value, pointer: str, what: str
    ) -> Iterator[tuple[str, dict[str, Value]]]:
        """The objects of a list, with their places."""
        if value is None:
            return
        if not isinstance(value, list):
            self.add(f"{what} must be a list, not {kind_of(value)}.", pointer)
            return
        if len(value) > MAX_NODES:
            message = f"{what}: {len(value):,} are more than the {MAX_NODES:,} that are read."
            self.add(message, pointer, ProblemCode.LIMIT)
            return
        for number, item in enumerate(value):
            here = f"{pointer}/{number}"
            if isinstance(item, dict):
                yield here, item
            else:
                self.add(f"{what}: {kind_of(item)} stands where an object must.", here)

    def text(self, item: dict[str, Value], name: str, pointer: str, what: str) -> str:
        """A member that must be text and not empty; the empty text if it is not."""
        value = item.get(name)
        if isinstance(value, str) and value:
            return value
        if name not in item:
            self.add(f"{what} lacks {name!r}.", pointer, ProblemCode.MISSING_FIELD)
        else:
            message = f"{what}: {name!r} must be text, not {kind_of(value)}."
            self.add(message, f"{pointer}/{name}")
        return ""


def kind_of(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text" if value else "empty text"
    return "an object" if isinstance(value, dict) else "a list"


def text_of(value: Value) -> str:
    return value if isinstance(value, str) else ""


def object_of(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def list_of(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def number_of(value: Value) -> float | None:
    """A number that is near enough to be drawn."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if -_FARTHEST <= value <= _FARTHEST else None


def whole(value: Value) -> int | None:
    """A whole number, of the size of a place or a count."""
    found = number_of(value)
    return int(found) if found is not None and found == int(found) else None


def position_of(value: Value, scale: float) -> tuple[float, float] | None:
    """`[x, y]`, or an object of them by "0" and "1"."""
    pair = [value.get("0"), value.get("1")] if isinstance(value, dict) else list_of(value)
    if len(pair) < 2:
        return None
    x, y = number_of(pair[0]), number_of(pair[1])
    return None if x is None or y is None else (round(x * scale), round(y * scale))


def shallow(value: Value, left: int = MAX_DEPTH) -> Value:
    """The value, with what is nested too deeply written as text."""
    if not isinstance(value, (dict, list)):
        return value
    if not left:
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return {name: shallow(each, left - 1) for name, each in value.items()}
    return [shallow(each, left - 1) for each in value]
