from __future__ import annotations

import random

import pytest

from symphony.pit.artifacts import (
    About,
    Ambiguous,
    ArtifactMissing,
    BlockingStore,
    ByteDifference,
    NameInvalid,
    NameUnknown,
    Step,
    VersionConflict,
    as_svg,
    diff,
    lineage,
    outputs_of,
    statistics,
)

from .conftest import Opened


def put(store: BlockingStore, text: str, about: About | None = None) -> str:
    return store.put(text.encode(), "text/plain", "", about or About()).id


def test_all_that_is_said_with_a_put_comes_back(opened: Opened) -> None:
    about = About("ada", {"pages": 3}, ("draft", "a b"), "reports/summary", "first draft")
    with opened() as store:
        id_ = put(store, "one", about)
    with opened() as store:
        info = store.stat(id_)
        assert (info.creator, info.metadata, info.tags) == ("ada", {"pages": 3}, ("a b", "draft"))
        (version,) = store.history("reports/summary")
        assert (version.id, version.message, version.creator) == (id_, "first draft", "ada")
        assert store.names() == ["reports/summary"]


def test_history_grows_and_never_changes(store: BlockingStore) -> None:
    ids = [put(store, str(n)) for n in range(3)]
    for number, id_ in enumerate(ids, 1):
        assert store.record("name", id_, f"change {number}").number == number
    before = store.history("name")
    assert [(v.number, v.id, v.parent) for v in before] == [
        (3, ids[2], 2),
        (2, ids[1], 1),
        (1, ids[0], None),
    ]
    store.record("name", ids[0])
    assert store.history("name")[1:] == before


def test_version_is_refused_if_another_came_first(store: BlockingStore) -> None:
    store.record("name", put(store, "a"), expected=0)
    with pytest.raises(VersionConflict) as caught:
        store.record("name", put(store, "b"), expected=0)
    assert caught.value.newest == 1
    assert len(store.history("name")) == 1


def test_alias_moves(store: BlockingStore) -> None:
    first, second = put(store, "a"), put(store, "b")
    for id_ in (first, second):
        store.record("name", id_)
    store.set_alias("name", "live", "1")
    assert store.resolve("name@live") == first
    store.set_alias("name", "live")
    assert store.resolve("name@live") == second
    assert store.version("name").aliases == ("live",)
    store.drop_alias("name", "live")
    with pytest.raises(NameUnknown):
        store.resolve("name@live")


def test_what_people_write_is_resolved(opened: Opened) -> None:
    with opened() as store:
        ids = [put(store, str(n)) for n in range(40)]
        for id_ in ids[:2]:
            store.record("a/name", id_)
        assert store.resolve(ids[5]) == ids[5]
        assert store.resolve(ids[5][:20]) == ids[5]
        assert store.resolve("a/name") == ids[1]
        assert store.resolve("a/name@1") == ids[0]
        with pytest.raises(Ambiguous):
            store.resolve("blake3:")
        for unknown in ("blake3:" + "0" * 64, "blake3:zz"):
            with pytest.raises(ArtifactMissing):
                store.resolve(unknown)
        for unknown in ("other", "a/name@9", "a/name@" + "9" * 30, "a/name@live", "", "@", "x\0"):
            with pytest.raises(NameUnknown):
                store.resolve(unknown)


@pytest.mark.parametrize("name", ["", " a", "a@b", "blake3:x", "a\nb", "x" * 513])
def test_name_that_could_not_be_written_is_refused(store: BlockingStore, name: str) -> None:
    id_ = put(store, "a")
    with pytest.raises(NameInvalid):
        store.record(name, id_)
    assert store.names() == []


def test_tags_list_and_metadata_change(store: BlockingStore) -> None:
    first, second = put(store, "a"), put(store, "b")
    store.tag(first, "x", "y")
    store.tag(second, "y")
    assert {info.id for info in store.newest(tag="y")} == {first, second}
    store.untag(second, "y")
    assert [info.id for info in store.newest(tag="y")] == [first]
    store.describe(first, metadata={"k": [1]})
    store.describe(first, media_type="text/markdown")
    assert (store.stat(first).metadata, store.stat(first).media_type) == (
        {"k": [1]},
        "text/markdown",
    )
    assert [info.id for info in store.newest(1)] == [second]


def test_forgotten_name_leaves_its_contents(store: BlockingStore) -> None:
    id_ = put(store, "a", About(save_as="name"))
    store.set_alias("name", "live")
    store.forget_name("name")
    assert store.names() == []
    assert store.get(id_) == b"a"
    with pytest.raises(NameUnknown):
        store.forget_name("name")


def family(store: BlockingStore) -> dict[str, str]:
    """a, b -> step one -> c -> step two -> d, e"""
    a, b = put(store, "a"), put(store, "b")
    one = Step("run-1", "one", "model-x", "v3", (a, b))
    c = put(store, "c", About(step=one))
    d = put(store, "d", About(step=Step("run-1", "two", inputs=(c,))))
    e = store.put(b"e", "text/plain", "named.txt")
    store.note_use("run-1", "two", [("side", e)])
    return {"a": a, "b": b, "c": c, "d": d, "e": e.id}


def test_lineage_goes_both_ways(opened: Opened) -> None:
    with opened() as store:
        ids = family(store)
        found = lineage(store, ids["c"])
        assert found.distance == {
            ids["c"]: 0,
            **dict.fromkeys((ids["a"], ids["b"]), -1),
            **dict.fromkeys((ids["d"], ids["e"]), 1),
        }
        assert {(s.node, s.model, s.code) for s in found.steps} == {
            ("one", "model-x", "v3"),
            ("two", "", ""),
        }
        up = lineage(store, ids["d"], "ancestors")
        assert set(up.artifacts) == {ids[name] for name in "abcd"}
        assert set(lineage(store, ids["d"], "ancestors", depth=1).artifacts) == {ids["d"], ids["c"]}
        assert set(lineage(store, ids["a"], "descendants").artifacts) == {
            ids[name] for name in "acde"
        }
        assert len(lineage(store, ids["c"], limit=2).artifacts) == 2
        drawn = as_svg(found)
        assert drawn.count('class="artifact"') == 5
        assert drawn.count('class="step"') == 2
        assert [(o.node, o.port, o.name) for o in outputs_of(store, "run-1")] == [
            ("one", "", ""),
            ("two", "", ""),
            ("two", "side", "named.txt"),
        ]


def test_text_json_and_bytes_are_compared_in_their_own_terms(store: BlockingStore) -> None:
    one = store.put(b"a\nb\nc\n", "text/plain")
    other = store.put(b"a\nB\nc\n", "text/plain")
    assert diff(store, one, one).same
    text = diff(store, one, other).text
    assert text is not None
    assert text[2:] == ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]
    before = store.put(b'{"a": [1, 2], "b": {"c/d": 1}, "e": 1}', "application/json")
    after = store.put(b'{"a": [1, 3, 4], "b": {}, "e": true}', "application/json")
    changes = diff(store, before, after).json
    assert changes is not None
    assert [change.path for change in changes] == ["/a/1", "/a/2", "/b/c~1d", "/e"]
    big = random.Random(1).randbytes(5_000_000)
    first = store.put(big, "application/octet-stream")
    second = store.put(big[:4_500_000] + bytes([big[4_500_000] ^ 1]), "application/octet-stream")
    found = diff(store, first, second).binary
    assert found == ByteDifference((5_000_000, 4_500_001), 4_500_000)


def test_statistics_count(store: BlockingStore) -> None:
    for name in ("one", "two"):
        put(store, "text" * 1000, About(save_as=name))
    store.put(b"\0" * 100_000, "application/octet-stream")
    found = statistics(store)
    assert (found.artifacts, found.bytes, found.names, found.versions) == (2, 104_000, 2, 2)
    assert (found.inline, found.in_segments, found.saved) == (1, 1, 4000)
    assert found.stored < 2000
    assert found.encrypted
