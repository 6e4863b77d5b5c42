"""Killed processes, failing disks, many writers: what was acknowledged is there, and whole."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from symphony.commons.errors import SymphonyError
from symphony.pit.artifacts import (
    ArtifactMissing,
    BlockingStore,
    Keep,
    mark_garbage,
    sweep_garbage,
    verify,
)

from .conftest import keep_opened, object_files, rows
from .worker import content

WORKER = Path(__file__).with_name("worker.py")
#: How many processes are killed, and seconds after which that is enough anyhow.
KILLS, SECONDS = 200, 80.0


def started(folder: Path, seed: int, job: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), str(folder), str(seed), job]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str], first: str = "") -> dict[int, str]:
    """What a process that has ended said; a last line that is not whole was not said."""
    assert process.stdout is not None
    with process.stdout:
        lines = (first + process.stdout.read()).split("\n")[:-1]
    return {int(number): id_ for number, id_ in (line.split() for line in lines)}


def require_whole(store: BlockingStore, said: dict[int, str]) -> None:
    for number, id_ in said.items():
        assert store.get(id_) == content(number), number
    report = verify(store)
    assert report.damaged == []
    named = {each.id for name in store.names() for each in store.history(name)}
    assert set(said.values()) <= named
    for name in store.names():
        history = store.history(name)
        assert [each.number for each in history] == list(range(len(history), 0, -1))
    assert list((store.folder / "incoming").iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Four processes at once put, collect and rotate keys, and each is killed at any moment."""
    folder = tmp_path / "store"
    chosen, deadline = random.Random(1), time.monotonic() + SECONDS
    said: dict[int, str] = {}
    kills = 0
    while kills < KILLS and time.monotonic() < deadline:
        processes = [started(folder, (kills + lane) * 1000, "mixed") for lane in range(4)]
        for process in processes:
            assert process.stdout is not None
            first = process.stdout.readline()
            threading.Event().wait(chosen.random() * 0.06)
            process.kill()
            process.wait()
            said.update(acknowledged(process, first))
            kills += 1
        with keep_opened(folder) as store:
            require_whole(store, said)
        if kills % 40 == 0:  # so that one store stays small
            shutil.rmtree(folder)
            said.clear()
    assert kills >= KILLS // 4


@pytest.mark.slow
def test_processes_that_put_the_same_and_other_contents_keep_one_copy_of_each(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "store"
    processes = [started(folder, 15 * (lane // 2), "puts") for lane in range(8)]
    said: dict[int, str] = {}
    for process in processes:
        said.update(acknowledged(process))
        assert process.wait() == 0
    with keep_opened(folder) as store:
        require_whole(store, said)
        distinct = len({content(number) for number in said})
        assert rows(folder, "SELECT COUNT(*) FROM objects WHERE chunk = 0") == [(distinct,)]
        in_files = rows(folder, "SELECT COUNT(*) FROM objects WHERE place = 2")
        assert in_files == [(len(object_files(folder)),)]


CALLS = ("open", "pwrite", "fdatasync", "fsync", "replace", "write", "link", "mkdir")


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, at: int, code: int) -> Iterator[list[str]]:
    """Inside, the given call (from 0) that reaches the disk through `os` fails; yields its name."""
    calls, failed = count(), list[str]()

    def breaking(name: str, real):  # type: ignore[no-untyped-def]
        def call(*args: object, **kwargs: object) -> object:
            if next(calls) == at:
                failed.append(name)
                raise OSError(code, os.strerror(code))
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, breaking(name, getattr(os, name)))
        yield failed


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("size", [1000, 100_000, 5_000_000])
def test_each_call_may_fail_and_nothing_is_lost_or_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, code: int
) -> None:
    data = random.Random(size).randbytes(size)
    for at in range(100):
        folder = tmp_path / str(at)
        with keep_opened(folder) as store:
            before = store.put(b"before" + data, "text/plain")
            acknowledged = False
            with failing(monkeypatch, at, code) as failed:
                try:
                    ref = store.put(data, "text/plain")
                    acknowledged = True
                except SymphonyError:
                    pass
            again = store.put(data, "text/plain")
            assert not acknowledged or again == ref
        with keep_opened(folder) as store:
            assert store.get(before) == b"before" + data
            assert store.get(again) == data
            assert verify(store).whole
            assert list((folder / "incoming").iterdir()) == []
        shutil.rmtree(folder)
        if not failed:
            break
    assert not failed


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, bytes(data[:30_000]), at))
    with keep_opened(tmp_path / "store") as store:
        for size in (200_000, 5_000_000):
            data = random.Random(size).randbytes(size)
            assert store.get(store.put(data, "text/plain")) == data


def test_segment_whose_sync_failed_is_written_to_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [random.Random(n).randbytes(100_000) for n in range(3)]
    with keep_opened(tmp_path / "store") as store:
        first = store.put(data[0], "text/plain")
        with failing_sync(monkeypatch), pytest.raises(SymphonyError):
            store.put(data[1], "text/plain")
        second = store.put(data[1], "text/plain")
        placed = rows(store.folder, "SELECT segment FROM objects ORDER BY number")
        assert placed == [(1,), (2,)]
    with keep_opened(tmp_path / "store") as store:
        third = store.put(data[2], "text/plain")
        assert rows(store.folder, "SELECT segment FROM objects WHERE segment = 1") == [(1,)]
        assert [store.get(ref) for ref in (first, second, third)] == data


@contextmanager
def failing_sync(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        yield


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_each_put_is_synced_after_its_last_write_and_before_it_is_acknowledged(
    tmp_path: Path,
) -> None:
    """The acknowledgement is a write to stdout: between it and the last write to a file of the
    store there must be a sync of that file."""
    log = tmp_path / "log"
    calls = "trace=openat,close,write,pwrite64,fsync,fdatasync,rename"
    command = ["strace", "-f", "-qq", "-y", "-e", calls, "-o", str(log), sys.executable, "-u"]
    command += [str(WORKER), str(tmp_path / "store"), "0", "puts"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 30
    unsynced: set[str] = set()
    acknowledged = 0
    for line in log.read_text(errors="replace").splitlines():
        if found := re.search(r"\b(write|pwrite64|fsync|fdatasync)\((\d+)<([^>]*)>", line):
            call, descriptor, path = found.groups()
            if call in ("fsync", "fdatasync"):
                unsynced.discard(path)
            elif descriptor == "1":
                acknowledged += 1
                assert not unsynced, f"put {acknowledged}"
            # A checkpoint copies into the database what is safe in its log.
            elif "/store/" in path and not path.endswith(("-shm", ".lock", ".pid", ".db")):
                unsynced.add(path)
    assert acknowledged == 30


class AgainstDictionary(RuleBasedStateMachine):
    """Whatever is done in whatever order, the store is a dictionary of what was put and kept."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ["STATEFUL_FOLDER"]) / os.urandom(8).hex()
        self.opened = keep_opened(self.folder)
        self.store = self.opened.__enter__()
        self.known: dict[str, bytes] = {}
        self.named: dict[str, list[str]] = {}

    @rule(target=ids, seed=st.integers(0, 20), size=st.sampled_from([0, 5, 3000, 70_000]))
    def put(self, seed: int, size: int) -> str:
        data = random.Random(seed).randbytes(size)
        id_ = self.store.put(data, "text/plain").id
        self.known[id_] = data
        return id_

    @rule(id_=ids, name=st.sampled_from("ab"))
    def record(self, id_: str, name: str) -> None:
        if id_ in self.known:
            self.store.record(name, id_)
            self.named.setdefault(name, []).append(id_)

    @rule(name=st.sampled_from("ab"))
    def forget(self, name: str) -> None:
        if self.named.pop(name, None):
            self.store.forget_name(name)

    @rule()
    def collect(self) -> None:
        mark_garbage(self.store, Keep(seconds=-1))
        sweep_garbage(self.store, Keep(seconds=-1), marked_for_s=-1)
        kept = {id_ for ids in self.named.values() for id_ in ids}
        self.known = {id_: data for id_, data in self.known.items() if id_ in kept}

    @rule()
    def reopen(self) -> None:
        self.opened.__exit__(None, None, None)
        self.opened = keep_opened(self.folder)
        self.store = self.opened.__enter__()

    @rule(id_=ids)
    def get(self, id_: str) -> None:
        if id_ in self.known:
            assert self.store.get(id_) == self.known[id_]
        else:
            with pytest.raises(ArtifactMissing):
                self.store.get(id_)

    @invariant()
    def lists_what_is_known(self) -> None:
        assert {info.id for info in self.store.newest(1000)} == set(self.known)
        for name, ids in self.named.items():
            assert [each.id for each in self.store.history(name)] == ids[::-1]

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)
        shutil.rmtree(self.folder)


@pytest.mark.slow
def test_store_is_a_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setenv("STATEFUL_FOLDER", str(tmp_path))
    run_state_machine_as_test(
        AgainstDictionary,
        settings=settings(max_examples=25, stateful_step_count=25, deadline=None),
    )
