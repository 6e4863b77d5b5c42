from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from tests.strategies import VALUES

from symphony.commons.values import Value
from symphony.workflow import Format, Workflow, WorkflowInvalid, loads
from symphony.workflow._scanner import MAX_DEPTH, pointer_to
from symphony.workflow._source import Source
from symphony.workflow._yaml import MAX_YAML, parse_yaml, scan_yaml, write_yaml


def read(text: str) -> Value:
    return parse_yaml(Source("<text>", text, scan_yaml))


def refused(text: str) -> str:
    with pytest.raises(WorkflowInvalid) as caught:
        read(text)
    return str(caught.value)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_what_is_written_reads_back_also_by_others(value: Value) -> None:
    text = write_yaml(value)
    assert read(text) == value
    assert yaml.safe_load(text) == value


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_every_pointer_leads_to_its_value(value: Value) -> None:
    text = write_yaml(value)
    found = scan_yaml(text).spots

    def walk(item: Value, pointer: str) -> None:
        assert pointer in found
        for key, child in (
            item.items()
            if isinstance(item, dict)
            else enumerate(item)
            if isinstance(item, list)
            else ()
        ):
            walk(child, pointer_to(pointer, key))

    walk(value, "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2001-01-01", "2001-01-01"),
        ("12:30:45", "12:30:45"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("+1", "+1"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("-0", 0),
        ("12", 12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'12'", "12"),
        ('"null"', "null"),
        ("|\n 12\n", "12\n"),
    ],
)
def test_plain_text_means_what_json_would_say(text: str, value: Value) -> None:
    got = read(f"- {text}")
    assert got == [value]
    assert isinstance(got, list)
    assert type(got[0]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [2\nc: 3\n", "3:2: It is not YAML: did not find expected ',' or ']'."),
        ("a: 1\n\tb: 2", "2:1: It is not YAML: found a tab character that violates indentation."),
        ("a: 1\nb: 2\na: 3", "3:1: 'a' is here twice."),
        ("x:\n  é: {b: 1, b: 2}", "2:13: 'b' is here twice."),
        ("a: !!python/object:os.system x", "1:4: Tags are not read, such as this"),
        ("!!map {a: 1}", "1:1: Tags are not read"),
        ("a: !mine x", "1:4: Tags are not read"),
        ("a: {<<: {b: 1}}", "1:5: Merge keys are not read"),
        ("{[1]: 2}", "1:2: A name must be text, not a list or an object."),
        ("a: 1\n---\nb: 2", "2:1: A second document begins here"),
        ("a: *b", "1:4: There is no anchor 'b'"),
        ("&a [*a]", "1:5: There is no anchor 'a' that has ended"),
        ("a: &a b\n*a : c", "2:1: A name must be written out."),
        (f"- 1{'0' * 5000}", "1:3: This number is too large."),
        ("- 1e999", "1:3: This number is too large."),
        ("a: \x00", "This character cannot stand in YAML."),
    ],
)
def test_what_is_wrong_is_said_where_it_is(text: str, message: str) -> None:
    assert message in refused(text)


def test_an_alias_stands_for_what_was_anchored() -> None:
    assert read("a: &x {b: [1]}\nc: *x\nd: &y e\nf: *y") == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": "e",
        "f": "e",
    }


def test_bombs_of_aliases_do_not_go_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert f"stands for more than {MAX_YAML >> 20} MiB" in refused("\n".join(lines))
    long = "- &a " + "x" * 100_000 + "\n" + "- *a\n" * 1000
    assert "stands for more than" in refused(long)


def test_aliases_do_not_nest_deeper_than_anything_else() -> None:
    lines = ["a0: &a0 []"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 80)]
    assert "With this alias it is nested more than 64 levels deep" in refused("\n".join(lines))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000, 4_000_000])
def test_deep_nesting_is_refused_however_deep(levels: int) -> None:
    assert "1:65: This is nested more than 64 levels deep" in refused("[" * levels)
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


def test_a_text_over_the_limit_is_not_parsed() -> None:
    assert "more than 8 MiB; JSON may be longer" in refused("[" * (MAX_YAML + 1))


def test_faults_of_the_shape_are_told_with_their_places() -> None:
    text = "symphony: 2\nid: é\nnodes:\n- id: a\n  kind: oprator\n- {id: b, kind: input, usee: x}\n"
    with pytest.raises(WorkflowInvalid) as caught:
        loads(text)
    assert [str(problem) for problem in caught.value.problems] == [
        "5:9: Node 'a' has the unknown kind 'oprator'. Did you mean 'operator'?",
        "6:24: Node 'b' has an unknown field 'usee'. Did you mean 'use'?",
    ]


def test_line_ends_of_windows_and_a_mark_of_byte_order_are_none_of_the_text() -> None:
    text = '\ufeffsymphony: 2\r\nid: t\r\nname: "N"\r\nnodes: []\r\n'
    assert loads(text, format=Format.YAML) == Workflow("t", (), name="N")


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(WorkflowInvalid, match="Half of a surrogate pair is no character"):
        loads('symphony: 2\nid: "\ud800"')
    assert "It is not YAML" in refused('- "\\ud800"')
