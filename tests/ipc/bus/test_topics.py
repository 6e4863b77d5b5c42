from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.ipc.bus._errors import BadTopic
from symphony.ipc.bus._topics import (
    MAX_BYTES,
    MAX_MANY,
    MAX_NAMES,
    PatternTable,
    check_pattern,
    check_topic,
    matches,
    specificity,
)

#: Few names, so that patterns and topics meet.
NAMES = st.sampled_from(["a", "b", "ä"])
TOPICS = st.lists(NAMES, min_size=1, max_size=7).map(".".join)
STEPS = st.lists(NAMES | st.sampled_from("*#"), max_size=6)
PATTERNS = st.builds(
    lambda steps, last: ".".join((*steps, last)), STEPS, NAMES | st.sampled_from("*#>")
).filter(lambda pattern: pattern.count("#") <= MAX_MANY)


def naive(pattern: list[str], topic: list[str]) -> bool:
    """The definition, word for word; exponential."""
    if not pattern:
        return not topic
    first, rest = pattern[0], pattern[1:]
    if first == ">":
        return len(topic) > 0
    if first == "#":
        return any(naive(rest, topic[taken:]) for taken in range(len(topic) + 1))
    return bool(topic) and first in ("*", topic[0]) and naive(rest, topic[1:])


def naively_matches(pattern: str, topic: str) -> bool:
    return naive(pattern.split("."), topic.split("."))


def place_of_fault(check: Callable[[str], None], text: str) -> int | None:
    try:
        check(text)
    except BadTopic as error:
        return error.position
    return None


def table_of(*pairs: tuple[str, int]) -> PatternTable[int]:
    table: PatternTable[int] = PatternTable()
    for pattern, value in pairs:
        table.add(pattern, value)
    return table


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "orders.created",
        "Ünï.日本",
        "bus.dead",
        "a" * MAX_BYTES,
        ".".join("a" * MAX_NAMES),
        "-._.$",
    ],
)
def test_topic_is_names_with_dots_between(text: str) -> None:
    check_topic(text)
    check_pattern(text)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        ">",
        "#",
        "*.*",
        "a.>",
        "#.>",
        "#.a.#",
        "*.#.a.>",
        "#.#.#.#.>",
        ".".join("*" * MAX_NAMES),
    ],
)
def test_pattern_has_wildcards_that_no_topic_has(text: str) -> None:
    check_pattern(text)
    with pytest.raises(BadTopic):
        check_topic(text)


BAD_ANYWHERE = [
    ("", 1, "missing"),
    (".a", 1, "missing"),
    ("a.", 3, "missing"),
    ("a..b", 3, "missing"),
    ("a b", 2, "spaces"),
    ("a.b\n", 4, "spaces"),
    ("a\0", 2, "control"),
    ("a.\x85", 3, "control"),
    ("a.\u2003", 3, "spaces"),
    ("a\udc80", 2, "not allowed"),
    ("a" * 256, 256, "256 bytes, 255"),
    ("ä" * 128, 128, "256 bytes, 255"),
    (".".join("a" * 33), 65, "33 names, 32"),
    ("a.b*", 4, "'*'"),
    ("a.>b", 3, "'>'"),
    ("##", 1, "'#'"),
]


@pytest.mark.parametrize(("text", "position", "reason"), BAD_ANYWHERE)
def test_fault_is_named_with_its_place(text: str, position: int, reason: str) -> None:
    for check in (check_topic, check_pattern):
        with pytest.raises(BadTopic) as caught:
            check(text)
        assert caught.value.position == position
        assert reason in caught.value.reason
        assert f"character {position}" in caught.value.message


def test_sign_for_more_names_is_the_last_of_a_pattern() -> None:
    with pytest.raises(BadTopic) as caught:
        check_pattern("a.>.b")
    error = caught.value
    assert (error.what, error.position, error.reason) == ("pattern", 3, "'>' must be the last")
    assert error.record().code == "ipc.bad_topic"
    assert "'>' at the end" in error.hint


@pytest.mark.parametrize(
    ("text", "position", "many"),
    [
        ("#.a.#.b.#.c.#.d.#.e", 17, 5),
        (".".join("#" * MAX_NAMES), 9, 32),
        ("#.#.#.#.#.>", 9, 5),
    ],
)
def test_sign_for_any_names_stands_four_times_at_most(text: str, position: int, many: int) -> None:
    with pytest.raises(BadTopic) as caught:
        check_pattern(text)
    assert (caught.value.position, caught.value.reason) == (
        position,
        f"it has {many} '#', 4 are allowed",
    )


def test_error_does_not_repeat_an_endless_or_undecodable_text() -> None:
    with pytest.raises(BadTopic) as caught:
        check_topic("x" * 60_000 + "\udcff")
    assert len(caught.value.message) < 250
    with pytest.raises(BadTopic) as caught:
        PatternTable[int]().match(b"\xc3\xa4.\xff\xfe")
    error = caught.value
    assert (error.text, error.position, error.reason) == (r"ä.\xff\xfe", 3, "it is not UTF-8")


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.text(alphabet="ab.*>#\t é", max_size=12))
def test_pattern_without_wildcards_is_a_topic_and_no_other(text: str) -> None:
    position = place_of_fault(check_topic, text)
    if set(text) & set("*>#"):
        assert position is not None
    else:
        assert position == place_of_fault(check_pattern, text)
    assert position is None or 1 <= position <= len(text) + 1


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.*", "a", False),
        ("a.*", "a.b", True),
        ("a.>", "a", False),
        ("a.>", "a.b.c", True),
        ("a.#", "a", True),
        ("#.b", "b", True),
        ("#.b.#", "a.c", False),
        ("#.*", "a.b", True),
        ("#.>", "a", True),
        ("*.#.*", "a", False),
        ("#.a.b.#.c", "a.a.b.a.b.c.c", True),
    ],
)
def test_wildcards_stand_for_what_is_documented(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected
    assert table_of((pattern, 1)).match(topic.encode()) == ((1,) if expected else ())


@pytest.mark.slow
@settings(max_examples=1500)
@given(PATTERNS, TOPICS)
def test_matching_is_the_naive_definition(pattern: str, topic: str) -> None:
    expected = naively_matches(pattern, topic)
    assert matches(pattern, topic) is expected
    assert bool(table_of((pattern, 1)).match(topic.encode())) is expected


CHANGES = st.lists(
    st.tuples(st.booleans(), PATTERNS, st.integers(0, 2), TOPICS), min_size=1, max_size=25
)


@pytest.mark.slow
@settings(max_examples=1000)
@given(CHANGES, st.lists(TOPICS, min_size=1, max_size=3))
def test_table_finds_what_a_scan_finds_after_any_changes(
    changes: list[tuple[bool, str, int, str]], probes: list[str]
) -> None:
    table: PatternTable[int] = PatternTable()
    pairs: dict[tuple[str, int], None] = {}
    for adding, pattern, value, probe in changes:
        if adding or not pairs:
            table.add(pattern, value)
            pairs.setdefault((pattern, value))
        else:
            gone = list(pairs)[len(pattern) % len(pairs)]
            table.remove(*gone)
            del pairs[gone]
        for topic in (probe, *probes):
            scanned = tuple(value for pattern, value in pairs if naively_matches(pattern, topic))
            assert table.match(topic.encode()) == scanned
            # From memory, and from a table that has none.
            assert table.match(topic.encode()) == scanned
            assert table_of(*pairs).match(topic.encode()) == scanned


def test_values_come_in_the_order_of_their_adding_and_once_a_pattern() -> None:
    table = table_of(("a.>", 3), ("a.b", 1), ("#", 2), ("a.*", 1), ("a.b", 1), ("a.*.#", 3))
    assert table.match(b"a.b") == (3, 1, 2, 1, 3)
    table.remove("a.b", 1)
    table.add("a.b", 1)
    assert table.match(b"a.b") == (3, 2, 1, 3, 1)


def test_patterns_that_mean_the_same_are_removed_one_by_one() -> None:
    table = table_of(("a.>", 1), ("a.*.#", 1), ("a.#.*", 1))
    assert table.match(b"a.b") == (1, 1, 1)
    table.remove("a.*.#", 1)
    assert table.match(b"a.b") == (1, 1)
    with pytest.raises(KeyError):
        table.remove("a.*.#", 1)
    with pytest.raises(KeyError):
        table.remove("b", 1)
    assert table.match(b"a.b") == (1, 1)


def test_malformed_pattern_or_topic_changes_nothing() -> None:
    table = table_of(("a.>", 1))
    for _ in range(2):
        with pytest.raises(BadTopic):
            table.add("a.>.b", 2)
        with pytest.raises(BadTopic):
            table.match(b"a.*")
    assert table.match(b"a.b") == (1,)


def test_emptied_table_holds_nothing_of_what_it_held() -> None:
    table: PatternTable[int] = PatternTable()
    generator = random.Random(7)
    drawn = [(".".join(generator.choices("ab*#", k=5)), number) for number in range(200)]
    pairs = [pair for pair in drawn if pair[0] != "#.#.#.#.#"]
    for pair in pairs:
        table.add(*pair)
    for pair in generator.sample(pairs, len(pairs)):
        table.remove(*pair)
    assert table.match(b"a.b") == ()
    assert (table._root.after, table._exact, table._order) == ({}, {}, {})


@pytest.mark.parametrize("matching", [0, 1, 300])
def test_flood_of_topics_is_not_all_remembered(matching: int) -> None:
    table = table_of(*(("#", number) for number in range(matching)), ("quiet.topic", -1))
    for number in range(20_000 if matching < 300 else 4_000):
        table.match(b"flood.%d" % number)
    held = sum(32 + len(values) for values in table._found.values())
    assert held == table._words <= 2**19
    assert table.match(b"quiet.topic")[-1] == -1


def test_exact_subscription_leaves_the_memory_of_other_topics() -> None:
    table = table_of(("a.*", 1))
    remembered = table.match(b"a.b")
    table.match(b"x")
    table.add("x", 2)
    assert table.match(b"x") == (2,)
    assert table.match(b"a.b") is remembered
    table.remove("x", 2)
    assert table.match(b"x") == ()
    assert table.match(b"a.b") is remembered
    assert table._words == sum(32 + len(values) for values in table._found.values())


def test_patterns_made_to_hurt_are_matched_in_reasonable_steps() -> None:
    """A matcher that tries again what it has tried would not come back."""
    topic = ".".join(["a"] * MAX_NAMES)
    hostile = [
        ".".join(["#"] * MAX_NAMES),
        ".".join(["#", "a"] * 15 + ["#", "b"]),
        ".".join(["#", "*"] * 15 + ["#", "b"]),
        ".".join(["*", "#"] * 15 + ["b", ">"]),
    ]
    expected = [True, False, False, False]
    assert [matches(pattern, topic) for pattern in hostile] == expected
    within_bounds = [
        ".".join(["#"] * 4 + ["*"] * 28),
        ".".join(["#", "a"] * 4 + ["a"] * 23 + ["b"]),
        ".".join(["#", "*"] * 4 + ["b"]),
        ".".join(["*", "#"] * 4 + ["b", ">"]),
    ]
    assert [matches(pattern, topic) for pattern in within_bounds] == expected
    table = table_of(*((pattern, number) for number, pattern in enumerate(within_bounds)))
    assert table.match(topic.encode()) == (0,)


def test_more_specific_patterns_sort_first() -> None:
    ordered = [
        "a.b.c",
        "a.b",
        "a.b.*",
        "a.*.c",
        "a.*",
        "*.b.c",
        "*",
        "a.b.>",
        "a.b.#",
        "a.>",
        ">",
        "#",
    ]
    shuffled = random.Random(7).sample(ordered, len(ordered))
    assert sorted(shuffled, key=specificity) == ordered
    assert all(specificity(one) < specificity(other) for one, other in pairwise(ordered))


@pytest.mark.slow
@settings(max_examples=1000)
@given(TOPICS, PATTERNS)
def test_exact_pattern_is_more_specific_than_any_that_matches_it(topic: str, pattern: str) -> None:
    if matches(pattern, topic) and pattern != topic:
        assert specificity(topic) < specificity(pattern)
