from __future__ import annotations

import tomllib

import pytest

from symphony.workflow import Format, Workflow, WorkflowInvalid, encode, loads
from symphony.workflow import _toml as module
from symphony.workflow._toml import scan_toml

HELLO = """\
# by hand
symphony = 2
id = "hello"

[metadata]
author = "Ada"

[[nodes]]
id = "name"
kind = "input"
default = "you"

[[nodes]]
id = "greet"
kind = "operator"
use = "text.template"
params = { template = "Hello" }

[nodes.policy.retry]
attempts = 5

[[edges]]
from = "name"
to = "greet.with.name"
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(WorkflowInvalid) as caught:
        loads(text, format=Format.TOML)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_becomes_what_it_says() -> None:
    workflow = loads(HELLO)
    assert [node.id for node in workflow.nodes] == ["name", "greet"]
    assert workflow.nodes[1].policy.retry is not None
    assert workflow.nodes[1].policy.retry.attempts == 5
    assert workflow.metadata.author == "Ada"
    assert loads(encode(workflow, Format.TOML).decode()) == workflow
    assert loads(HELLO.replace("\n", "\r\n")) == workflow
    assert loads("\ufeff" + HELLO) == workflow


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('"input"', '"inptu"', ["10:8: Node 'name' has the unknown kind 'inptu'."]),
        ("default", "defualt", ["11:1: Node 'name' has an unknown field 'defualt'."]),
        ('to = "greet.with.name"', 'to = "a..b"', ["24:6: Edge 1: 'to' must be an input port"]),
        ('from = "name"\n', "", ["22:1: Edge 1 lacks 'from'."]),
        ("attempts = 5", "attempts = 'x'", ["Node 'greet': 'policy' must be an object"]),
        ('"Ada"', "3", ["The workflow: 'metadata' must be an object"]),
        ('id = "hello"', "", ["1:1: The workflow lacks 'id'."]),
        ('"you"', "2001-01-01", ["11:11: This is no value that a workflow can hold: datetime"]),
        ('"you"', "nan", ["11:11: This is no value that a workflow can hold: nan."]),
        ('"you"', "[-inf]", ["11:11: This is no value that a workflow can hold: -inf."]),
    ],
)
def test_faults_are_told_with_their_places(good: str, bad: str, told: list[str]) -> None:
    found = problems_of(HELLO.replace(good, bad, 1))
    assert len(found) == len(told)
    assert all(start in problem for start, problem in zip(told, found, strict=True))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('symphony = 2\nid = "é" x', "2:10: It is not TOML: Expected newline or end of document"),
        ("a = 1\na = 2", "A name is here twice."),
        ("[a]\nb = 1\n[a]\n", "A name is here twice."),
        ("a = {b = 1, b = 2}", "A name is here twice."),
        ("a = ", "It is not TOML: Invalid value"),
        ('a = "\\ud800"', "It is not TOML: "),
        ('a = "b', "It is not TOML: "),
        (f"a = 1{'0' * 5000}", "A number is too large, or it is nested too deeply."),
        (f"a = {'[' * 100_000}", "A number is too large, or it is nested too deeply."),
        (f"a = {'[' * 70}{']' * 70}", "This is nested more than 64 levels deep."),
    ],
)
def test_what_is_wrong_with_the_text_is_told(text: str, told: str) -> None:
    (problem,) = problems_of(text)
    assert told in problem


def test_a_text_over_the_limit_is_not_parsed() -> None:
    (problem,) = problems_of("a = 1\n" * (module.MAX_TOML // 6 + 1))
    assert "longer than 8 MiB" in problem


def test_places_are_those_of_the_keys() -> None:
    text = 'a = 1\n[b."c.d"]\ne.f = 2\n[[g]]\n[[g]]\nh = 3\n[[g.i]]\nj = 4\n'
    spots = scan_toml(text).spots
    assert {pointer: text[spot.key :].split("\n")[0] for pointer, spot in spots.items()} == {
        "": "a = 1",
        "/a": "a = 1",
        "/b/c.d": '[b."c.d"]',
        "/b/c.d/e/f": "e.f = 2",
        "/g/0": "[[g]]",
        "/g/1": "[[g]]",
        "/g/1/h": "h = 3",
        "/g/1/i/0": "[[g.i]]",
        "/g/1/i/0/j": "j = 4",
    }
    assert tomllib.loads(text)["g"][1]["i"][0]["j"] == 4


def test_an_empty_workflow_can_be_written() -> None:
    assert loads(encode(Workflow("t", ()), Format.TOML).decode()) == Workflow("t", ())
