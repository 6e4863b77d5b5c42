"""JSON for people: a node or an edge is a line where it fits into one, so that a change of one is a
change of a few lines in a diff.

The text is made in C as far as that goes: all rows are encoded and spaced at once and cut at
markers; those that are too long are spaced once more, broken everywhere, and what lies deeper than
their members is drawn together again. Only a member that is still too long is laid out piece by
piece. A line break never stands inside a string of JSON, so all this can be done on the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, count

import msgspec

from symphony.commons.values import Value

#: Columns that an array or object may fill before it is broken into lines.
WIDTH = 100

_INDENT = " " * 6
_member = re.compile(r'^ {6}("(?:[^"\\]|\\.)*+": )([\[{].*?)(,?)$', re.MULTILINE)
_wide = re.compile(rf"\n[^\n]{{{WIDTH + 1}}}")


def layout(value: Value, *, broken: bool = True, indent: int = 0) -> str:
    """JSON for people: what fits into a line is one, but for `value` itself if it is `broken`,
    and for lists of objects, which take a line or more for each."""
    line = in_one_line(value)
    if not value or not isinstance(value, (dict, list, tuple)):
        return line
    is_table = not isinstance(value, dict) and all(isinstance(item, dict) for item in value)
    if len(line) + indent <= WIDTH and not broken and not is_table:
        return line
    gap = "\n" + " " * indent
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{gap}  {f',{gap}  '.join(_members(value, indent + 2))}{gap}{closing}"


def in_one_line(value: object) -> str:
    """JSON with a space behind each comma and colon."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def table(rows: Sequence[object]) -> str:
    """A member's value: an array with a line or more for each row; the member is indented by 2."""
    lines = _lines(rows)
    wide = [number for number, line in enumerate(lines) if len(line) > WIDTH - 4]
    for number, text in zip(wide, _broken([lines[number] for number in wide]), strict=True):
        lines[number] = text
    joined = ",\n    ".join(lines)
    return f"[\n    {joined}\n  ]" if lines else "[]"


def _members(value: dict[str, Value] | list[Value], indent: int) -> list[str]:
    if isinstance(value, dict):
        return [
            f"{json.dumps(key, ensure_ascii=False)}: {layout(item, broken=False, indent=indent)}"
            for key, item in value.items()
        ]
    return [layout(item, broken=False, indent=indent) for item in value]


def _lines(rows: Sequence[object]) -> list[str]:
    """Each row in one line. Between any two goes a marker that is no other part of the text."""
    lines: list[str] = []
    for mark in map(str, count() if rows else ()):
        marked = list(chain.from_iterable((row, mark) for row in rows))[:-1]
        lines = in_one_line(marked)[1:-1].split(f', "{mark}", ')
        if len(lines) == len(rows):
            break
    return lines


def _broken(lines: list[str]) -> Iterator[str]:
    """Objects with a line for each member, indented by 4."""
    if not lines:
        return iter(())
    text = msgspec.json.format(f"[[{','.join(lines)}]]".encode(), indent=2).decode()
    text = _drawn_together(text)[len("[\n  [\n    {") : -len("\n    }\n  ]\n]")]
    rows = text.split("\n    },\n    {")
    if _is_wide(text):
        rows = [_member.sub(_again, row) if _is_wide(row) else row for row in rows]
    return (f"{{{row}\n    }}" for row in rows)


def _drawn_together(text: str) -> str:
    """Members of rows, which are indented by 6, in one line each."""
    deepest = next(depth for depth in count(8, 2) if "\n" + " " * depth not in text)
    for depth in range(deepest - 2, 6, -2):
        gap, outer = "\n" + " " * depth, "\n" + " " * (depth - 2)
        for before, after in (
            (f",{gap}", ", "),
            (f"{{{gap}", "{"),
            (f"[{gap}", "["),
            (f"{outer}}}", "}"),
            (f"{outer}]", "]"),
        ):
            text = text.replace(before, after)
    return text


def _is_wide(text: str) -> bool:
    """Whether a member of a row has to be broken, by its width or because it is a table."""
    return '": [{' in text or _wide.search(text) is not None


def _again(member: re.Match[str]) -> str:
    key, value, comma = member.groups()
    text = layout(msgspec.json.decode(value), broken=False, indent=len(_INDENT))
    return f"{_INDENT}{key}{text}{comma}"
