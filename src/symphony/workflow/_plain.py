"""Documents as plain values: whether they hold only what every format can say.

JSON admits nothing else. YAML, TOML and MessagePack know dates, bytes, numbers that are none, and
keys that are no text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._scanner import MAX_DEPTH, pointer_to

_CONTAINERS: Final = frozenset({dict, list, tuple})
_SCALARS: Final = frozenset({str, int, bool, type(None)})


class Inexpressible(Exception):
    """A format cannot say what a document says."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


def is_plain(document: object) -> bool:
    """Whether JSON could say it, with at most MAX_DEPTH arrays and objects inside each other."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        containers: list[object] = []
        for item in level:
            kind = type(item)
            if kind in _CONTAINERS:
                containers.append(item)
            elif kind not in _SCALARS and not _is_number(item):
                return False
        if not containers:
            return True
        if not all(_has_names(item) for item in containers):
            return False
        level = _children(containers)
    return False


def impurities(document: object, pointer: str = "", depth: int = 1) -> Iterator[Problem]:
    """What is_plain refuses, and where."""
    if isinstance(document, (dict, list, tuple)):
        if depth > MAX_DEPTH:
            message = f"This is nested more than {MAX_DEPTH} levels deep."
            yield Problem(ProblemCode.LIMIT, message, pointer)
            return
        members = document.items() if isinstance(document, dict) else enumerate(document)
        for key, item in members:
            here = pointer_to(pointer, key if isinstance(key, (str, int)) else repr(key))
            if isinstance(document, dict) and not isinstance(key, str):
                yield Problem(ProblemCode.BAD_VALUE, f"A name must be text, not {key!r}.", here)
            yield from impurities(item, here, depth + 1)
    elif type(document) not in _SCALARS and not _is_number(document):
        message = f"This is no value that a workflow can hold: {document!r:.60}."
        yield Problem(ProblemCode.BAD_VALUE, message, pointer, "Write it as text, in quotes.")


def depth_of(*values: object) -> int:
    """The most arrays and objects inside each other."""
    depth, level = 0, list(values)
    while level := [item for item in level if type(item) in _CONTAINERS]:
        depth += 1
        level = _children(level)
    return depth


def _is_number(item: object) -> bool:
    return type(item) is float and math.isfinite(item)


def _has_names(container: object) -> bool:
    return not isinstance(container, dict) or all(type(key) is str for key in container)


def _children(containers: Sequence[object]) -> list[object]:
    return [
        child
        for parent in containers
        if isinstance(parent, (dict, list, tuple))
        for child in (parent.values() if isinstance(parent, dict) else parent)
    ]
