"""Texts written to hurt, and files that were hurt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.search import (
    Field,
    IndexDamaged,
    Keyword,
    QueryInvalid,
    SearchIndex,
    Text,
)

FIELDS: dict[str, Field] = {"title": Text(boost=2), "body": Text(), "tag": Keyword()}


def filled(index: SearchIndex, count: int = 3) -> SearchIndex:
    with index.write() as batch:
        for number in range(count):
            fields = {"title": f"number {number}", "body": "some words " * 40, "tag": ["x"]}
            batch.put(f"k{number}", fields, "data " * 20)
    return index


INDEX = filled(SearchIndex.in_memory(FIELDS))

SYNTAX = st.sampled_from(
    ['"', "'", ":", "(", ")", "[", "]", "{", "}", "*", "?", "~", "^", "\\", "/", "-", "+", "|", "&"]
)
WORDS = st.sampled_from(
    ["AND", "OR", "NOT", "TO", "IN", "title:", "_key:", "number", "words", "\0"]
)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.one_of(SYNTAX, WORDS, st.text(max_size=8), st.just(" ")), max_size=40).map("".join),
    st.booleans(),
    st.booleans(),
)
def test_no_text_breaks_a_search(text: str, fuzzy: bool, prefix: bool) -> None:
    try:
        hits = INDEX.search(text, fuzzy=fuzzy, prefix=prefix, highlight=["title", "body"])
    except QueryInvalid:
        return  # too many words; that is told in a test of its own
    for hit in hits.items:
        for snippet in hit.snippets.values():
            assert all(0 <= low < high <= len(snippet.text) for low, high in snippet.marks)


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "(" * 100_000, '"a ' * 33_000, "word " * 20_000, "é" * 5000]
)
def test_a_text_beyond_the_limits_is_refused(text: str) -> None:
    with pytest.raises(QueryInvalid, match=r"characters of text, 4,096 are allowed"):
        INDEX.search(text, fuzzy=True, prefix=True)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(QueryInvalid, match="more than 64 words"):
        INDEX.search("ab " * 65)
    assert INDEX.search("words " * 64).total == 3


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_whatever_is_a_keyword_is_found_by_it(tag: str) -> None:
    index = SearchIndex.in_memory(FIELDS)
    with index.write() as batch:
        batch.put(tag, {"title": tag, "tag": [tag]}, tag)
    from symphony.commons.search import KEY, OneOf

    (hit,) = index.search(where=[OneOf("tag", [tag]), OneOf(KEY, [tag])]).items
    assert hit.data == hit.key


def _damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    match how:
        case "flip":
            data[len(data) // 3] ^= 0x10
        case "cut":
            del data[len(data) // 2 :]
        case "empty":
            data.clear()
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "gone"])
@pytest.mark.parametrize("ending", ["term", "idx", "pos", "store", "fast", "fieldnorm", "json"])
def test_a_damaged_index_is_found_empty_and_filled_again(
    tmp_path: Path, how: str, ending: str
) -> None:
    folder = tmp_path / "index"
    filled(SearchIndex.on_disk(folder, FIELDS))
    path = next(each for each in folder.glob(f"*.{ending}") if not each.name.startswith("."))
    if how == "gone":
        path.unlink()
    else:
        _damage(path, how)
    index = SearchIndex.on_disk(folder, FIELDS)
    if ending == "json" and how == "flip":
        assert index.size in (0, 3)  # a letter of a comment that nobody reads
        return
    assert index.size == 0
    assert filled(index).search("number").total == 3
    assert SearchIndex.on_disk(folder, FIELDS).size == 3


def test_an_index_without_texts_is_whole_too(tmp_path: Path) -> None:
    index = SearchIndex.on_disk(tmp_path / "index", {"tag": Keyword()})
    with index.write() as batch:
        batch.put("k", {"tag": "x"})
    assert SearchIndex.on_disk(tmp_path / "index", {"tag": Keyword()}).size == 1


def test_damage_that_shows_later_is_told_and_undone(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = filled(SearchIndex.on_disk(folder, FIELDS))
    (folder / "meta.json").write_text("{}")
    with pytest.raises(IndexDamaged) as caught:
        index.refresh()
    assert caught.value.folder == folder
    again = SearchIndex.on_disk(folder, FIELDS, anew=True)
    assert filled(again).search("number").total == 3
