"""Patterns of paths, in the spelling of `.gitignore` but without its `!` and backslashes.

`*` and `?` stop at a slash, `[...]` is a set, and `**` between slashes stands for any number of
folders. A pattern without a slash (other than one at its end) matches names at any depth; one
with a slash counts from the root. A slash at the end admits folders alone.

A path is matched part by part and not by one regular expression, which a pattern with many stars
would keep busy for hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import TypeAlias

#: For each part of a path what matches it, None for any number of parts.
Parts: TypeAlias = "tuple[re.Pattern[str] | None, ...]"


@dataclass(frozen=True, slots=True)
class Patterns:
    """Several patterns as one; matches what any of them matches. Paths are relative, with `/`."""

    _for_all: tuple[Parts, ...]
    _for_folders: tuple[Parts, ...]

    @classmethod
    def compile(cls, patterns: Iterable[str]) -> Patterns:
        given = [pattern for pattern in patterns if pattern.strip("/")]
        for_all = tuple(_parts(pattern) for pattern in given if not pattern.endswith("/"))
        for_folders = tuple(_parts(pattern) for pattern in given if pattern.endswith("/"))
        return cls(for_all, for_folders)

    def match_file(self, path: str) -> bool:
        steps = path.split("/")
        return any(_match(parts, steps) for parts in self._for_all)

    def match_folder(self, path: str) -> bool:
        steps = path.split("/")
        return any(_match(parts, steps) for parts in self._for_all + self._for_folders)


def _parts(pattern: str) -> Parts:
    steps = pattern.strip("/").split("/")
    if "/" not in pattern.rstrip("/"):
        steps.insert(0, "**")
    if steps[-1] == "**":
        steps.append("*")
    return tuple(None if step == "**" else re.compile(translate(step)) for step in steps if step)


def _match(parts: Parts, steps: Sequence[str]) -> bool:
    """Back to the last `**` on a mismatch is enough: what came before it is settled."""
    part = step = resumed = 0
    last = -1
    while step < len(steps):
        wanted = parts[part] if part < len(parts) else _NOTHING
        if wanted is None:
            last, resumed = part, step
            part += 1
        elif wanted.match(steps[step]):
            part, step = part + 1, step + 1
        elif last >= 0:
            resumed += 1
            part, step = last + 1, resumed
        else:
            return False
    return all(wanted is None for wanted in parts[part:])


_NOTHING = re.compile(r"(?!)")
