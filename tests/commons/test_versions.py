from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.versions import Constraint, Version, VersionInvalid

numbers = st.integers(0, 99)
triples = st.tuples(numbers, numbers, numbers)


def spelled(triple: tuple[int, int, int]) -> str:
    return ".".join(map(str, triple))


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        ("^1.2", "1.9.9", "2.0.0"),
        ("^1.2", "1.2.0", "1.1.9"),
        ("^0.1", "0.1.5", "0.2.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("~1.2.3", "1.2.9", "1.3.0"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("1.2.3", "1.2.3", "1.2.4"),
        (">=1.0 <2", "1.5.0", "2.0.0"),
        (">= 1.0, < 2", "1.5.0", "2.0.0"),
        ("1.2 - 1.4", "1.4.9", "1.5.0"),
        ("1.x", "1.5.0", "2.0.0"),
        ("^1 || ^3", "3.1.0", "2.0.0"),
        ("*", "7.0.0", "7.0.0-rc.1"),
        ("^1.2", "1.3.0", "1.3.0-rc.1"),
        (">=1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-beta"),
    ],
)
def test_a_constraint_admits_what_npm_admits(constraint: str, inside: str, outside: str) -> None:
    parsed = Constraint.parse(constraint)
    assert parsed.allows(Version.parse(inside))
    assert not parsed.allows(Version.parse(outside))
    assert str(parsed) == constraint


@pytest.mark.parametrize(
    "text", ["", "1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3\n", "\u0661.2.3", "1.2.3 ", "1" * 300]
)
def test_what_is_no_version_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(VersionInvalid) as caught:
        Version.parse(text)
    assert caught.value.code == "versions.invalid"
    assert "1.4.0" in caught.value.hint


@pytest.mark.parametrize("text", ["", " ", "foo", "==1.0", "!=1.0", "^1.2.3.4", "~=1.2", "^1\x00"])
def test_what_is_no_constraint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(VersionInvalid) as caught:
        Constraint.parse(text)
    assert "^1.2" in caught.value.hint


def test_pre_releases_come_before_their_release_and_count_by_number() -> None:
    texts = ["1.0.0", "1.0.0-rc.10", "1.0.0-rc.2", "1.0.0-alpha", "0.9.9"]
    ordered = sorted(map(Version.parse, texts))
    expected = ["0.9.9", "1.0.0-alpha", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0"]
    assert [str(version) for version in ordered] == expected


def test_build_metadata_plays_no_part() -> None:
    one, other = Version.parse("1.0.0+a"), Version.parse("1.0.0+b")
    assert one == other
    assert len({one, other}) == 1
    assert one != "1.0.0+a"


@given(triples, triples)
def test_versions_are_ordered_as_their_numbers_are(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    first, second = Version.parse(spelled(one)), Version.parse(spelled(other))
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


@given(triples)
def test_a_caret_admits_its_own_version_and_not_the_next_major(
    triple: tuple[int, int, int],
) -> None:
    caret = Constraint.parse("^" + spelled(triple))
    assert caret.allows(Version.parse(spelled(triple)))
    assert not caret.allows(Version.parse(f"{triple[0] + 1}.0.0"))
