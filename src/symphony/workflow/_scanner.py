"""Strict JSON, read slowly: where everything stands, and what exactly is wrong.

Texts are read with msgspec, at 100 MB a second, but it tells neither line nor column, takes a key
that is there twice, and stops at the first fault. So a text in which anything is wrong is read
again by this scanner, which is sixty times slower and knows. The two agree on what is JSON; a
property test says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from symphony.workflow._errors import Problem, ProblemCode

#: Arrays and objects inside each other, the outermost counted.
MAX_DEPTH = 64
#: Digits of one integer, as in Python.
MAX_DIGITS = 4300

_blanks = re.compile(r"[ \t\n\r]*").match
_body = re.compile(
    r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]'
    r"|u(?:[0-9a-cefA-CEF][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2}"
    r"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*+"
).match
_number = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").match
_word = re.compile(r"[^\s\[\]{},:\"]{1,20}").match
_LITERALS = ("true", "false", "null")


class Spot(NamedTuple):
    """Offsets of a member's key and value; of an array's element both are the value's."""

    key: int
    value: int


class Scan(NamedTuple):
    """The spots by JSON pointer, and the faults with their offsets, in the order of the text.

    After a fault of syntax or depth nothing more is known.
    """

    spots: dict[str, Spot]
    faults: list[tuple[Problem, int]]


class _Stop(Exception):
    """The rest of the text makes no sense."""

    def __init__(self, offset: int, message: str, code: ProblemCode = ProblemCode.SYNTAX) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.code = code


def scan(text: str) -> Scan:
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _Stop as stop:
        scanner.scan.faults.append((Problem(stop.code, stop.message), stop.offset))
    return scanner.scan


def pointer_to(parent: str, key: str | int) -> str:
    """RFC 6901."""
    return f"{parent}/{str(key).replace('~', '~0').replace('/', '~1')}"


class _Scanner:
    """Recursive descent; `MAX_DEPTH` bounds the recursion. Each method takes the offset where
    something starts and gives the offset after it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.scan = Scan({}, [])

    def document(self) -> None:
        start = self._skip(0)
        self.scan.spots[""] = Spot(start, start)
        end = self._skip(self._value(start, "", 1))
        if end < len(self.text):
            raise _Stop(end, f"The text goes on after its end, with {self._found(end)}.")

    def _value(self, at: int, pointer: str, depth: int) -> int:
        first = self.text[at : at + 1]
        if first == '"':
            return self._string(at)
        if first in ("{", "[") and depth > MAX_DEPTH:
            message = f"This is nested more than {MAX_DEPTH} levels deep."
            raise _Stop(at, message, ProblemCode.LIMIT)
        if first == "{":
            return self._object(at, pointer, depth)
        if first == "[":
            return self._array(at, pointer, depth)
        for literal in _LITERALS:
            if self.text.startswith(literal, at):
                return at + len(literal)
        return self._number(at)

    def _object(self, at: int, pointer: str, depth: int) -> int:
        seen: set[str] = set()

        def member(key_at: int, _: int) -> int:
            if not self.text.startswith('"', key_at):
                raise _Stop(
                    key_at, f"A name in double quotes is expected, not {self._found(key_at)}."
                )
            key_end = self._string(key_at)
            key = _decoded(self.text[key_at:key_end])
            colon = self._skip(key_end)
            if not self.text.startswith(":", colon):
                raise _Stop(colon, f"A ':' is expected after {key!r}, not {self._found(colon)}.")
            value_at = self._skip(colon + 1)
            here = pointer_to(pointer, key)
            if key in seen:
                problem = Problem(ProblemCode.DUPLICATE_KEY, f"{key!r} is here twice.", here)
                self.scan.faults.append((problem, key_at))
            seen.add(key)
            self.scan.spots[here] = Spot(key_at, value_at)
            return self._value(value_at, here, depth + 1)

        return self._members(at, "}", member)

    def _array(self, at: int, pointer: str, depth: int) -> int:
        def member(value_at: int, number: int) -> int:
            here = f"{pointer}/{number}"
            self.scan.spots[here] = Spot(value_at, value_at)
            return self._value(value_at, here, depth + 1)

        return self._members(at, "]", member)

    def _members(self, at: int, closing: str, member: Callable[[int, int], int]) -> int:
        at = self._skip(at + 1)
        number = 0
        while not self.text.startswith(closing, at):
            at = self._skip(member(at, number))
            number += 1
            if self.text.startswith(",", at):
                comma, at = at, self._skip(at + 1)
                if self.text.startswith(closing, at):
                    raise _Stop(comma, f"A comma stands before the closing '{closing}'.")
            elif not self.text.startswith(closing, at):
                raise _Stop(at, f"A ',' or '{closing}' is expected, not {self._found(at)}.")
        return at + 1

    def _string(self, at: int) -> int:
        end = self._end_of(_body, at + 1)
        if self.text.startswith('"', end):
            return end + 1
        if end == len(self.text):
            raise _Stop(at, "This text in quotes has no end.")
        if self.text[end] == "\\":
            raise _Stop(end, "A backslash starts no escape that JSON knows.")
        raise _Stop(end, f"The character {self.text[end]!r} must be written as an escape.")

    def _number(self, at: int) -> int:
        match = _number(self.text, at)
        if match is None:
            raise _Stop(at, f"A value is expected, not {self._found(at)}.")
        digits = match.group()
        whole = digits.lstrip("-").isdigit()
        if (len(digits.lstrip("-")) > MAX_DIGITS) if whole else math.isinf(float(digits)):
            raise _Stop(at, "This number is too large.", ProblemCode.LIMIT)
        return match.end()

    def _skip(self, at: int) -> int:
        return self._end_of(_blanks, at)

    def _end_of(self, pattern: Callable[[str, int], re.Match[str] | None], at: int) -> int:
        match = pattern(self.text, at)
        return at if match is None else match.end()

    def _found(self, at: int) -> str:
        """What stands at `at`, for a message."""
        if at == len(self.text):
            return "the end of the text"
        if self.text.startswith(("//", "/*", "#"), at):
            return "a comment: JSON has none"
        word = _word(self.text, at)
        return repr(word.group() if word else self.text[at])


def _decoded(string: str) -> str:
    import msgspec

    return msgspec.json.decode(string, type=str) if "\\" in string else string[1:-1]
