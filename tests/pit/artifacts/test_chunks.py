from __future__ import annotations

import random
from pathlib import Path

import pytest

from symphony.pit.artifacts import (
    About,
    ArtifactCorrupt,
    BlockingStore,
    Keep,
    begin_epoch,
    mark_garbage,
    reencrypt,
    shred,
    statistics,
    sweep_garbage,
    verify,
)

from .conftest import Opened, rows

SIZE = 2 * 1024 * 1024


def edited(data: bytes, seed: int) -> bytes:
    """The same, with some bytes put in."""
    at = random.Random(seed).randrange(len(data))
    return data[:at] + b"an edit" + data[at:]


def versions(count: int) -> list[bytes]:
    found = [random.Random(7).randbytes(SIZE)]
    for seed in range(count - 1):
        found.append(edited(found[-1], seed))
    return found


def put_all(store: BlockingStore, contents: list[bytes]) -> list[str]:
    about = About(save_as="data")
    return [store.put(data, "application/x-test", "", about).id for data in contents]


def test_versions_share_their_chunks_and_come_back_whole(opened: Opened) -> None:
    contents = versions(6)
    with opened() as store:
        ids = put_all(store, contents)
    with opened() as store:
        assert [store.get(id_) for id_ in ids] == contents
        assert [b"".join(store.stream(id_)) for id_ in ids] == contents
        found = statistics(store)
        assert found.chunked == 5
        assert found.stored < 2.4 * SIZE
        assert len(store.newest()) == 6
        assert verify(store).whole


def test_file_is_cut_like_the_same_bytes(store: BlockingStore, tmp_path: Path) -> None:
    first, second = versions(2)
    store.put(first, "text/plain", "", About(save_as="data"))
    path = tmp_path / "file"
    path.write_bytes(second)
    ref = store.put_file(path, "text/plain", "", About(save_as="data"))
    chunks = rows(store.folder, "SELECT COUNT(*) FROM objects WHERE chunk")
    assert store.put(second, "text/plain").id == ref.id
    assert rows(store.folder, "SELECT COUNT(*) FROM objects WHERE chunk") == chunks
    assert store.get(ref) == second


def test_first_version_and_small_content_are_not_cut(store: BlockingStore) -> None:
    for data in (random.Random(1).randbytes(SIZE), b"small", b"small too" * 1000):
        store.put(data, "text/plain", "", About(save_as="data"))
    assert statistics(store).chunked == 0


def test_chunks_stay_as_long_as_one_version_needs_them(store: BlockingStore) -> None:
    contents = versions(4)
    ids = put_all(store, contents)
    store.forget_name("data")
    store.record("last", ids[-1])
    keep = Keep(seconds=-1)
    mark_garbage(store, keep)
    sweep_garbage(store, keep, marked_for_s=-1)
    assert store.get(ids[-1]) == contents[-1]
    assert verify(store).whole
    assert len(store.newest()) == 1
    store.forget_name("last")
    mark_garbage(store, keep)
    sweep_garbage(store, keep, marked_for_s=-1)
    assert rows(store.folder, "SELECT COUNT(*) FROM objects") == [(0,)]


def test_damaged_chunk_is_told_of_each_version_that_has_it_and_put_repairs(
    store: BlockingStore,
) -> None:
    contents = versions(3)
    ids = put_all(store, contents)
    ((start,),) = rows(store.folder, "SELECT MIN(start) FROM objects WHERE chunk")
    assert isinstance(start, int)
    with (store.folder / "segments" / "00000001.seg").open("r+b") as file:
        file.seek(start + 2000)
        file.write(b"\0" * 16)
    assert {damage.id for damage in verify(store).damaged} == set(ids[1:])
    for id_ in ids[1:]:
        with pytest.raises(ArtifactCorrupt):
            store.get(id_)
    assert put_all(store, contents) == ids
    assert [store.get(id_) for id_ in ids] == contents
    assert verify(store).whole


def test_keys_change_under_chunks(store: BlockingStore) -> None:
    contents = versions(3)
    ids = put_all(store, contents)
    begin_epoch(store)
    assert reencrypt(store).damaged == 0
    assert [store.get(id_) for id_ in ids] == contents


def test_shredding_leaves_what_others_need(store: BlockingStore) -> None:
    contents = versions(3)
    ids = put_all(store, contents)
    shred(store, ids[2])
    with pytest.raises(ArtifactCorrupt, match="shredded"):
        store.get(ids[2])
    assert [store.get(id_) for id_ in ids[:2]] == contents[:2]
    assert verify(store).whole
    assert put_all(store, contents[2:]) == ids[2:]
    assert store.get(ids[2]) == contents[2]
