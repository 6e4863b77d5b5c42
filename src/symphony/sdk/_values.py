"""Which values may travel: exactly what JSON and MessagePack both hold."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, cast

from symphony.commons.values import Value
from symphony.sdk._errors import BadValue

if TYPE_CHECKING:
    from collections.abc import Sequence

DEEPEST = 100
SMALLEST_INT, LARGEST_INT = -(2**63), 2**64 - 1


def check_value(extension: str, port: str, value: object) -> Value:
    """`value`, which is returned as it is; raises BadValue that says where in it the fault lies.

    Tuples pass, and arrive as lists. Refused are NaN and infinities, keys that are not text, bytes
    and whatever else JSON has no word for, text with lone surrogates, integers over 64 bits, and
    nesting deeper than 100.
    """
    fault = _fault(value, 0)
    if fault is not None:
        where, reason = fault
        raise BadValue(extension, port, f"{reason} (at {where})" if where else reason)
    return cast("Value", value)


def _fault(value: object, depth: int) -> tuple[str, str] | None:
    """Where and what. The path is put together on the way back, so that good values, which may be
    large, cost no more than a look at each."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        if depth >= DEEPEST:
            return "", f"it is nested deeper than {DEEPEST} levels"
        if kind is dict:
            return _fault_in_dict(cast("dict[object, object]", value), depth + 1)
        return _fault_in_list(cast("Sequence[object]", value), depth + 1)
    return _fault_in_scalar(value)


def _fault_in_dict(value: dict[object, object], depth: int) -> tuple[str, str] | None:
    for key, item in value.items():
        if type(key) is not str:
            return "", f"a key is {_named(key)}, not text"
        fault = _fault_in_scalar(key) or _fault(item, depth)
        if fault is not None:
            return f".{ascii(key)[1:-1]}{fault[0]}", fault[1]
    return None


def _fault_in_list(value: Sequence[object], depth: int) -> tuple[str, str] | None:
    for index, item in enumerate(value):
        fault = _fault(item, depth)
        if fault is not None:
            return f"[{index}]{fault[0]}", fault[1]
    return None


def _fault_in_scalar(value: object) -> tuple[str, str] | None:
    kind = type(value)
    if kind is str:
        return None if _is_unicode(cast("str", value)) else ("", "the text has lone surrogates")
    if kind is int:
        fits = SMALLEST_INT <= cast("int", value) <= LARGEST_INT
        return None if fits else ("", "the integer does not fit into 64 bits")
    if kind is float:
        return None if isfinite(cast("float", value)) else ("", f"{value} is not a JSON number")
    if kind is bool or value is None:
        return None
    return "", f"{_named(value)} is not a JSON value"


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
