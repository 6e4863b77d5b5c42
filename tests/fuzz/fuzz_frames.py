"""Fuzz the wire: python tests/fuzz/fuzz_frames.py --frames 1000000 --seed 1

Ends with 0 if no input has raised what is no `IpcError`, broken a promise of its target, taken
longer than it may, or left memory behind. One that has is cut down and kept in `--crashes`;
regression tests read those in tests/fuzz/corpus. What leads somewhere new is mutated further, so
two runs are alike only with the same seed and number of frames.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import hashlib
import logging
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.conversation import pieces_of
from tests.fuzz.mutations import mutated_bytes, mutated_conversation, mutated_frame, seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"

#: How often each target's turn comes; a conversation has some twelve frames.
WEIGHTS = {
    "conversation": 12,
    "stream": 12,
    "message": 12,
    "control": 6,
    "text": 4,
    "json_rpc": 6,
    "endpoint": 8,
}
#: Inputs of a target that are mutated further.
MAX_POOL = 600
#: What one input may take, by far: 8 KiB take less than 10 ms.
MAX_SECONDS = 5
#: Resident memory may grow by so much after the warm-up, the inputs that are mutated further left
#: out: caches, which have limits, and what the allocator does not give back. Ten bytes a frame
#: would be found in a million.
MAX_GROWTH = 8 * 1024 * 1024
#: Part of a run that fills caches and pools.
WARM_UP = 0.2


class Hung(Exception):
    """An input took too long."""


@dataclass
class Report:
    frames: int = 0
    inputs: int = 0
    seconds: float = 0.0
    behaviours: int = 0
    #: Of resident memory, since the warm-up, in bytes.
    growth: int = 0
    crashes: list[str] = field(default_factory=list)


class Fuzzer:
    def __init__(self, seed: int, crashes: Path | None) -> None:
        self._rng = Random(seed)
        self._crashes = crashes
        self._pool = seeds()
        for path in sorted(CORPUS.glob("*.bin")):
            self._pool[target_of(path)].append(path.read_bytes())
        self._sown = {name: len(inputs) for name, inputs in self._pool.items()}
        #: Hashes of them: they are many.
        self._ways: dict[str, set[int]] = {name: set() for name in TARGETS}
        self._faults: set[str] = set()
        self.report = Report()

    def run(self, frames: int) -> Report:
        """Until so many frames have been tried; those of the seeds come first, as they are."""
        begun = time.perf_counter()
        with _alarm():
            for name, inputs in self._pool.items():
                for data in tuple(inputs):
                    self.try_input(name, data)
            self._until(int(frames * WARM_UP))
            before = resident() - self._held()
            self._until(frames)
        self.report.growth = resident() - self._held() - before
        self.report.seconds = time.perf_counter() - begun
        self.report.behaviours = sum(map(len, self._ways.values()))
        return self.report

    def _held(self) -> int:
        """Bytes that grow on purpose."""
        return sum(len(data) for inputs in self._pool.values() for data in inputs)

    def _until(self, frames: int) -> None:
        while self.report.frames < frames:
            self._next()

    def _next(self) -> None:
        rng = self._rng
        (name,) = rng.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))
        pool = self._pool[name]
        data = rng.choice(pool)
        if name == "conversation":
            data = mutated_conversation(rng, data, pool)
        elif name in ("stream", "endpoint"):
            data = mutated_frame(rng, data)
            if rng.random() < 0.3:
                data += rng.choice(pool)
        else:
            data = mutated_bytes(rng, data)
        self.try_input(name, data)

    def try_input(self, name: str, data: bytes) -> None:
        report = self.report
        report.inputs += 1
        report.frames += sum(1 for _ in pieces_of(data)) if name == "conversation" else 1
        data = data.ljust(4, b"\0")
        signal.alarm(MAX_SECONDS)
        try:
            way = hash(TARGETS[name](data))
        except Exception as error:  # noqa: BLE001 - whatever it is, that is what is looked for
            signal.alarm(0)
            self._crashed(name, data, error)
            return
        ways = self._ways[name]
        if way not in ways:
            ways.add(way)
            self._keep(name, data)

    def _keep(self, name: str, data: bytes) -> None:
        pool = self._pool[name]
        if len(pool) < MAX_POOL:
            pool.append(data)
        else:
            pool[self._rng.randrange(self._sown[name], len(pool))] = data

    def found(self) -> Iterator[tuple[str, bytes]]:
        """Target and input of what has led somewhere new, the last of it."""
        for name, inputs in self._pool.items():
            for data in inputs[self._sown[name] :]:
                yield name, data

    def _crashed(self, name: str, data: bytes, error: Exception) -> None:
        fault = _fault(error)
        if fault in self._faults:
            return
        self._faults.add(fault)
        if not isinstance(error, Hung):
            data = shrunk(data, lambda part: _fault_of(name, part) == fault)
        trace = "".join(traceback.format_exception(error))
        self.report.crashes.append(f"{name}: {data.hex()}\n{trace}")
        if self._crashes is not None:
            self._crashes.mkdir(parents=True, exist_ok=True)
            (self._crashes / name_of(name, data)).write_bytes(data)


def target_of(path: Path) -> str:
    return path.stem.partition("-")[0]


def name_of(target: str, data: bytes) -> str:
    return f"{target}-{hashlib.sha256(data).hexdigest()[:12]}.bin"


def _fault(error: Exception) -> str:
    """Two crashes are one if they were raised in the same place."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {place.filename}:{place.lineno}"


def _fault_of(name: str, data: bytes) -> str:
    try:
        TARGETS[name](data.ljust(4, b"\0"))
    except Exception as error:  # noqa: BLE001 - as above
        return _fault(error)
    return ""


def shrunk(data: bytes, is_bad: Callable[[bytes], bool]) -> bytes:
    """The same fault with fewer bytes: parts are left out as long as it stays."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if is_bad(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def resident() -> int:
    """Bytes of memory that the process has; 0 where the system does not say."""
    gc.collect()
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0


@contextmanager
def _alarm() -> Iterator[None]:
    """Python code that hangs is interrupted; C code that does so ends the process, told where."""

    def hung(number: int, frame: FrameType | None) -> None:
        raise Hung(f"an input took more than {MAX_SECONDS} s")

    former = signal.signal(signal.SIGALRM, hung)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def told(report: Report) -> str:
    summary = (
        f"{report.frames:,} frames in {report.inputs:,} inputs, {report.seconds:.1f} s,"
        f" {report.frames / report.seconds:,.0f} frames/s; {report.behaviours:,} behaviours;"
        f" memory grew by {report.growth / 2**20:.1f} MiB; {len(report.crashes)} crashes"
    )
    return "\n".join((summary, *report.crashes, ""))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"))
    parser.add_argument("--keep", type=Path, help="a folder for inputs that led somewhere new")
    chosen = parser.parse_args()
    logging.getLogger("symphony").setLevel(logging.CRITICAL)
    faulthandler.dump_traceback_later(3600, exit=True)
    fuzzer = Fuzzer(chosen.seed, chosen.crashes)
    report = fuzzer.run(chosen.frames)
    sys.stdout.write(told(report))
    if chosen.keep is not None:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        for name, data in fuzzer.found():
            (chosen.keep / name_of(name, data)).write_bytes(data)
    return 1 if report.crashes or report.growth > MAX_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
