"""Every code of a problem: the smallest text that shows it, and what a user then reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from symphony.commons.errors import Category
from symphony.commons.values import Value
from symphony.workflow import (
    FORMAT,
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

HEAD = f'"symphony": {FORMAT}, "id": "t"'
WALK = '{"id": "walk", "kind": "operator", "use": "files.walk", "params": {"folder": "."}}'
AGAIN = '{"id": "again", "kind": "operator", "use": "files.walk"}'
OUT = '{"id": "out", "kind": "output"}'
START = '{"id": "start", "kind": "input"}'
LINES = '{"id": "lines", "kind": "operator", "use": "text.lines"}'


def page(name: str) -> str:
    return f'{{"id": "{name}", "kind": "operator", "use": "page.render"}}'


def text_of(*nodes: str, edges: tuple[str, ...] = (), inner: str = "") -> str:
    """One line a node, from line 2; then one line an edge, and one a workflow inside. An edge may
    end with more fields."""
    node_lines = ",\n".join(nodes)
    edge_lines = ",\n".join(map(edge_of, edges))
    more = f', "workflows": {{\n{inner}\n}}' if inner else ""
    return f'{{{HEAD}, "nodes": [\n{node_lines}\n], "edges": [\n{edge_lines}\n]{more}}}'


def edge_of(text: str) -> str:
    line, _, fields = text.partition(", ")
    source, target = line.split(" -> ")
    return f'{{"from": "{source}", "to": "{target}"{f", {fields}" if fields else ""}}}'


def inner(name: str, takes: str, gives: str = "result") -> str:
    """A workflow that hands on what it takes."""
    out = f'{{"id": "result", "kind": "output", "name": "{gives}"}}'
    nodes = f'{{"id": "{takes}", "kind": "input"}}, {out}'
    return f'"{name}": {{"nodes": [{nodes}], "edges": [{edge_of(f"{takes} -> result")}]}}'


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
        f'{{{HEAD}, "nodes": [],\n"metadata": {{"custom": {{"deep": {"[" * 70}{"]" * 70}}}}}}}',
        "2:94: This is nested more than 64 levels deep.",
    ),
    "workflow.version": (
        f'{{"symphony": {FORMAT + 1}, "id": "t", "nodes": [], "loops": []}}',
        (
            f"1:14: This file has format {FORMAT + 1}; this Symphony reads up to format {FORMAT}."
            " Update Symphony."
        ),
    ),
    "workflow.unknown_field": (
        text_of('{"id": "out", "kind": "output", "tilte": "Out"}'),
        "2:33: Node 'out' has an unknown field 'tilte'. Did you mean 'title'?",
    ),
    "workflow.missing_field": (
        f'{{"symphony": {FORMAT}, "nodes": []}}',
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
    "workflow.only_empty": (
        text_of(WALK, LINES, edges=("walk.files -> lines.texts",)),
        (
            '5:1: "walk.files" gives items of an artifact, "lines.texts" takes items of text.'
            " Only an empty list would pass."
        ),
    ),
    "workflow.never_runs": (
        text_of(
            START,
            '{"id": "way", "kind": "branch", "cases": [{"name": "big", "when": "value > 9"}]}',
            '{"id": "both", "kind": "operator", "use": "text.join"}',
            edges=("start -> way", "way.big -> both.one", "way.otherwise -> both.other"),
        ),
        (
            "4:1: Node 'both' can never run: it needs the ways 'big' and 'otherwise' out of branch"
            " 'way' at once. Lead them through a merge."
        ),
    ),
    "workflow.unreachable_output": (
        text_of(
            START,
            '{"id": "way", "kind": "branch", "cases": [{"name": "big", "when": "value > 9"}]}',
            '{"id": "both", "kind": "operator", "use": "text.join"}',
            OUT,
            edges=(
                "start -> way",
                "way.big -> both.one",
                "way.otherwise -> both.other",
                "both -> out",
            ),
        ),
        "5:1: The output 'out' waits for a node that can never run.",
    ),
    "workflow.bad_expression": (
        text_of(START, page("page"), edges=('start -> page, "when": "valeu > 3"',)),
        (
            "5:41: The expression 'valeu > 3' is wrong at column 1: undeclared reference to"
            " 'valeu'. Did you mean 'value'?"
        ),
    ),
    "workflow.bad_template": (
        text_of(
            '{"id": "t", "kind": "operator", "use": "page.fill",'
            ' "params": {"template": "{{ a | b }}"}}'
        ),
        "2:76: The template is wrong in line 1: No filter named 'b'.",
    ),
    "workflow.bad_fallback": (
        text_of(
            WALK,
            '{"id": "a", "kind": "operator", "use": "files.walk", "params": {"folder": "."},'
            ' "policy": {"fallback": {"node": "join"}}}',
            '{"id": "join", "kind": "join"}',
            edges=("walk.files -> join",),
        ),
        (
            "3:113: Node 'join' cannot be the 'fallback' of 'a': it is of the kind 'join', which"
            " does no work."
        ),
    ),
    "workflow.bad_compensation": (
        text_of(
            '{"id": "walk", "kind": "operator", "use": "files.walk", "params": {"folder": "."},'
            ' "policy": {"compensate": "walk"}}',
        ),
        "2:109: Node 'walk' cannot be the 'compensate' of 'walk': it is that node itself.",
    ),
    "workflow.contradiction": (
        text_of(
            '{"id": "walk", "kind": "operator", "use": "files.walk", "params": {"folder": "."},'
            ' "policy": {"once": true, "retry": {}}}',
        ),
        "2:118: Node 'walk' is to run 'once', and has a 'retry'.",
    ),
    "workflow.unknown_workflow": (
        text_of(
            '{"id": "a", "kind": "workflow", "use": "smu"}',
            '{"id": "b", "kind": "workflow", "use": "sum", "params": {"x": 1}}',
            inner=inner("sum", "x"),
        ),
        "2:40: Node 'a' uses the unknown workflow 'smu'. Did you mean 'sum'?",
    ),
    "workflow.unresolved": (
        text_of(
            '{"id": "a", "kind": "workflow", "use": "sum"}', inner='"sum": {"file": "./sum.json"}'
        ),
        (
            "6:17: The workflow 'sum' stands in './sum.json', which was not read."
            " Load the file that refers to it by its path."
        ),
    ),
    "workflow.recursion": (
        text_of(
            '{"id": "a", "kind": "workflow", "use": "again", "params": {"x": 1}}',
            inner=(
                '"again": {"nodes": [{"id": "x", "kind": "input"},'
                ' {"id": "me", "kind": "workflow", "use": "again"}, {"id": "y", "kind": "output"}],'
                f'"edges": [{edge_of("x -> me.x")}, {edge_of("me.y -> y")}]}}'
            ),
        ),
        "6:91: Node 'me' makes a workflow run itself: again -> again.",
    ),
    "workflow.no_item": (
        text_of(
            '{"id": "a", "kind": "map", "use": "sum", "params": {"items": [], "x": 1}}',
            inner=inner("sum", "x"),
        ),
        "2:35: Map 'a' uses the workflow 'sum', without an input 'item'.",
    ),
    "workflow.no_until": (
        text_of(
            '{"id": "a", "kind": "loop", "use": "step", "limit": 3, "params": {"x": 1}}',
            inner=inner("step", "x", "x"),
        ),
        "2:1: Loop 'a' has no 'until': it takes as many rounds as 'limit' says.",
    ),
    "workflow.nothing_fed_back": (
        text_of(
            '{"id": "a", "kind": "loop", "use": "step", "limit": 3, "until": "y > 3",'
            ' "params": {"x": 1}}',
            inner=inner("step", "x", "y"),
        ),
        (
            "2:1: No output of the workflow 'step' is called like an input: each round of 'a' gets"
            " the same values. Give an output the 'name' of the input that it becomes."
        ),
    ),
    "workflow.unused_way": (
        text_of(
            START,
            '{"id": "way", "kind": "branch", "cases": [{"name": "big", "when": "value > 9"}]}',
            edges=("start -> way",),
        ),
        "3:43: Nothing takes the way 'big' out of branch 'way'.",
    ),
    "workflow.unused_workflow": (
        text_of(WALK, inner=inner("sum", "x")),
        "6:8: No node uses the workflow 'sum'.",
    ),
    "workflow.unneeded_node": (
        text_of(WALK, page("page"), OUT, edges=("walk.count -> out", "walk.files -> page")),
        (
            "3:1: No output needs node 'page'. If it is there for what it does, draw a control"
            " edge from it to an output."
        ),
    ),
    "workflow.no_effect": (
        text_of('{"id": "ask", "kind": "wait", "default": 1}'),
        "2:42: The default of wait 'ask' is never taken: it waits for ever. Give it a 'timeout_s'.",
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


#: The fault that there must be for there to be the other.
COME_WITH = {"workflow.unreachable_output": ["workflow.never_runs"]}


@pytest.mark.parametrize(("code", "text", "shown"), [(code, *case) for code, case in WRONG.items()])
def test_each_fault_of_a_text_is_told_alone_and_in_its_place(
    code: str, text: str, shown: str, catalog: Catalog
) -> None:
    problems = problems_of(text, catalog)
    told = {problem.code.value: str(problem) for problem in problems}
    assert len(told) == len(problems)
    assert told.keys() == {code, *COME_WITH.get(code, ())}
    assert told[code] == shown


@pytest.mark.parametrize("code", WRONG_INPUTS)
def test_each_fault_of_the_inputs_is_told(code: str) -> None:
    given, shown = WRONG_INPUTS[code]
    with pytest.raises(InputsInvalid) as caught:
        bind_inputs(INPUTS, given)
    assert [(problem.code, str(problem)) for problem in caught.value.problems] == [(code, shown)]


#: Codes of what is not found in files: their tests stand with what finds them.
ELSEWHERE = {
    *("workflow.unknown_edge", "workflow.foreign_handle", "workflow.bad_placeholder"),
    *("workflow.bad_parameter", "workflow.unknown_parameter", "workflow.missing_parameter"),
    "workflow.parameter_type",
}


def test_every_code_is_shown_here_and_described_in_the_reference() -> None:
    assert {*WRONG, *WRONG_INPUTS} == {code.value for code in ProblemCode} - ELSEWHERE
    reference = Path(__file__).parents[2] / "docs" / "workflow-format.md"
    text = reference.read_text()
    assert [code for code in {*WRONG, *WRONG_INPUTS} if f"`{code}`" not in text] == []


def test_a_problem_is_a_warning_if_the_reference_says_so(catalog: Catalog) -> None:
    text = (Path(__file__).parents[2] / "docs" / "workflow-format.md").read_text()
    for code, (wrong, _) in WRONG.items():
        found = {each.code.value: each.severity for each in problems_of(wrong, catalog)}
        assert (found[code] is Severity.WARNING) == (f"| `{code}` | A warning: " in text)


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
