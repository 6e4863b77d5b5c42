"""On which line of a TOML file each key stands; the standard library's parser does not tell."""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str, ...]

TOKEN = re.compile(
    r'''(?P<skipped>\#[^\n]*|"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5})
      | (?P<quoted>"(?:\\.|[^"\\\n])*"|'[^'\n]*')
      | (?P<bare>[A-Za-z0-9_-]+)
      | (?P<mark>[=\[\]{}\n])''',
    re.DOTALL | re.VERBOSE,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of every key path outside of arrays and inline tables, and of those enclosing it.

    `text` must have been parsed before: what is not TOML is not noticed. Elements of an array of
    tables share one path; its first element wins.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    parts: KeyPath = ()
    line, depth, in_value = 1, 0, False
    for token in TOKEN.finditer(text):
        word, kind = token.group(), token.lastgroup
        if in_value:
            depth += (word in ("[", "{")) - (word in ("]", "}"))
            in_value = word != "\n" or depth > 0
        elif kind in ("bare", "quoted"):
            parts = (*parts, _unquoted(word) if kind == "quoted" else word)
        elif parts and word in ("=", "]"):
            in_value = word == "="
            path = (*table, *parts) if in_value else parts
            table, parts = (table if in_value else path), ()
            for length in range(1, len(path) + 1):
                lines.setdefault(path[:length], line)
        line += word.count("\n")
    return lines


def _unquoted(key: str) -> str:
    (name,) = tomllib.loads(f"{key} = 0")
    return name
