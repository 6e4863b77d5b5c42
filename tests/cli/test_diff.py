from __future__ import annotations

import json
from pathlib import Path

import pytest

from symphony.cli import main

OLD = """{"symphony": 2, "id": "t", "nodes": [
  {"id": "a", "kind": "operator", "use": "x", "params": {"n": 1}}, {"id": "b", "kind": "output"}],
  "edges": [{"from": "a", "to": "b"}]}"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.json"
    path.write_text(OLD)
    return path


def diff(*arguments: str | Path) -> int:
    return main(["workflow", "diff", *map(str, arguments)])


def test_the_same_in_another_spelling_is_the_same(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = old.with_suffix(".yaml")
    assert main(["convert", str(old), str(new)]) == 0
    capsys.readouterr()
    assert diff(old, new) == 0
    assert capsys.readouterr().out == ""


def test_each_change_is_a_line(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = old.with_name("new.json")
    new.write_text(OLD.replace('"n": 1', '"n": "\\u001b[31m"').replace('"b"', '"c"'))
    assert diff(old, new) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "> node b is now called c"
    assert lines[1].startswith("~ node a params.n: 1 -> ")
    assert "\x1b" not in "".join(lines)


def test_changes_as_one_document(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = old.with_name("new.json")
    new.write_text(OLD.replace('"n": 1', '"n": 2'))
    assert diff(old, new, "--json") == 1
    assert json.loads(capsys.readouterr().out) == {
        "changes": [
            {
                "action": "changed",
                "subject": "node",
                "name": "a",
                "field": ["params", "n"],
                "old": 1,
                "new": 2,
            }
        ]
    }
    assert diff(old, old, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"changes": []}


def test_a_file_that_is_none_is_told(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = old.with_name("broken.json")
    broken.write_text("{")
    assert diff(old, broken) == 3
    assert "broken.json:1:2" in capsys.readouterr().err
    assert diff(old, old.with_name("none.json")) == 4
