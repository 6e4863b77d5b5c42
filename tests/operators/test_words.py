"""Operators on the words of texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.operators import BadInput
from symphony.operators._words import key_sentences, overlap, passages, rank

PLANETS = [
    {"path": "mars.md", "text": "Mars is red. It has two moons."},
    {"path": "venus.md", "text": "Venus is hot and has no moons."},
    {"path": "sun.md", "text": "The sun is a star."},
]


def test_passages_are_whole_sentences_of_one_paragraph_if_they_fit() -> None:
    text = "One is short. Two is short.\n\n" + "A long sentence goes on here. " * 4
    found = passages.function([{"path": "a", "text": text}], size=65)
    assert [(each["number"], each["text"]) for each in found] == [
        (0, "One is short. Two is short."),
        (1, "A long sentence goes on here. A long sentence goes on here."),
        (2, "A long sentence goes on here. A long sentence goes on here."),
    ]
    assert {each["path"] for each in found} == {"a"}


@given(st.text("ab. \n", max_size=300), st.integers(50, 80))
def test_passages_lose_nothing_but_blanks(text: str, size: int) -> None:
    found = passages.function([text], size=size)
    assert all(0 < len(each["text"]) <= size for each in found)
    assert "".join("".join(each["text"].split()) for each in found) == "".join(text.split())


def test_rank_puts_first_what_shares_rare_words() -> None:
    found = rank.function("Which planet has two moons?", PLANETS)
    assert [each["path"] for each in found] == ["mars.md", "venus.md"]
    assert found[0]["score"] > found[1]["score"] > 0
    assert [each["path"] for each in rank.function("MOONS", PLANETS, limit=1)] == ["mars.md"]
    assert rank.function("nothing of that", []) == []
    assert rank.function("???", PLANETS) == []


def test_key_sentences_are_those_of_the_subject() -> None:
    text = (
        "It was a fine day. The engine weaves patterns. Then it rained. Patterns leave the"
        " engine. Somebody laughed."
    )
    (extract,) = key_sentences.function([text], count=2)
    assert extract == "The engine weaves patterns. Patterns leave the engine."
    assert key_sentences.function([text], count=1, method="lead") == ["It was a fine day."]
    assert key_sentences.function(["", "One. Two."], count=5) == ["", "One. Two."]


def test_overlap() -> None:
    assert overlap.function(["a b c", "A, b!", "x", ""], ["a b c", "b", "y", ""]) == [
        *(1.0, 0.6667),
        *(0.0, 1.0),
    ]
    with pytest.raises(BadInput, match="as many"):
        overlap.function(["a"], [])


def test_an_object_without_a_text_is_refused() -> None:
    with pytest.raises(BadInput, match="no `text`"):
        rank.function("a", [{"path": "x"}])
