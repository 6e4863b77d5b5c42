"""The text of a workflow, kept to tell where in it a fault lies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Final

import msgspec

from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._scanner import Scan, scan

#: Faults of a member's name; the others are faults of its value.
_OF_THE_KEY = (ProblemCode.UNKNOWN_FIELD, ProblemCode.DUPLICATE_KEY)
#: Characters of the longest text in which places are looked for: it takes seconds and 1 GB.
MOST_SCANNED: Final = 16 * 2**20


class Source:
    """Text and its name (a path, or `<text>`); `scanner` knows the language it is written in.

    Any two are equal: where a workflow was read is no part of what it is.
    """

    def __init__(self, name: str, text: str, scanner: Callable[[str], Scan] = scan) -> None:
        self.name = name
        self.text = text
        self._scanner = scanner

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Source)

    __hash__ = None  # type: ignore[assignment]  # as for every value that is equal by content

    @cached_property
    def scan(self) -> Scan:
        """Costs about 0.2 s for each MB: for texts in which something is wrong."""
        return self._scanner(self.text) if len(self.text) <= MOST_SCANNED else Scan({}, [])

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        while (end := self.text.find("\n", starts[-1])) >= 0:
            starts.append(end + 1)
        return starts

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def at(self, problem: Problem, offset: int) -> Problem:
        line, column = self.place(offset)
        return msgspec.structs.replace(problem, line=line, column=column)

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """The problems with their lines and columns, in the order of the text.

        Where no places are known, in a binary file or a very long text, they stay as they are.
        """
        found = [self._located(problem) for problem in problems]
        return sorted(found, key=lambda problem: (problem.line, problem.column))

    def _located(self, problem: Problem) -> Problem:
        """Where the pointer leads, or where it leaves the text."""
        spots, pointer = self.scan.spots, problem.pointer
        while pointer and pointer not in spots:
            pointer = pointer.rpartition("/")[0]
        if pointer not in spots:
            return problem
        on_key = problem.code in _OF_THE_KEY and pointer == problem.pointer
        return self.at(problem, spots[pointer].key if on_key else spots[pointer].value)


def placeless(_: str) -> Scan:
    """The scanner of a binary file."""
    return Scan({}, [])
