from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEEP_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def hybrid(load: Callable[[str, str], Any]) -> Any:
    return load("semantic-index", "hybrid_search")


@pytest.fixture
def index_module(load: Callable[[str, str], Any]) -> Any:
    return load("semantic-index", "index")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("readTheFile_name2", ["read", "the", "file", "name", "2"]),
        ("HTTPServer parseURLs", ["http", "server", "parse", "url"]),
        ("files, classes; glass", ["file", "classe", "glass"]),
        ("Häuser größer", ["häuser", "größer"]),
        ("", []),
    ],
)
def test_words_are_split_as_programmers_join_them(hybrid: Any, text: str, words: list[str]) -> None:
    assert hybrid.words(text) == words


def test_a_rare_word_weighs_more_than_a_common_one(hybrid: Any) -> None:
    bm25 = hybrid.Bm25.build(["file zebra", "file file", "file lion", "file"])
    scores = bm25.score("file zebra")
    assert scores.argmax() == 0
    assert scores[0] > 2 * scores[2] > 0


def test_the_shorter_of_two_texts_with_a_word_comes_first(hybrid: Any) -> None:
    bm25 = hybrid.Bm25.build(["zebra and many other words that dilute it", "zebra", "lion"])
    assert hybrid.ranking(bm25.score("zebra")) == [1, 0]


@KEEP_FIXTURE
@given(st.lists(st.text("ab c", max_size=12), max_size=12), st.text("abc ", max_size=6))
def test_a_text_scores_if_and_only_if_it_shares_a_word(
    hybrid: Any, texts: list[str], query: str
) -> None:
    scores = hybrid.Bm25.build(texts).score(query)
    asked = set(hybrid.words(query))
    shares = [bool(asked & set(hybrid.words(text))) for text in texts]
    assert [bool(score > 0) for score in scores] == shares


@KEEP_FIXTURE
@given(st.permutations(range(8)), st.permutations(range(8)))
def test_fusion_keeps_the_order_that_both_rankings_agree_on(
    hybrid: Any, one: list[int], other: list[int]
) -> None:
    place = {number: rank for rank, (number, _) in enumerate(hybrid.fused(one, other))}
    for better in range(8):
        for worse in range(8):
            if one.index(better) < one.index(worse) and other.index(better) < other.index(worse):
                assert place[better] < place[worse]


def test_what_both_rankings_hold_beats_what_one_holds(hybrid: Any) -> None:
    assert [number for number, _ in hybrid.fused([1, 2], [3, 2])] == [2, 1, 3]


def built(index_module: Any) -> Any:
    texts = [
        ("a.py", "import gzip\n\nCompress data with gzip.\n"),
        ("b.py", "Read settings from the environment.\n"),
        ("c.py", "This one has no vector, but names zebras.\n"),
    ]
    vectors = np.array([[0, 1], [1, 0]], dtype=np.float32)
    return index_module.Index.build("wordllama", texts, ["b.py", "a.py"], vectors)


def test_vectors_find_their_texts_in_whatever_order_they_come(index_module: Any) -> None:
    assert built(index_module).vectors.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_meaning_and_words_find_together(index_module: Any) -> None:
    hits = built(index_module).search("gzip", np.array([0.9, 0.1], dtype=np.float32), top=5)
    assert [(hit.path, hit.by) for hit in hits] == [("a.py", "both"), ("b.py", "meaning")]
    assert hits[0].snippet == "import gzip Compress data with gzip."


def test_without_a_vector_words_alone_find(index_module: Any) -> None:
    hits = built(index_module).search("zebra", None, top=5)
    assert [(hit.path, hit.by) for hit in hits] == [("c.py", "words")]


def test_no_more_hits_than_asked_for(index_module: Any) -> None:
    meaning = np.array([0.9, 0.1], dtype=np.float32)
    assert len(built(index_module).search("gzip", meaning, top=1)) == 1


def test_a_packed_index_answers_as_before(index_module: Any) -> None:
    index = built(index_module)
    again = index_module.Index.unpack(index.pack())
    meaning = np.array([0.9, 0.1], dtype=np.float32)
    assert again.search("gzip", meaning, top=5) == index.search("gzip", meaning, top=5)
    assert (again.model, again.paths, again.texts) == (index.model, index.paths, index.texts)
    assert again.pack() == index.pack()


def test_a_query_embedded_by_another_model_is_refused(index_module: Any) -> None:
    with pytest.raises(index_module.OtherModel, match="made with the model 'wordllama'"):
        built(index_module).search("gzip", np.zeros(384, dtype=np.float32), top=5)


def damaged(entries: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip file",
        damaged({}),
        damaged({"head.json": b"{", "vectors.npy": b""}),
        damaged({"head.json": b'{"format": 2}', "vectors.npy": b""}),
    ],
)
def test_what_is_not_an_index_is_refused(index_module: Any, content: bytes) -> None:
    with pytest.raises(index_module.NotAnIndex):
        index_module.Index.unpack(content)


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("", {"x"}, ""),
        (
            "#!/bin/sh\n\n# Deploy the whole site.\nset -e\n",
            set(),
            "# Deploy the whole site. set -e",
        ),
        ("one line\nthe zebra line\nafter", {"zebra"}, "the zebra line after"),
        ("== == ==\n{}", set(), "== == == {}"),
    ],
)
def test_a_snippet_shows_what_was_asked_for_or_how_the_text_begins(
    index_module: Any, text: str, asked: set[str], expected: str
) -> None:
    assert index_module.snippet(text, asked) == expected


def test_a_snippet_is_short(index_module: Any) -> None:
    found = index_module.snippet("word " * 1000, set())
    assert len(found) <= index_module.SNIPPET
    assert found.endswith("…")


@pytest.mark.slow
def test_the_operator_indexes_and_answers(call: Callable[..., Any], desk: Any) -> None:
    def rows(content: list[list[float]]) -> Any:
        file = io.BytesIO()
        np.save(file, np.array(content, dtype=np.float32).reshape(len(content), 2))
        return desk.keep(file.getvalue()).as_value()

    texts = [{"path": "a", "text": "about zebras"}, {"path": "b", "text": "about lions"}]
    given_ = {
        "texts": desk.keep_json(texts),
        "vectors": rows([[1, 0], [0, 1]]),
        "paths": ["a", "b"],
        "model": "wordllama",
        "index": {},
        "top": 10,
    }
    asked = call("semantic-index", query="zebra", query_vectors=rows([[1, 0]]), **given_)
    assert [(hit["path"], hit["by"]) for hit in asked["hits"]] == [("a", "both")]
    again = call(
        "semantic-index",
        query="zebra",
        query_vectors=rows([[1, 0]]),
        **{**given_, "texts": {}, "vectors": {}, "index": asked["index"]},
    )
    assert again == asked
    silent = call("semantic-index", query="  ", query_vectors=rows([]), **given_)
    assert silent["hits"] == []
    assert silent["index"] == asked["index"]
