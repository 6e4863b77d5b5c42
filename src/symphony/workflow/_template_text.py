"""Placeholders in texts: found, and replaced by values.

`${...}` holds an expression, up to the brace that closes it; `$${` stands for `${`. In a text
that is an expression itself (a `when`, an `until`) a value is written as a literal, in brackets
where it would run into what is beside it, and a placeholder inside quotes or a comment there is
refused. So no value can become anything but a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec

from symphony.commons.values import Value

OPENING = "${"
_ESCAPED = "$${"

_STRING = (
    r"""(?:"{3}(?:[^\\]|\\.)*?(?:"{3}|\Z)|'{3}(?:[^\\]|\\.)*?(?:'{3}|\Z)"""
    r"""|"(?:[^\\"]|\\.)*(?:"|\Z)|'(?:[^\\']|\\.)*(?:'|\Z))"""
)
_RAW = (
    r"""(?:[bB]?[rR][bB]?)(?:"{3}.*?(?:"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))"""
)
#: What may hide a brace or a placeholder: a literal or a comment; or else a brace.
_TOKEN = re.compile(rf"(?<![A-Za-z0-9_]){_RAW}|{_STRING}|//[^\n]*|[{{}}]", re.DOTALL)
#: Stands for a placeholder while the text round it is looked at; no text of a file holds it.
_HOLE = "\0"
_APART = re.compile(r"[\s()\[\],:?]?")


class PlaceholderFault(ValueError):
    """A text whose placeholders cannot be told apart, or stand where no value can."""


class Hole(NamedTuple):
    """A placeholder, as the expression in it."""

    expression: str


Parts: TypeAlias = "tuple[str | Hole, ...]"


@lru_cache(maxsize=4096)
def parts_of(text: str) -> Parts:
    """Text and placeholders in turn, the escapes undone; raises PlaceholderFault."""
    if OPENING not in text:
        return (text,)
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[str | Hole]:
    plain, at = "", 0
    while (found := text.find(OPENING, at)) >= 0:
        if text.startswith(_ESCAPED, found - 1) and found > at:
            plain += text[at : found - 1] + OPENING
            at = found + len(OPENING)
            continue
        plain += text[at:found]
        if plain:
            yield plain
        end = _end_of(text, found + len(OPENING))
        yield Hole(_expression(text[found + len(OPENING) : end]))
        plain, at = "", end + 1
    if plain or text[at:]:
        yield plain + text[at:]


def _end_of(text: str, at: int) -> int:
    """Where the brace is that closes a placeholder."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}" and depth == 0:
            return token.start()
        elif token[0] == "}":
            depth -= 1
    raise PlaceholderFault("a placeholder is not closed with '}'; write $${ for the text ${")


def _expression(text: str) -> str:
    if not text.strip():
        raise PlaceholderFault("a placeholder is empty; write $${ for the text ${")
    return text.strip()


def escaped(text: str) -> str:
    """The text that `parts_of` reads as this one."""
    return text.replace(OPENING, _ESCAPED)


def as_text(value: Value) -> str:
    """A value inside a longer text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def check_formula(parts: Parts) -> None:
    """Raise PlaceholderFault if a placeholder in an expression is inside quotes or a comment."""
    text = "".join(_HOLE if isinstance(part, Hole) else part.replace(_HOLE, "") for part in parts)
    for token in _TOKEN.finditer(text):
        if _HOLE in token[0]:
            raise PlaceholderFault(
                "a placeholder stands in quotes or a comment of an expression;"
                " leave the quotes out: it becomes a literal with quotes of its own"
            )


def formula(parts: Parts, values: Sequence[Value]) -> str:
    """An expression with each placeholder replaced by a literal of the value; one that
    `check_formula` lets through. Raises PlaceholderFault for a value without a literal."""
    pending = iter(values)
    pieces = [literal(next(pending)) if isinstance(part, Hole) else part for part in parts]
    for place, part in enumerate(parts):
        before = pieces[place - 1][-1:] if place else ""
        after = pieces[place + 1][:1] if place + 1 < len(pieces) else ""
        if isinstance(part, Hole) and not (_APART.fullmatch(before) and _APART.fullmatch(after)):
            pieces[place] = f"({pieces[place]})"
    return "".join(pieces)


def literal(value: Value) -> str:
    """The value as CEL spells it; never longer than its JSON by more than a few signs a value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise PlaceholderFault(f"{value} is no whole number of 64 bits, as expressions have")
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, float):
        return f"({value!r})" if repr(value).startswith("-") else repr(value)
    if isinstance(value, str):
        if _HOLE in value:
            raise PlaceholderFault("a text with a NUL character has no literal")
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    members = (f"{literal(key)}: {literal(member)}" for key, member in value.items())
    return f"{{{', '.join(members)}}}"
