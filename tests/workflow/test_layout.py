from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import VALUES

from symphony.commons.values import Value
from symphony.workflow._layout import WIDTH, layout, table

ROWS = st.lists(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, min_size=1), max_size=4)
#: Wide enough for every kind of break.
WIDE = st.lists(
    st.fixed_dictionaries(
        {"id": st.text(max_size=60)},
        optional={
            "params": st.dictionaries(st.text(max_size=9), VALUES | st.text(max_size=70)),
            "cases": st.lists(st.fixed_dictionaries({"a": st.just(1)}), max_size=2),
            "position": st.lists(st.integers(), max_size=2),
        },
    ),
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(ROWS | WIDE)
def test_rows_are_laid_out_as_one_by_one(rows: list[dict[str, Value]]) -> None:
    """The fast way and the slow way make the same text."""
    value: Value = list(rows)
    assert table(rows) == layout(value, broken=False, indent=2)
    assert json.loads(table(rows)) == rows


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(ROWS | WIDE)
def test_many_rows_are_laid_out_as_one_by_one(rows: list[dict[str, Value]]) -> None:
    value: Value = list(rows)
    assert table(rows) == layout(value, broken=False, indent=2)


@pytest.mark.parametrize("text", ['"', '", "0", "', "\\", "\n    },\n    {", ': [{"', "\u2028"])
def test_what_looks_like_layout_in_a_text_is_none(text: str) -> None:
    rows: list[Any] = [{"a": text}, {"a": [text, "0", "1", text]}, {"a": {text: text * 40}}]
    assert json.loads(table(rows)) == rows
    assert table(rows) == layout(rows, broken=False, indent=2)


def test_only_what_cannot_be_broken_is_wider_than_a_line() -> None:
    rows = [{"id": "x", "params": {"a": ["y" * 30] * 5, "b": "z" * 200}}]
    wide = [line for line in table(rows).split("\n") if len(line) > WIDTH]
    assert [line.strip()[:6] for line in wide] == ['"b": "']
