"""Random workflows: those made by the rules have no errors, and one broken rule is told as such."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symphony.workflow import (
    Case,
    Edge,
    EdgeKind,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    ProblemCode,
    Severity,
    Workflow,
    dumps,
    loads,
    validate,
)
from symphony.workflow._model import Transform
from symphony.workflow._policy import Fallback, Policy, Retry, Skip

from .test_rules import Uses, body, edge

Draw = Callable[..., Any]
Break = Callable[[Draw, Workflow], Workflow]

POLICIES = st.sampled_from(
    [
        Policy(),
        Policy(retry=Retry(attempts=2)),
        Policy(skip=Skip("value == null", {"value": None})),
        Policy(fallback=Fallback(value={"value": 1}), priority=3),
    ]
)
KINDS = st.sampled_from(["any", "two", "way", "map", "loop", "workflow", "join", "wait"])


@st.composite
def sound(draw: st.DrawFn) -> Workflow:
    """Each step takes from steps before it; the ways out of a branch meet in a merge at once."""
    nodes = [Node(NodeId("start"), NodeKind.INPUT)]
    edges: list[Edge] = []
    values, lists = ["start"], ["start"]
    for number, kind in enumerate(draw(st.lists(KINDS, max_size=8))):
        name = NodeId(f"n{number}")
        source, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        if kind in ("any", "two"):
            nodes.append(
                Node(
                    name,
                    NodeKind.OPERATOR,
                    use=kind,
                    policy=draw(POLICIES) if kind == "any" else Policy(),
                )
            )
            ports = ["value"] if kind == "any" else ["a", "b"]
            for port, end in zip(ports, (source, other), strict=False):
                changed = draw(st.sampled_from([(), (Transform(expression="[value]"),)]))
                when = draw(st.sampled_from(["", "value != null"]))
                line = edge(f"{end} -> {name}.{port}")
                edges.append(msgspec.structs.replace(line, when=when, transform=changed))
            values.append(name)
        elif kind == "way":
            cases = (Case("yes", "value != 3 && extra"),)
            merge = NodeId(f"{name}-m")
            nodes.append(Node(name, NodeKind.BRANCH, cases=cases, params={"extra": True}))
            nodes.append(Node(merge, NodeKind.MERGE))
            edges += [edge(f"{source} -> {name}"), edge(f"{name}.yes -> {merge}.a")]
            edges.append(edge(f"{name}.otherwise -> {merge}.b"))
            values.append(merge)
        elif kind in ("map", "loop", "workflow"):
            fields = {"limit": 3, "until": "rounds > 2"} if kind == "loop" else {}
            use = "each" if kind == "map" else "step"
            nodes.append(Node(name, NodeKind(kind), use=use, **fields))  # type: ignore[arg-type]
            if kind == "map":
                edges.append(edge(f"{draw(st.sampled_from(lists))} -> {name}.items"))
                lists.append(f"{name}.result")
            else:
                edges.append(edge(f"{source} -> {name}.x"))
            values.append(f"{name}.{'result' if kind == 'map' else 'x'}")
        else:
            nodes.append(Node(name, NodeKind(kind)))
            edges.append(edge(f"{source} -> {name}.{'context' if kind == 'wait' else 'p'}"))
            values.append(name)
    nodes.append(Node(NodeId("out"), NodeKind.OUTPUT))
    edges.append(edge(f"{values[-1]} -> out"))
    edges += [
        Edge(PortRef(node.id), PortRef(NodeId("out")), EdgeKind.CONTROL)
        for node in draw(st.lists(st.sampled_from(nodes[:-1]), unique_by=lambda node: node.id))
        if node.kind is not NodeKind.BRANCH
    ]
    flows = {"each": body("item"), "step": body("x", "x")}
    return Workflow("t", tuple(nodes), tuple(edges), workflows=flows)


def errors(workflow: Workflow) -> set[ProblemCode]:
    found = validate(workflow, Uses())
    return {each.code for each in found if each.severity is Severity.ERROR}


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(sound())
def test_what_is_made_by_the_rules_has_no_errors(workflow: Workflow) -> None:
    assert errors(workflow) == set()


def with_node(workflow: Workflow, number: int, **fields: Any) -> Workflow:
    nodes = list(workflow.nodes)
    nodes[number] = msgspec.structs.replace(nodes[number], **fields)
    return msgspec.structs.replace(workflow, nodes=tuple(nodes))


def with_edge(workflow: Workflow, *more: Edge) -> Workflow:
    return msgspec.structs.replace(workflow, edges=(*workflow.edges, *more))


def an_edge(draw: Draw, workflow: Workflow) -> int:
    """The number of one that carries a value."""
    data = [n for n, each in enumerate(workflow.edges) if each.kind is EdgeKind.DATA]
    number: int = draw(st.sampled_from(data))
    return number


def changed(workflow: Workflow, number: int, **fields: Any) -> Workflow:
    edges = list(workflow.edges)
    edges[number] = msgspec.structs.replace(edges[number], **fields)
    return msgspec.structs.replace(workflow, edges=tuple(edges))


def lost_node(draw: Draw, workflow: Workflow) -> Workflow:
    return changed(workflow, an_edge(draw, workflow), source=PortRef(NodeId("gone")))


def lost_port(draw: Draw, workflow: Workflow) -> Workflow:
    number = an_edge(draw, workflow)
    source = workflow.edges[number].source
    return changed(workflow, number, source=PortRef(source.node, "gone"))


def second_value(draw: Draw, workflow: Workflow) -> Workflow:
    number = an_edge(draw, workflow)
    target = workflow.edges[number].target
    assume(workflow.node(target.node).kind is not NodeKind.MERGE)
    return with_edge(workflow, msgspec.structs.replace(workflow.edges[number], when="true"))


def lost_edge(draw: Draw, workflow: Workflow) -> Workflow:
    return msgspec.structs.replace(
        workflow, edges=tuple(each for each in workflow.edges if each.target.node != "out")
    )


def circle(draw: Draw, workflow: Workflow) -> Workflow:
    each = workflow.edges[an_edge(draw, workflow)]
    assume(each.source.node != "start")
    back = Edge(PortRef(each.target.node), PortRef(each.source.node), EdgeKind.CONTROL)
    return with_edge(workflow, back)


def same_id(draw: Draw, workflow: Workflow) -> Workflow:
    return msgspec.structs.replace(workflow, nodes=(*workflow.nodes, workflow.nodes[0]))


def bad_condition(draw: Draw, workflow: Workflow) -> Workflow:
    text = draw(st.sampled_from(["value >", "other", "'text'"]))
    return changed(workflow, an_edge(draw, workflow), when=text)


def bad_name(draw: Draw, workflow: Workflow) -> Workflow:
    return msgspec.structs.replace(workflow, id="No Name")


def wrong_type(draw: Draw, workflow: Workflow) -> Workflow:
    text = Node(NodeId("t"), NodeKind.OPERATOR, use="text")
    taker = Node(NodeId("u"), NodeKind.OPERATOR, use="texts")
    nodes = (*workflow.nodes, text, taker)
    return with_edge(msgspec.structs.replace(workflow, nodes=nodes), edge("t -> u"))


def both_ways(draw: Draw, workflow: Workflow) -> Workflow:
    branch = Node(NodeId("b"), NodeKind.BRANCH, cases=(Case("yes", "value"),), params={"value": 1})
    taker = Node(NodeId("u"), NodeKind.OPERATOR, use="two")
    nodes = (*workflow.nodes, branch, taker)
    ways = (edge("b.yes -> u.a"), edge("b.otherwise -> u.b"))
    return with_edge(msgspec.structs.replace(workflow, nodes=nodes), *ways)


def wrong_use(draw: Draw, workflow: Workflow) -> Workflow:
    node = Node(NodeId("w"), NodeKind.MAP, use="gone")
    return msgspec.structs.replace(workflow, nodes=(*workflow.nodes, node))


def runs_itself(draw: Draw, workflow: Workflow) -> Workflow:
    node = Node(NodeId("w"), NodeKind.WORKFLOW, use="step", params={"x": 1})
    step = workflow.workflows["step"]
    step = msgspec.structs.replace(step, nodes=(*step.nodes, node))
    return msgspec.structs.replace(workflow, workflows={**workflow.workflows, "step": step})


BREAKS: dict[Break, ProblemCode] = {
    lost_node: ProblemCode.UNKNOWN_NODE,
    lost_port: ProblemCode.UNKNOWN_PORT,
    second_value: ProblemCode.PORT_TWICE,
    lost_edge: ProblemCode.MISSING_VALUE,
    circle: ProblemCode.CYCLE,
    same_id: ProblemCode.DUPLICATE_ID,
    bad_condition: ProblemCode.BAD_EXPRESSION,
    bad_name: ProblemCode.BAD_VALUE,
    wrong_type: ProblemCode.TYPE_MISMATCH,
    both_ways: ProblemCode.NEVER_RUNS,
    wrong_use: ProblemCode.UNKNOWN_WORKFLOW,
    runs_itself: ProblemCode.RECURSION,
}


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(st.data(), sound(), st.sampled_from(sorted(BREAKS, key=lambda each: each.__name__)))
def test_one_broken_rule_is_told_as_such(
    data: st.DataObject, workflow: Workflow, breaks: Break
) -> None:
    broken = breaks(data.draw, workflow)
    assert BREAKS[breaks] in errors(broken)


@settings(max_examples=10, deadline=None)
@given(st.data(), sound(), st.sampled_from(sorted(BREAKS, key=lambda each: each.__name__)))
def test_a_file_has_the_problems_of_its_workflow_each_with_a_place(
    data: st.DataObject, workflow: Workflow, breaks: Break
) -> None:
    broken = breaks(data.draw, workflow)
    direct, read = validate(broken, Uses()), validate(loads(dumps(broken)), Uses())
    assert all(each.line > 0 and each.column > 0 for each in read)
    places = [(each.line, each.column) for each in read]
    assert places == sorted(places)
    told = [{(each.code, each.pointer, each.message) for each in side} for side in (direct, read)]
    assert told[0] == told[1]
    assert validate(broken, Uses()) == direct
