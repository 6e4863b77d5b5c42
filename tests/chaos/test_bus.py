"""Processes of the bus are killed at random, the broker among them, while they are busy."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROLES = Path(__file__).with_name("bus_roles.py")
SECONDS = 60.0
#: Every process that there is; which publisher or asker it is, is in its name.
CAST = (
    "broker",
    "responder",
    "responder",
    "asker",
    "asker",
    "publisher",
    "publisher",
    "subscriber",
)


class Troupe:
    """The processes of one bus. A publisher that is started again begins a topic of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.playing: dict[int, subprocess.Popen[bytes]] = {}
        self.names: dict[int, str] = {}
        self._started = 0

    def start(self, place: int) -> None:
        role = CAST[place]
        self._started += 1
        self.names[place] = f"{role}-{self._started if role == 'publisher' else place}"
        command = [sys.executable, str(ROLES), role, str(self.folder), self.names[place]]
        self.playing[place] = subprocess.Popen(command)

    def kill(self, place: int) -> None:
        self.playing[place].kill()
        self.playing[place].wait()

    def stop(self, role: str) -> None:
        """End those of a role in good order."""
        for place, each in enumerate(CAST):
            if each == role:
                self.stop_at(place)

    def stop_at(self, place: int) -> None:
        process = self.playing.pop(place)
        process.send_signal(signal.SIGTERM)
        # One that was started a moment ago may not have got as far as to hear of it.
        assert process.wait(30) in (0, -signal.SIGTERM)

    def lines(self, prefix: str) -> dict[str, list[str]]:
        return {
            path.stem: path.read_text().splitlines() for path in self.folder.glob(f"{prefix}*.log")
        }


@contextmanager
def troupe(folder: Path) -> Iterator[Troupe]:
    playing = Troupe(folder)
    try:
        for place in range(len(CAST)):
            playing.start(place)
        yield playing
    finally:
        for process in playing.playing.values():
            process.kill()
            process.wait()


def eventually(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it has not come to hold in time"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_left_waiting_when_processes_are_killed(tmp_path: Path) -> None:
    choose = random.Random(20261122)
    with troupe(tmp_path) as playing:
        eventually(lambda: all(playing.lines("asker").values()), 30)
        end = time.monotonic() + SECONDS
        killed: Counter[str] = Counter()
        while time.monotonic() < end:
            time.sleep(choose.uniform(0.05, 0.8))
            place = choose.randrange(len(CAST))
            playing.kill(place)
            playing.start(place)
            killed[CAST[place]] += 1
        playing.stop("publisher")
        kept = {name: [int(n) for n in lines] for name, lines in playing.lines("publisher").items()}
        eventually(lambda: not missing(playing, kept), 60)
        check_subscriber(playing, kept)
        check_askers(playing)
        check_broker_lets_go(playing)
    assert min(killed[role] for role in set(CAST)) > 0


def received(playing: Troupe) -> list[tuple[int, str, int]]:
    """Position, publisher, number: in the order in which they were noted."""
    (lines,) = playing.lines("subscriber").values()
    words = [line.split() for line in lines]
    return [(int(w[0]), w[2].removeprefix("kept."), int(w[3])) for w in words]


def missing(playing: Troupe, kept: dict[str, list[int]]) -> set[tuple[str, int]]:
    wanted = {(name, number) for name, numbers in kept.items() for number in numbers}
    return wanted - {(name, number) for _, name, number in received(playing)}


def check_subscriber(playing: Troupe, kept: dict[str, list[int]]) -> None:
    got = received(playing)
    positions = [position for position, _, _ in got]
    assert positions == sorted(set(positions)), "a position came twice, or too late"
    messages = [(name, number) for _, name, number in got]
    assert len(messages) == len(set(messages)), "a message was doubled"
    for name in kept:
        numbers = [number for of, number in messages if of == name]
        assert numbers == list(range(1, len(numbers) + 1)), "a message is missing in between"
    assert sum(map(len, kept.values())) > 1000, "too little happened to prove anything"


def check_askers(playing: Troupe) -> None:
    """Every request has ended: by its answer, or an error that says why not."""
    outcomes = Counter(line for lines in playing.lines("asker").values() for line in lines)
    assert outcomes["stuck"] == 0
    assert outcomes["answered"] > 1000
    assert set(outcomes) <= {
        "answered",
        "ipc.closing",
        "ipc.connection_lost",
        "ipc.no_responder",
        "ipc.responder_gone",
        "ipc.timeout",
    }


def check_broker_lets_go(playing: Troupe) -> None:
    """Those who come and go leave no descriptor behind in the broker, and no memory to speak of."""
    for role in ("asker", "responder", "subscriber"):
        playing.stop(role)
    broker = Path(f"/proc/{playing.playing[CAST.index('broker')].pid}")

    def descriptors() -> int:
        return len(list((broker / "fd").iterdir()))

    alone, before = descriptors(), _resident_kib(broker)
    for _ in range(3):
        noted = sum(map(len, playing.lines("asker").values()))
        for place in (CAST.index("responder"), CAST.index("asker")):
            playing.start(place)
        wanted = noted + 500
        eventually(lambda: sum(map(len, playing.lines("asker").values())) > wanted, 20)  # noqa: B023
        playing.stop_at(CAST.index("asker"))
        playing.stop_at(CAST.index("responder"))
    eventually(lambda: descriptors() <= alone, 10)
    assert _resident_kib(broker) < before + 4096


def _resident_kib(process: Path) -> int:
    status = (process / "status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
