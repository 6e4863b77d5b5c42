"""Duck debugging: explain a value to the duck, and the duck says it back.

    total = duck(price * count)   # [DUCK DEBUGGING] shop.py:12 price * count = 42

For a moment at the desk: the tests refuse a call that is left in the source.
"""

from __future__ import annotations

import ast
import linecache
import sys
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

LONGEST = 2000


def duck(value: T) -> T:
    """Say file, line, expression and value on stderr; returns the value itself."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to the caller that costs no stack walk
    place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    shown = repr(value)
    if len(shown) > LONGEST:
        shown = f"{shown[:LONGEST]}... ({len(shown)} characters)"
    sys.stderr.write(f"[DUCK DEBUGGING] {place} {_expression(frame)} = {shown}\n")
    return value


def _expression(frame: FrameType) -> str:
    """The source of the argument of the call that `frame` is in, or "?" if there is no source."""
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    place = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError:
        return "?"
    calls = (node for node in nodes if isinstance(node, ast.Call))
    here = (call for call in calls if place == _place(call))
    return next((_argument(call, source) for call in here), "?")


def _place(node: ast.Call) -> tuple[int, int | None, int, int | None]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _argument(call: ast.Call, source: str) -> str:
    argument = call.args[0] if call.args else call.keywords[0].value
    return " ".join((ast.get_source_segment(source, argument) or "?").split())
