from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.expressions import ExpressionSyntax
from symphony.commons.values import Value
from symphony.operators import BUILTIN, BadInput, ItemFailed

Call: TypeAlias = "Callable[..., Mapping[str, Value]]"

FILES: list[Value] = [
    {"path": "b.py", "size": 30, "kind": "py"},
    {"path": "a.md", "size": 5, "kind": "md"},
    {"path": "c.py", "size": 10, "kind": "py"},
    {"path": "d", "size": None, "kind": None},
]


def test_map_makes_something_of_each_item(call: Call) -> None:
    found = call(
        "list.map",
        items=FILES[:2],
        expression='{"n": index, "name": prefix + item.path}',
        with_={"prefix": "x/"},
    )
    assert found == {"value": [{"n": 0, "name": "x/b.py"}, {"n": 1, "name": "x/a.md"}]}


def test_filter_keeps_the_items_themselves(call: Call) -> None:
    found = call(
        "list.filter",
        items=FILES,
        expression='item.kind == "py" && index > least',
        with_={"least": 0},
    )
    assert found == {"value": [FILES[2]]}


def test_filter_wants_true_or_false(call: Call) -> None:
    with pytest.raises(ItemFailed, match="gives a number") as caught:
        call("list.filter", items=FILES, expression="item.size")
    assert caught.value.index == 0


def test_select_picks_fields_or_calculates_them(call: Call) -> None:
    picked = call("list.select", items=FILES[:1], fields=["size", "missing", "path"])
    assert picked == {"value": [{"size": 30, "missing": None, "path": "b.py"}]}
    fields: Value = {"kb": "double(item.size) / 1000.0", "path": "item.path"}
    made = call("list.select", items=FILES[:1], fields=fields)
    assert made == {"value": [{"kb": 0.03, "path": "b.py"}]}
    assert call("list.select", items=FILES[:2], fields={}) == {"value": [{}, {}]}
    with pytest.raises(ItemFailed, match="item 0: it is a text"):
        call("list.select", items=["text"], fields=["path"])


def test_sort_is_stable_limited_and_takes_mixed_values(call: Call) -> None:
    found = call("list.sort", items=FILES, by="item.size", descending=True, limit=2)
    assert found == {"value": [FILES[0], FILES[2]]}
    mixed: Value = [{"a": 1}, "b", [2], 1.5, True, None, 1, "a", False, [1, 2]]
    ordered: Value = [None, False, True, 1, 1.5, "a", "b", [1, 2], [2], {"a": 1}]
    assert call("list.sort", items=mixed) == {"value": ordered}
    equal: list[Value] = [{"k": 1, "n": 0}, {"k": 0, "n": 1}, {"k": 1, "n": 2}, {"k": 0, "n": 3}]
    found = call("list.sort", items=equal, by="item.k")
    assert found == {"value": [equal[1], equal[3], equal[0], equal[2]]}


@settings(max_examples=40)
@given(st.lists(st.integers(-50, 50)), st.integers(0, 5))
def test_sort_agrees_with_python(numbers: list[int], limit: int) -> None:
    ordered = BUILTIN["list.sort"].function(list(numbers), limit=limit)
    assert ordered == (sorted(numbers)[:limit] if limit else sorted(numbers))


def test_group_counts_and_aggregates_in_order_of_appearance(call: Call) -> None:
    aggregate: dict[str, Value] = {
        "bytes": {"sum": "item.size"},
        "largest": {"max": "item.size"},
        "smallest": {"min": "item.size"},
        "typical": {"mean": "item.size"},
        "big": {"count": "item.size != null && item.size > 20"},
        "example": {"first": "item.path"},
        "paths": {"list": "item.path"},
    }
    found = call("list.group", items=FILES, by="item.kind", aggregate=aggregate)
    names = ["key", "count", *aggregate]
    rows: list[list[Value]] = [
        ["py", 2, 40, 30, 10, 20.0, 1, "b.py", ["b.py", "c.py"]],
        ["md", 1, 5, 5, 5, 5.0, 0, "a.md", ["a.md"]],
        [None, 1, 0, None, None, None, 0, "d", ["d"]],
    ]
    assert found == {"value": [dict(zip(names, row, strict=True)) for row in rows]}


def test_keys_are_told_apart_by_value_and_type(call: Call) -> None:
    items: Value = [1, 1.0, "1", True, [1], {"a": 1, "b": 2}, {"b": 2, "a": 1}]
    found = call("list.group", items=items, by="item")
    rows = found["value"]
    assert isinstance(rows, list)
    assert [row["count"] for row in rows if isinstance(row, dict)] == [2, 1, 1, 1, 2]


def test_figures_of_what_is_no_number_name_the_item(call: Call) -> None:
    with pytest.raises(ItemFailed, match="sum needs numbers, and this is a text") as caught:
        call("list.group", items=FILES, by="item.kind", aggregate={"x": {"sum": "item.path"}})
    assert caught.value.index == 0


@pytest.mark.parametrize(
    "aggregate", [{"key": {"sum": "1"}}, {"x": {}}, {"x": {"sum": "1", "max": "1"}}]
)
def test_an_ambiguous_figure_is_refused(aggregate: Value, call: Call) -> None:
    with pytest.raises(BadInput, match="aggregate"):
        call("list.group", items=FILES, by="1", aggregate=aggregate)


def test_a_failing_expression_names_the_item_and_keeps_the_reason(call: Call) -> None:
    with pytest.raises(ItemFailed) as caught:
        call("list.map", items=[{"a": 1}, {"b": 1}], expression="item.a")
    assert caught.value.index == 1
    assert "Key not found" in caught.value.message


def test_a_wrong_expression_is_told_even_for_an_empty_list(call: Call) -> None:
    with pytest.raises(ExpressionSyntax):
        call("list.map", items=[], expression="item.")
    assert call("list.filter", items=[], expression="item.a") == {"value": []}


def test_extra_values_cannot_take_the_place_of_the_item(call: Call) -> None:
    with pytest.raises(BadInput, match="'index' is taken"):
        call("list.map", items=[1], expression="item", with_={"index": 1})


def test_an_expression_over_values(call: Call) -> None:
    found = call(
        "value.expression", expression="value.n * factor", value={"n": 2}, with_={"factor": 21}
    )
    assert found == {"value": 42}
    assert call("value.expression", expression="1 + 1") == {"value": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("list.filter", {"expression": 'item.size > 100 && item.path.endsWith(".py")'}),
        ("list.map", {"expression": '{"path": item.path, "kb": item.size / 1000}'}),
        ("list.sort", {"by": "-item.size"}),
        ("list.group", {"by": "item.size % 100", "aggregate": {"bytes": {"sum": "item.size"}}}),
    ],
)
def test_twenty_thousand_items_take_less_than_a_second(
    name: str, inputs: dict[str, Value], call: Call
) -> None:
    items: Value = [
        {"path": f"src/{n % 50}/{n}.py", "size": n, "modified": "2026-01-01T00:00:00Z"}
        for n in range(20_000)
    ]
    began = time.process_time()
    call(name, items=items, **inputs)
    assert time.process_time() - began < 1.0
