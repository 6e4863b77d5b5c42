"""The search index: what is found, what is kept, what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from symphony.commons.locks import LockHeld, locked
from symphony.commons.search import (
    KEY,
    Between,
    Date,
    DocumentInvalid,
    Field,
    Filter,
    Hits,
    IndexNotWritten,
    Keyword,
    NoneOf,
    Number,
    OneOf,
    QueryInvalid,
    SearchIndex,
    Text,
)

FIELDS: dict[str, Field] = {
    "title": Text(boost=3),
    "body": Text(),
    "tag": Keyword(),
    "size": Number(),
    "made": Date(),
}
DAY = datetime(2026, 5, 1, tzinfo=UTC)


def fill(index: SearchIndex) -> SearchIndex:
    with index.write() as batch:
        batch.put(
            "engines",
            {
                "title": "Ada's report on engines",
                "body": "They weave algebraic patterns.",
                "tag": ["draft", "q3"],
                "size": 12,
                "made": DAY,
            },
            '{"any": "text"}',
        )
        batch.put(
            "school",
            {
                "title": "L'École de la Straße",
                "body": "A report of the engines' makers.",
                "tag": ["final"],
                "size": 2.5,
                "made": DAY + timedelta(days=30),
            },
        )
        batch.put("bare", {"title": "Nothing else: map-reduce text_embedding"})
    return index


@pytest.fixture(params=["memory", "disk"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SearchIndex]:
    if request.param == "memory":
        yield fill(SearchIndex.in_memory(FIELDS))
    else:
        yield fill(SearchIndex.on_disk(tmp_path / "index", FIELDS))


def keys(hits: Hits) -> list[str]:
    return [hit.key for hit in hits.items]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("report", ["engines", "school"]),
        ("REPORT algebraic", ["engines"]),
        ("ecole", ["school"]),
        ("École", ["school"]),
        ("strasse", ["school"]),
        ("report -algebraic", ["school"]),
        ("-report", ["bare"]),
        ('"report on engines"', ["engines"]),
        ('"engines report"', []),
        ("ada's", ["engines"]),
        ("map-reduce", ["bare"]),
        ("reduce embedding", ["bare"]),
        ("title:report", []),
        ("raport", []),
        ("(((", []),
        ("", ["bare", "engines", "school"]),
        ("   ", ["bare", "engines", "school"]),
    ],
)
def test_words_find_documents(index: SearchIndex, text: str, found: list[str]) -> None:
    assert sorted(keys(index.search(text))) == found


def test_a_word_in_a_boosted_field_counts_more(index: SearchIndex) -> None:
    best, second = index.search("engines").items
    assert (best.key, second.key) == ("engines", "school")
    assert best.score > second.score


def test_a_fuzzy_search_forgives_letters_and_prefers_the_right_ones(index: SearchIndex) -> None:
    assert sorted(keys(index.search("raport", fuzzy=True))) == ["engines", "school"]
    assert keys(index.search("algbraci", fuzzy=True)) == ["engines"]
    assert keys(index.search("adq", fuzzy=True)) == []


def test_a_prefix_search_takes_the_last_word_as_begun(index: SearchIndex) -> None:
    assert keys(index.search("algeb", prefix=True)) == ["engines"]
    assert keys(index.search("algeb report", prefix=True)) == []
    assert keys(index.search("map-red", prefix=True)) == ["bare"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ([OneOf("tag", ["draft"])], ["engines"]),
        ([OneOf("tag", ["draft", "final"])], ["engines", "school"]),
        ([OneOf("tag", ["draft"]), OneOf("tag", ["q3"])], ["engines"]),
        ([OneOf("tag", ["draft"]), OneOf("tag", ["final"])], []),
        ([OneOf("tag", [])], []),
        ([NoneOf("tag", ["draft"])], ["bare", "school"]),
        ([NoneOf("tag", [])], ["bare", "engines", "school"]),
        ([NoneOf(KEY, ["bare", "school"])], ["engines"]),
        ([Between("size", 3)], ["engines"]),
        ([Between("size", None, 12)], ["engines", "school"]),
        ([Between("size", 2.5, 2.5)], ["school"]),
        ([Between("size")], ["bare", "engines", "school"]),
        ([Between("made", DAY + timedelta(days=1))], ["school"]),
        ([Between("made", None, DAY)], ["engines"]),
    ],
)
def test_filters(index: SearchIndex, where: list[Filter], found: list[str]) -> None:
    assert sorted(keys(index.search(where=where))) == found


def test_results_are_sorted_and_documents_without_the_field_come_last(index: SearchIndex) -> None:
    assert keys(index.search(sort="size")) == ["school", "engines", "bare"]
    assert keys(index.search(sort="-size")) == ["engines", "school", "bare"]
    assert keys(index.search(sort="-made")) == ["school", "engines", "bare"]
    assert keys(index.search(sort="tag")) == ["engines", "school", "bare"]


def test_pages(index: SearchIndex) -> None:
    whole = keys(index.search(sort="-size"))
    pages = [index.search(sort="-size", offset=number, limit=1) for number in range(3)]
    assert [keys(page) for page in pages] == [[key] for key in whole]
    assert {page.total for page in pages} == {3}


def test_what_was_put_beside_a_document_comes_back(index: SearchIndex) -> None:
    assert index.search("algebraic").items[0].data == '{"any": "text"}'


def test_snippets_mark_what_matched(index: SearchIndex) -> None:
    (hit,) = index.search("raport algeb", fuzzy=True, prefix=True, highlight=FIELDS_OF_TEXT).items
    marked = {
        name: [snippet.text[low:high] for low, high in snippet.marks]
        for name, snippet in hit.snippets.items()
    }
    assert marked == {"title": ["report"], "body": ["algebraic"]}


FIELDS_OF_TEXT = ("title", "body")


def test_a_snippet_is_the_part_round_the_match() -> None:
    index = SearchIndex.in_memory(FIELDS)
    with index.write() as batch:
        batch.put("long", {"body": "filling " * 500 + "the needle here " + "filling " * 500})
    (hit,) = index.search("needle", highlight=["body"]).items
    ((low, high),) = hit.snippets["body"].marks
    assert hit.snippets["body"].text[low:high] == "needle"
    assert len(hit.snippets["body"].text) <= 160
    assert hit.snippets["body"].text.startswith("filling")


def test_a_document_is_replaced_by_its_key(index: SearchIndex) -> None:
    with index.write() as batch:
        batch.put("engines", {"title": "Nothing of that"})
        batch.put("twice", {"title": "one"})
        batch.put("twice", {"title": "two"})
    assert index.size == 4
    assert keys(index.search("algebraic")) == []
    assert keys(index.search("two")) == ["twice"]


def test_a_deleted_document_is_gone(index: SearchIndex) -> None:
    with index.write() as batch:
        batch.delete("engines")
        batch.delete("never there")
    assert keys(index.search("report")) == ["school"]


def test_a_batch_that_fails_changes_nothing(index: SearchIndex) -> None:
    def interrupted() -> None:
        with index.write() as batch:
            batch.delete("engines")
            batch.put("new", {"title": "new"})
            raise KeyError("the owner's own")

    with pytest.raises(KeyError):
        interrupted()
    assert sorted(keys(index.search())) == ["bare", "engines", "school"]
    with index.write() as batch:  # and the turn to write was given back
        batch.put("new", {"title": "new"})
    assert index.size == 4


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"titel": "x"}, "Did you mean 'title'"),
        ({"title": 3}, "must be text"),
        ({"tag": "x" * 5000}, "longer than 4,096 bytes"),
        ({"size": "12"}, "finite number"),
        ({"size": float("nan")}, "finite number"),
        ({"size": True}, "finite number"),
        ({"made": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - the fault
        ({"made": datetime(1, 1, 1, tzinfo=UTC)}, "too far away"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(
    index: SearchIndex, fields: dict[str, str], problem: str
) -> None:
    with pytest.raises(DocumentInvalid) as caught, index.write() as batch:
        batch.put("odd", fields)
    assert problem in caught.value.message + caught.value.hint
    assert index.size == 3


@pytest.mark.parametrize(
    "where",
    [
        [OneOf("title", ["x"])],
        [OneOf("tagg", ["x"])],
        [Between("tag", 1)],
        [Between("size", DAY)],
        [Between("made", 3)],
        [Between("size", float("inf"))],
    ],
)
def test_a_filter_that_no_field_answers_is_refused(index: SearchIndex, where: list[Filter]) -> None:
    with pytest.raises(QueryInvalid):
        index.search(where=where)


def test_a_page_or_an_order_that_there_is_not_is_refused(index: SearchIndex) -> None:
    for offset, limit in ((0, 0), (-1, 5), (99_999, 2)):
        with pytest.raises(QueryInvalid, match="page"):
            index.search(offset=offset, limit=limit)
    with pytest.raises(QueryInvalid, match="title"):
        index.search(sort="title")
    with pytest.raises(QueryInvalid, match="tag"):
        index.search(highlight=["tag"])


def test_text_that_is_not_unicode_is_indexed_all_the_same(index: SearchIndex) -> None:
    with index.write() as batch:
        batch.put("odd\udcff", {"title": "half \ud83d pair", "tag": "\udcff"}, "\udcff")
    assert [hit.data for hit in index.search("half \ud83d pair").items] == ["?"]
    assert index.search(where=[OneOf("tag", ["\udcff"])]).total == 1


def test_an_index_on_disk_outlives_its_object(tmp_path: Path) -> None:
    fill(SearchIndex.on_disk(tmp_path / "a" / "b", FIELDS))
    again = SearchIndex.on_disk(tmp_path / "a" / "b", FIELDS)
    assert again.size == 3
    assert keys(again.search("algebraic")) == ["engines"]


def test_an_index_sees_what_another_wrote_when_refreshed(tmp_path: Path) -> None:
    one = fill(SearchIndex.on_disk(tmp_path / "index", FIELDS))
    other = SearchIndex.on_disk(tmp_path / "index", FIELDS)
    with other.write() as batch:
        batch.put("new", {"title": "brand new"})
    assert one.size == 3
    one.refresh()
    assert keys(one.search("brand")) == ["new"]


def test_other_fields_start_an_index_anew(tmp_path: Path) -> None:
    fill(SearchIndex.on_disk(tmp_path / "index", FIELDS))
    other = SearchIndex.on_disk(tmp_path / "index", {"name": Text()})
    assert other.size == 0
    with other.write() as batch:
        batch.put("a", {"name": "Ada"})
    assert keys(other.search("ada")) == ["a"]


def test_an_index_wanted_anew_is_empty(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    fill(SearchIndex.on_disk(folder, FIELDS))
    (folder / "notes.txt").write_text("not ours")
    assert SearchIndex.on_disk(folder, FIELDS, anew=True).size == 0
    assert (folder / "notes.txt").read_text() == "not ours"


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    index = fill(SearchIndex.on_disk(tmp_path / "index", FIELDS))
    with locked(tmp_path / "index.lock"):
        with pytest.raises(LockHeld), index.write(timeout=0):
            raise AssertionError("nobody gets here")
        assert keys(index.search("algebraic")) == ["engines"]  # reading goes on


def test_a_failing_disk_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = fill(SearchIndex.on_disk(folder, FIELDS))
    (folder / "meta.json").rename(folder / "aside")
    (folder / "meta.json").mkdir()
    with pytest.raises(IndexNotWritten), index.write() as batch:
        batch.put("new", {"title": "new"})
    (folder / "meta.json").rmdir()
    (folder / "aside").rename(folder / "meta.json")
    assert SearchIndex.on_disk(folder, FIELDS).size == 3


@pytest.mark.slow
def test_processes_write_in_turns(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from symphony.commons.search import SearchIndex, Text\n"
        "index = SearchIndex.on_disk(Path(sys.argv[1]), {'title': Text()})\n"
        "for number in range(10):\n"
        "    with index.write(timeout=30) as batch:\n"
        "        batch.put(f'{sys.argv[2]}-{number}', {'title': f'word{number}'})\n"
    )
    folder = tmp_path / "index"
    command = [sys.executable, "-c", program, str(folder)]
    processes = [subprocess.Popen([*command, name]) for name in "abcd"]
    assert [process.wait(50) for process in processes] == [0] * 4
    index = SearchIndex.on_disk(folder, {"title": Text()})
    assert index.size == 40
    assert index.search("word7").total == 4
