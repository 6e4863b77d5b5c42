"""Semantic versions and the constraints on them that manifests write, such as `^1.2`.

Constraints follow npm: `=`, `>=`, `<`, `^`, `~`, ranges (`1.2 - 1.4`, `1.x`, `>=1 <3`), `*` and
alternatives (`^1 || ^3`). A pre-release counts only where the constraint names a pre-release of
the same version: `^1.2` does not let in `1.3.0-rc.1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import total_ordering
from typing import Any

from symphony.commons.errors import Category, SymphonyError

#: A text longer than this is no version; the parser need not see it.
LONGEST = 256


class VersionInvalid(SymphonyError):
    """A text is not a version, or not a constraint on versions."""

    code = "versions.invalid"
    category = Category.VALIDATION

    def __init__(self, text: str, expected: str, example: str) -> None:
        self.text = text[:LONGEST]
        super().__init__(f"{self.text!r} is not {expected}.", hint=f"Write it like {example}.")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A semantic version, ordered by precedence; build metadata (`+...`) plays no part in it."""

    text: str
    parsed: Any = field(repr=False)  # semantic_version has no types

    @classmethod
    def parse(cls, text: str) -> Version:
        """All three numbers are needed; raises VersionInvalid."""
        from semantic_version import Version as Parsed

        try:
            return cls(text, Parsed(_printable(text)))
        except ValueError as error:
            raise VersionInvalid(text, "a version", "1.4.0 or 2.0.0-rc.1") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._rank == other._rank

    def __lt__(self, other: Version) -> bool:
        return bool(self._rank < other._rank)

    def __hash__(self) -> int:
        return hash(self.text.partition("+")[0])

    def __str__(self) -> str:
        return self.text

    @property
    def _rank(self) -> Any:
        return self.parsed.truncate("prerelease").precedence_key


@dataclass(frozen=True, slots=True)
class Constraint:
    """Which versions will do. Two are equal if they are spelled alike."""

    text: str
    _spec: Any = field(repr=False, compare=False)  # semantic_version has no types

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Commas and blanks after an operator are let through; raises VersionInvalid."""
        from semantic_version import NpmSpec

        try:
            return cls(text, NpmSpec(_plain(text)))
        except ValueError as error:
            raise VersionInvalid(
                text, "a version constraint", "^1.2, ~1.2.3, >=1.0 <3 or *"
            ) from error

    def allows(self, version: Version) -> bool:
        return bool(self._spec.match(version.parsed))

    def __str__(self) -> str:
        return self.text


def _plain(text: str) -> str:
    """The constraint in the only spelling that the parser knows."""
    spaced = re.sub(r"\s*,\s*", " ", _printable(text.strip()))
    return re.sub(r"([<>=~^])\s+", r"\1", spaced)


def _printable(text: str) -> str:
    """The parser itself would take a trailing line break, and digits of any script."""
    if not text or len(text) > LONGEST or not text.isascii() or not text.isprintable():
        raise ValueError("empty, too long, or with characters that no version has")
    return text
