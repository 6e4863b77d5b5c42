"""Workflow files from the command line: in other formats, and what has changed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from .conftest import Cli

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello" / "hello.workflow.json"


def test_a_workflow_goes_through_every_form_and_comes_back(symphony: Cli) -> None:
    here = symphony.work
    (here / "0.json").write_bytes(EXAMPLE.read_bytes())
    names = ["0.json", "1.yaml", "2.toml.zst", "3.msgpack", "4.swf.lz4", "5.json"]
    for old, new in pairwise(names):
        outcome = symphony("convert", here / old, here / new)
        assert (outcome.code, outcome.stdout) == (0, "")
    outcome = symphony("workflow", "diff", here / "0.json", here / "5.json")
    assert (outcome.code, outcome.stdout) == (0, "")


def test_a_converted_workflow_runs_and_its_faults_have_lines(symphony: Cli) -> None:
    path = symphony.work / "hello.yaml"
    assert symphony("convert", EXAMPLE, path).code == 0
    assert symphony("run", path, "-i", "name=Ada").code == 0
    path.write_text(path.read_text().replace("kind: output", "kind: outptu", 1))
    outcome = symphony("validate", path)
    line = path.read_text()[: path.read_text().index("outptu")].count("\n") + 1
    assert outcome.code == 3
    assert f"hello.yaml:{line}:" in outcome.stderr
