from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from symphony.workflow.pictures._text import clean, columns, cut, pixels

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXT)
def test_clean_text_is_one_printable_line(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.replace("\u200d", "").isprintable()
    assert clean(cleaned) == cleaned


def test_what_is_harmless_stays_as_it_is() -> None:
    assert clean("Größe 漢字 👩\u200d🔬") == "Größe 漢字 👩\u200d🔬"
    assert clean("a\n\tb") == "a b"
    assert clean("\x1b[1m\u202e") == "\\x1b[1m\\u202e"


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert columns("ab") == 2
    assert columns("漢字") == 4
    assert columns("e\u0301") == 1


@given(TEXT, st.integers(1, 60))
def test_a_cut_text_fits_and_begins_as_the_whole(text: str, room: int) -> None:
    text = clean(text)
    shown = cut(text, room, columns)
    assert columns(shown) <= room
    assert shown == text or text.startswith(shown[:-1].rstrip())


def test_pixels_are_those_of_helvetica() -> None:
    assert round(pixels("Helvetica", 1000)) == 722 + 556 + 222 + 500 + 556 + 278 + 222 + 500 + 556
    assert pixels("W", 10) < pixels("W", 10, bold=True)
    assert pixels("é", 10) == pixels("e", 10)
