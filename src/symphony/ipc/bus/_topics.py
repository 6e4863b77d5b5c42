"""Topics, patterns of topics, and the table that says who a topic is for.

A topic is names with dots between them. In a pattern `*` stands for one name, `#` for any number
of them, none included, and `>`, as the last, for one or more.

The table is a tree of the patterns' steps; a topic walks it at all places at once, the way an
automaton with many states does, so that no number of `#` makes it try again what it has tried.
What it finds is remembered under the bytes that the topic has in a frame. Patterns that name one
topic are kept beside the tree: they are most of those that come and go, and touch nothing but the
memory of that topic.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from symphony.ipc.bus._errors import BadTopic

T = TypeVar("T", bound=Hashable)

MAX_BYTES = 255
MAX_NAMES = 32
#: `#`s in a pattern: what finding a topic's patterns takes grows with each that matches it.
MAX_MANY = 4

#: How much the table remembers, in words of eight bytes: 4 MiB, for 16,000 topics or fewer.
_REMEMBERED_WORDS = 2**19
#: What remembering a topic takes, without the values.
_TOPIC_WORDS = 32

_SPACE = r"\s\x00-\x1f\x7f-\x9f\ud800-\udfff"
_NAME = rf"[^{_SPACE}.*>#]++"
_STEP = rf"(?:{_NAME}|\*|\#)"
_TOPIC = re.compile(rf"{_NAME}(?:\.{_NAME}){{0,{MAX_NAMES - 1}}}")
_PATTERN = re.compile(rf"(?:{_STEP}\.){{0,{MAX_NAMES - 1}}}(?:{_STEP}|>)")
_REFUSED = re.compile(rf"[{_SPACE}]")
_WILDCARD = re.compile(r"[*>#]")


def check_topic(text: str) -> None:
    """Raise BadTopic unless messages may be published under `text`."""
    if _TOPIC.fullmatch(text) is None or len(text.encode()) > MAX_BYTES:
        raise BadTopic("topic", text, *_fault(text, wildcards=False))


def check_pattern(text: str) -> None:
    """Raise BadTopic unless `text` is a pattern; every topic is one."""
    sound = _PATTERN.fullmatch(text) is not None and text.count("#") <= MAX_MANY
    if not sound or len(text.encode()) > MAX_BYTES:
        raise BadTopic("pattern", text, *_fault(text, wildcards=True))


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` is one of those that `pattern` stands for; both have been checked.

    For a few patterns; many belong in a `PatternTable`.
    """
    steps, names = _steps(pattern), topic.split(".")
    step = name = 0
    # Only the last `#` ever has to give way: what an earlier one could take more of, it can too.
    many, taken = -1, 0
    while name < len(names):
        if step < len(steps) and steps[step] == "#":
            many, taken = step, name
            step += 1
        elif step < len(steps) and steps[step] in ("*", names[name]):
            step, name = step + 1, name + 1
        elif many >= 0:
            taken += 1
            step, name = many + 1, taken
        else:
            return False
    return all(left == "#" for left in steps[step:])


def specificity(pattern: str) -> tuple[int, int, int, int]:
    """A key to sort by, the pattern that says most about its topics first.

    Those without wildcards come before those with `*` alone, and these before those with `#` or
    `>`; then those that begin with more names, have more names, and are sure of more steps.
    """
    tokens = pattern.split(".")
    named = [_WILDCARD.match(token) is None for token in tokens]
    looseness = 2 if {"#", ">"} & set(tokens) else 0 if all(named) else 1
    prefix = (*named, False).index(False)
    return looseness, -prefix, -sum(named), tokens.count("#")


def is_loose(pattern: str) -> bool:
    """Whether a name follows a `#`. In such a pattern a topic may be at many places at once, and
    stay there until its end."""
    return "#" in pattern.rstrip(".*#>")


class PatternTable(Generic[T]):
    """Values by the pattern that they are for. Not safe to share between threads."""

    def __init__(self) -> None:
        self._order: dict[tuple[str, T], int] = {}
        self._added = 0
        self._exact: dict[str, _Entries[T]] = {}
        self._root: _Place[T] = _Place()
        self._found: dict[bytes, tuple[T, ...]] = {}
        self._words = 0

    def add(self, pattern: str, value: T) -> None:
        """Let `value` have the topics of `pattern`; nothing changes if it has. May raise BadTopic.

        The same value under another pattern is found once more.
        """
        if (pattern, value) in self._order:
            return
        check_pattern(pattern)
        self._added += 1
        self._order[pattern, value] = self._added
        if _WILDCARD.search(pattern) is None:
            self._exact.setdefault(pattern, {})[self._added] = value
            self._forget_topic(pattern)
        else:
            _grow(self._root, _steps(pattern)).entries[self._added] = value
            self._forget()

    def remove(self, pattern: str, value: T) -> None:
        """Undo `add`; raises KeyError if there is nothing to undo."""
        order = self._order.pop((pattern, value))
        if _WILDCARD.search(pattern) is None:
            entries = self._exact[pattern]
            del entries[order]
            if not entries:
                del self._exact[pattern]
            self._forget_topic(pattern)
        else:
            _cut(self._root, _steps(pattern), order)
            self._forget()

    def match(self, topic: bytes) -> tuple[T, ...]:
        """The values whose patterns match, in the order of their adding; raises BadTopic."""
        try:
            return self._found[topic]
        except KeyError:
            return self._find(topic)

    def _find(self, topic: bytes) -> tuple[T, ...]:
        text = _text(topic)
        check_topic(text)
        entries = list(self._exact.get(text, {}).items())
        for place in _walk(self._root, text.split(".")):
            entries += place.entries.items()
        values = tuple(value for _, value in sorted(entries, key=_by_order))
        words = _TOPIC_WORDS + len(values)
        if self._words + words > _REMEMBERED_WORDS:
            self._forget()
        self._words += words
        self._found[topic] = values
        return values

    def _forget(self) -> None:
        self._found.clear()
        self._words = 0

    def _forget_topic(self, topic: str) -> None:
        values = self._found.pop(topic.encode(), None)
        if values is not None:
            self._words -= _TOPIC_WORDS + len(values)


#: Values by the number of their adding.
_Entries = dict[int, T]


class _Place(Generic[T]):
    """Where some beginning of patterns leads: those that end here, and the steps from here on."""

    __slots__ = ("after", "entries", "loops")

    def __init__(self, *, loops: bool = False) -> None:
        self.entries: _Entries[T] = {}
        self.after: dict[str, _Place[T]] = {}
        #: A `#` led here: any name may follow without leading away.
        self.loops = loops


def _steps(pattern: str) -> tuple[str, ...]:
    """The pattern in `*`, `#` and names, with each run of wildcards in one shape: `*`s, then a
    `#`. So no two `#` follow each other, and `>` is `*.#`."""
    tokens = pattern.split(".")
    if tokens[-1] == ">":
        tokens[-1:] = "*", "#"
    steps: list[str] = []
    many = False
    for step in tokens:
        if step == "#":
            many = True
            continue
        if many and step != "*":
            steps.append("#")
            many = False
        steps.append(step)
    return (*steps, "#") if many else tuple(steps)


def _grow(root: _Place[T], steps: Iterable[str]) -> _Place[T]:
    place = root
    for step in steps:
        following = place.after.get(step)
        if following is None:
            following = place.after[step] = _Place(loops=step == "#")
        place = following
    return place


def _cut(root: _Place[T], steps: Iterable[str], order: int) -> None:
    """Remove an entry, and the places that led to nothing else."""
    way: list[tuple[_Place[T], str]] = []
    place = root
    for step in steps:
        way.append((place, step))
        place = place.after[step]
    del place.entries[order]
    while way and not place.entries and not place.after:
        place, step = way.pop()
        del place.after[step]


def _walk(root: _Place[T], names: Iterable[str]) -> set[_Place[T]]:
    """The places where a topic may end."""
    at: set[_Place[T]] = set()
    anyhow: set[_Place[T]] = set()
    _reach(root, at, anyhow)
    for name in names:
        reached = {place for place in at if place.loops}
        for place in at:
            for step in (name, "*"):
                following = place.after.get(step)
                if following is not None:
                    _reach(following, reached, anyhow)
        at = reached
    return at | anyhow


def _reach(place: _Place[T], reached: set[_Place[T]], anyhow: set[_Place[T]]) -> None:
    """A `#` may stand for no name at all; behind one that ends a pattern nothing is left to see."""
    reached.add(place)
    many = place.after.get("#")
    if many is not None:
        (reached if many.after else anyhow).add(many)


def _by_order(entry: tuple[int, T]) -> int:
    return entry[0]


def _text(topic: bytes) -> str:
    try:
        return topic.decode()
    except UnicodeDecodeError as error:
        position = len(topic[: error.start].decode()) + 1
        shown = topic.decode(errors="backslashreplace")
        raise BadTopic("topic", shown, position, "it is not UTF-8") from None


def _fault(text: str, *, wildcards: bool) -> tuple[int, str]:
    """Where and why `text` is not valid."""
    if refused := _REFUSED.search(text):
        return refused.start() + 1, "spaces and control characters are not allowed"
    encoded = text.encode()
    if len(encoded) > MAX_BYTES:
        fits = len(encoded[:MAX_BYTES].decode(errors="ignore"))
        return fits + 1, f"it has {len(encoded)} bytes, {MAX_BYTES} are allowed"
    tokens = text.split(".")
    place = 1
    for number, token in enumerate(tokens, start=1):
        if number > MAX_NAMES:
            return place, f"it has {len(tokens)} names, {MAX_NAMES} are allowed"
        if reason := _token_fault(token, number == len(tokens), wildcards=wildcards):
            inside = _WILDCARD.search(token)
            return place + (inside.start() if inside else 0), reason
        if tokens[:number].count("#") > MAX_MANY:
            return place, f"it has {tokens.count('#')} '#', {MAX_MANY} are allowed"
        place += len(token) + 1
    raise AssertionError(f"{text!r} is valid")


def _token_fault(token: str, last: bool, *, wildcards: bool) -> str:
    if not token:
        return "a name is missing"
    sign = _WILDCARD.search(token)
    if sign is None:
        return ""
    if not wildcards:
        return f"{sign[0]!r} is not allowed in a topic"
    if token != sign[0]:
        return f"{sign[0]!r} must stand alone between dots"
    return "'>' must be the last" if sign[0] == ">" and not last else ""
