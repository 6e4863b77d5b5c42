"""The document of a template with values put in.

* A text that is one placeholder, `"${limit}"`, becomes the value, of whatever type it is.
* In a longer text a value is written as text; in an expression of the workflow as a literal.
* `{"$if": "${cond}", "then": X, "else": Y}` becomes X or Y. Without an `else` the element or
  member that it is goes away.
* `{"$each": "${list}", "as": "name", "do": X}` in a list becomes a copy of X for each item, in
  which `name` is the item, and `index`, if given, names its number from 0. X may be a list; then
  all of its elements are copied.
* Names of members are texts too. One that begins with `$$` loses the first `$`: data with a member
  `$each` is written with `$$each`.

What a value holds is never looked at again: a value `${x}` stays these four characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from symphony.commons.expressions import Expression, ExpressionError
from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._json import MAX_BYTES
from symphony.workflow._scanner import pointer_to
from symphony.workflow._template_text import (
    Hole,
    Parts,
    PlaceholderFault,
    as_text,
    check_formula,
    formula,
    parts_of,
)

#: Copies that all `$each` of a template may make together.
MAX_COPIES: Final = 10_000
#: Problems told of one template.
MAX_PROBLEMS: Final = 100

_EACH = frozenset({"$each", "as", "index", "do"})
_IF = frozenset({"$if", "then", "else"})
#: Where a workflow's texts are expressions; `*` is any element.
_FORMULAS = frozenset(
    {
        ("edges", "*", "when"),
        *(("edges", "*", "transform", "*", step) for step in ("map", "filter", "reduce")),
        ("edges", "*", "transform", "*", "expression"),
        ("nodes", "*", "cases", "*", "when"),
        ("nodes", "*", "until"),
        ("nodes", "*", "policy", "skip", "when"),
    }
)


#: The place in the workflow of what is no part of it.
_NOWHERE: Final = "nowhere"


class _Gone(Enum):
    GONE = "gone"


GONE: Final = _Gone.GONE


class Origin(NamedTuple):
    """Where a value of the workflow stands in the template, and what it was made from."""

    pointer: str
    names: frozenset[str] = frozenset()


class _Place(NamedTuple):
    """Where the walk is: in the template, in the workflow, and in the sense of the format."""

    pointer: str = ""
    target: str = ""
    sense: tuple[str, ...] = ()

    def member(self, name: str, becomes: str) -> _Place:
        # A workflow in a workflow has the same fields at its top.
        nested = self.sense == ("workflows",)
        sense = () if nested else (*self.sense, becomes)
        return _Place(pointer_to(self.pointer, name), pointer_to(self.target, becomes), sense)

    def element(self, number: int) -> _Place:
        return self._replace(pointer=f"{self.pointer}/{number}")

    def inside(self, name: str) -> _Place:
        """A part of a `$each` or `$if`, which leaves no trace in the workflow."""
        return self._replace(pointer=pointer_to(self.pointer, name))

    def landed(self, number: int) -> _Place:
        return self._replace(target=f"{self.target}/{number}", sense=(*self.sense, "*"))


class Expansion:
    """One walk through a document, with the values for its names."""

    def __init__(self, *, traced: bool = False) -> None:
        self.problems: dict[tuple[str, str], Problem] = {}
        self.origins: dict[str, Origin] | None = {} if traced else None
        self._compiled: dict[tuple[str, frozenset[str]], Expression] = {}
        self._copies = 0
        self._bytes = 0

    def expand(self, value: Value, names: Mapping[str, Value]) -> Value:
        """A value without placeholders; what could not be made is null and among `problems`."""
        made = self._value(value, names, _Place())
        return None if made is GONE else made

    def _value(self, value: Value, names: Mapping[str, Value], place: _Place) -> Value | _Gone:
        if isinstance(value, str):
            return self._text(value, names, place)
        if isinstance(value, list):
            self._note(place)
            return self._list(value, names, place)
        if not isinstance(value, dict):
            return value
        if "$if" in value:
            return self._choice(value, names, place)
        if "$each" in value:
            self._fault("a $each can only stand in a list", place)
            return None
        self._note(place)
        return self._object(value, names, place)

    def _object(
        self, value: dict[str, Value], names: Mapping[str, Value], place: _Place
    ) -> dict[str, Value]:
        made: dict[str, Value] = {}
        for name, member in value.items():
            key = self._key(name, names, place.member(name, name))
            if key in made:
                self._fault(f"two members get the name {key!r}", place.member(name, key))
            item = self._value(member, names, place.member(name, key))
            if item is not GONE:
                made[key] = item
        return made

    def _key(self, name: str, names: Mapping[str, Value], place: _Place) -> str:
        if "${" not in name:
            return name[1:] if name.startswith("$$") else name
        return as_text(self._inserted(name, names, place))

    def _list(self, value: list[Value], names: Mapping[str, Value], place: _Place) -> list[Value]:
        made: list[Value] = []
        for number, item in enumerate(value):
            here = place.element(number)
            if isinstance(item, dict) and "$each" in item:
                self._copy(item, names, here, made)
                continue
            element = self._value(item, names, here.landed(len(made)))
            if element is not GONE:
                made.append(element)
        return made

    def _copy(
        self,
        value: dict[str, Value],
        names: Mapping[str, Value],
        place: _Place,
        made: list[Value],
    ) -> None:
        """The copies that a `$each` stands for, added to the list that it is in."""
        for inner in self._rounds(value, names, place):
            here = place.inside("do")
            if isinstance(value["do"], list):
                spread = value["do"]
                for number, item in enumerate(spread):
                    self._add(item, inner, here.element(number), made)
            else:
                self._add(value["do"], inner, here, made)

    def _add(
        self, item: Value, names: Mapping[str, Value], place: _Place, made: list[Value]
    ) -> None:
        if isinstance(item, dict) and "$each" in item:
            self._copy(item, names, place, made)
            return
        element = self._value(item, names, place.landed(len(made)))
        if element is not GONE:
            made.append(element)

    def _rounds(
        self, value: dict[str, Value], names: Mapping[str, Value], place: _Place
    ) -> Iterator[Mapping[str, Value]]:
        """The names in each copy."""
        unknown = value.keys() - _EACH
        name, index = value.get("as"), value.get("index", "")
        if unknown or "do" not in value or not isinstance(name, str) or not isinstance(index, str):
            self._fault('a $each has "as", "do" and perhaps "index", and nothing else', place)
            return
        for taken in {name, index} & names.keys():
            self._fault(f"the name {taken!r} is taken", place)
            return
        items = self._control(value["$each"], names, place.inside("$each"))
        if not isinstance(items, list):
            self._fault("a $each needs a list", place.inside("$each"))
            return
        self._copies += len(items)
        if self._copies > MAX_COPIES:
            reason = f"all $each together make more than {MAX_COPIES:,} copies"
            self._fault(reason, place, ProblemCode.LIMIT)
            return
        for number, item in enumerate(items):
            yield {**names, name: item, **({index: number} if index else {})}

    def _choice(
        self, value: dict[str, Value], names: Mapping[str, Value], place: _Place
    ) -> Value | _Gone:
        if value.keys() - _IF or "then" not in value:
            self._fault('a $if has "then" and perhaps "else", and nothing else', place)
            return None
        holds = self._control(value["$if"], names, place.inside("$if"))
        if not isinstance(holds, bool):
            self._fault("a $if needs true or false", place.inside("$if"))
            return None
        way = "then" if holds else "else"
        if way not in value:
            return GONE
        return self._value(value[way], names, place.inside(way))

    def _control(self, value: Value, names: Mapping[str, Value], place: _Place) -> Value:
        """The value of a `$if` or `$each`, which is itself no part of the workflow."""
        made = self._value(value, names, place._replace(target=_NOWHERE, sense=()))
        return None if made is GONE else made

    def _text(self, text: str, names: Mapping[str, Value], place: _Place) -> Value:
        if "${" not in text:
            self._note(place)
            self._count(len(text), place)
            return text
        if place.sense in _FORMULAS:
            return self._formula(text, names, place)
        return self._inserted(text, names, place)

    def _inserted(self, text: str, names: Mapping[str, Value], place: _Place) -> Value:
        parts, values = self._values(text, names, place)
        if len(parts) == 1 and isinstance(parts[0], Hole):
            (value,) = values
            self._count(len(msgspec.json.encode(value)), place)
            return value
        pending = iter(values)
        made = "".join(as_text(next(pending)) if isinstance(part, Hole) else part for part in parts)
        self._count(len(made), place)
        return made

    def _formula(self, text: str, names: Mapping[str, Value], place: _Place) -> Value:
        parts, values = self._values(text, names, place)
        try:
            check_formula(parts)
            made = formula(parts, values)
        except PlaceholderFault as fault:
            self._fault(str(fault), place)
            return ""
        self._count(len(made), place)
        return made

    def _values(
        self, text: str, names: Mapping[str, Value], place: _Place
    ) -> tuple[Parts, list[Value]]:
        """The parts of a text and a value for each placeholder in it."""
        try:
            parts = parts_of(text)
        except PlaceholderFault as fault:
            self._fault(str(fault), place)
            return (), []
        holes = [part for part in parts if isinstance(part, Hole)]
        used: set[str] = set()
        values = [self._evaluated(hole, names, place, used) for hole in holes]
        self._note(place, used)
        return parts, values

    def _evaluated(
        self, hole: Hole, names: Mapping[str, Value], place: _Place, used: set[str]
    ) -> Value:
        if hole.expression in names:  # by far the most frequent, and keeps the value as it is
            used.add(hole.expression)
            return names[hole.expression]
        try:
            expression = self._expression(hole.expression, frozenset(names))
            used |= expression.names
            return expression.evaluate(names)
        except ExpressionError as error:
            given = ", ".join(repr(name) for name in sorted(used))
            of = f", which uses {given}," if used else ""
            self._fault(
                f"${{{hole.expression}}}{of} has no value: {error.message}", place, hint=error.hint
            )
            return None

    def _expression(self, text: str, names: frozenset[str]) -> Expression:
        key = (text, names)
        if key not in self._compiled:
            self._compiled[key] = Expression.compile(text, names)
        return self._compiled[key]

    def _note(self, place: _Place, used: set[str] | None = None) -> None:
        if self.origins is not None:
            self.origins[place.target] = Origin(place.pointer, frozenset(used or ()))

    def _count(self, size: int, place: _Place) -> None:
        self._bytes += size
        if self._bytes > MAX_BYTES:
            reason = f"the workflow would be larger than {MAX_BYTES >> 20} MiB"
            self._fault(reason, place, ProblemCode.LIMIT)
            raise TooLarge

    def _fault(
        self,
        reason: str,
        place: _Place,
        code: ProblemCode = ProblemCode.BAD_PLACEHOLDER,
        hint: str = "",
    ) -> None:
        """Once for each place in the template, however often it is copied."""
        message = f"{reason[:1].upper()}{reason[1:]}".rstrip(".") + "."
        self.problems.setdefault(
            (place.pointer, message), Problem(code, message, place.pointer, hint)
        )
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooLarge


class TooLarge(Exception):
    """The walk has been given up; `problems` say why."""
