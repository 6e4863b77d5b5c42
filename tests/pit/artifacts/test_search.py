from __future__ import annotations

import shutil
import threading

import pytest

from symphony.pit.artifacts import (
    About,
    ArtifactSearch,
    BlockingStore,
    Keep,
    mark_garbage,
    sweep_garbage,
)

from .conftest import Opened
from .test_keys import everything


def put(
    store: BlockingStore, text: str, kind: str = "text/plain", about: About | None = None
) -> str:
    return store.put(text.encode(), kind, "", about or About()).id


def found(search: ArtifactSearch, text: str = "", **options: str) -> list[str]:
    return [each.artifact.id for each in search.search(text, **options)]  # type: ignore[arg-type]


def test_what_was_put_or_said_before_a_search_is_found(opened: Opened) -> None:
    with opened() as store, opened() as other:
        search = ArtifactSearch(store)
        first = put(store, "the quick brown fox")
        assert found(search, "quick fox") == [first]
        about = About("ada", {"city": "London"}, ("fast",), "animals/dog", "a lazy one")
        second = put(other, "a dog", about=about)
        for words in ("dog", "london", "lazy", "ada", "animals"):
            assert found(search, words) == [second], words
        store.tag(first, "fast")
        assert set(found(search, tag="fast")) == {first, second}
        assert found(search, "fox", media_type="text/html") == []
        (hit,) = search.search("brwn")
        assert "brown" in hit.snippet


def test_only_text_is_read(store: BlockingStore) -> None:
    json = put(store, '{"word": "needle"}', "application/json")
    put(store, "needle", "application/octet-stream")
    long = put(store, "needle " + "x " * 300_000)
    assert set(found(ArtifactSearch(store), "needle")) == {json, long}


def test_what_is_gone_is_not_found(opened: Opened) -> None:
    with opened() as store:
        search = ArtifactSearch(store)
        put(store, "old needle")
        assert len(found(search, "needle")) == 1
        mark_garbage(store, Keep(seconds=-1))
        sweep_garbage(store, Keep(seconds=-1), marked_for_s=-1)
        new = put(store, "new needle")
        assert found(search, "needle") == [new]


def test_index_that_is_lost_or_damaged_is_made_again(opened: Opened) -> None:
    with opened() as store:
        ids = {put(store, f"needle {n}") for n in range(20)}
        assert set(found(ArtifactSearch(store), "needle")) == ids
        if not store.vault.encrypted:
            for path in (store.folder / "index").glob("*.store"):
                path.write_bytes(b"damaged")
            assert set(found(ArtifactSearch(store), "needle")) == ids
            shutil.rmtree(store.folder / "index")
        search = ArtifactSearch(store)
        assert set(found(search, "needle")) == ids
        assert search.rebuild() == 20
        assert set(found(search, "needle")) == ids


def test_index_of_an_encrypted_store_never_touches_the_disk(store: BlockingStore) -> None:
    put(store, "needle in the haystack")
    assert found(ArtifactSearch(store), "needle")
    assert b"haystack" not in everything(store.folder)
    assert not (store.folder / "index").exists()


def test_threads_that_put_and_search_do_not_disturb_each_other(store: BlockingStore) -> None:
    search = ArtifactSearch(store)
    faults: list[BaseException] = []

    def work(lane: int) -> None:
        try:
            for number in range(10):
                id_ = put(store, f"needle {lane} {number}")
                assert id_ in found(search, f"needle {lane} {number}")
        except BaseException as error:  # noqa: BLE001 - told by the test
            faults.append(error)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.parametrize("text", ["", '"', "a:b", "((", "-"])
def test_any_text_may_be_searched(store: BlockingStore, text: str) -> None:
    put(store, "needle")
    ArtifactSearch(store).search(text)
