"""Whether a value that fits one JSON Schema can ever fit another, and if not, why.

Two schemas clash if each shape of the one does with each of the other, and two shapes if all types
that they share fail: by their literals, their bounds, or a part that every such value has. All
doubt counts for the edge: what is refused can never work, which a property test holds against the
validator itself.

To know that in general takes a search without bounds. `MOST_STEPS` and `DEEPEST` bound this one,
and `MOST_STEPS_IN_ALL` what a workflow can cost: its schemas may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from symphony.workflow._types import type_of
from symphony.workflow.validation._shapes import (
    ANYTHING,
    Facts,
    Range,
    Reader,
    Shape,
    View,
    same,
    shapes_in_words,
)

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: Pairs of shapes, and values, that one question may look at.
MOST_STEPS: Final = 1_000
MOST_STEPS_IN_ALL: Final = 200_000
#: Schemas inside schemas.
DEEPEST: Final = 12


class Clash(NamedTuple):
    """What the one side gives and the other takes, at a place inside of what they exchange.

    `only_empty`: an empty list would pass, and nothing else.
    """

    gives: str
    takes: str
    place: tuple[str, ...] = ()
    only_empty: bool = False

    def inside(self, step: str) -> Clash:
        return self._replace(place=(step, *self.place))

    def sides(self) -> tuple[str, str]:
        """In words: `items with "size" of text`."""
        where = f"{' with '.join(self.place)} of " if self.place else ""
        return f"{where}{self.gives}", f"{where}{self.takes}"


class Compatibility:
    """Answers for all edges of a workflow, each pair of schemas once; schemas that are equal count
    as one. They must outlive it: they are known by identity."""

    def __init__(self) -> None:
        self.reader = Reader()
        self._left = MOST_STEPS_IN_ALL
        self._clashes: dict[tuple[int, int, str], Clash | None] = {}
        self._first: dict[bytes, View] = {}

    def clash(
        self, given: dict[str, Value], taken: dict[str, Value], member: str = ""
    ) -> Clash | None:
        """Why nothing that fits `given` can fit `taken`, or that member of it."""
        key = (id(given), id(taken), member)
        if key not in self._clashes:
            one, other = self._interned(given), self._interned(taken)
            first = (id(one.schema), id(other.schema), member)
            if first not in self._clashes:
                self._clashes[first] = self.search(one, other, member)
            self._clashes[key] = self._clashes[first]
        return self._clashes[key]

    def search(self, given: View, taken: View, member: str = "") -> Clash | None:
        """The same, not kept."""
        parts = self.member(taken, member) if member else (taken,)
        found = self._searched(given, parts, filled=True)
        if found is None:
            return None
        return self._searched(given, parts, filled=False) or found._replace(only_empty=True)

    def member(self, view: View, name: str) -> tuple[View, ...]:
        """What has to fit under a name; anything if that depends on the shape."""
        shapes = [each for each in self.reader.shapes([view]) if "object" in each.types]
        return shapes[0].member(name) if len(shapes) == 1 else (ANYTHING,)

    def items(self, view: View) -> View:
        """What the items of a list are; anything if that depends on their place."""
        shapes = [each for each in self.reader.shapes([view]) if "array" in each.types]
        if len(shapes) != 1 or shapes[0].longest:
            return ANYTHING
        told = [each for each in shapes[0].item(0) if each.schema is not True]
        return told[0] if len(told) == 1 else ANYTHING

    def described(self, *views: View) -> str:
        return shapes_in_words(self.reader.shapes(views))

    def _searched(self, given: View, taken: tuple[View, ...], *, filled: bool) -> Clash | None:
        steps = min(MOST_STEPS, self._left)
        search = _Search(self.reader, steps, filled=filled)
        found = search.clash((given,), taken, 0)
        self._left -= steps - max(0, search.left)
        return found

    def _interned(self, schema: dict[str, Value]) -> View:
        return self._first.setdefault(msgspec.json.encode(schema), View(schema, schema))


class _Search:
    """One question. When it has looked at too much it gives up, for the edge.

    `filled` leaves empty lists out of account.
    """

    def __init__(self, reader: Reader, steps: int, *, filled: bool) -> None:
        self.left = steps
        self._reader = reader
        self._filled = filled

    def clash(self, given: tuple[View, ...], taken: tuple[View, ...], depth: int) -> Clash | None:
        if depth > DEEPEST:
            return None
        ones, others = self._reader.shapes(given), self._reader.shapes(taken)
        found: list[Clash] = []
        for one in ones:
            for other in others:
                self.left -= 1
                each = None if self.left < 0 else self._pair(one, other, depth)
                if each is None:
                    return None
                if one.types & other.types:
                    found.append(each)
        return found[0] if found else Clash(shapes_in_words(ones), shapes_in_words(others))

    def _pair(self, one: Shape, other: Shape, depth: int) -> Clash | None:
        literals = one.literals if one.literals is not None else other.literals
        if literals is not None:
            fit = any(self._fits(each, (one, other), depth) for each in literals)
            return None if fit else _whole(one, other)
        found = None
        for kind in sorted(one.types & other.types):
            check = _CHECKS.get(kind)
            each = None if check is None else check(self, one, other, depth)
            if each is None:
                return None
            found = each
        return found or _whole(one, other)

    def numbers(self, one: Shape, other: Shape, _: int) -> Clash | None:
        given, taken = one.range(_range), other.range(_range)
        if not given.within(taken).is_empty(whole=one.whole or other.whole):
            return None
        return Clash(_bounded(one, given), _bounded(other, taken))

    def texts(self, one: Shape, other: Shape, _: int) -> Clash | None:
        return _sizes(one, other, _characters, "text of {} characters")

    def lists(self, one: Shape, other: Shape, depth: int) -> Clash | None:
        found = _sizes(one, other, _items, "an array of {} items")
        if found is not None:
            return found
        both = one.range(_items).within(other.range(_items))
        least = max(both.least, 1) if self._filled and both.most > 0 else both.least
        for place in range(int(min(max(least, 0), max(one.longest, other.longest) + 1))):
            each = self.clash(one.item(place), other.item(place), depth + 1)
            if each is not None:
                return each.inside("items")
        return None

    def objects(self, one: Shape, other: Shape, depth: int) -> Clash | None:
        for name in sorted(one.required | other.required):
            ones, others = one.member(name), other.member(name)
            shown = msgspec.json.encode(name).decode()
            if any(each.schema is False for each in ones):
                return Clash(f"an object without {shown}", f"one with {shown}")
            if any(each.schema is False for each in others):
                return Clash(f"an object with {shown}", f"one without {shown}")
            each = self.clash(ones, others, depth + 1)
            if each is not None:
                return each.inside(shown)
        return None

    def _fits(self, value: Value, shapes: tuple[Shape, ...], depth: int) -> bool:
        """Whether a value might fit all of them."""
        self.left -= 1
        return (
            self.left < 0
            or depth > DEEPEST
            or all(self._fits_shape(value, shape, depth) for shape in shapes)
        )

    def _fits_shape(self, value: Value, shape: Shape, depth: int) -> bool:
        if type_of(value) not in shape.types:
            return False
        for facts in shape.facts:
            if facts.literals is not None and not any(same(value, each) for each in facts.literals):
                return False
        if isinstance(value, list):
            return shape.range(_items).holds(len(value)) and all(
                self._fits_views(item, shape.item(place), depth + 1)
                for place, item in enumerate(value)
            )
        if isinstance(value, dict):
            return shape.required <= value.keys() and all(
                self._fits_views(item, shape.member(name), depth + 1)
                for name, item in value.items()
            )
        return _scalar_fits(value, shape)

    def _fits_views(self, value: Value, views: tuple[View, ...], depth: int) -> bool:
        shapes = self._reader.shapes(views)
        return any(self._fits(value, (each,), depth) for each in shapes)


def _whole(one: Shape, other: Shape) -> Clash:
    return Clash(shapes_in_words([one]), shapes_in_words([other]))


def _scalar_fits(value: Value, shape: Shape) -> bool:
    if isinstance(value, str):
        return shape.range(_characters).holds(len(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    return shape.range(_range).holds(value) and (not shape.whole or value == int(value))


_CHECKS: Final[dict[str, Callable[[_Search, Shape, Shape, int], Clash | None]]] = {
    "number": _Search.numbers,
    "string": _Search.texts,
    "array": _Search.lists,
    "object": _Search.objects,
}


def _range(facts: Facts) -> Range:
    return facts.range


def _characters(facts: Facts) -> Range:
    return facts.characters


def _items(facts: Facts) -> Range:
    return facts.items


def _bounded(shape: Shape, given: Range) -> str:
    words = shapes_in_words([shape])
    bounds = given.in_words()
    return f"{words} of {bounds}" if bounds else words


def _sizes(one: Shape, other: Shape, of: Callable[[Facts], Range], words: str) -> Clash | None:
    given, taken = one.range(of), other.range(of)
    if not given.within(taken).is_empty(whole=True):
        return None
    ones, others = given.in_words(), taken.in_words()
    return Clash(
        words.format(ones) if ones else shapes_in_words([one]),
        words.format(others) if others else shapes_in_words([other]),
    )
