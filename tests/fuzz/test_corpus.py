"""What fuzzing has found holds, and a slice of it runs with every test run."""

from __future__ import annotations

import gc
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conversation import Piece, bytes_of, pieces_of
from .fuzz_frames import CORPUS, MAX_GROWTH, WEIGHTS, Fuzzer, shrunk, target_of, told
from .mutations import seeds
from .targets import TARGETS

INPUTS = sorted(CORPUS.glob("*.bin"))
SLICE = 20_000

needs_alarm = pytest.mark.skipif(
    not hasattr(signal, "SIGALRM"), reason="nothing interrupts what hangs here"
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Each endpoint that is cut off is logged, which takes longer than all the rest."""
    caplog.set_level("CRITICAL", logger="symphony")


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_inputs_of_the_corpus_keep_the_promises(path: Path) -> None:
    way = TARGETS[target_of(path)](path.read_bytes().ljust(4, b"\0"))
    assert hash(way) is not None


def test_every_target_has_seeds_a_weight_and_a_place_in_the_corpus() -> None:
    assert TARGETS.keys() == WEIGHTS.keys() == seeds().keys() == set(map(target_of, INPUTS))
    assert all(path.stat().st_size < 8192 for path in INPUTS)


@needs_alarm
def test_a_slice_of_fuzzing_finds_nothing() -> None:
    report = Fuzzer(seed=1, crashes=None).run(SLICE)
    assert report.crashes == [], told(report)
    assert report.frames >= SLICE
    assert report.behaviours > len(TARGETS) * 20


@needs_alarm
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_mutated_frames() -> None:
    report = Fuzzer(seed=3, crashes=None).run(1_000_000)
    assert report.crashes == [], told(report)
    assert report.growth < MAX_GROWTH, told(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_of_an_input_stays_in_memory(name: str) -> None:
    """The same inputs again and again: after the first rounds every cache has seen them. What the
    interpreter keeps of freed tuples is 2,000 of each length."""
    inputs = [path.read_bytes() for path in INPUTS if target_of(path) == name]

    def go_on(rounds: int) -> int:
        for data in inputs * rounds:
            TARGETS[name](data.ljust(4, b"\0"))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = go_on(20)
        assert go_on(60) - before < 256 * 1024
    finally:
        tracemalloc.stop()


@needs_alarm
def test_a_fault_is_found_cut_down_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(data: bytes) -> None:
        if b"build" in data:
            raise ZeroDivisionError

    monkeypatch.setitem(TARGETS, "stream", broken)
    report = Fuzzer(seed=1, crashes=tmp_path).run(1)
    (crash,) = report.crashes
    assert "ZeroDivisionError" in crash
    (kept,) = tmp_path.iterdir()
    assert (target_of(kept), kept.read_bytes()) == ("stream", b"build")


@needs_alarm
def test_what_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(data: bytes) -> None:
        while True:
            signal.raise_signal(signal.SIGALRM)

    monkeypatch.setitem(TARGETS, "control", hang)
    report = Fuzzer(seed=1, crashes=None).run(1)
    assert "Hung: " in report.crashes[0]


@pytest.mark.parametrize(
    ("data", "is_bad", "least"),
    [
        (b"abcdefgh", lambda data: b"c" in data and b"g" in data, b"cg"),
        (b"abc", lambda data: True, b""),
        (b"", lambda data: True, b""),
    ],
)
def test_cutting_down(data: bytes, is_bad: Callable[[bytes], bool], least: bytes) -> None:
    assert shrunk(data, is_bad) == least


def test_conversations_survive_being_written() -> None:
    def pieces() -> Iterator[Piece]:
        yield Piece(0, b"")
        yield Piece(7, b"x" * 65535)

    assert list(pieces_of(bytes_of(pieces()))) == list(pieces())
    assert [piece.data for piece in pieces_of(b"\x01\x05\x00ab")] == [b"ab"]
