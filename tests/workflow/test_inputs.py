from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.strategies import VALUES

from symphony.commons.values import Value
from symphony.workflow import (
    InputsInvalid,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    Workflow,
    assemble,
    bind_inputs,
    parse_input,
)

TAKES = Workflow(
    "t",
    (
        Node(NodeId("folder"), NodeKind.INPUT, schema={"type": "string"}),
        Node(NodeId("limit"), NodeKind.INPUT, schema={"type": "integer"}, default=None),
        Node(NodeId("any"), NodeKind.INPUT, default={"a": 1}),
        Node(NodeId("out"), NodeKind.OUTPUT),
    ),
)


def test_what_is_not_given_has_its_default() -> None:
    bound = {"folder": ".", "limit": None, "any": {"a": 1}}
    assert bind_inputs(TAKES, {"folder": "."}) == bound
    assert bind_inputs(TAKES, {"any": [], "folder": ".", "limit": 3}) == {
        "folder": ".",
        "limit": 3,
        "any": [],
    }


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InputsInvalid) as caught:
        bind_inputs(TAKES, {"fodler": ".", "limit": "3", "out": 1})
    assert caught.value.message == (
        "Inputs: 4 problems\n"
        "  There is no input 'fodler'. Did you mean 'folder'? [workflow.unknown_input]\n"
        "  There is no input 'out'. Known: any, folder, limit. [workflow.unknown_input]\n"
        "  The input 'folder' is missing. It takes text. Give it with -i folder=..."
        " [workflow.missing_input]\n"
        '  The input \'limit\' does not fit: "3" is not of type "integer".'
        " It takes an integer. [workflow.input_type]"
    )


def test_a_fault_inside_a_value_has_its_pointer() -> None:
    node = Node(NodeId("n/a"), NodeKind.INPUT, schema={"items": {"type": "string"}})
    with pytest.raises(InputsInvalid) as caught:
        bind_inputs(Workflow("t", (node,)), {"n/a": ["a", 1]})
    assert [problem.pointer for problem in caught.value.problems] == ["/n~1a/1"]


def test_a_workflow_without_inputs_says_so() -> None:
    with pytest.raises(InputsInvalid) as caught:
        bind_inputs(Workflow("t", ()), {"x": 1})
    assert (caught.value.message, caught.value.hint) == (
        "There is no input 'x'.",
        "The workflow takes none.",
    )


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "3", "3"),
        ({"type": "string"}, "", ""),
        ({"type": "string"}, '"a"', '"a"'),
        ({"type": "integer"}, "3", 3),
        ({"type": "number"}, " -2.5 ", -2.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "array"}, '["a", 1]', ["a", 1]),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["string", "null"]}, "nul", "nul"),
        ({}, "hello", "hello"),
        ({}, '{"a": 1}', {"a": 1}),
        ({"enum": ["on", "off"]}, "on", "on"),
    ],
)
def test_text_is_read_as_the_schema_has_it(
    schema: dict[str, Value], text: str, value: Value
) -> None:
    read = parse_input(schema, text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        (
            {"type": "integer"},
            "many",
            "The input 'n' takes an integer, which 'many' does not spell.",
        ),
        ({"type": "array"}, "a, b", "The input 'n' takes an array, which 'a, b' does not spell."),
        ({"type": "number"}, "NaN", "The input 'n' takes a number, which 'NaN' does not spell."),
        ({"type": "object"}, '{"a": 1, "a": 2}', None),
        ({"type": "array"}, "[" * 100, None),
    ],
)
def test_text_that_cannot_be_meant_is_refused(
    schema: dict[str, Value], text: str, message: str | None
) -> None:
    with pytest.raises(InputsInvalid) as caught:
        parse_input(schema, text, "n")
    assert caught.value.record().code == "workflow.input_type"
    assert caught.value.problems[0].pointer == "/n"
    assert message in (None, caught.value.message)


def test_without_a_name_the_input_is_just_the_input() -> None:
    with pytest.raises(InputsInvalid, match=r"^The input takes an integer, which 'x' does"):
        parse_input({"type": "integer"}, "x")


def ref(text: str) -> PortRef:
    return PortRef.parse(text)


def test_edges_take_the_place_of_ports_and_add_members() -> None:
    node = Node(
        NodeId("n"),
        NodeKind.OPERATOR,
        use="x",
        params={"template": "t", "values": {"title": "T"}},
    )
    arrived: dict[PortRef, Value] = {
        ref("n.values.name"): "Ada",
        ref("n.more.x"): 1,
        ref("n.more.y"): 2,
        ref("n"): [3],
    }
    assert assemble(node, arrived) == {
        "template": "t",
        "values": {"title": "T", "name": "Ada"},
        "more": {"x": 1, "y": 2},
        "value": [3],
    }
    assert node.params["values"] == {"title": "T"}


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_a_value_arrives_as_it_was_sent(value: Value) -> None:
    node = Node(NodeId("n"), NodeKind.OUTPUT)
    assert assemble(node, {ref("n"): value}) == {"value": value}
    assert assemble(node, {}) == {}
