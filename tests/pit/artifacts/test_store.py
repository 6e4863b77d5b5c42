from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.files import DiskFull, FileMissing, WrongFileKind
from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts import (
    ArtifactCorrupt,
    ArtifactMissing,
    ArtifactStore,
    ArtifactTooLarge,
    open_store,
)
from symphony.pit.artifacts._objects import INLINE_LIMIT, SEGMENT_LIMIT

from .conftest import change_rows, key_of, object_files, rows

SMALL = b"a small thing"
LARGE = bytes(range(256)) * 1024
LARGER = LARGE * 24
RANDOM = os.urandom(4 * INLINE_LIMIT)
SIZES = [0, 1, INLINE_LIMIT, INLINE_LIMIT + 1, SEGMENT_LIMIT, SEGMENT_LIMIT + 1, 6 * 1024 * 1024]


def in_store(
    folder: Path, use: Callable[[ArtifactStore], Awaitable[None]], *, encrypted: bool = True
) -> None:
    """Without a hot cache: what is read comes from the disk."""

    async def main() -> None:
        key = key_of(folder) if encrypted else None
        async with open_store(folder, key, cache_bytes=0) as store:
            await use(store)

    asyncio.run(main())


def nothing_is_left_coming_in(folder: Path) -> bool:
    return not list((folder / "incoming").iterdir())


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_comes_back_also_after_the_store_was_closed(
    tmp_path: Path, size: int, encrypted: bool
) -> None:
    data = os.urandom(size)

    async def put(store: ArtifactStore) -> None:
        ref = await store.put(data, "application/x-test", "thing.bin")
        assert ref == ArtifactRef(
            f"blake3:{blake3(data).hexdigest()}", "application/x-test", size, "thing.bin"
        )
        assert await store.get(ref) == data

    async def get(store: ArtifactStore) -> None:
        assert await store.get(f"blake3:{blake3(data).hexdigest()}") == data

    in_store(tmp_path / "store", put, encrypted=encrypted)
    in_store(tmp_path / "store", get, encrypted=encrypted)
    assert nothing_is_left_coming_in(tmp_path / "store")


@pytest.mark.parametrize("size", SIZES)
def test_file_is_kept_like_the_same_bytes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(data)

    async def use(store: ArtifactStore) -> None:
        by_path = await store.put_file(source, "text/plain", "name")
        assert by_path == await store.put(data, "text/plain", "name")
        source.unlink()
        assert await store.get(by_path) == data

    in_store(tmp_path / "store", use)
    assert nothing_is_left_coming_in(tmp_path / "store")


@pytest.mark.parametrize("size", SIZES)
def test_export_writes_the_content(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    target = tmp_path / "out.bin"

    async def use(store: ArtifactStore) -> None:
        await store.export(await store.put(data, "text/plain"), target)

    in_store(tmp_path / "store", use)
    assert target.read_bytes() == data


def test_content_lies_where_its_size_says(tmp_path: Path) -> None:
    async def use(store: ArtifactStore) -> None:
        for data in (SMALL, LARGE, LARGER):
            await store.put(data, "text/plain")

    in_store(tmp_path, use)
    assert rows(tmp_path, "SELECT place FROM objects ORDER BY size") == [(0,), (1,), (2,)]
    assert len(object_files(tmp_path)) == len(list((tmp_path / "segments").glob("*.seg"))) == 1


@pytest.mark.parametrize("data", [SMALL, LARGE, LARGER])
def test_same_content_is_kept_once_whoever_puts_it(tmp_path: Path, data: bytes) -> None:
    async def use(store: ArtifactStore) -> None:
        first, second = await asyncio.gather(
            store.put(data, "text/plain", "a"), store.put(data, "text/html", "b")
        )
        assert first.id == second.id
        assert (second.media_type, second.name) == ("text/html", "b")

    in_store(tmp_path, use)
    assert rows(tmp_path, "SELECT COUNT(*) FROM objects") == [(1,)]
    assert len(object_files(tmp_path)) == (data is LARGER)


def test_large_content_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    inodes = []

    async def use(store: ArtifactStore) -> None:
        for _ in range(2):
            await store.put(LARGER, "text/plain")
            inodes.append(object_files(tmp_path)[0].stat().st_ino)

    in_store(tmp_path, use)
    assert inodes[0] == inodes[1]


def test_two_stores_share_a_folder(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(tmp_path) as one, open_store(tmp_path) as two:
            refs = await asyncio.gather(
                *(
                    store.put(b"%d" % (n % 40), "text/plain")
                    for n in range(80)
                    for store in (one, two)
                )
            )
            assert {ref.id for ref in refs} == {
                f"blake3:{blake3(b'%d' % n).hexdigest()}" for n in range(40)
            }
            assert await two.get(refs[0]) == b"0"

    asyncio.run(main())


def test_unknown_id_is_missing_in_every_call(tmp_path: Path) -> None:
    unknown = f"blake3:{'0' * 64}"

    async def use(store: ArtifactStore) -> None:
        for call in (
            store.get(unknown),
            store.stat(unknown),
            store.export(unknown, tmp_path / "x"),
        ):
            with pytest.raises(ArtifactMissing) as caught:
                await call
            assert caught.value.record().facts == {"id": unknown}
        for odd in ("", "blake3:", "blake3:../../../etc/passwd", "md5:x", "a\0b"):
            with pytest.raises(ArtifactMissing):
                await store.get(odd)

    in_store(tmp_path / "store", use)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_content_above_the_readers_limit_is_refused(tmp_path: Path, data: bytes) -> None:
    async def use(store: ArtifactStore) -> None:
        ref = await store.put(data, "text/plain")
        assert await store.get(ref, limit=len(data)) == data
        with pytest.raises(ArtifactTooLarge) as caught:
            await store.get(ref, limit=len(data) - 1)
        assert caught.value.size == len(data)

    in_store(tmp_path, use)


def test_stat_tells_what_is_known_without_reading(tmp_path: Path) -> None:
    async def use(store: ArtifactStore) -> None:
        ref = await store.put(LARGER, "image/png", "picture.png")
        object_files(tmp_path)[0].unlink()
        info = await store.stat(ref)
        assert (info.id, info.size, info.media_type) == (ref.id, len(LARGER), "image/png")
        assert info.created > 0

    in_store(tmp_path, use)


def damage_row(folder: Path) -> None:
    change_rows(folder, "UPDATE objects SET content = zeroblob(length(content))")


def damage_segment(folder: Path) -> None:
    (path,) = (folder / "segments").glob("*.seg")
    change_bytes(path, 100)


def flip_a_bit(folder: Path) -> None:
    (path,) = object_files(folder)
    change_bytes(path, path.stat().st_size // 2)


def change_bytes(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def cut_short(folder: Path) -> None:
    (path,) = object_files(folder)
    os.truncate(path, 1000)


def delete(folder: Path) -> None:
    object_files(folder)[0].unlink()


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize(
    ("data", "harm"),
    [
        (SMALL, damage_row),
        (LARGE, damage_segment),
        (LARGER, flip_a_bit),
        (LARGER, cut_short),
        (LARGER, delete),
    ],
)
def test_damaged_content_is_never_handed_out_and_putting_it_again_repairs_it(
    tmp_path: Path, data: bytes, harm: Callable[[Path], None], encrypted: bool
) -> None:
    store_folder, target = tmp_path / "store", tmp_path / "out"

    async def use(store: ArtifactStore) -> None:
        ref = await store.put(data, "text/plain")
        harm(store_folder)
        for call in (store.get(ref), store.export(ref, target)):
            with pytest.raises(ArtifactCorrupt):
                await call
        assert not target.exists()
        assert await store.put(data, "text/plain") == ref
        assert await store.get(ref) == data

    in_store(store_folder, use, encrypted=encrypted)
    assert len(object_files(store_folder)) == (data is LARGER)


def test_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"before")

    async def use(store: ArtifactStore) -> None:
        ref = await store.put(LARGER, "text/plain")
        flip_a_bit(tmp_path / "store")
        with pytest.raises(ArtifactCorrupt):
            await store.export(ref, target)

    in_store(tmp_path / "store", use)
    assert target.read_bytes() == b"before"


def test_what_cannot_be_read_as_a_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    async def use(store: ArtifactStore) -> None:
        with pytest.raises(FileMissing):
            await store.put_file(tmp_path / "absent", "text/plain")
        for odd in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(WrongFileKind):
                await store.put_file(odd, "text/plain")

    in_store(tmp_path / "store", use)


def test_uses_are_recorded_once_each(tmp_path: Path) -> None:
    async def use(store: ArtifactStore) -> None:
        ref = await store.put(SMALL, "text/plain", "first.txt")
        other = await store.put(LARGE, "text/plain")
        await store.note_use("run-1", "walk", [("files", ref), ("files", other), ("extra", ref)])
        await store.note_use("run-1", "walk", [("files", ref)])

    in_store(tmp_path, use, encrypted=False)
    noted = rows(
        tmp_path,
        "SELECT objects.key FROM uses JOIN objects ON objects.number = object WHERE output = 1",
    )
    small, large = (blake3(data).digest() for data in (SMALL, LARGE))
    assert sorted(noted) == sorted([(small,), (small,), (large,)])
    assert rows(tmp_path, "SELECT key FROM steps") == [(b"step:run-1\0walk",)]


def test_use_of_an_unknown_artifact_is_refused_with_all_that_came_with_it(tmp_path: Path) -> None:
    unknown = ArtifactRef(f"blake3:{'0' * 64}")

    async def use(store: ArtifactStore) -> None:
        ref = await store.put(SMALL, "text/plain")
        with pytest.raises(ArtifactMissing):
            await store.note_use("run-1", "walk", [("files", ref), ("files", unknown)])

    in_store(tmp_path, use)
    assert rows(tmp_path, "SELECT COUNT(*) FROM uses") == [(0,)]


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    in_store(tmp_path, lambda _: asyncio.sleep(0))
    left, written = tmp_path / "incoming" / "left", tmp_path / "incoming" / "written"
    for path in (left, written):
        path.write_bytes(b"half")
    with written.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        in_store(tmp_path, lambda _: asyncio.sleep(0))
        assert list((tmp_path / "incoming").iterdir()) == [written]


def test_store_is_for_its_owner_only(tmp_path: Path) -> None:
    async def use(store: ArtifactStore) -> None:
        await store.put(LARGE, "text/plain")

    in_store(tmp_path / "store", use)
    for name in ("store.json", "segments/00000001.seg"):
        assert stat.S_IMODE((tmp_path / "store" / name).stat().st_mode) == 0o600
    for folder in ("store", "store/objects", "store/incoming"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


def failing_at(
    monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> AbstractContextManager[None]:
    """Inside, the given call (from 1) of a function of `os` finds the disk full."""
    calls = count(1)
    real = getattr(os, name)

    def sometimes(*args: object, **kwargs: object) -> object:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    @contextmanager
    def patched() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(os, name, sometimes)
            yield

    return patched()


@pytest.mark.parametrize(
    ("name", "call"),
    [("fdatasync", 1), ("pwrite", 1), ("pwrite", 5), ("replace", 1), ("mkdir", 1), ("fsync", 1)],
)
def test_large_put_that_fails_at_any_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    async def use(store: ArtifactStore) -> None:
        with failing_at(monkeypatch, name, call), pytest.raises(DiskFull):
            await store.put(LARGER, "text/plain")
        with pytest.raises(ArtifactMissing):
            await store.get(f"blake3:{blake3(LARGER).hexdigest()}")

    in_store(tmp_path, use)
    assert object_files(tmp_path) == []
    assert nothing_is_left_coming_in(tmp_path)


@pytest.mark.parametrize("data", [RANDOM[: INLINE_LIMIT - 9], RANDOM[: INLINE_LIMIT * 4]])
def test_full_disk_is_told_and_what_was_acknowledged_stays(tiny_disk: Path, data: bytes) -> None:
    async def use(store: ArtifactStore) -> None:
        kept: list[ArtifactRef] = []

        async def fill() -> None:
            for number in range(200):
                kept.append(await store.put(b"%d" % number + data, "text/plain"))

        with pytest.raises(DiskFull):
            await fill()
        assert kept
        for number, ref in enumerate(kept):
            assert await store.get(ref) == b"%d" % number + data

    in_store(tiny_disk / "store", use)
    assert nothing_is_left_coming_in(tiny_disk / "store")


@settings(max_examples=10, deadline=None)
@given(contents=st.lists(st.binary(max_size=200), max_size=8))
def test_store_is_a_dictionary_of_what_was_put(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    async def use(store: ArtifactStore) -> None:
        refs = await asyncio.gather(*(store.put(data, "text/plain") for data in contents))
        assert [await store.get(ref) for ref in refs] == contents
        assert len({ref.id for ref in refs}) == len(set(contents))

    in_store(tmp_path_factory.mktemp("store"), use)
