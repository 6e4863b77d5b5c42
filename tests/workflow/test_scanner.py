from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import VALUES

from symphony.workflow._scanner import MAX_DEPTH, pointer_to, scan

#: Texts that are nearly JSON, made by changing a piece of one that is.
PIECES = [*'{}[]:,"\\/ \n\t-+.eE019', "\\u", "d83d", "de00", "true", "nul", "NaN", "é", "\x00", "x"]


@st.composite
def nearly_json(draw: st.DrawFn) -> str:
    text = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(start + 3, len(text))))
        text = text[:start] + draw(st.sampled_from(["", *PIECES])) + text[end:]
    return text


@settings(max_examples=40, deadline=None)
@given(nearly_json() | st.text(st.sampled_from("".join(PIECES)), max_size=12))
@example('"\\ud83d\\ude00"')
@example('"\\ud83d"')
@example('"\\ude00"')
@example('"\\ud83dx"')
@example("1e999")
@example("-")
@example("-0")
@example("01")
@example("1.")
@example("1" * 4301)
@example("")
@example(" ")
def test_the_scanner_and_the_fast_parser_agree_on_what_is_json(text: str) -> None:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        is_json = False
    else:
        is_json = True
    faults = [problem for problem, _ in scan(text).faults if "twice" not in problem.message]
    assert is_json == (not faults)


@settings(max_examples=40, deadline=None)
@given(VALUES, st.integers(0, 3))
def test_every_pointer_leads_to_its_value(value: object, indent: int) -> None:
    text = json.dumps(value, indent=indent)
    found = scan(text)
    assert not found.faults
    decoder = json.JSONDecoder()

    def walk(item: object, pointer: str) -> None:
        there, _ = decoder.raw_decode(text, found.spots[pointer].value)
        assert there == item
        if isinstance(item, dict):
            for key, child in item.items():
                at = found.spots[pointer_to(pointer, key)].key
                assert decoder.raw_decode(text, at)[0] == key
                walk(child, pointer_to(pointer, key))
        elif isinstance(item, list):
            for number, child in enumerate(item):
                walk(child, pointer_to(pointer, number))

    walk(value, "")


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "A value is expected, not the end of the text."),
        ("[1, 2", 5, "A ',' or ']' is expected, not the end of the text."),
        ('{"a": }', 6, "A value is expected, not '}'."),
        ('{"a" 1}', 5, "A ':' is expected after 'a', not '1'."),
        ("{a: 1}", 1, "A name in double quotes is expected, not 'a'."),
        ("{'a': 1}", 1, "A name in double quotes is expected, not \"'a'\"."),
        ('{"a": 1 "b": 2}', 8, "A ',' or '}' is expected, not '\"'."),
        ("[1, 2,]", 5, "A comma stands before the closing ']'."),
        ('{"a": 1,}', 7, "A comma stands before the closing '}'."),
        ("[] x", 3, "The text goes on after its end, with 'x'."),
        ("[NaN]", 1, "A value is expected, not 'NaN'."),
        ("[undefined]", 1, "A value is expected, not 'undefined'."),
        ("[1 // one\n]", 3, "A ',' or ']' is expected, not a comment: JSON has none."),
        ('["a', 1, "This text in quotes has no end."),
        ('["a\nb"]', 3, "The character '\\n' must be written as an escape."),
        (r'["a\x"]', 3, "A backslash starts no escape that JSON knows."),
        ("[1e999]", 1, "This number is too large."),
        ("[[1, 2}", 6, "A ',' or ']' is expected, not '}'."),
    ],
)
def test_what_is_wrong_is_said_where_it_is(text: str, offset: int, message: str) -> None:
    (problem, found_at) = scan(text).faults[-1]
    assert (problem.message, found_at) == (message, offset)


def test_every_name_that_is_there_twice_is_told() -> None:
    faults = scan('{"a": 1, "a": {"b": 1, "\\u0062": 2}, "c": [{"a": 1}]}').faults
    assert [(problem.message, problem.pointer, offset) for problem, offset in faults] == [
        ("'a' is here twice.", "/a", 9),
        ("'b' is here twice.", "/a/b", 23),
    ]


def test_depth_is_bounded_whatever_the_nesting() -> None:
    assert not scan("[" * MAX_DEPTH + "]" * MAX_DEPTH).faults
    (problem, offset) = scan('{"a":' * 100_000).faults[0]
    assert problem.code == "workflow.limit"
    assert offset == 5 * MAX_DEPTH


def test_a_long_text_without_end_is_read_once() -> None:
    (problem, offset) = scan('"' + "a" * 200_000).faults[0]
    assert (problem.message, offset) == ("This text in quotes has no end.", 0)


def test_pointers_escape_what_they_must() -> None:
    assert pointer_to("/a", "b/c~d") == "/a/b~1c~0d"
    assert pointer_to("", 3) == "/3"
