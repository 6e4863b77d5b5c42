"""Runs survive the death of their process at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Kills that hit a run while it goes on, of each shape.
HITS = 42
LANES = 8


@pytest.mark.slow
@pytest.mark.timeout(110)
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
@pytest.mark.parametrize("shape", ["chain", "wide", "mapped", "looped", "nested"])
def test_killed_at_any_moment_a_run_goes_on_to_the_right_end(tmp_path: Path, shape: str) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.chaos.run_trials",
        shape,
        str(HITS),
        "1",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(trial["right"] for trial in trials)
    assert not any(trial["repeated"] for trial in trials), "what was recorded as finished ran again"
    # The body of a node that had ended, and whose end was not recorded: at most those in flight.
    assert max(trial["again"] for trial in trials) <= LANES
    assert sum(trial["hits"] for trial in trials) >= HITS
