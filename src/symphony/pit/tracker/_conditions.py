"""The expressions in a workflow, compiled once: conditions, cases, and changes on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from symphony.commons.expressions import Expression, ExpressionFailed
from symphony.commons.values import Value
from symphony.workflow import Transform

#: Of a port whose name CEL could not read; all are reached by this one.
PORTS: Final = "ports"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"}
    | {"let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}
)


@lru_cache(maxsize=4096)
def _compiled(text: str, variables: frozenset[str]) -> Expression:
    return Expression.compile(text, variables)


def holds(text: str, variables: Mapping[str, Value]) -> bool:
    """Whether a condition is true; raises what is wrong with it, also if it is no condition."""
    result = evaluated(text, variables)
    if not isinstance(result, bool):
        raise ExpressionFailed(text, "it is neither true nor false")
    return result


def over_ports(ports: Mapping[str, Value]) -> dict[str, Value]:
    """The variables of an expression over ports: each by its name, and all of them in one."""
    named = {name: value for name, value in ports.items() if _is_name(name)}
    return {PORTS: dict(ports), **named}


def evaluated(text: str, variables: Mapping[str, Value]) -> Value:
    return _compiled(text, frozenset(variables)).evaluate(variables)


def transformed(value: Value, steps: Iterable[Transform]) -> Value:
    for step in steps:
        value = _step(value, step)
    return value


def _step(value: Value, step: Transform) -> Value:
    if step.expression:
        return evaluated(step.expression, {"value": value})
    text = step.map or step.filter or step.reduce or "flatten"
    if not isinstance(value, list):
        raise ExpressionFailed(text, "what the edge carries is not a list")
    if step.map:
        return [evaluated(text, {"item": each, "index": at}) for at, each in enumerate(value)]
    if step.filter:
        return [each for at, each in enumerate(value) if holds(text, {"item": each, "index": at})]
    if step.reduce:
        return _reduced(value, step)
    return _flat(value, step.flatten)


def _reduced(items: list[Value], step: Transform) -> Value:
    if step.initial is not msgspec.UNSET:
        total, rest = step.initial, items
    elif items:
        total, rest = items[0], items[1:]
    else:
        raise ExpressionFailed(step.reduce, "the list is empty and there is no initial value")
    for item in rest:
        total = evaluated(step.reduce, {"total": total, "item": item})
    return total


def _flat(items: list[Value], levels: int) -> list[Value]:
    for _ in range(levels):
        if not any(isinstance(item, list) for item in items):
            break
        items = [each for item in items for each in (item if isinstance(item, list) else [item])]
    return items


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name not in _RESERVED and name != PORTS
