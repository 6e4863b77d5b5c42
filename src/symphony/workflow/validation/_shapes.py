"""JSON Schemas spelled out: a choice of shapes, in each of which nothing is left to choose.

`anyOf` and `oneOf` give a shape a branch; `allOf`, `$ref` and the keywords around them hold all at
once. What is not read here (`pattern`, `not`, `if`, `contains`...), a reference that leads nowhere,
another draft, or a schema too large to be spelled out lets more through, never less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from symphony.workflow._types import EVERY_TYPE, resolved, type_of, types_of, words_of

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: Of one schema; one that has more counts as anything of its types.
MOST_SHAPES: Final = 32
#: Values of an `enum` that are looked at one by one.
MOST_LITERALS: Final = 200

_DEEPEST = 64
_DRAFTS = ("https://json-schema.org/draft/2020-12/", "https://json-schema.org/draft/2019-09/")


class View(NamedTuple):
    """A schema, and the document that its references lead into."""

    schema: Value
    root: Value

    def item(self, place: int) -> View:
        """What the lists that pass have at a place."""
        if not isinstance(self.schema, dict):
            return ANYTHING
        first, rest = self.schema.get("prefixItems"), self.schema.get("items", True)
        if isinstance(first, list) and place < len(first):
            return View(first[place], self.root)
        return View(rest, self.root) if isinstance(rest, (dict, bool)) else ANYTHING

    def member(self, name: str) -> View:
        """What the objects that pass have under a name."""
        if not isinstance(self.schema, dict):
            return ANYTHING
        properties = self.schema.get("properties")
        if isinstance(properties, dict) and name in properties:
            return View(properties[name], self.root)
        others = self.schema.get("additionalProperties", True)
        if "patternProperties" in self.schema or not isinstance(others, (dict, bool)):
            return ANYTHING
        return View(others, self.root)


ANYTHING: Final = View(True, True)


class Range(NamedTuple):
    """Numbers from `least` to `most`; an end that is `open` is not one of them."""

    least: float = -math.inf
    most: float = math.inf
    least_open: bool = False
    most_open: bool = False

    def within(self, other: Range) -> Range:
        """What lies in both."""
        low = max((self.least, self.least_open), (other.least, other.least_open))
        high = min((self.most, not self.most_open), (other.most, not other.most_open))
        return Range(low[0], high[0], low[1], not high[1])

    def holds(self, number: float) -> bool:
        low = self.least < number or (self.least == number and not self.least_open)
        return low and (number < self.most or (number == self.most and not self.most_open))

    def is_empty(self, *, whole: bool) -> bool:
        if self.least > self.most or math.inf in (self.least, -self.most):
            return True
        if not whole or math.isinf(self.least) or math.isinf(self.most):
            return self.least == self.most and (self.least_open or self.most_open)
        low, high = math.ceil(self.least), math.floor(self.most)
        low += self.least_open and low == self.least
        high -= self.most_open and high == self.most
        return low > high

    def in_words(self) -> str:
        bounds = []
        if self.least > -math.inf:
            bounds.append(f"{'above' if self.least_open else 'at least'} {self.least:,}")
        if self.most < math.inf:
            bounds.append(f"{'below' if self.most_open else 'at most'} {self.most:,}")
        return " and ".join(bounds)


class Facts(NamedTuple):
    """What one schema asks for by its plain keywords. `longest` is the number of `prefixItems`."""

    view: View
    types: frozenset[str]
    whole: bool = False
    literals: list[Value] | None = None
    range: Range = Range()
    characters: Range = Range()
    items: Range = Range()
    required: frozenset[str] = frozenset()
    longest: int = 0


class Shape:
    """Schemas that all hold, without a choice among them."""

    __slots__ = ("facts", "types")

    def __init__(self, facts: tuple[Facts, ...]) -> None:
        self.facts = facts
        self.types = EVERY_TYPE.intersection(*(each.types for each in facts))

    @property
    def whole(self) -> bool:
        return any(each.whole for each in self.facts)

    @property
    def literals(self) -> list[Value] | None:
        """One list of the values that may pass, if there is any."""
        return next((each.literals for each in self.facts if each.literals is not None), None)

    @property
    def required(self) -> frozenset[str]:
        return frozenset[str]().union(*(each.required for each in self.facts))

    @property
    def longest(self) -> int:
        return max((each.longest for each in self.facts), default=0)

    def range(self, of: Callable[[Facts], Range]) -> Range:
        found = Range()
        for each in self.facts:
            found = found.within(of(each))
        return found

    def item(self, place: int) -> tuple[View, ...]:
        return tuple(each.view.item(place) for each in self.facts)

    def member(self, name: str) -> tuple[View, ...]:
        return tuple(each.view.member(name) for each in self.facts)


_Plain: TypeAlias = "list[tuple[Facts, ...]]"


class Reader:
    """Spells schemas out, each once. They must outlive it: they are known by identity."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], _Plain] = {}
        self._depth = 0
        self._made: list[object] = []

    def shapes(self, views: Iterable[View]) -> list[Shape]:
        """The shapes in which all of the schemas hold; those of no type at all are left out."""
        found: _Plain = [()]
        for view in views:
            found = _product(found, self._spelled(view)) or _product(found, [(_of_types(view),)])
        return [each for each in map(Shape, found) if each.types]

    def _spelled(self, view: View) -> _Plain:
        schema, root = view
        if not isinstance(schema, dict) or not schema:
            return [(Facts(view, frozenset()),)] if schema is False else [()]
        if "$id" in schema:
            root = schema
        key = (id(schema), id(root))
        known = self._known.get(key)
        if known is None:
            self._known[key] = [()]  # met again on the way: a reference in a circle
            self._depth += 1
            known = self._known[key] = self._read(schema, root) if self._depth < _DEEPEST else [()]
            self._depth -= 1
        return known

    def _read(self, schema: dict[str, Value], root: Value) -> _Plain:
        view = View(schema, root)
        self._made.append(view)
        if not _is_read(root):
            plain = schema.get("type", []) if "$ref" not in schema else []
            return [(Facts(ANYTHING, types_of({"type": plain})),)]
        found: _Plain = [(_facts(schema, root),)]
        for part in _parts(schema, root):
            found = _product(found, self._spelled(View(part, root)))
        for choice in ("anyOf", "oneOf"):
            branches = schema.get(choice)
            if isinstance(branches, list):
                found = _product(found, self._union(branches, root))
        return found or [(_of_types(view),)]

    def _union(self, branches: list[Value], root: Value) -> _Plain:
        if len(branches) > MOST_SHAPES:
            return []
        return [each for branch in branches for each in self._spelled(View(branch, root))]


def _product(ones: _Plain, others: _Plain) -> _Plain:
    """Each with each; nothing if that is too much."""
    if len(ones) * len(others) > MOST_SHAPES:
        return []
    return [one + other for one in ones for other in others]


def _parts(schema: dict[str, Value], root: Value) -> list[Value]:
    """What holds beside the schema's own keywords."""
    reference, every = schema.get("$ref"), schema.get("allOf")
    parts = [resolved(reference, root)] if isinstance(reference, str) else []
    return [*parts, *every[:MOST_SHAPES]] if isinstance(every, list) else parts


def _is_read(root: Value) -> bool:
    draft = root.get("$schema") if isinstance(root, dict) else None
    return draft is None or (isinstance(draft, str) and draft.startswith(_DRAFTS))


def _of_types(view: View) -> Facts:
    return Facts(ANYTHING, types_of(*view))


def _facts(schema: dict[str, Value], root: Value) -> Facts:
    kind, required, first = (schema.get(key) for key in ("type", "required", "prefixItems"))
    literals = _literals(schema)
    longest = len(first) if isinstance(first, list) else 0
    items = _range(schema, "minItems", "maxItems")
    if schema.get("items") is False:
        items = items.within(Range(most=longest))
    names = required if isinstance(required, list) else []
    return Facts(
        View(schema, root),
        types_of({key: schema[key] for key in ("type", "enum", "const") if key in schema}),
        kind == "integer"
        or (isinstance(kind, list) and "integer" in kind and "number" not in kind),
        literals if literals is None or len(literals) <= MOST_LITERALS else None,
        _range(schema, "minimum", "maximum").within(_open_range(schema)),
        _range(schema, "minLength", "maxLength"),
        items,
        frozenset(name for name in names if isinstance(name, str)),
        longest,
    )


def _literals(schema: dict[str, Value]) -> list[Value] | None:
    if "const" in schema:
        return [schema["const"]]
    listed = schema.get("enum")
    return listed if isinstance(listed, list) else None


def _range(schema: dict[str, Value], low: str, high: str) -> Range:
    if low not in schema and high not in schema:
        return Range()
    return Range(_number(schema.get(low), -math.inf), _number(schema.get(high), math.inf))


def _open_range(schema: dict[str, Value]) -> Range:
    if "exclusiveMinimum" not in schema and "exclusiveMaximum" not in schema:
        return Range()
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return Range(_number(low, -math.inf), _number(high, math.inf), True, True)


def _number(value: Value, missing: float) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else missing


def shapes_in_words(shapes: list[Shape]) -> str:
    """What passes, as a message says it: `an array or null`, `"fast" or "slow"`."""
    if not shapes:
        return "nothing"
    literals = [each.literals for each in shapes]
    listed = [value for each in literals if each is not None for value in each]
    if None not in literals and len(listed) <= 3:
        return " or ".join(dict.fromkeys(map(_shown, listed)))
    types = frozenset[str]().union(*(each.types for each in shapes))
    if types == {"object"} and all("$artifact" in each.required for each in shapes):
        return "an artifact"
    if types == {"number"} and all(each.whole for each in shapes):
        return "an integer"
    return "anything" if types == EVERY_TYPE else words_of(types)


def _shown(value: Value) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:39]}…"


def same(one: Value, other: Value) -> bool:
    """Equal as JSON: 1 is 1.0, and neither is true."""
    if type_of(one) != type_of(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same(each, other[key]) for key, each in one.items()
        )
    return one == other
