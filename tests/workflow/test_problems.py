"""Every code of a problem: the smallest text that shows it, and what a user then reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from symphony.commons.errors import Category
from symphony.commons.values import Value
from symphony.workflow import (
    Catalog,
    InputsInvalid,
    Problem,
    ProblemCode,
    Severity,
    Workflow,
    WorkflowError,
    WorkflowInvalid,
    bind_inputs,
    check,
    loads,
    validate,
)

HEAD = '"symphony": 1, "id": "t"'
WALK = '{"id": "walk", "kind": "operator", "use": "files.walk", "params": {"folder": "."}}'
AGAIN = '{"id": "again", "kind": "operator", "use": "files.walk"}'
OUT = '{"id": "out", "kind": "output"}'


def page(name: str) -> str:
    return f'{{"id": "{name}", "kind": "operator", "use": "page.render"}}'


def text_of(*nodes: str, edges: tuple[str, ...] = ()) -> str:
    """One line a node, from line 2; then one line an edge."""
    node_lines = ",\n".join(nodes)
    edge_lines = ",\n".join(
        '{{"from": "{}", "to": "{}"}}'.format(*edge.split(" -> ")) for edge in edges
    )
    return f'{{{HEAD}, "nodes": [\n{node_lines}\n], "edges": [\n{edge_lines}\n]}}'


def problems_of(text: str, catalog: Catalog) -> list[Problem]:
    try:
        return validate(loads(text), catalog)
    except WorkflowInvalid as error:
        return list(error.problems)


WRONG = {
    "workflow.syntax": (
        '{\n  "symphony": 1\n  "id": "t"}',
        "3:3: A ',' or '}' is expected, not '\"'.",
    ),
    "workflow.duplicate_key": (
        f'{{{HEAD}, "nodes": [],\n"nodes": []}}',
        "2:1: 'nodes' is here twice.",
    ),
    "workflow.limit": (
        f'{{{HEAD}, "nodes": [],\n"metadata": {{"deep": {"[" * 70}{"]" * 70}}}}}',
        "2:84: This is nested more than 64 levels deep.",
    ),
    "workflow.version": (
        '{"symphony": 2, "id": "t", "nodes": [], "loops": []}',
        "1:14: This file has format 2; this Symphony reads up to format 1. Update Symphony.",
    ),
    "workflow.unknown_field": (
        text_of('{"id": "out", "kind": "output", "tilte": "Out"}'),
        "2:33: Node 'out' has an unknown field 'tilte'. Did you mean 'title'?",
    ),
    "workflow.missing_field": (
        '{"symphony": 1, "nodes": []}',
        "1:1: The workflow lacks 'id'. It must be text.",
    ),
    "workflow.bad_value": (
        text_of('{"id": "walk", "kind": "operator", "timeout_s": "1 h"}'),
        "2:49: Node 'walk': 'timeout_s' must be a number of seconds, not \"1 h\".",
    ),
    "workflow.unknown_kind": (
        text_of('{"id": "walk", "kind": "operater"}'),
        "2:24: Node 'walk' has the unknown kind 'operater'. Did you mean 'operator'?",
    ),
    "workflow.bad_schema": (
        text_of(
            '{"id": "in", "kind": "input", "schema": {"type": "strnig"}}', OUT, edges=("in -> out",)
        ),
        (
            '2:50: The JSON Schema is not valid at /type: "strnig" is not valid under any of'
            " the schemas listed in the 'anyOf' keyword."
        ),
    ),
    "workflow.duplicate_id": (
        text_of(WALK, WALK),
        "3:8: Node 2 has the id 'walk', as has node 1.",
    ),
    "workflow.unknown_use": (
        text_of('{"id": "walk", "kind": "operator", "use": "files.wlak"}'),
        "2:43: Node 'walk' uses the unknown operator 'files.wlak'. Did you mean 'files.walk'?",
    ),
    "workflow.unknown_node": (
        text_of(WALK, OUT, edges=("walk.files -> out", "wlak.files -> walk.pattern")),
        "6:10: There is no node 'wlak'. Did you mean 'walk'?",
    ),
    "workflow.unknown_port": (
        text_of(WALK, OUT, edges=("walk.flies -> out",)),
        "5:10: Node 'walk' has no output port 'flies'. Did you mean 'files'?",
    ),
    "workflow.port_twice": (
        text_of(WALK, OUT, edges=("walk.files -> out", "walk.count -> out")),
        '6:30: "out" gets its value from "walk.files" already.',
    ),
    "workflow.missing_value": (
        text_of('{"id": "walk", "kind": "operator", "use": "files.walk"}'),
        (
            "2:1: Port 'folder' of node 'walk' gets no value."
            " Draw an edge to \"walk.folder\", or give it in 'params'."
        ),
    ),
    "workflow.type_mismatch": (
        text_of(
            WALK, page("page"), AGAIN, edges=("walk.count -> page", "walk.files -> again.folder")
        ),
        '7:1: "walk.files" gives an array, "again.folder" takes text.',
    ),
    "workflow.cycle": (
        text_of(page("a"), page("b"), page("c"), edges=("a -> b", "b -> c", "c -> a")),
        "8:1: The nodes wait for each other: a -> b -> c -> a. Remove an edge of it.",
    ),
    "workflow.unused_input": (
        text_of('{"id": "in", "kind": "input"}'),
        "2:1: Nothing reads the input 'in'. Draw an edge from it, or remove it.",
    ),
}

INPUTS = loads(
    text_of(
        '{"id": "folder", "kind": "input", "schema": {"type": "string"},'
        ' "description": "Where to look."}',
        '{"id": "depth", "kind": "input", "schema": {"type": "integer"}, "default": 3}',
    )
)
WRONG_INPUTS: dict[str, tuple[dict[str, Value], str]] = {
    "workflow.missing_input": (
        {},
        "The input 'folder' is missing. It takes text (Where to look). Give it with -i folder=...",
    ),
    "workflow.unknown_input": (
        {"folder": ".", "detph": 3},
        "There is no input 'detph'. Did you mean 'depth'?",
    ),
    "workflow.input_type": (
        {"folder": ".", "depth": "3"},
        'The input \'depth\' does not fit: "3" is not of type "integer". It takes an integer.',
    ),
}


@pytest.mark.parametrize(("code", "text", "shown"), [(code, *case) for code, case in WRONG.items()])
def test_each_fault_of_a_text_is_told_alone_and_in_its_place(
    code: str, text: str, shown: str, catalog: Catalog
) -> None:
    (problem,) = problems_of(text, catalog)
    assert (problem.code, str(problem)) == (code, shown)


@pytest.mark.parametrize("code", WRONG_INPUTS)
def test_each_fault_of_the_inputs_is_told(code: str) -> None:
    given, shown = WRONG_INPUTS[code]
    with pytest.raises(InputsInvalid) as caught:
        bind_inputs(INPUTS, given)
    assert [(problem.code, str(problem)) for problem in caught.value.problems] == [(code, shown)]


def test_every_code_is_shown_here_and_described_in_the_reference() -> None:
    assert {*WRONG, *WRONG_INPUTS} == {code.value for code in ProblemCode}
    reference = Path(__file__).parents[2] / "docs" / "workflow-format.md"
    text = reference.read_text()
    assert [code for code in ProblemCode if f"`{code}`" not in text] == []


def test_a_lone_problem_is_the_message_and_the_code() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        loads('{\n"symphony": 1,\n"id": }', "report.json")
    record = caught.value.record()
    assert record.message == "report.json:3:7: A value is expected, not '}'."
    assert record.code == "workflow.syntax"
    assert record.category is Category.VALIDATION
    assert record.facts["source"] == "report.json"


def test_several_problems_are_listed_each_with_its_place_and_code(catalog: Catalog) -> None:
    text = text_of('{"id": "walk", "kind": "operator", "use": "files.walk"}', OUT)
    with pytest.raises(WorkflowInvalid) as caught:
        check(loads(text, "report.json"), catalog)
    assert caught.value.message == (
        "report.json: 2 problems\n"
        "  2:1: Port 'folder' of node 'walk' gets no value."
        " Draw an edge to \"walk.folder\", or give it in 'params'. [workflow.missing_value]\n"
        "  3:1: Port 'value' of node 'out' gets no value."
        " Draw an edge to \"out\", or give it in 'params'. [workflow.missing_value]"
    )
    assert caught.value.record().code == "workflow.missing_value"


def test_several_kinds_of_problem_have_the_common_code() -> None:
    problems = [Problem(ProblemCode.CYCLE, "a"), Problem(ProblemCode.VERSION, "b")]
    assert WorkflowInvalid("x", problems).record().code == "workflow.invalid"
    error: WorkflowError = InputsInvalid(problems)
    assert error.message == "Inputs: 2 problems\n  a [workflow.cycle]\n  b [workflow.version]"
    assert error.record().code == "workflow.inputs_invalid"


def test_a_warning_does_not_stop_a_workflow(catalog: Catalog) -> None:
    workflow = loads(WRONG["workflow.unused_input"][0])
    check(workflow, catalog)
    assert [problem.severity for problem in validate(workflow, catalog)] == [Severity.WARNING]


def test_a_workflow_without_a_text_is_named_by_its_id(catalog: Catalog) -> None:
    workflow = Workflow("Bad Name", ())
    with pytest.raises(WorkflowInvalid, match=r"^Workflow 'Bad Name': The workflow's id") as caught:
        check(workflow, catalog)
    assert caught.value.problems[0].line == 0
