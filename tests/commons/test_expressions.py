from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.expressions import (
    MAX_TEXT_BYTES,
    Expression,
    ExpressionError,
    ExpressionFailed,
    ExpressionLimit,
    ExpressionSyntax,
)
from symphony.commons.values import Value

ITEM: Value = {"path": "src/a.py", "size": 5, "tags": ["x", "y"], "score": 0.5}


def result(text: str, **values: Value) -> Value:
    return Expression.compile(text, values).evaluate(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("item.size > 4", True),
        ("item.size < 4.5", False),
        ("index + 1", 3),
        ("item.score * 2.0", 1.0),
        ("item.tags", ["x", "y"]),
        ("null", None),
        ('item.?missing.orValue("none")', "none"),
        ("has(item.missing)", False),
        ("item.tags.map(t, t + t)", ["xx", "yy"]),
        ("[3, 1, 2].sort()", [1, 2, 3]),
        ("math.ceil(1.5)", 2.0),
        ('item.path.split("/")', ["src", "a.py"]),
        ('"ab".split("")', ["a", "b"]),
        ('item.tags.join(", ")', "x, y"),
        ("item.tags.join()", "xy"),
        ('"a.b.c".replace(".", "")', "abc"),
        ('item.path.substring(4) + "|" + item.path.substring(0, 3)', "a.py|src"),
        ('"abc".charAt(1) + "abc".charAt(3)', "b"),
        ('"banana".indexOf("an") * 10 + "banana".lastIndexOf("an")', 13),
        ('"ÄbC".lowerAscii() + "äBc".upperAscii()', "ÄbcäBC"),
        ('" a ".trim()', "a"),
        ('timestamp("2024-01-01T00:00:00Z")', "2024-01-01T00:00:00Z"),
        ('duration("1500ms")', "1.5s"),
        ("{1: 2, true: 3u}[1]", 2),
        ("{1: [2]}", {"1": [2]}),
        ("{true: 2}", {"true": 2}),
    ],
)
def test_results_are_plain_values(text: str, expected: Value) -> None:
    found = result(text, item=ITEM, index=2)
    assert found == expected
    assert type(found) is type(expected)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    )
)  # fmt: skip
def test_every_json_value_passes_through_unchanged(value: Value) -> None:
    assert json.dumps(result("item", item=value), sort_keys=True) == json.dumps(
        value, sort_keys=True
    )


def test_maps_come_out_in_the_order_in_which_they_are_written() -> None:
    found = result('{"z": 1, "a": item, "m": {"y": 1, "b": 2}}', item={"k": 1, "c": 2, "y": 3})
    assert json.dumps(found) == ('{"z": 1, "a": {"y": 3, "c": 2, "k": 1}, "m": {"y": 1, "b": 2}}')


def test_names_are_the_variables_used_and_only_those_are_needed() -> None:
    expression = Expression.compile("item.map(big, big + index)", ["item", "index", "big"])
    assert expression.names == {"item", "index"}
    assert expression.evaluate({"item": [1], "index": 1}) == [2]
    with pytest.raises(ExpressionFailed, match="no value for index, item"):
        expression.evaluate({"big": 1})


def test_a_mistyped_variable_gets_its_column_and_the_nearest_name() -> None:
    with pytest.raises(ExpressionSyntax) as caught:
        Expression.compile("1 + itme.size", ["item", "index"])
    assert (caught.value.line, caught.value.column) == (1, 5)
    assert caught.value.hint == "Did you mean 'item'?"
    assert "'itme.size'" in caught.value.message
    assert caught.value.code == "expressions.syntax"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("item.", 1, 6), ("\n item. ", 2, 8), ("", 1, 1), ('"abc', 1, 1), ("item = 1", 1, 6)],
)
def test_a_syntax_error_tells_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(ExpressionSyntax) as caught:
        Expression.compile(text, ["item"])
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "expecting {" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("item.missing", "Key not found in map"),
        ("1 / (index - 2)", "divide by zero"),
        ("item.path.substring(99)", "no characters 99 to 8"),
        ("item.size.map(x, x)", "No matching overloads"),
        ("1.0 / 0.0", "inf cannot be a value"),
        ("type(item)", "type type cannot be a value"),
        ('b"bytes"', "type bytes cannot be a value"),
        ('item[?"missing"]', "may be absent"),
        ('[{"a": [item[?"missing"]]}]', "may be absent"),
        ("9223372036854775807 + index", "integer overflow"),
        ("item.tags.map(t, int(t))", "cannot convert string to int"),
    ],
)
def test_what_these_values_do_not_allow_fails_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        result(text, item=ITEM, index=2)
    assert reason in caught.value.reason
    assert caught.value.code == "expressions.failed"


def test_mixing_numbers_gets_a_hint() -> None:
    with pytest.raises(ExpressionFailed) as caught:
        result("item.size * 2.0", item=ITEM)
    assert "double(x)" in caught.value.hint


@pytest.mark.parametrize(
    "value",
    ["a\0b", {"a\0b": 1}, [["\0"]], "\ud800", 2**70, float("nan"), {"deep": [float("inf")]}],
)
def test_values_that_are_not_json_fail_cleanly(value: Value) -> None:
    with pytest.raises(ExpressionFailed):
        result("item", item=value)


def test_an_escape_that_is_spelled_out_is_no_nul() -> None:
    assert result("item", item="a\\u0000") == "a\\u0000"


def test_text_that_looks_like_an_error_is_text() -> None:
    assert result("item", item="NOT_FOUND: Key not found") == "NOT_FOUND: Key not found"


HOSTILE = {
    "too long": "1 + " * MAX_TEXT_BYTES + "1",
    "parentheses": "(" * 2000 + "1" + ")" * 2000,
    "sums": "1" + " + 1" * 1000,
    "nested macros": "".join(f"[0, 1, 2].all({name}," for name in "abcdefghi") + "true" + ")" * 9,
    "doubling text": '["x"]' + ".map(a, a + a)" * 20,
    "doubling lists": "[[1]]" + ".map(a, [a, a])" * 20,
    "flattened": "[[1]]" + ".map(a, [a, a]).flatten()" * 20,
    "many steps": "item.all(a, item.all(b, true))",
    "range": "lists.range(1000000000)",
    "precision": '"%.1000000000f".format([1.0])',
    "replaced": '"x"' + f'.replace("", "{"y" * 100}")' * 8,
    "joined": f'[{"1," * 500}].map(a, item).join("{"y" * 2000}")',
    "code": '__import__("os").getpid()',
    "dunder": "item.__class__.__mro__[1].__subclasses__()",
    "surrogate": "'\ud800'",
    "nul": "\x00",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_stopped_quickly(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ExpressionError) as caught:
        result(text, item=[0] * 5000)
    assert time.process_time() - began < 0.5
    assert len(caught.value.message.encode()) < 1000


def test_a_backtracking_pattern_is_only_slow_in_other_engines() -> None:
    assert result('item.matches("(a+)+$")', item="a" * 40 + "b") is False


def test_thousands_of_minus_signs_are_harmless() -> None:
    assert result("-" * 4000 + "1") == 1


@pytest.mark.parametrize(
    "kind",
    ["too long", "sums", "nested macros", "doubling text", "doubling lists", "flattened", "range"],
)
def test_what_could_grow_without_end_is_refused_before_it_runs(kind: str) -> None:
    with pytest.raises(ExpressionLimit) as caught:
        Expression.compile(HOSTILE[kind], [])
    assert caught.value.code == "expressions.limit"
    assert caught.value.record().category == "limit"


def test_more_steps_than_the_budget_names_the_list_operators() -> None:
    with pytest.raises(ExpressionLimit) as caught:
        result("item.exists(a, a > 0)", item=[0] * 20_000)
    assert "list.filter" in caught.value.hint


@pytest.mark.slow
def test_a_result_that_shares_its_parts_is_stopped_before_it_is_written_out() -> None:
    values: Value = list(range(900))
    with pytest.raises(ExpressionLimit, match="1,000,000 values"):
        result("item.map(a, other).map(b, [b, b])", item=values, other=values)
    with pytest.raises(ExpressionLimit, match="characters"):
        result("item.map(a, other)", item=values, other="x" * 20_000)


@given(st.text(alphabet="item.[](){}\"'+-*/=<>!&|?:, \n\t0123456789xé\ud800", max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        expression = Expression.compile(text, ["item"])
    except ExpressionError as error:
        error.message.encode()  # valid Unicode, whatever the text was
    else:
        assert expression.names <= {"item"}


def test_one_expression_serves_several_threads() -> None:
    expression = Expression.compile("item.map(x, x * 2)", ["item"])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: expression.evaluate({"item": [n, n + 1]}), range(400)))
    assert found == [[2 * n, 2 * n + 2] for n in range(400)]
