"""The message bus beside its peers, process to process, through the real broker.

    python bench/ipc.py [--json] [--repeat 5] [--others 5] [--seconds 1] [--peers zmq] [--size 128]

W1 is one request at a time (p50, p99; pinned to one CPU, since across CPUs wake-ups dominate, and
unpinned), W2 is 64 at a time, W3 one publisher to one subscriber (at two windows: how far it may
run ahead), W4 one publisher to 16. The peers come from the harness in ../shared/bench, beside a
checkout; those that are not installed are left out. Without the harness ours is measured alone.
Ratios are of medians over the repeats, in which all take turns.

Besides, ours alone: W1 with 200 endpoints and 2,000 subscriptions on the broker beside the same
broker without them, and what one message costs to write and to read (bench/ipc_serialization.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ipc_serialization

HERE = Path(__file__).parent
PLUGIN = HERE / "plugins" / "ipc.py"
ALONE = HERE / "plugins" / "ipc_alone.py"
HARNESS = HERE.parents[1] / "shared" / "bench" / "ipc" / "peers.py"

PEERS = ("zmq", "nats", "redis", "dbus", "mqtt", "grpc", "zmq-aio")
#: The best of the brokered peers in every workload; what the goals refer to.
BEST = "zmq"

Row = dict[str, object]
Sample = dict[str, object]


class Workload(NamedTuple):
    label: str
    name: str
    options: tuple[str, ...]
    #: Of ours to the best peer: at most for times, at least for rates.
    goal: float | None


WORKLOADS = (
    Workload("W1 pinned", "w1", ("--pin", "0"), 0.60),
    Workload("W1 unpinned", "w1", (), None),
    Workload("W2", "w2", (), 1.8),
    Workload("W3 window 65536", "w3", ("--window", "65536"), 1.2),
    Workload("W3 window 4096", "w3", ("--window", "4096"), 1.0),
    Workload("W4", "w4", (), 1.3),
)


def samples(workload: Workload, peers: list[str], options: argparse.Namespace) -> list[Sample]:
    """Each peer once."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "samples"
        command = [sys.executable, str(HARNESS), "--plugin", str(PLUGIN), "--json", str(out)]
        command += ["--peer", ",".join(peers), "--workload", workload.name, *workload.options]
        command += ["--seconds", str(options.seconds), "--size", str(options.size)]
        command += ["--w1-sizes", str(options.size)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return [json.loads(line) for line in out.read_text().splitlines()]


def alone(workload: Workload, options: argparse.Namespace) -> list[Sample]:
    """Ours without the harness."""
    command = [sys.executable, str(ALONE), workload.name, *workload.options]
    command += ["--seconds", str(options.seconds), "--size", str(options.size)]
    return [json.loads(subprocess.run(command, check=True, capture_output=True).stdout)]


def median(gathered: list[Sample], peer: str, figure: str) -> float | None:
    """None for a peer that is not installed, or that failed each time."""
    values = [sample[figure] for sample in gathered if sample["peer"] == peer and figure in sample]
    return statistics.median(map(float, map(str, values))) if values else None


def row(
    measure: str, ours: float | None, peer: float | None, name: str, goal: float | None, least: bool
) -> Row:
    ratio = None if peer is None or ours is None else ours / peer
    met = None if ratio is None or goal is None else (ratio >= goal if least else ratio <= goal)
    sign = ">=" if least else "<="
    return {
        "measure": measure,
        "ours": ours,
        "peer": peer,
        "peer_name": name,
        "ratio": ratio,
        "goal": "" if goal is None else f"{sign} {goal:.2f}x",
        "met": met,
    }


def rows_of(workload: Workload, gathered: list[Sample], peers: list[str]) -> Iterator[Row]:
    rate = workload.name != "w1"
    figures = ("rate",) if rate else ("p50", "p99")
    for peer in peers:
        goal = workload.goal if peer == BEST else None
        for figure in figures:
            unit = {"rate": "per s", "p50": "p50 us", "p99": "p99 us"}[figure]
            ours, theirs = median(gathered, "ours", figure), median(gathered, peer, figure)
            yield row(f"{workload.label}, {unit}", ours, theirs, peer, goal, rate)
    ours, best = (median(gathered, peer, "cpu_total") for peer in ("ours", BEST))
    yield row(f"{workload.label}, CPU us per message", ours, best, BEST, None, False)
    losses = [int(str(s["lost"])) for s in gathered if s["peer"] == "ours" and "lost" in s]
    if workload.name in ("w3", "w4") and losses:
        lost = max(losses)
        yield {
            "measure": f"{workload.label}, lost messages",
            "ours": lost,
            "peer": None,
            "peer_name": "",
            "ratio": None,
            "goal": "0",
            "met": lost == 0,
        }


def scale_row(options: argparse.Namespace) -> Row:
    """W1 on a broker with 200 endpoints and 2,000 subscriptions beside one with none."""
    command = [sys.executable, str(ALONE), "scale", "--pin", "0"]
    command += ["--seconds", str(options.seconds), "--size", str(options.size)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(options.repeat)
    ]
    crowded, empty = (statistics.median(run[key] for run in runs) for key in ("crowded", "empty"))
    measure = "W1 pinned with 200 endpoints and 2,000 subscriptions, p50 us"
    return row(measure, crowded, empty, "the same broker, empty", 1.5, False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--others", type=int, help="repeats of the peers but the best")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--peers", default=",".join(PEERS))
    options = parser.parse_args()
    peers = options.peers.split(",")
    gathered: dict[Workload, list[Sample]] = {workload: [] for workload in WORKLOADS}
    for turn in range(options.repeat):
        for workload in WORKLOADS:
            print(f"{turn + 1}/{options.repeat} {workload.label} ...", file=sys.stderr, flush=True)
            others = options.repeat if options.others is None else options.others
            turns = peers if turn < others else [peer for peer in peers if peer == BEST]
            found = (
                samples(workload, [*turns, "ours"], options)
                if HARNESS.exists()
                else alone(workload, options)
            )
            gathered[workload] += found
    rows: list[Row] = []
    for workload in WORKLOADS:
        rows += rows_of(workload, gathered[workload], peers)
    rows.append(scale_row(options))
    rows += [dict(each) for each in ipc_serialization.rows()]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for each in rows:
            print("  ".join(f"{name}={value}" for name, value in each.items()))


if __name__ == "__main__":
    main()
