from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import NAMES, VALUES, nodes, workflows

from symphony.workflow import (
    Action,
    Edge,
    Fallback,
    Node,
    NodeId,
    NodeKind,
    Policy,
    PortRef,
    Subject,
    Workflow,
    apply,
    diff,
    dumps,
)

replace = msgspec.structs.replace


@st.composite
def edits(draw: st.DrawFn, workflow: Workflow) -> Workflow:
    """A workflow after a few changes that people make; some of them break it."""
    listed, edges = list(workflow.nodes), list(workflow.edges)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(listed) - 1, 0)))
        match draw(st.sampled_from(["add", "remove", "change", "rename", "turn", "twice", "nest"])):
            case "add":
                listed.insert(at, draw(nodes(draw(NAMES))))
            case "remove" if listed:
                gone = listed.pop(at)
                edges = [edge for edge in edges if edge.source.node != gone.id]
            case "change" if listed:
                params = draw(st.dictionaries(NAMES, VALUES, max_size=2))
                listed[at] = replace(listed[at], params=listed[at].params | params)
            case "rename" if listed:
                listed[at] = replace(listed[at], id=NodeId(draw(NAMES)))
            case "turn":
                listed, edges = listed[::-1], edges[::-1]
            case "twice" if listed:
                listed.insert(0, listed[at])
                edges = edges[:1] + edges
            case "nest":
                name = draw(NAMES)
                inner = draw(workflows(depth=0, name=name))
                workflow = replace(workflow, workflows={**workflow.workflows, name: inner})
    return replace(
        workflow, nodes=tuple(listed), edges=tuple(edges), name=draw(st.text(max_size=3))
    )


def changes_lead_there(old: Workflow, new: Workflow) -> None:
    changes = diff(old, new)
    again = apply(changes, old)
    assert again == new
    assert dumps(again) == dumps(new) or not same_order(again, new)
    assert (changes == []) == (msgspec_text(old) == msgspec_text(new))
    told = msgspec.json.decode(msgspec.json.encode(changes), type=type(changes))
    assert len(told) == len(changes)
    assert all("\n" not in str(change) for change in changes if "\n" not in change.name)


def msgspec_text(workflow: Workflow) -> bytes:
    bare = replace(workflow, source=None)
    return msgspec.json.encode(bare, order="deterministic")


def same_order(some: Workflow, other: Workflow) -> bool:
    """Whether objects in the two have their members in the same order: a diff does not say."""
    return msgspec.json.encode(replace(some, source=None)) == msgspec.json.encode(
        replace(other, source=None)
    )


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_changes_of_an_edit_make_it(data: st.DataObject) -> None:
    old = data.draw(workflows())
    changes_lead_there(old, data.draw(edits(old)))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_the_changes_of_a_thousand_edits_make_them(data: st.DataObject) -> None:
    old = data.draw(workflows())
    changes_lead_there(old, data.draw(edits(old)))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(workflows(), workflows())
def test_there_is_a_way_between_any_two(old: Workflow, new: Workflow) -> None:
    changes_lead_there(old, new)


def node(name: str, **more: Any) -> Node:
    return Node(NodeId(name), NodeKind.OPERATOR, use="text.template", **more)


def edge(source: str, target: str, **more: Any) -> Edge:
    return Edge(PortRef.parse(source), PortRef.parse(target), **more)


def told(old: Workflow, new: Workflow) -> list[str]:
    changes_lead_there(old, new)
    return [str(change) for change in diff(old, new)]


OLD = Workflow(
    "t",
    (node("a", params={"n": 1, "deep": {"x": [1], "y": 2}}), node("b"), node("c", title="C")),
    (edge("a", "b.value"), edge("b", "c.value")),
    version="1.0.0",
)


def test_what_changed_is_told_by_field_and_parameter() -> None:
    changed = replace(
        OLD.nodes[0],
        params={"n": 1.0, "deep": {"x": [2], "y": 2}, "new": None},
        timeout_s=2.5,
    )
    new = replace(OLD, nodes=(changed, *OLD.nodes[1:]), version="1.1.0", description="D")
    assert told(OLD, new) == [
        '~ version: "1.0.0" -> "1.1.0"',
        '~ description: (none) -> "D"',
        "~ node a params.n: 1 -> 1.0",
        "~ node a params.deep.x: [1] -> [2]",
        "~ node a params.new: (none) -> null",
        "~ node a timeout_s: (none) -> 2.5",
    ]
    assert told(new, OLD)[-2:] == [
        "~ node a params.new: null -> (none)",
        "~ node a timeout_s: 2.5 -> (none)",
    ]


def test_what_came_and_went_is_told() -> None:
    new = replace(
        OLD,
        nodes=(*OLD.nodes[:2], Node(NodeId("end"), NodeKind.OUTPUT)),
        edges=(OLD.edges[0], edge("b", "end")),
    )
    assert told(OLD, new) == [
        "- node c (operator text.template)",
        "+ node end (output)",
        "- edge b -> c",
        "+ edge b -> end",
    ]


def test_a_node_with_another_name_is_no_other_node() -> None:
    guarded = replace(OLD.nodes[2], policy=Policy(fallback=Fallback("b"), compensate="b"))
    old = replace(OLD, nodes=(*OLD.nodes[:2], guarded))
    renamed = replace(guarded, policy=Policy(fallback=Fallback("clean"), compensate="clean"))
    new = replace(
        old,
        nodes=(old.nodes[0], node("clean"), renamed),
        edges=(edge("a", "clean.value"), edge("clean", "c.value")),
    )
    assert told(old, new) == ["> node b is now called clean"]


def test_edges_are_known_by_their_ends() -> None:
    new = replace(OLD, edges=(replace(OLD.edges[0], when="value > 1", priority=3), OLD.edges[1]))
    assert told(OLD, new) == [
        '~ edge a -> b when: (none) -> "value > 1"',
        "~ edge a -> b priority: (none) -> 3",
    ]


def test_another_order_is_a_change() -> None:
    assert told(OLD, replace(OLD, edges=OLD.edges[::-1])) == ["^ edges are in another order"]


def test_nested_workflows_are_compared_inside() -> None:
    inner = Workflow("part", (node("x"),), version="1.0.0")
    old = replace(OLD, workflows={"part": replace(inner, workflows={"deep": Workflow("deep", ())})})
    changed = replace(inner, nodes=(node("x", title="X"),))
    new = replace(OLD, workflows={"part": changed, "more": Workflow("more", ())})
    assert told(old, new) == [
        '~ part / node x title: (none) -> "X"',
        "- part / workflow deep",
        "+ workflow more",
    ]
    (change, *_) = diff(old, new)
    assert (change.action, change.subject, change.inside) == (
        Action.CHANGED,
        Subject.NODE,
        ("part",),
    )


def test_where_a_workflow_was_read_is_no_change() -> None:
    inner = Workflow("part", (node("x"),))
    old = replace(OLD, workflows={"part": replace(inner, file="./a.json")})
    new = replace(OLD, workflows={"part": replace(inner, file="./b.json")})
    assert told(old, new) == ['~ part / file: "./a.json" -> "./b.json"']


def test_a_long_value_is_cut() -> None:
    (line,) = told(OLD, replace(OLD, description="x" * 500))
    assert len(line) < 100
    assert line.endswith("…")
