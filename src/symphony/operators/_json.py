"""JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta

from symphony.commons.files import read_text
from symphony.commons.values import Value
from symphony.operators._declare import operator
from symphony.operators._errors import BadInput, BadJson
from symphony.operators._paths import FilePath, as_path
from symphony.operators._texts import Written, write_bytes


@operator("json.read", title="Read a JSON file")
def read_json(
    path: FilePath,
    limit: Annotated[int, Meta(ge=1, description="The largest size, in bytes.")] = 64 * 1024 * 1024,
) -> Value:
    """The value in a JSON file."""
    file = as_path("json.read", "path", path)
    text = read_text(file, limit)
    try:
        value: Value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _located(file, text, error) from error
    return value


@operator("json.write", title="Write a JSON file")
def write_json(
    path: FilePath,
    value: Annotated[Any, Meta(description="What to write.")],
    indent: Annotated[int, Meta(ge=0, le=16, description="Spaces a level; 0 for one line.")] = 2,
) -> Written:
    """Replaces the whole file at once; folders above it are made as needed."""
    file = as_path("json.write", "path", path)
    try:
        data = json.dumps(
            value, indent=indent or None, ensure_ascii=False, allow_nan=False
        ).encode()
    except (ValueError, RecursionError) as error:
        raise BadInput("json.write", "value", f"it cannot be written as JSON: {error}") from error
    return write_bytes(file, data + b"\n")


def _located(path: Path, text: str, error: Exception) -> BadJson:
    """The fast parser does not tell the line; the slow one does."""
    try:
        json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as place:
        return BadJson(str(path), place.lineno, place.colno, place.msg.lower())
    except (ValueError, RecursionError):
        pass
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return BadJson(str(path), 1, 1, reason)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")
