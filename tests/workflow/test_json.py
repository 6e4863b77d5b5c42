from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import VALUES

from symphony.commons.values import Value
from symphony.workflow import WorkflowInvalid
from symphony.workflow import _json as module
from symphony.workflow._json import parse
from symphony.workflow._layout import layout
from symphony.workflow._scanner import MAX_DEPTH
from symphony.workflow._source import Source


def read(text: str) -> Value:
    return parse(Source("<text>", text))


@settings(max_examples=40, deadline=None)
@given(VALUES, st.booleans())
def test_what_is_laid_out_reads_back(value: Value, broken: bool) -> None:
    assert read(layout(value, broken=broken)) == value


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b:", "c\u003ad", ":"]), VALUES), max_size=4))
def test_a_name_that_is_there_twice_is_always_seen(members: list[tuple[str, Value]]) -> None:
    text = "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(item)}" for key, item in members) + "}"
    if len({key for key, _ in members}) == len(members):
        assert read(text) == dict(members)
    else:
        with pytest.raises(WorkflowInvalid, match="is here twice"):
            read(text)


def test_a_colon_that_is_escaped_does_not_hide_a_name_that_is_there_twice() -> None:
    with pytest.raises(WorkflowInvalid, match="1:17: 'a' is here twice"):
        read('{"a": "\\u003a", "a": 1}')
    assert read('{"a": "\\u003A", "b": 1}') == {"a": ":", "b": 1}


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 900, 100_000])
def test_deep_nesting_is_refused_however_deep(levels: int) -> None:
    with pytest.raises(WorkflowInvalid, match="1:65: This is nested more than 64 levels deep"):
        read("[" * levels + "]" * levels)
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


def test_a_text_over_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 2**20)
    assert read(f'"{"a" * (2**20 - 2)}"')
    with pytest.raises(WorkflowInvalid, match="The text is longer than 1 MiB") as caught:
        read(f'"{"é" * 2**19}"')
    assert caught.value.record().code == "workflow.limit"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[1,\n 2,\n NaN]", "3:2"),
        ("[Infinity]", "1:2"),
        ("[-Infinity]", "1:2"),
        ('["é", x]', "1:7"),
        ("[1,\r\n x]", "2:2"),
        ('["a", "\udc00"]', "1:8"),
        ('["\\ud800"]', "1:3"),
    ],
)
def test_line_and_column_count_characters_from_one(text: str, place: str) -> None:
    with pytest.raises(WorkflowInvalid, match=f"^<text>:{place}: "):
        read(text)


def test_large_integers_keep_every_digit() -> None:
    assert read("123456789012345678901234567890") == 123456789012345678901234567890


def test_what_fits_into_a_line_is_one_but_lists_of_objects_are_tables() -> None:
    value: Value = {"short": [1, 2], "long": ["x" * 60, "y" * 60], "empty": {}, "none": []}
    assert layout(value, broken=False) == (
        '{\n  "short": [1, 2],\n'
        f'  "long": [\n    "{"x" * 60}",\n    "{"y" * 60}"\n  ],\n'
        '  "empty": {},\n  "none": []\n}'
    )
    assert layout([1, {"a": 2}], broken=False) == '[1, {"a": 2}]'
    assert layout([{"a": 1}, {"a": 2}], broken=False) == '[\n  {"a": 1},\n  {"a": 2}\n]'
    assert layout({"a": [1, 2]}) == '{\n  "a": [1, 2]\n}'
