from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from symphony.cli import main

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello" / "hello.workflow.json"
DEMO = ROOT / "examples" / "repository_insight" / "repository_insight.workflow.json"
#: The pictures of the pages, and what they are of. `symphony show --svg FILE -o PICTURE` makes one.
PICTURES = {"repository-insight.svg": DEMO}


def show(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["show", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_a_file_is_shown_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    shown = show(capsys, HELLO)
    assert "2 ● greet    text.template  ← name" in shown.splitlines()
    assert "\x1b" not in shown


def test_on_a_terminal_it_has_colours_and_its_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "44")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[34m●\x1b[0m" in show(capsys, DEMO)
    monkeypatch.setenv("NO_COLOR", "1")
    shown = show(capsys, DEMO)
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 44


def test_one_line_a_chart_and_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(capsys, HELLO, "--line") == "3 nodes · 2 edges · name → greet → greeting\n"
    assert show(capsys, HELLO, "--mermaid").startswith("flowchart TB\n")
    facts = json.loads(show(capsys, HELLO, "--json"))
    assert facts["critical_path"] == ["name", "greet", "greeting"]
    assert facts["inputs"][0]["default"] == "world"


def test_what_is_shown_can_be_written_to_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    picture = tmp_path / "hello.svg"
    assert show(capsys, HELLO, "--svg", "-o", picture) == ""
    assert picture.read_text(encoding="utf-8") == show(capsys, HELLO, "--svg")


def test_a_faulty_workflow_is_shown_and_a_faulty_file_is_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.workflow.json"
    shutil.copy(HELLO, broken)
    broken.write_text(broken.read_text().replace('"to": "greeting"', '"to": "name"'))
    assert "(a cycle)" in show(capsys, broken)
    broken.write_text("{")
    assert main(["show", str(broken)]) == 3


def test_the_facts_go_without_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(HELLO), "--svg", "--json"]) == 2
    assert "--json" in capsys.readouterr().err


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_the_pages_are_as_they_would_be_drawn_now(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    picture = ROOT / "docs" / "images" / name
    assert picture.read_text(encoding="utf-8") == show(capsys, PICTURES[name], "--svg")


def test_the_tree_on_the_page_is_what_the_command_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = show(capsys, DEMO).rstrip("\n").splitlines()
    page = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    assert "\n".join(f"    {line}".rstrip() for line in shown) in page
