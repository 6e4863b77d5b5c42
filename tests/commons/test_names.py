from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.names import LONGEST, did_you_mean, nearest

NAMES = st.text("abAB.-_ ß", max_size=12)
OPERATORS = ("files.walk", "files.read_text", "list.map", "list.filter", "json.read")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("files.wlak", "files.walk"),
        ("list.filtre", "list.filter"),
        ("Files.Walk", "files.walk"),
        ("files.read-text", "files.read_text"),
        ("walk", "files.walk"),
        ("filter", "list.filter"),
    ],
)
def test_a_typo_finds_what_was_meant(typed: str, meant: str) -> None:
    assert nearest(typed, OPERATORS) == meant


@pytest.mark.parametrize("typed", ["", "zzzzzz", "http", "files.walk" * 100])
def test_what_is_near_nothing_finds_nothing(typed: str) -> None:
    assert nearest(typed, OPERATORS) is None


def test_an_ending_shared_by_two_names_decides_for_neither() -> None:
    assert nearest("read", ("json.read", "csv.read")) != "read"
    assert nearest("r", ("json.r", "csv.r")) is None


def test_a_name_that_is_there_wins_over_its_neighbours() -> None:
    assert nearest("run", ("runs", "run", "rung")) == "run"


def test_of_names_that_differ_in_what_does_not_count_the_choice_is_fixed() -> None:
    assert nearest("A_B", ["a-b", "a_b"]) == nearest("A_B", ["a_b", "a-b"]) == "a-b"


def test_candidates_too_long_to_be_typed_are_not_compared() -> None:
    assert nearest("a" * LONGEST, ["a" * (LONGEST + 1)]) is None
    assert nearest("a" * LONGEST, ["a" * (LONGEST - 1)]) == "a" * (LONGEST - 1)


def test_hint_names_the_nearest_else_the_few_that_are_known() -> None:
    assert did_you_mean("levl", ["level", "file"]) == "Did you mean 'level'?"
    assert did_you_mean("zzz", ["level", "file"]) == "Known: file, level."
    assert did_you_mean("zzz", [f"n{n}" for n in range(100)]) == ""
    assert did_you_mean("zzz", []) == ""


@given(NAMES, st.lists(NAMES))
def test_the_answer_is_always_one_of_the_candidates(typed: str, names: list[str]) -> None:
    found = nearest(typed, names)
    assert found is None or found in names


@settings(max_examples=40)
@given(st.lists(NAMES, min_size=1), st.data())
def test_the_answer_does_not_depend_on_the_order_of_candidates(
    names: list[str], data: st.DataObject
) -> None:
    typed = data.draw(NAMES | st.sampled_from(names))
    assert nearest(typed, names) == nearest(typed, data.draw(st.permutations(names)))
