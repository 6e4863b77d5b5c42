from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
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
from symphony.pit.artifacts._store import INLINE_LIMIT

SMALL = b"a small thing"
LARGE = bytes(range(256)) * 1024
SIZES = [0, 1, INLINE_LIMIT, INLINE_LIMIT + 1, 3 * 1024 * 1024 + 7]


def in_store(folder: Path, use: Callable[[ArtifactStore], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_store(folder) as store:
            await use(store)

    asyncio.run(main())


def object_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "artifacts.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def nothing_is_left_coming_in(folder: Path) -> bool:
    return not list((folder / "incoming").iterdir())


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_comes_back_also_after_the_store_was_closed(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)

    async def put(store: ArtifactStore) -> None:
        ref = await store.put(data, "application/x-test", "thing.bin")
        assert ref == ArtifactRef(
            f"blake3:{blake3(data).hexdigest()}", "application/x-test", size, "thing.bin"
        )
        assert await store.get(ref) == data

    async def get(store: ArtifactStore) -> None:
        assert await store.get(f"blake3:{blake3(data).hexdigest()}") == data

    in_store(tmp_path, put)
    in_store(tmp_path, get)
    assert nothing_is_left_coming_in(tmp_path)


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


def test_small_content_needs_no_file_and_large_content_one(tmp_path: Path) -> None:
    async def use(store: ArtifactStore) -> None:
        await store.put(SMALL, "text/plain")
        assert object_files(tmp_path) == []
        await store.put(LARGE, "text/plain")

    in_store(tmp_path, use)
    (path,) = object_files(tmp_path)
    assert path.parent.name + path.name == blake3(LARGE).hexdigest()


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_same_content_is_kept_once_whoever_puts_it(tmp_path: Path, data: bytes) -> None:
    async def use(store: ArtifactStore) -> None:
        first, second = await asyncio.gather(
            store.put(data, "text/plain", "a"), store.put(data, "text/html", "b")
        )
        assert first.id == second.id
        assert (second.media_type, second.name) == ("text/html", "b")

    in_store(tmp_path, use)
    assert rows(tmp_path, "SELECT COUNT(*) FROM artifacts") == [(1,)]
    assert len(object_files(tmp_path)) == (data is LARGE)


def test_large_content_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    inodes = []

    async def use(store: ArtifactStore) -> None:
        for _ in range(2):
            await store.put(LARGE, "text/plain")
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
        ref = await store.put(LARGE, "image/png", "picture.png")
        object_files(tmp_path)[0].unlink()
        info = await store.stat(ref)
        assert (info.id, info.size, info.media_type) == (ref.id, len(LARGE), "image/png")
        assert info.created > 0

    in_store(tmp_path, use)


def damage_row(folder: Path) -> None:
    connection = sqlite3.connect(folder / "artifacts.db")
    with connection:
        connection.execute("UPDATE artifacts SET content = CAST('a smaLl thing' AS BLOB)")
    connection.close()


def flip_a_bit(folder: Path) -> None:
    (path,) = object_files(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def cut_short(folder: Path) -> None:
    (path,) = object_files(folder)
    path.chmod(0o600)
    os.truncate(path, 1000)


def delete(folder: Path) -> None:
    object_files(folder)[0].unlink()


@pytest.mark.parametrize(
    ("data", "harm"),
    [(SMALL, damage_row), (LARGE, flip_a_bit), (LARGE, cut_short), (LARGE, delete)],
)
def test_damaged_content_is_never_handed_out_and_putting_it_again_repairs_it(
    tmp_path: Path, data: bytes, harm: Callable[[Path], None]
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

    in_store(store_folder, use)


def test_failed_export_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"before")

    async def use(store: ArtifactStore) -> None:
        ref = await store.put(LARGE, "text/plain")
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

    in_store(tmp_path, use)
    noted = rows(
        tmp_path,
        "SELECT run, node, port, id, name FROM uses JOIN artifacts ON number = artifact"
        " ORDER BY port, id",
    )
    small, large = (f"blake3:{blake3(data).hexdigest()}" for data in (SMALL, LARGE))
    assert noted == sorted(
        [
            ("run-1", "walk", "extra", small, "first.txt"),
            ("run-1", "walk", "files", small, "first.txt"),
            ("run-1", "walk", "files", large, ""),
        ],
        key=lambda row: (row[2], row[3]),
    )


def test_use_of_an_unknown_artifact_is_refused_with_all_that_came_with_it(tmp_path: Path) -> None:
    unknown = ArtifactRef(f"blake3:{'0' * 64}")

    async def use(store: ArtifactStore) -> None:
        ref = await store.put(SMALL, "text/plain")
        with pytest.raises(ArtifactMissing):
            await store.note_use("run-1", "walk", [("files", ref), ("files", unknown)])

    in_store(tmp_path, use)
    assert rows(tmp_path, "SELECT COUNT(*) FROM uses") == [(0,)]


def test_what_a_killed_process_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    in_store(tmp_path, lambda _: asyncio.sleep(0))
    old, young = tmp_path / "incoming" / "old", tmp_path / "incoming" / "young"
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    in_store(tmp_path, lambda _: asyncio.sleep(0))
    assert list((tmp_path / "incoming").iterdir()) == [young]


def test_store_opens_while_another_process_moves_what_it_has_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_store(tmp_path, lambda _: asyncio.sleep(0))
    incoming, listed = tmp_path / "incoming", Path.iterdir
    old = incoming / "old"
    for staged in (incoming / "a", old, incoming / "z"):
        staged.write_bytes(b"half")
    os.utime(old, (0, 0))

    def moved_once_listed(folder: Path) -> Iterator[Path]:
        for path in listed(folder):
            if path.parent == incoming and path != old:
                path.replace(tmp_path / path.name)
            yield path

    monkeypatch.setattr(Path, "iterdir", moved_once_listed)
    in_store(tmp_path, lambda _: asyncio.sleep(0))
    assert not old.exists()
    assert {path.name for path in tmp_path.iterdir()} >= {"a", "z"}


def test_store_is_for_its_owner_only(tmp_path: Path) -> None:
    async def use(store: ArtifactStore) -> None:
        await store.put(LARGE, "text/plain")

    in_store(tmp_path / "store", use)
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
    ("name", "call"), [("fsync", 1), ("fsync", 2), ("replace", 1), ("replace", 2), ("mkdir", 1)]
)
def test_large_put_that_fails_at_any_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    async def use(store: ArtifactStore) -> None:
        with failing_at(monkeypatch, name, call), pytest.raises(DiskFull):
            await store.put(LARGE, "text/plain")
        with pytest.raises(ArtifactMissing):
            await store.get(f"blake3:{blake3(LARGE).hexdigest()}")

    in_store(tmp_path, use)
    assert object_files(tmp_path) == []
    assert nothing_is_left_coming_in(tmp_path)


@pytest.mark.parametrize("data", [b"s" * INLINE_LIMIT, LARGE * 4])
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
