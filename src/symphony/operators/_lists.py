"""Work on lists with CEL expressions, evaluated once for each item.

An expression sees the item as `item`, its place (from 0) as `index`, and the values given as
`with` by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cmp_to_key
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from symphony.commons.expressions import Expression, ExpressionError
from symphony.commons.values import Value
from symphony.operators._declare import operator
from symphony.operators._errors import BadInput, ItemFailed

Items: TypeAlias = Annotated[list[Any], Meta(description="The list to work on.")]
Extra: TypeAlias = Annotated[
    dict[str, Any], Meta(description="More values, used in expressions by their names.")
]
#: What tells whoever checks a workflow that a text is an expression, and what it may name.
ITEMWISE: dict[str, Any] = {
    "format": "cel",
    "variables": ["item", "index"],
    "variablesFrom": "with",
}
Recipe: TypeAlias = Annotated[str, Meta(extra_json_schema=ITEMWISE)]
Formula: TypeAlias = Annotated[
    str,
    Meta(
        description="A CEL expression over `item` and `index`.",
        examples=["item.size > 100"],
        extra_json_schema=ITEMWISE,
    ),
]
Fold: TypeAlias = Literal["sum", "min", "max", "mean", "count", "first", "list"]
Folds: TypeAlias = Annotated[
    dict[str, dict[Fold, Recipe]],
    Meta(
        description="A name for each figure, how it is made, and the expression it is made from.",
        examples=[{"bytes": {"sum": "item.size"}}],
    ),
]


@operator("list.map", title="Make something of each item")
def map_items(items: Items, expression: Formula, with_: Extra = {}) -> list[Value]:  # noqa: B006
    """A list of what the expression makes of each item."""
    return list(_each("list.map", "expression", expression, items, with_))


@operator("list.filter", title="Keep some items")
def filter_items(items: Items, expression: Formula, with_: Extra = {}) -> list[Value]:  # noqa: B006
    """The items for which the expression is true."""
    verdicts = _each("list.filter", "expression", expression, items, with_)
    return [
        item
        for index, (item, verdict) in enumerate(zip(items, verdicts, strict=True))
        if _verdict("list.filter", index, verdict)
    ]


@operator("list.select", title="Keep some fields")
def select_fields(
    items: Items,
    fields: Annotated[
        list[str] | dict[str, Recipe],
        Meta(
            description="The names of fields, or a CEL expression for each new field.",
            examples=[["path", "size"], {"kilobytes": "item.size / 1000"}],
        ),
    ],
    with_: Extra = {},  # noqa: B006
) -> list[dict[str, Value]]:
    """An object for each item, with the fields in the order given. A missing field is null."""
    if isinstance(fields, list):
        return [_picked(index, item, fields) for index, item in enumerate(items)]
    columns = [list(_each("list.select", "fields", text, items, with_)) for text in fields.values()]
    if not columns:
        return [{} for _ in items]
    return [dict(zip(fields, row, strict=True)) for row in zip(*columns, strict=True)]


@operator("list.sort", title="Sort a list")
def sort_items(
    items: Items,
    by: Formula = "item",
    descending: Annotated[bool, Meta(description="Largest first.")] = False,
    limit: Annotated[int, Meta(ge=0, description="Keep only so many; 0 keeps all.")] = 0,
    with_: Extra = {},  # noqa: B006
) -> list[Value]:
    """The items in the order of what the expression makes of them; equal ones stay as they were.

    Values of different types sort as null, booleans, numbers, texts, lists, objects.
    """
    keys = list(_each("list.sort", "by", by, items, with_))
    rank = cmp_to_key(_compared)
    order = sorted(range(len(items)), key=lambda index: rank(keys[index]), reverse=descending)
    return [items[index] for index in (order[:limit] if limit else order)]


@operator("list.group", title="Group and aggregate")
def group_items(
    items: Items,
    by: Formula,
    aggregate: Folds = {},  # noqa: B006
    with_: Extra = {},  # noqa: B006
) -> list[dict[str, Value]]:
    """An object for each group, in the order of first appearance: its `key`, its `count`, and the
    figures of `aggregate`. sum, min, max and mean leave out nulls; count counts what is true.
    """
    groups: dict[str, tuple[Value, list[int]]] = {}
    for index, key in enumerate(_each("list.group", "by", by, items, with_)):
        groups.setdefault(_identity(key), (key, []))[1].append(index)
    rows: list[dict[str, Value]] = [
        {"key": key, "count": len(members)} for key, members in groups.values()
    ]
    for name, recipe in aggregate.items():
        if name in ("key", "count") or len(recipe) != 1:
            reason = (
                f"{name!r} must be a new name with one of sum, min, max, mean, count, first, list"
            )
            raise BadInput("list.group", "aggregate", reason)
        ((fold, text),) = recipe.items()
        values = list(_each("list.group", "aggregate", text, items, with_))
        for row, (_, members) in zip(rows, groups.values(), strict=True):
            row[name] = _folded(fold, values, members)
    return rows


@operator("value.expression", title="Calculate a value")
def evaluate(
    expression: Annotated[
        str,
        Meta(
            description="A CEL expression over `value` and the names of `with`.",
            extra_json_schema={**ITEMWISE, "variables": ["value"]},
        ),
    ],
    value: Annotated[Any, Meta(description="What the expression calls `value`.")] = None,
    with_: Extra = {},  # noqa: B006
) -> Value:
    """What the expression makes of the values given."""
    compiled = Expression.compile(expression, ["value", *with_])
    return compiled.evaluate({"value": value, **with_})


def _each(
    name: str, port: str, text: str, items: Sequence[Value], extra: Mapping[str, Value]
) -> Iterator[Value]:
    """The expression's result for each item; ItemFailed names the item."""
    taken = {"item", "index"} & extra.keys()
    if taken:
        raise BadInput(name, "with", f"the name {min(taken)!r} is taken")
    expression = Expression.compile(text, ["item", "index", *extra])
    values = {"item": None, "index": 0, **extra}
    for index, item in enumerate(items):
        values["item"] = item
        values["index"] = index
        try:
            result = expression.evaluate(values)
        except ExpressionError as error:
            raise ItemFailed(name, index, f"{port}: {error.message}", hint=error.hint) from error
        yield result


def _verdict(name: str, index: int, verdict: Value) -> bool:
    if not isinstance(verdict, bool):
        kind = _KIND_NAMES[_rank(verdict)]
        raise ItemFailed(name, index, f"the expression gives a {kind}, not true or false.")
    return verdict


def _picked(index: int, item: Value, fields: list[str]) -> dict[str, Value]:
    if not isinstance(item, dict):
        kind = _KIND_NAMES[_rank(item)]
        raise ItemFailed("list.select", index, f"it is a {kind} and has no fields.")
    return {field: item.get(field) for field in fields}


_KIND_NAMES = ("null", "boolean", "number", "text", "list", "object")


def _rank(value: Value) -> int:
    if value is None:
        return 0
    if isinstance(value, bool):
        return 1
    if isinstance(value, (int, float)):
        return 2
    return 3 if isinstance(value, str) else 4 if isinstance(value, list) else 5


def _compared(one: Value, other: Value) -> int:
    """A total order over all values: -1, 0 or 1."""
    difference = _rank(one) - _rank(other)
    if difference:
        return difference
    if isinstance(one, dict) and isinstance(other, dict):
        return _compared(_as_list(one), _as_list(other))
    if isinstance(one, list) and isinstance(other, list):
        pairs = (_compared(left, right) for left, right in zip(one, other, strict=False))
        return next((result for result in pairs if result), len(one) - len(other))
    return _plain_order(one, other)


def _plain_order(one: Any, other: Any) -> int:
    """Of two numbers, two texts, two booleans, or two nulls."""
    return 0 if one == other else -1 if one < other else 1


def _as_list(value: Mapping[str, Value]) -> Value:
    return [[key, value[key]] for key in sorted(value)]


def _identity(key: Value) -> str:
    """Equal keys have one text; numbers are equal by value, as in expressions."""
    plain = int(key) if isinstance(key, float) and key.is_integer() else key
    return msgspec.json.encode(plain, order="sorted").decode()


def _folded(fold: Fold, values: Sequence[Value], members: Sequence[int]) -> Value:
    chosen = [values[index] for index in members]
    if fold == "first":
        return chosen[0]
    if fold == "list":
        return chosen
    if fold == "count":
        return sum(value is True for value in chosen)
    for index, value in zip(members, chosen, strict=True):
        if _rank(value) not in (0, 2):
            kind = _KIND_NAMES[_rank(value)]
            raise ItemFailed("list.group", index, f"{fold} needs numbers, and this is a {kind}.")
    return _FIGURES[fold]([value for value in chosen if isinstance(value, (int, float))])


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


_FIGURES: dict[str, Callable[[list[int | float]], int | float | None]] = {
    "sum": sum,
    "min": lambda numbers: min(numbers, default=None),
    "max": lambda numbers: max(numbers, default=None),
    "mean": _mean,
}
