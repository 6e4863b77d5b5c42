from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.strategies import workflows

from symphony.workflow import (
    Catalog,
    Node,
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Signature,
    Workflow,
    dumps,
    loads,
    ports_of,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("walk", ("walk", "value", "")),
        ("walk.files", ("walk", "files", "")),
        ("page.values.title", ("page", "values", "title")),
        ("page.value.title", ("page", "value", "title")),
    ],
)
def test_a_port_is_spelled_as_it_is_read(text: str, parts: tuple[str, str, str]) -> None:
    ref = PortRef.parse(text)
    assert (ref.node, ref.port, ref.member) == parts
    assert str(ref) == text


def test_the_default_port_need_not_be_spelled() -> None:
    assert PortRef.parse("walk.value") == PortRef.parse("walk")
    assert str(PortRef.parse("walk.value")) == "walk"


@settings(max_examples=10, deadline=None)
@given(workflows())
def test_where_a_workflow_was_read_is_no_part_of_it(workflow: Workflow) -> None:
    text = dumps(workflow)
    assert loads(text, "here") == loads(f"\n{text}", "there") == workflow
    assert workflow == loads(text)


def test_nodes_of_a_kind_keep_their_order(catalog: Catalog) -> None:
    names = ("b", "a", "c")
    workflow = Workflow("t", tuple(Node(NodeId(name), NodeKind.INPUT) for name in names))
    assert [node.id for node in workflow.of_kind(NodeKind.INPUT)] == list(names)
    assert workflow.of_kind(NodeKind.OUTPUT) == ()


def test_inputs_and_outputs_have_one_port_of_their_own_schema(catalog: Catalog) -> None:
    source = Node(NodeId("a"), NodeKind.INPUT, schema={"type": "string"}, description="What.")
    port = Port("value", {"type": "string"}, description="What.")
    assert ports_of(source, catalog) == Signature(outputs=(port,))
    target = Node(NodeId("a"), NodeKind.OUTPUT)
    assert ports_of(target, catalog) == Signature(inputs=(Port("value"),))
    assert ports_of(Node(NodeId("a"), NodeKind.OPERATOR, use="gone"), catalog) is None
