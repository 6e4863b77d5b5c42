"""The command line as a user runs it: a real process, a home folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout. Any: tests read it freely."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


class Cli:
    """Runs `symphony` with a fresh home; `prefix` goes before the command, as in `setpriv ...`."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        self.temporary = folder / "tmp"
        self.work.mkdir()
        self.temporary.mkdir()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SYMPHONY_", "COV", "OPENAI"))
        } | {
            "SYMPHONY_HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "NO_COLOR": "1",
        }

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "symphony", *map(str, arguments)]

    def __call__(self, *arguments: str | Path, prefix: tuple[str, ...] = ()) -> Outcome:
        done = subprocess.run(
            [*prefix, *self.command(*arguments)],
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
            stdin=subprocess.DEVNULL,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(
        self, *arguments: str | Path, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.work,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=stdin,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def symphony(tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path)
    yield cli
    assert processes_of(cli) == [], "a process was left behind"
    assert list(cli.temporary.iterdir()) == [], "a temporary file was left behind"


def processes_of(cli: Cli) -> list[str]:
    """Commands of the living processes that were started by this command line: an extension's
    environment is nearly empty, but it is told where temporary files go."""
    marker = f"TMPDIR={cli.temporary}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended while we looked
    return found


@pytest.fixture
def write_workflow(symphony: Cli) -> Callable[..., Path]:
    """Writes a workflow file of the given nodes and edges (`"a.port -> b.port"`)."""

    def write(nodes: list[dict[str, Any]], *edges: str, **more: Any) -> Path:
        pairs = (edge.split(" -> ") for edge in edges)
        document = {
            "symphony": 1,
            "id": "test",
            "nodes": nodes,
            "edges": [{"from": source, "to": target} for source, target in pairs],
        }
        path = symphony.work / "test.workflow.json"
        path.write_text(json.dumps(document | more))
        return path

    return write
