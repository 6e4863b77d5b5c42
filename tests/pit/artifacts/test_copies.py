"""Verification and repair, sets in one file, snapshots, and stores of the first format."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blake3 import blake3

from symphony.commons.files import WrongFileKind
from symphony.pit.artifacts import (
    About,
    ArtifactCorrupt,
    ArtifactMissing,
    BlockingStore,
    BundleInvalid,
    Step,
    export_bundle,
    import_bundle,
    lineage,
    open_blocking_store,
    outputs_of,
    repair,
    snapshot,
    verify,
)
from symphony.pit.artifacts._schema import _FIRST, APPLICATION_ID

from .conftest import Opened, keep_opened, key_of, object_files

SIZES = [50, 100_000, 5_000_000]


def contents() -> list[bytes]:
    return [random.Random(size).randbytes(size) for size in SIZES]


def damage_all(store: BlockingStore) -> None:
    with closing(sqlite3.connect(store.database.path)) as db, db:
        db.execute("UPDATE objects SET content = zeroblob(length(content)) WHERE place = 0")
    for path in [*object_files(store.folder), *store.folder.glob("segments/*.seg")]:
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(b"\0" * 8)


def test_verify_names_exactly_what_is_damaged_and_repair_mends_it(
    opened: Opened, tmp_path: Path
) -> None:
    with opened() as store, keep_opened(tmp_path / "copy") as copy:
        refs = [store.put(data, "text/plain") for data in contents()]
        whole = store.put(b"whole", "text/plain")
        for data in contents()[:2]:
            copy.put(data, "text/plain")
        assert verify(store).whole
        damage_all(store)
        with closing(sqlite3.connect(store.database.path)) as db, db:
            db.execute("DELETE FROM objects WHERE size = 5")
        store.put(b"whole", "text/plain")
        report = verify(store)
        assert {each.id for each in report.damaged} == {ref.id for ref in refs}
        assert report.checked == 4
        assert repair(store, copy, report.damaged) == [ref.id for ref in refs[:2]]
        assert [each.id for each in verify(store).damaged] == [refs[2].id]
        assert store.get(whole) == b"whole"


def test_sample_reads_some(store: BlockingStore) -> None:
    for number in range(200):
        store.put(str(number).encode(), "text/plain")
    assert 0 < verify(store, 0.5).checked < 200
    assert verify(store, 0).checked == 0


def flips(path: Path, seed: int, count: int) -> Iterator[None]:
    """One bit after the other is flipped, and flipped back when the next one is asked for."""
    data = path.read_bytes()
    for _ in range(count):
        at, bit = random.Random(seed).randrange(len(data)), seed % 8
        seed += 1
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([data[at] ^ 1 << bit]))
            file.flush()
            yield
            file.seek(at)
            file.write(data[at : at + 1])


@pytest.mark.slow
def test_no_flipped_bit_anywhere_gives_wrong_bytes(tmp_path: Path) -> None:
    """Also in the database file: there SQLite or we may refuse, but nobody may lie."""
    folder = tmp_path / "store"
    originals = {}
    with keep_opened(folder) as store:
        for number in range(20):
            data = random.Random(number).randbytes(3000)
            originals[store.put(data, "text/plain").id] = data
        for data in contents():
            originals[store.put(data, "text/plain").id] = data
    refused = 0
    for path in [folder / "artifacts.db", *folder.glob("segments/*.seg"), *object_files(folder)]:
        for _ in flips(path, 1, 60):
            try:
                with keep_opened(folder) as store:
                    for id_, data in originals.items():
                        try:
                            assert store.get(id_) == data
                        except (ArtifactCorrupt, ArtifactMissing):
                            refused += 1
            except Exception as error:  # noqa: BLE001 - which error is not promised, a lie is refused
                assert not isinstance(error, AssertionError), path  # noqa: PT017
                refused += 1
    assert refused > 50
    with keep_opened(folder) as store:
        assert verify(store).whole


def make_family(store: BlockingStore) -> dict[str, str]:
    source = store.put(b"source", "text/plain", "", About("ada", {"k": 1}, ("t",))).id
    step = Step("run", "node", "model", "v1", (source,))
    about = About(save_as="reports/made", message="why", step=step)
    made = store.put(contents()[2], "application/x-test", "", about).id
    return {"source": source, "made": made}


def test_set_travels_as_one_file_with_all_that_is_said_of_it(
    opened: Opened, tmp_path: Path
) -> None:
    bundle = tmp_path / "set.tar"
    with opened() as store:
        ids = make_family(store)
        store.put(b"something else", "text/plain")
        assert export_bundle(store, [ids["made"]], bundle) == 1
        assert export_bundle(store, [ids["made"]], bundle, with_ancestors=True) == 2
    with keep_opened(tmp_path / "other") as other:
        assert set(import_bundle(other, bundle)) == set(ids.values())
        assert other.get(ids["made"]) == contents()[2]
        info = other.stat(ids["source"])
        assert (info.creator, info.metadata, info.tags) == ("ada", {"k": 1}, ("t",))
        (version,) = other.history("reports/made")
        assert (version.id, version.message) == (ids["made"], "why")
        found = lineage(other, ids["made"])
        assert (found.distance[ids["source"]], found.steps[0].model) == (-1, "model")
        import_bundle(other, bundle)
        assert len(other.history("reports/made")) == 1
        assert len(other.newest()) == 2


def test_file_that_is_no_set_is_refused(store: BlockingStore, tmp_path: Path) -> None:
    ref = store.put(b"content", "text/plain")
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    export_bundle(store, [ref], good)
    data = good.read_bytes()
    sha = data.replace(b'"hash":"blake3"', b'"hash":"sha256"')
    newer = data.replace(b'{"format":1', b'{"format":9')
    for broken in (
        b"",
        b"no archive",
        data[:700],
        data.replace(b"content\0", b"c0ntent\0"),
        sha,
        newer,
    ):
        bad.write_bytes(broken)
        with pytest.raises(BundleInvalid), keep_opened(tmp_path / "other") as other:
            import_bundle(other, bad)
    with tarfile.open(bad, "w") as archive:
        archive.add(good, "../../evil")
    with pytest.raises(BundleInvalid):
        import_bundle(store, bad)


def test_snapshot_is_a_store_of_that_moment(opened: Opened, tmp_path: Path) -> None:
    with opened() as store:
        ids = make_family(store)
        middle = store.put(contents()[1], "text/plain")
        snapshot(store, tmp_path / "copy")
        late = store.put(b"late", "text/plain")
        with pytest.raises(WrongFileKind):
            snapshot(store, tmp_path / "copy")
        encrypted = store.vault.encrypted
    key = key_of(tmp_path / "store") if encrypted else None
    with open_blocking_store(tmp_path / "copy", key) as copy:
        assert verify(copy).whole
        assert copy.get(ids["made"]) == contents()[2]
        assert copy.get(middle) == contents()[1]
        assert copy.history("reports/made")
        with pytest.raises(ArtifactMissing):
            copy.get(late)
        copy.put(os.urandom(100_000), "text/plain")
        assert verify(copy).whole


def old_store(folder: Path, contents: list[bytes], damaged: bytes) -> None:
    """As the first format was."""
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "artifacts.db")) as db, db:
        db.executescript(_FIRST)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        for data in [*contents, damaged]:
            digest = blake3(data).hexdigest()
            small = len(data) <= 64 * 1024
            row = (f"blake3:{digest}", len(data), "x/old", 1.0, data if small else None)
            insert = "INSERT INTO artifacts (id, size, media_type, created, content)"
            number = db.execute(f"{insert} VALUES (?, ?, ?, ?, ?)", row).lastrowid
            db.execute("INSERT INTO uses VALUES ('run', 'node', 'out', ?, 'n')", (number,))
            if not small:
                path = folder / "objects" / digest[:2] / digest[2:]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data if data != damaged else data[:-1])


def test_store_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    damaged = b"d" * 100_000
    old_store(tmp_path / "store", contents(), damaged)
    for _ in range(2):
        with keep_opened(tmp_path / "store") as store:
            assert store.vault.encrypted
            infos = {info.id: info for info in store.newest()}
            assert len(infos) == 3
            for data in contents():
                id_ = f"blake3:{blake3(data).hexdigest()}"
                assert store.get(id_) == data
                assert infos[id_].media_type == "x/old"
            assert [each.node for each in outputs_of(store, "run")] == ["node"] * 3
            assert verify(store).whole
    assert len(object_files(tmp_path / "store")) == 1
    assert json.loads((tmp_path / "store" / "store.json").read_text())["format"] == 2
