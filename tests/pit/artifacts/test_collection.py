from __future__ import annotations

import os
import threading

import pytest

from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts import (
    About,
    ArtifactMissing,
    BlockingStore,
    Keep,
    Step,
    find_garbage,
    lease,
    mark_garbage,
    pin,
    sweep_garbage,
    unmark_garbage,
    unpin,
    verify,
)

from .conftest import Opened, change_rows, object_files, rows

#: Everything is old enough to be garbage.
NOW = Keep(seconds=-1)
SIZES = [10, 100_000, 5_000_000]


def put(store: BlockingStore, size: int = 10, about: About | None = None) -> ArtifactRef:
    return store.put(os.urandom(size), "text/plain", "", about or About())


def collect(store: BlockingStore, keep: Keep = NOW) -> None:
    mark_garbage(store, keep)
    sweep_garbage(store, keep, marked_for_s=-1)


def gone(store: BlockingStore, ref: ArtifactRef) -> bool:
    try:
        store.get(ref)
    except ArtifactMissing:
        return True
    return False


@pytest.mark.parametrize("size", SIZES)
def test_what_nobody_needs_goes_with_all_that_it_takes(opened: Opened, size: int) -> None:
    with opened() as store:
        ref = put(store, size)
        kept = put(store, size)
        store.record("kept", kept)
        found = find_garbage(store, NOW)
        assert (found.ids, found.bytes >= size) == ([ref.id], True)
        collect(store)
        assert gone(store, ref)
        assert not gone(store, kept)
        assert verify(store).whole
        assert len(object_files(store.folder)) == (size == SIZES[2])


def test_names_pins_leases_runs_and_youth_keep_and_tags_do_not(store: BlockingStore) -> None:
    named, pinned, leased, made, given, tagged = (put(store) for _ in range(6))
    store.record("name", named)
    store.record("name", put(store))
    pin(store, pinned, "for the demo")
    lease(store, [leased], 3600)
    store.note_use("run-1", "node", [("out", made)], Step("run-1", "node", inputs=(given.id,)))
    first = put(store, about=About(step=Step("run-1", "other")))
    store.tag(tagged, "keep")
    assert find_garbage(store, Keep()).ids == []
    keep = Keep(frozenset(["run-1"]), seconds=-1)
    assert find_garbage(store, keep).ids == [tagged.id]
    collect(store, keep)
    for each in (named, pinned, leased, made, given, first):
        assert not gone(store, each)
    assert unpin(store, pinned)
    assert not unpin(store, pinned)
    assert set(find_garbage(store, NOW).ids) == {pinned.id, made.id, given.id, first.id}


def test_lease_ends(store: BlockingStore) -> None:
    ref = put(store)
    lease(store, [ref], -1)
    assert find_garbage(store, NOW).ids == [ref.id]


def test_marked_artifact_is_readable_and_comes_back_by_undo_or_use(store: BlockingStore) -> None:
    refs = [put(store, 100) for _ in range(5)]
    contents = [store.get(ref) for ref in refs]
    mark_garbage(store, NOW)
    assert [store.get(ref) for ref in refs] == contents
    assert sweep_garbage(store, NOW, marked_for_s=3600).objects == 0
    assert unmark_garbage(store) == 5
    mark_garbage(store, NOW)
    store.put(contents[0], "text/plain")
    store.record("name", refs[1])
    pin(store, refs[2])
    lease(store, [refs[3]], 60)
    assert sweep_garbage(store, NOW, marked_for_s=-1).objects == 1
    assert [gone(store, ref) for ref in refs] == [False] * 4 + [True]


def test_sweep_looks_again_before_it_deletes(store: BlockingStore) -> None:
    """A mark that nobody took away is not enough: here the name came without `claim`."""
    ref = put(store)
    mark_garbage(store, NOW)
    store.record("name", ref)
    change_rows(store.folder, "UPDATE objects SET marked = 1")
    sweep_garbage(store, NOW, marked_for_s=-1)
    assert not gone(store, ref)


def test_put_beside_a_collection_is_never_lost(store: BlockingStore) -> None:
    contents = [os.urandom(2000) for _ in range(20)]
    keep = Keep(seconds=0.2)
    stop = threading.Event()

    def collect_all_the_time() -> None:
        while not stop.is_set():
            collect(store, keep)

    collector = threading.Thread(target=collect_all_the_time)
    collector.start()
    try:
        for _ in range(10):
            for data in contents:
                change_rows(store.folder, "UPDATE objects SET touched = 0, marked = 1")
                assert store.get(store.put(data, "text/plain")) == data
    finally:
        stop.set()
        collector.join()


def test_segment_with_little_alive_is_emptied_and_written_again(opened: Opened) -> None:
    with opened() as store:
        dead = [put(store, 900_000) for _ in range(6)]
        alive = put(store, 900_000)
        content = store.get(alive)
        store.record("alive", alive)
    with opened() as store:  # so that nobody writes to the segment
        mark_garbage(store, NOW)
        assert sweep_garbage(store, NOW, marked_for_s=-1).segments == 1
        assert all(gone(store, ref) for ref in dead)
        assert store.get(alive) == content
        assert rows(store.folder, "SELECT segment FROM objects") == [(2,)]
    with opened() as store:
        put(store, 900_000)
        assert rows(store.folder, "SELECT segment FROM objects ORDER BY number") == [(2,), (1,)]
        assert verify(store).whole


def test_collected_content_cannot_be_decrypted_any_more(store: BlockingStore) -> None:
    ref = put(store, 100_000)
    (salt,) = rows(store.folder, "SELECT salt FROM objects")[0]
    assert isinstance(salt, bytes)
    collect(store)
    assert gone(store, ref)
    for path in store.folder.rglob("*.seg"):
        assert salt not in path.read_bytes()


def test_files_that_no_row_knows_are_dropped_when_they_are_old(store: BlockingStore) -> None:
    store.record("kept", put(store, SIZES[2]))
    (known,) = object_files(store.folder)
    places = [store.objects.files.path(digit * 32) for digit in "01"]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"x" * 200)
    os.utime(places[0], (0, 0))
    assert sweep_garbage(store, NOW, marked_for_s=0).orphans == 1
    assert object_files(store.folder) == sorted([known, places[1]])


def test_lineage_of_what_is_gone_goes_too(store: BlockingStore) -> None:
    put(store, about=About(step=Step("run", "node"), tags=("a",)))
    collect(store)
    for table in ("objects", "steps", "uses", "tags"):
        assert rows(store.folder, f"SELECT COUNT(*) FROM {table}") == [(0,)]
