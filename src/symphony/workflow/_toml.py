"""TOML for authors: the tree of JSON in another spelling, without null, which TOML does not have.

The standard library's parser tells the line of a fault, but not where values stand. `scan_toml`
finds what matters: the tables, and the keys that begin a line.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Final

import tomli_w

from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._plain import Inexpressible
from symphony.workflow._scanner import Scan, Spot, pointer_to
from symphony.workflow._source import Source

#: Characters of a text: the parser is written in Python, and reads about 1 MB a second.
MAX_TOML: Final = 8 * 2**20

_place = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_twice = re.compile(r"Cannot overwrite a value|Cannot declare .* twice|Duplicate inline table key")
_key = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_path = rf"{_key}(?:[ \t]*\.[ \t]*{_key})*"
_line = re.compile(
    rf"^[ \t]*(?:\[\[[ \t]*(?P<row>{_path})[ \t]*\]\]|\[[ \t]*(?P<table>{_path})[ \t]*\]"
    rf"|(?P<member>{_path})[ \t]*=[ \t]*)",
    re.MULTILINE,
)
_part = re.compile(_key)


def parse_toml(source: Source) -> Value:
    """The value that a text spells; WorkflowInvalid with the place of the first fault."""
    if len(source.text) > MAX_TOML:
        message = f"The text is longer than {MAX_TOML >> 20} MiB; JSON may be longer."
        raise WorkflowInvalid(source.name, [Problem(ProblemCode.LIMIT, message)])
    try:
        document: Value = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise WorkflowInvalid(source.name, [_fault(source, str(error))]) from error
    except (ValueError, RecursionError) as error:
        message = "A number is too large, or it is nested too deeply."
        raise WorkflowInvalid(source.name, [Problem(ProblemCode.LIMIT, message)]) from error
    return document


def write_toml(document: dict[str, Value]) -> str:
    """Raises Inexpressible for null."""
    problems = [
        Problem(ProblemCode.BAD_VALUE, f"TOML has no null, and one stands at {pointer}.", pointer)
        for pointer in _nulls(document, "")
    ]
    if problems:
        raise Inexpressible(problems)
    return tomli_w.dumps(document)


def _nulls(value: Value, pointer: str) -> Iterator[str]:
    if value is None:
        yield pointer
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _nulls(item, pointer_to(pointer, key))


def scan_toml(text: str) -> Scan:
    """Where tables and members stand. What is inside of an inline table is where that is; a line of
    a long text that looks like a member may be taken for one."""
    spots = {"": Spot(0, 0)}
    rows: Counter[str] = Counter()
    table = ""
    for found in _line.finditer(text):
        if found["member"] is not None:
            pointer = _pointer(table, found["member"], rows)
            spots.setdefault(pointer, Spot(found.start("member"), found.end()))
            continue
        if found["row"] is not None:
            rows[_pointer("", found["row"], rows, last=True)] += 1
        table = _pointer("", found["row"] or found["table"], rows)
        spots.setdefault(table, Spot(found.start(), found.start()))
    return Scan(spots, [])


def _pointer(table: str, path: str, rows: Counter[str], *, last: bool = False) -> str:
    """A dotted path as a pointer; a name of a list of tables means the last of them, unless it
    comes `last`."""
    parts = _part.findall(path)
    pointer = table
    for number, part in enumerate(parts, 1):
        key = part if part[0] not in "\"'" else tomllib.loads(f"key = {part}")["key"]
        pointer = pointer_to(pointer, key)
        if rows[pointer] and not (last and number == len(parts)):
            pointer = pointer_to(pointer, rows[pointer] - 1)
    return pointer


def _fault(source: Source, message: str) -> Problem:
    place = _place.search(message)
    reason = _place.sub("", message).rstrip(".")
    twice = _twice.match(reason) is not None
    code = ProblemCode.DUPLICATE_KEY if twice else ProblemCode.SYNTAX
    reason = "A name is here twice" if twice else f"It is not TOML: {reason}"
    problem = Problem(code, f"{reason}.")
    if place is None or place[1] is None:
        return source.at(problem, len(source.text))
    lines = source.text.split("\n", int(place[1]) - 1)
    return source.at(problem, len(source.text) - len(lines[-1]) + int(place[2]) - 1)
