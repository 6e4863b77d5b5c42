from __future__ import annotations

import json
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts import (
    About,
    ArtifactCorrupt,
    BlockingStore,
    KeyFile,
    KeyringEntry,
    KeySource,
    KeyUnusable,
    KeyWrong,
    Passphrase,
    Step,
    StoreDamaged,
    StoreNewer,
    add_key,
    begin_epoch,
    change_key,
    open_blocking_store,
    reencrypt,
    shred,
    verify,
)

from .conftest import keep_opened, key_of, rows

CANARY = "canary-in-the-coal-mine"
SIZES = [100, 100_000, 5_000_000]


class MemoryKeyring(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


def fill(store: BlockingStore) -> list[ArtifactRef]:
    return [store.put(os.urandom(size), "text/plain") for size in SIZES]


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_that_was_given_is_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with keep_opened(folder) as store:
        for size in SIZES:
            step = Step(CANARY, CANARY, CANARY, CANARY)
            about = About(CANARY, {CANARY: CANARY}, (CANARY,), CANARY, CANARY, step)
            ref = store.put((CANARY * (size // 10)).encode(), f"x/{CANARY}", CANARY, about)
            store.set_alias(CANARY, CANARY + CANARY)
            store.note_use(CANARY, CANARY, [(CANARY, ref)])
            found = everything(folder)
            assert CANARY.encode() not in found
            digest = ref.id.partition(":")[2]
            assert digest.encode() not in found
            assert bytes.fromhex(digest) not in found
    assert CANARY.encode() not in everything(folder)


def test_plain_store_is_readable_by_anybody(tmp_path: Path) -> None:
    with keep_opened(tmp_path / "store", encrypted=False) as store:
        store.put(CANARY.encode(), "text/plain")
    assert CANARY.encode() in everything(tmp_path / "store")
    with keep_opened(tmp_path / "store", encrypted=True) as store:
        assert not store.vault.encrypted


def test_each_source_opens_what_it_made_and_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring.core, "_keyring_backend", MemoryKeyring())
    sources: list[KeySource] = [
        KeyFile(tmp_path / "keys" / "one"),
        KeyringEntry("entry"),
        Passphrase("correct horse"),
    ]
    for number, source in enumerate(sources):
        folder = tmp_path / str(number)
        with open_blocking_store(folder, source) as store:
            ref = store.put(b"content", "text/plain")
        with open_blocking_store(folder, source) as store:
            assert store.get(ref) == b"content"
        for other in [*sources, None]:
            if other is not source:
                with pytest.raises((KeyWrong, KeyUnusable)), open_blocking_store(folder, other):
                    pass
    for wrong in (Passphrase("wrong horse"), KeyFile(tmp_path / "keys" / "absent")):
        with pytest.raises((KeyWrong, KeyUnusable)), open_blocking_store(tmp_path / "2", wrong):
            pass
    assert not (tmp_path / "keys" / "absent").exists()


def test_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    key = key_of(tmp_path / "store")
    with open_blocking_store(tmp_path / "store", key):
        pass
    assert key.path.stat().st_mode & 0o777 == 0o600
    key.path.chmod(0o644)
    with pytest.raises(KeyUnusable, match="chmod"), open_blocking_store(tmp_path / "store", key):
        pass
    key.path.chmod(0o600)
    key.path.write_text("not a key")
    with pytest.raises(KeyUnusable), open_blocking_store(tmp_path / "store", key):
        pass


def test_passphrase_may_not_be_empty(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable), open_blocking_store(tmp_path / "store", Passphrase("")):
        pass
    assert "horse" not in repr(Passphrase("horse"))


def test_damaged_or_newer_store_file_is_told(tmp_path: Path) -> None:
    with keep_opened(tmp_path / "store"):
        pass
    path = tmp_path / "store" / "store.json"
    whole = json.loads(path.read_text())
    broken = whole | {
        "encryption": whole["encryption"]
        | {"index": whole["encryption"]["epochs"]["1"][:-4] + "AAA="}
    }
    for text, error in (
        ("{", StoreDamaged),
        ("{}", StoreDamaged),
        (json.dumps(whole | {"format": 99}), StoreNewer),
        (json.dumps(broken), StoreDamaged),
    ):
        path.write_text(text)
        with pytest.raises(error), keep_opened(tmp_path / "store"):
            pass


def test_new_key_opens_and_the_old_one_no_more(tmp_path: Path) -> None:
    old, new, third = (KeyFile(tmp_path / "keys" / name) for name in ("old", "new", "third"))
    with open_blocking_store(tmp_path / "store", old) as store:
        refs = fill(store)
        before = rows(tmp_path / "store", "SELECT content, salt FROM objects")
        change_key(store, new)
        assert store.get(refs[0])
        add_key(store, third)
    assert rows(tmp_path / "store", "SELECT content, salt FROM objects") == before
    with pytest.raises(KeyWrong), open_blocking_store(tmp_path / "store", old):
        pass
    for key in (new, third):
        with open_blocking_store(tmp_path / "store", key, cache_bytes=0) as store:
            assert [len(store.get(ref)) for ref in refs] == SIZES


def test_new_epoch_writes_everything_again_and_forgets_the_old_key(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with keep_opened(folder) as store, keep_opened(folder) as other:
        step = Step("run", "node", "model")
        refs = fill(store)
        about = About("ada", {"k": "v"}, ("tag",), "name", "why", step)
        told = store.put(b"told", "text/plain", "", about)
        store.set_alias("name", "live")
        contents = [store.get(ref) for ref in refs]
        stale = rows(folder, "SELECT salt FROM objects")
        assert begin_epoch(store) == 2
        late = other.put(b"by a process that has not heard of it", "text/plain")
        done = reencrypt(store)
        assert (done.objects >= 4, done.damaged) == (True, 0)
        assert list(json.loads((folder / "store.json").read_text())["encryption"]["epochs"]) == [
            "2"
        ]
        assert not set(stale) & set(rows(folder, "SELECT salt FROM objects"))
        for each in (store, other):
            assert [each.get(ref) for ref in refs] == contents
            assert each.get(late)
            info = each.stat(told)
            assert (info.creator, info.tags, each.resolve("name@live")) == (
                "ada",
                ("tag",),
                told.id,
            )
            assert verify(each).whole
        assert reencrypt(store).objects == 0


@pytest.mark.parametrize("size", SIZES)
def test_process_that_has_not_heard_of_a_new_key_writes_nothing_under_a_forgotten_one(
    tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "store"
    path = tmp_path / "file"
    contents = [os.urandom(size) for _ in range(2)]
    path.write_bytes(contents[1])
    with keep_opened(folder) as store, keep_opened(folder) as other:
        begin_epoch(store)
        reencrypt(store)
        refs = [other.put(contents[0], "text/plain", "", About(tags=("t",)))]
        begin_epoch(store)
        reencrypt(store)
        refs.append(other.put_file(path, "text/plain", "", About(save_as="name")))
        for each in (store, other):
            assert [each.get(ref) for ref in refs] == contents
            assert each.stat(refs[0]).tags == ("t",)
            assert each.history("name")
    with keep_opened(folder) as store:
        assert [store.get(ref) for ref in refs] == contents


def test_rotation_that_is_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    with keep_opened(folder) as store:
        refs = [store.put(os.urandom(size), "text/plain") for size in (10, 100_000) * 5]
        begin_epoch(store)
        real, calls = store.catalog.replace, iter(range(100))

        def fails_at_the_fourth(db: sqlite3.Connection, number: int, new: object) -> None:
            if next(calls) == 3:
                raise KeyboardInterrupt
            real(db, number, new)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(store.catalog, "replace", fails_at_the_fourth)
            with pytest.raises(KeyboardInterrupt):
                reencrypt(store)
    with keep_opened(folder) as store:
        assert all(store.get(ref) for ref in refs)
        assert reencrypt(store).objects == 7
        assert all(store.get(ref) for ref in refs)


@pytest.mark.parametrize("size", SIZES)
def test_shredded_content_is_unreadable_for_who_has_all_keys(tmp_path: Path, size: int) -> None:
    folder = tmp_path / "store"
    data = os.urandom(size)
    with keep_opened(folder) as store:
        ref = store.put(data, "text/plain", "", About(save_as="name"))
        ((salt,),) = rows(folder, "SELECT salt FROM objects")
        shred(store, ref)
        with pytest.raises(ArtifactCorrupt, match="shredded"):
            store.get(ref)
        assert isinstance(salt, bytes)
        assert salt not in everything(folder)
        assert verify(store).whole
        assert store.history("name")[0].id == ref.id
        assert store.put(data, "text/plain") == ref
        assert store.get(ref) == data


def test_no_two_pieces_are_encrypted_with_the_same_key_and_nonce(
    store: BlockingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The salt makes the key, so salts must differ: also for the same content stored again."""
    data = random.Random(1).randbytes(1000)
    for _ in range(50):
        ref = store.put(data, "text/plain")
        shred(store, ref)
    store.put(data, "text/plain")
    salts = [store.vault.new_salt() for _ in range(1000)]
    assert len(set(salts)) == 1000
    with closing(sqlite3.connect(store.database.path)) as db:
        assert db.execute("SELECT COUNT(*) FROM objects").fetchone() == (1,)
