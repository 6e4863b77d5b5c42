"""`symphony templates`: what it shows, what it writes, what it says to mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symphony.cli import main
from symphony.workflow import FORMAT, load, load_template

GREETING = {
    "symphony": FORMAT,
    "id": "greeting",
    "name": "Greeting",
    "version": "1.2.0",
    "description": "Greets somebody.",
    "metadata": {"tags": ["hello"], "category": "Demo", "author": "Ada"},
    "template": {
        "parameters": [
            {"name": "who", "title": "Who", "default": "world"},
            {"name": "times", "type": "integer", "default": 1, "schema": {"minimum": 1}},
        ],
        "examples": [{"name": "For Ada", "values": {"who": "Ada L.", "times": 2}}],
    },
    "nodes": [
        {"id": "who", "kind": "input", "schema": {"type": "string"}, "default": "${who}"},
        {
            "id": "greet",
            "kind": "operator",
            "use": "text.template",
            "params": {
                "template": "{% for _ in range(times) %}Hello, {{ value }}! {% endfor %}",
                "with": {"times": "${times}"},
            },
        },
        {"id": "text", "kind": "output"},
    ],
    "edges": [{"from": "who", "to": "greet.value"}, {"from": "greet", "to": "text"}],
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    folder = work / ".symphony" / "templates"
    folder.mkdir(parents=True)
    (folder / "greeting.template.json").write_text(json.dumps(GREETING))
    monkeypatch.chdir(work)
    monkeypatch.setenv("SYMPHONY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    return work


class Command:
    """`symphony templates`, called in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        assert main(["templates", *arguments]) == code
        captured = self._capsys.readouterr()
        self.errors = captured.err
        return captured.out

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))


@pytest.fixture
def templates(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_list(templates: Command, place: Path) -> None:
    shown = templates("list", "--tag", "HELLO", "--category", "demo")
    assert shown == "greeting  1.2.0  project  Greeting\n"
    assert len(templates("list").splitlines()) > 6
    (place / ".symphony" / "templates" / "bad.template.json").write_text("{")
    told = templates.json("list", "--author", "ada")
    assert [each["id"] for each in told["templates"]] == ["greeting"]
    assert [each["id"] for each in told["broken"]] == ["bad"]
    templates("list")
    assert "bad.template.json" in templates.errors


def test_search(templates: Command) -> None:
    assert templates("search", "greetng", "somebody").startswith("greeting")
    assert templates.json("search", "hello")["templates"][0]["version"] == "1.2.0"
    assert templates("search", "(((") == ""
    assert "No template" in templates.errors
    assert templates.json("search", "a" * 5000, code=3)["error"]["code"] == "search.query_invalid"


def test_show(templates: Command) -> None:
    shown = templates("show", "greeting@^1")
    assert "Greets somebody." in shown
    assert "times  integer, 1" in shown
    assert "symphony templates run greeting@^1 -p who='Ada L.' -p times=2" in shown
    told = templates.json("show", "greeting")
    assert told["schema"]["properties"]["times"]["minimum"] == 1


def test_new_writes_a_workflow(templates: Command, place: Path) -> None:
    assert templates("new", "greeting", "-p", "who=Ada") == "greeting.workflow.json\n"
    assert load(place / "greeting.workflow.json").node("who").default == "Ada"
    told = templates.json("new", "greeting", code=8)
    assert told["error"]["code"] == "cli.would_overwrite"
    templates("new", "greeting", "--to", "deep/er/hello.yaml", "--force")
    assert load(place / "deep" / "er" / "hello.yaml").node("who").default == "world"


def test_new_makes_a_template_of_a_workflow(
    templates: Command, place: Path, tmp_path: Path
) -> None:
    templates("new", "greeting", "-p", "who=Ada")
    written = templates.json(
        "new", "shouting", "--from", "greeting.workflow.json", "-p", "text=greet.template"
    )
    path = tmp_path / "home" / "templates" / "shouting.template.json"
    assert written == {"file": str(path)}
    assert [each.name for each in load_template(path).parameters] == ["who", "text"]
    assert "HELLO Ada" in templates("run", "shouting", "-p", "text=HELLO {{ value }}")
    told = templates.json(
        "new", "other", "--from", "greeting.workflow.json", "-p", "text=greet.tmplate", code=3
    )
    assert "greet.template" in told["error"]["hint"]
    told = templates.json(
        "new", "other", "--from", "greeting.workflow.json", "-p", "1=greet.template", code=3
    )
    assert told["error"]["code"] == "workflow.bad_parameter"


def test_run(templates: Command) -> None:
    shown = templates("run", "greeting", "-p", "times=2", "-i", "who=Bob")
    assert "Hello, Bob! Hello, Bob!" in shown
    told = templates.json("run", ".symphony/templates/greeting.template.json", "-p", "who=Ada")
    assert told["outputs"] == {"text": "Hello, Ada! "}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run", "greetng"], 4, "Did you mean 'greeting'?"),
        (["run", "greeting@^2"], 4, "1.2.0"),
        (["run", "greeting@new"], 3, "^1.2"),
        (["run", "greeting", "-p", "tims=2"], 3, "Did you mean 'times'?"),
        (["run", "greeting", "-p", "times=two"], 3, "an integer"),
        (["run", "greeting", "-p", "times=0"], 3, "less than the minimum"),
        (["run", "greeting", "-p", "times"], 2, "NAME=VALUE"),
        (["run", "gone.template.json"], 4, "gone.template.json"),
        (["show", "gone"], 4, "no template"),
        (["new", "x", "--from", "gone.json"], 4, "gone.json"),
    ],
)
def test_mistakes_are_told(templates: Command, arguments: list[str], code: int, told: str) -> None:
    templates(*arguments, code=code)
    assert told in templates.errors
    assert "Traceback" not in templates.errors
