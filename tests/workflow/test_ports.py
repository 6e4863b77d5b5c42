from __future__ import annotations

import msgspec
import pytest

from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.workflow import (
    Case,
    Catalog,
    Node,
    NodeId,
    NodeKind,
    Port,
    Signature,
    Workflow,
    body_of,
    ports_of,
)

TEXT: dict[str, Value] = {"type": "string"}
NUMBER: dict[str, Value] = {"type": "integer"}


def node(id_: str, kind: NodeKind, use: str = "", **fields: object) -> Node:
    plain = Node(NodeId(id_), kind, use)
    changed: Node = msgspec.structs.replace(plain, **fields)
    return changed


BODY = Workflow(
    "body",
    (
        node("item", NodeKind.INPUT, schema=TEXT, description="One of them."),
        node("index", NodeKind.INPUT, schema=NUMBER, default=0),
        node("most", NodeKind.INPUT, schema=NUMBER, default=7),
        node("round", NodeKind.INPUT, schema=NUMBER),
        node("left", NodeKind.OUTPUT, name="item", schema=TEXT),
        node("size", NodeKind.OUTPUT, schema=NUMBER),
    ),
    description="What it does.",
)
SCOPE = (Workflow("main", (), workflows={"body": BODY}),)
ITEM = Port("item", TEXT, description="One of them.")
INDEX = Port("index", NUMBER, required=False, default=0)
MOST = Port("most", NUMBER, required=False, default=7)
ROUND = Port("round", NUMBER)


def test_a_workflow_has_the_inputs_and_outputs_of_its_body(catalog: Catalog) -> None:
    assert ports_of(node("a", NodeKind.WORKFLOW, "body"), catalog, SCOPE) == Signature(
        (ITEM, INDEX, MOST, ROUND), (Port("item", TEXT), Port("size", NUMBER)), "What it does."
    )


def test_a_map_takes_and_gives_lists(catalog: Catalog) -> None:
    assert ports_of(node("a", NodeKind.MAP, "body"), catalog, SCOPE) == Signature(
        (Port("items", {"type": "array", "items": TEXT}), MOST, ROUND),
        (
            Port("item", {"type": "array", "items": TEXT}),
            Port("size", {"type": "array", "items": NUMBER}),
        ),
        "What it does.",
    )


def test_a_loop_has_no_round_but_tells_how_many_there_were(catalog: Catalog) -> None:
    assert ports_of(node("a", NodeKind.LOOP, "body"), catalog, SCOPE) == Signature(
        (ITEM, INDEX, MOST),
        (Port("item", TEXT), Port("size", NUMBER), Port("rounds", NUMBER)),
        "What it does.",
    )


@pytest.mark.parametrize("kind", [NodeKind.WORKFLOW, NodeKind.MAP, NodeKind.LOOP])
def test_the_schemas_of_one_body_are_the_same_objects_each_time(
    kind: NodeKind, catalog: Catalog
) -> None:
    first, again = (ports_of(node(name, kind, "body"), catalog, SCOPE) for name in "ab")
    assert first is again is not None


def test_nodes_that_decide(catalog: Catalog) -> None:
    cases = (Case("big", "value > 3"), Case("odd", "other"))
    anything = Port("value")
    assert ports_of(node("a", NodeKind.BRANCH, cases=cases), catalog) == Signature(
        (anything,), (Port("big"), Port("odd"), Port("otherwise"))
    )
    assert ports_of(node("a", NodeKind.MERGE), catalog) == Signature(
        (), (anything, Port("port", TEXT))
    )
    assert ports_of(node("a", NodeKind.JOIN), catalog) == Signature(
        (), (Port("value", {"type": "object"}),)
    )
    assert ports_of(node("a", NodeKind.WAIT, schema=NUMBER), catalog) == Signature(
        (
            Port("prompt", TEXT, required=False, default=""),
            Port("context", required=False),
        ),
        (Port("value", NUMBER),),
    )


def test_a_name_is_looked_for_in_the_workflows_around(catalog: Catalog) -> None:
    inner = Workflow("inner", (), workflows={"own": Workflow("own", ())})
    outer = Workflow("outer", (), workflows={"inner": inner, "body": BODY})
    scope = (inner, outer)
    assert body_of(node("a", NodeKind.MAP, "body"), scope) == (BODY, outer)
    assert body_of(node("a", NodeKind.MAP, "own"), scope) == (inner.workflows["own"], *scope)
    assert body_of(node("a", NodeKind.MAP, "inner"), scope) == (inner, outer)
    assert ports_of(node("a", NodeKind.MAP, "gone"), catalog, scope) is None


def test_a_schema_that_refers_to_itself_still_does_inside_a_list(catalog: Catalog) -> None:
    tree: dict[str, Value] = {
        "$ref": "#/$defs/Tree",
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
                "required": ["below"],
            }
        },
    }
    twice = Workflow("twice", (node("item", NodeKind.INPUT, schema=tree),))
    once = Workflow(
        "once", (node("item", NodeKind.INPUT, schema=twice.map_signature.inputs[0].schema),)
    )
    lists, lists_of_lists = (Schema(each.map_signature.inputs[0].schema) for each in (twice, once))
    leaf: Value = {"below": []}
    assert lists.accepts([{"below": [leaf]}])
    assert not lists.accepts([{"below": [{}]}])
    assert lists_of_lists.accepts([[{"below": [leaf]}]])
    assert not lists_of_lists.accepts([[{"below": [{}]}]])
