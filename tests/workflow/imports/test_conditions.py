from __future__ import annotations

import pytest

from symphony.commons.expressions import Expression
from symphony.commons.values import Value
from symphony.workflow.imports._n8n_conditions import cel_of, condition

ITEM: Value = {"n": 5, "text": "Hello", "list": [1, 2], "no": False, "none": None, "o": {"a b": 1}}


def asked(
    left: Value, type_: str, operation: str, right: Value = "", **options: Value
) -> str | None:
    each: Value = {
        "leftValue": left,
        "rightValue": right,
        "operator": {"type": type_, "operation": operation},
    }
    return condition({"conditions": {"conditions": [each], "options": options}})


@pytest.mark.parametrize(
    ("left", "type_", "operation", "right", "holds"),
    [
        ("={{ $json.n }}", "number", "equals", 5, True),
        ("={{ $json.n }}", "number", "gt", "4.5", True),
        ("={{ $json.n }}", "number", "lte", 4, False),
        ("={{ $json.text }}", "string", "equals", "Hello", True),
        ("={{$json['text']}}", "string", "notContains", "ell", False),
        ("={{ $json.text }}", "string", "startsWith", "=H", True),
        ("={{ $json.text }}", "string", "endsWith", "={{ $json.text }}", True),
        ("={{ $json.text }}", "string", "notEmpty", "", True),
        ("={{ $json.list }}", "array", "contains", 2, True),
        ("={{ $json.list[1] }}", "number", "equals", 2, True),
        ("={{ $json.no }}", "boolean", "false", "", True),
        ("={{ $json.o['a b'] }}", "number", "exists", "", True),
        ("={{ $json.o.gone }}", "number", "exists", "", False),
        ("={{ $json.none }}", "string", "notExists", "", True),
    ],
)
def test_a_condition_means_the_same(
    left: str, type_: str, operation: str, right: Value, holds: bool
) -> None:
    text = asked(left, type_, operation, right)
    assert text is not None
    assert Expression.compile(text, {"value"}).evaluate({"value": ITEM}) is holds


@pytest.mark.parametrize(
    "left",
    [
        "={{ $json.text.toUpperCase() }}",
        "={{ $('Other').item.json.x }}",
        "={{ $json.a }} and {{ $json.b }}",
        "={{ process.exit() }}",
        "={{ $now }}",
        {"a": 1},
    ],
)
def test_what_is_javascript_has_no_counterpart(left: Value) -> None:
    assert asked(left, "string", "equals", "x") is None


def test_dates_and_patterns_have_none_either() -> None:
    assert asked("={{ $json.text }}", "dateTime", "after", "2020-01-01") is None
    assert asked("={{ $json.text }}", "string", "regex", "H.*") is None


def test_constants_are_quoted() -> None:
    assert cel_of('say "x"\\\n') == '"say \\"x\\"\\\\\\n"'
    assert cel_of("5") == '"5"'
    assert cel_of("5", as_number=True) == "5"
    assert cel_of(True) == "true"
    assert cel_of(None) == "null"


def test_case_is_ignored_where_it_was() -> None:
    text = asked("={{ $json.text }}", "string", "equals", "hELLO", caseSensitive=False)
    assert text is not None
    assert Expression.compile(text, {"value"}).evaluate({"value": ITEM}) is True
