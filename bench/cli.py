"""How long the command line takes to start.

    python bench/cli.py [--json] [--runs 10]

Whole processes, timed from outside, ours and the peer in turn; milliseconds, medians. The peer of
`--help` and `--version` is an interpreter that does nothing: the least that a Python command can
be. A run's peer is the same, so its ratio says what opening, journaling and closing a home costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str | float | bool | None]
HELLO = Path(__file__).parents[1] / "examples" / "hello" / "hello.workflow.json"


def timed(command: Sequence[str], home: str) -> float:
    environment = {**os.environ, "SYMPHONY_HOME": home}
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return (time.perf_counter() - start) * 1000


def measure(name: str, arguments: Sequence[str], runs: int, goal: float | None, home: str) -> Row:
    ours, bare = [], []
    for _ in range(runs + 1):
        ours.append(timed([sys.executable, "-m", "symphony", *arguments], home))
        bare.append(timed([sys.executable, "-c", "pass"], home))
    # The first of each warms the file cache, and is not counted.
    own, peer = statistics.median(ours[1:]), statistics.median(bare[1:])
    return {
        "measure": f"{name}, ms",
        "ours": own,
        "peer": peer,
        "peer_name": "python -c pass",
        "ratio": own / peer,
        "goal": None if goal is None else f"< {goal:g} ms",
        "met": None if goal is None else own < goal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        rows = [
            measure("symphony --help", ["--help"], options.runs, 100, home),
            measure("symphony --version", ["--version"], options.runs, 50, home),
            measure("symphony run hello", ["run", str(HELLO), "--json"], options.runs, None, home),
        ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for each in rows:
        print(" | ".join(f"{key} {value}" for key, value in each.items() if value is not None))


if __name__ == "__main__":
    main()
