from __future__ import annotations

import pytest
from cel_expr_python import cel  # type: ignore[import-untyped]  # stubs without py.typed
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.expression_tree import (
    Term,
    decode,
    free_names,
    functions,
    growth,
    map_keys,
    nesting,
)


def tree(text: str) -> Term:
    types = dict.fromkeys(("a", "b", "item"), cel.Type.DYN)
    return decode(cel.NewEnv(variables=types).compile(text).serialize())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 + 2", set()),
        ("a + b.c", {"a", "b"}),
        ("a.map(x, x + b)", {"a", "b"}),
        ("a.map(b, b)", {"a"}),
        ("[b].all(b, b > 1)", {"b"}),
        ('"a" + "b"', set()),
        ('{"a": item}', {"item"}),
        ("has(a.b) && size(item) > 1 ? a[0] : b[item]", {"a", "b", "item"}),
    ],
)
def test_free_names_are_the_variables_and_not_fields_or_macro_names(
    text: str, names: set[str]
) -> None:
    assert free_names(tree(text)) == names


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("a", 0),
        ("a.map(x, x).filter(x, x).map(x, x)", 1),
        ("a.map(x, b.exists(y, y == x))", 2),
        ("a.filter(x, x.all(y, y.map(z, z) == b))", 3),
        ("a.map(x, x).all(x, x.exists(y, true))", 2),
    ],
)
def test_nesting_counts_macros_inside_macros_alone(text: str, depth: int) -> None:
    assert nesting(tree(text)) == depth


@pytest.mark.parametrize(
    ("text", "copies"),
    [
        ("1 + 2", 0),
        ("a", 1),
        ("a + a + b", 3),
        ("a == b", 0),
        ("a ? a + a : b", 2),
        ("[a, a, a]", 3),
        ("a.filter(x, x.p > 1 && x.q > 2)", 1),
        ("a.map(x, x + x)", 2),
        ("a.map(x, [x, x, x]).map(x, [x, x])", 6),
        ('["s"].map(x, x + x).map(x, x + x).map(x, x + x)', 8),
        ("a.exists(x, x + x == b)", 0),
    ],
)
def test_growth_bounds_the_copies_of_the_input(text: str, copies: int) -> None:
    assert growth(tree(text)) == copies


def test_map_keys_come_in_reading_order() -> None:
    assert list(map_keys(tree('{"z": {"b": 1}, "a": a, b: 2, 3: 4}'))) == ["z", "a", "", "b"]


def test_functions_are_those_called() -> None:
    assert functions(tree("size(a) + 1")) == {"size", "_+_"}


@given(st.binary(max_size=200))
def test_what_is_no_tree_is_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kind
        decode(data)


@given(st.data())
def test_a_tree_cut_short_is_refused(data: st.DataObject) -> None:
    types = {"item": cel.Type.DYN}
    serialized = cel.NewEnv(variables=types).compile("item.map(x, x + 1.5)").serialize()
    end = data.draw(st.integers(0, len(serialized) - 1))
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kind
        decode(serialized[:end])
