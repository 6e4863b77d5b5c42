"""Edits beside the plainest way to make them: lists, searched from one end to the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import graph_of

from symphony.workflow import (
    Edge,
    Fallback,
    Node,
    NodeId,
    NodeKind,
    Policy,
    PortRef,
    Workflow,
    WorkflowInvalid,
    loads,
    with_changed_edge,
    with_changed_node,
    with_edge,
    with_node,
    with_params,
    with_position,
    with_renamed_node,
    without_edge,
    without_node,
)

replace: Callable[..., Any] = msgspec.structs.replace


def node(name: str, fallback: str = "", compensate: str = "") -> Node:
    policy = Policy(fallback=Fallback(node=fallback) if fallback else None, compensate=compensate)
    return Node(NodeId(name), NodeKind.OPERATOR, "any", policy=policy)


def edge(source: str, target: str, label: str = "") -> Edge:
    return Edge(PortRef(NodeId(source)), PortRef(NodeId(target)), label=label)


class Plain:
    """What the edits should give."""

    def __init__(self, nodes: tuple[Node, ...], edges: tuple[Edge, ...]) -> None:
        self.nodes, self.edges = list(nodes), list(edges)

    @property
    def names(self) -> list[str]:
        return [each.id for each in self.nodes]

    def drop_node(self, name: str) -> None:
        self.nodes = [each for each in self.nodes if each.id != name]
        self.edges = [
            each for each in self.edges if name not in (each.source.node, each.target.node)
        ]

    def rename(self, name: str, new: str) -> None:
        def ref(each: PortRef) -> PortRef:
            return replace(each, node=new) if each.node == name else each

        def renamed(each: Node) -> Node:
            fallback = each.policy.fallback.node if each.policy.fallback else ""
            return node(
                new if each.id == name else each.id,
                new if fallback == name else fallback,
                new if each.policy.compensate == name else each.policy.compensate,
            )

        self.nodes = [renamed(each) for each in self.nodes]
        self.edges = [
            replace(each, source=ref(each.source), target=ref(each.target)) for each in self.edges
        ]


NAMES = st.sampled_from("abcdefgh")
EDITS = st.sampled_from(
    ["node", "no node", "edge", "edge", "no edge", "rename", "policy", "other edge", "back"]
)


REFUSED: dict[str, Callable[[Workflow, str, str], Workflow]] = {
    "node": lambda workflow, name, _: with_node(workflow, node(name)),
    "no node": lambda workflow, name, _: without_node(workflow, name),
    "rename": with_renamed_node,
}


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_versions_are_what_plain_lists_would_be_whichever_way_they_branch(
    data: st.DataObject,
) -> None:
    nodes = tuple(node(name, fallback="a", compensate="b") for name in "abcdef")
    edges = tuple(edge(a, b) for a, b in zip("aabbcdde", "bccdefff", strict=True))
    versions = [Workflow("t", nodes, edges)]
    expected = [(nodes, edges)]
    current = 0
    for _ in range(data.draw(st.integers(5, 30))):
        workflow, plain = versions[current], Plain(*expected[current])
        kind, name, other = data.draw(EDITS), data.draw(NAMES), data.draw(NAMES)
        known = set(plain.names)
        if kind == "back":
            current = data.draw(st.integers(0, len(versions) - 1))
            continue
        if kind == "node" and name not in known:
            fresh = node(name, fallback=other)
            workflow = with_node(workflow, fresh)
            plain.nodes.append(fresh)
        elif kind == "no node" and name in known:
            workflow = without_node(workflow, name)
            plain.drop_node(name)
        elif kind == "edge" and {name, other} <= known:
            workflow = with_edge(workflow, edge(name, other))
            plain.edges.append(edge(name, other))
        elif kind == "no edge" and plain.edges:
            gone = data.draw(st.sampled_from(plain.edges))
            workflow = without_edge(workflow, gone)
            plain.edges.remove(gone)
        elif kind == "other edge" and plain.edges and {name, other} <= known:
            old = data.draw(st.sampled_from(plain.edges))
            workflow = with_changed_edge(workflow, old, edge(name, other, "new"))
            plain.edges[plain.edges.index(old)] = edge(name, other, "new")
        elif kind == "rename" and name in known and (other not in known or other == name):
            workflow = with_renamed_node(workflow, name, other)
            plain.rename(name, other)
        elif kind == "policy" and name in known:
            changed = node(name, compensate=other)
            workflow = with_changed_node(workflow, changed)
            plain.nodes[plain.names.index(name)] = changed
        elif kind in REFUSED:  # the name is taken, or nobody has it
            with pytest.raises(WorkflowInvalid):
                REFUSED[kind](workflow, name, other)
        versions.append(workflow)
        expected.append((tuple(plain.nodes), tuple(plain.edges)))
        current = len(versions) - 1
    for version, (nodes, edges) in zip(versions, expected, strict=True):
        assert (version.nodes, version.edges) == (nodes, edges)
        assert dict(version.numbers) == {each.id: at for at, each in enumerate(nodes)}


def test_an_old_version_stays_and_shares_what_did_not_change() -> None:
    first = graph_of(3, [(0, 1), (1, 2)])
    second = without_node(first, "n1")
    assert [each.id for each in first.nodes] == ["n0", "n1", "n2"]
    assert [each.id for each in second.nodes] == ["n0", "n2"]
    assert (len(first.edges), len(second.edges)) == (2, 0)
    assert second.nodes[1] is first.nodes[2]
    moved = with_position(first, "n1", (3, 4))
    assert moved.edges is first.edges
    assert moved.node("n1").position == (3, 4)
    assert with_position(moved, "n1", None) == first
    assert with_params(first, "n0", {"a": 1}).node("n0").params == {"a": 1}


def test_an_index_is_handed_on_while_the_names_stay() -> None:
    first = graph_of(3, [(0, 1)])
    numbers = first.numbers
    assert with_params(first, "n0", {}).numbers is numbers
    assert with_edge(first, edge("n1", "n2")).numbers is numbers
    assert with_node(first, node("x")).numbers is not numbers


def test_an_edit_parts_a_workflow_from_the_text_it_was_read_from() -> None:
    read = loads('{"symphony": 1, "id": "t", "nodes": [{"id": "a", "kind": "input"}]}')
    assert read.source is not None
    assert with_position(read, "a", (1, 2)).source is None


def test_many_removals_renew_the_index() -> None:
    workflow = graph_of(1200, [(number, number + 1) for number in range(1199)])
    for number in range(0, 1198, 2):
        workflow = without_node(workflow, f"n{number}")
    assert [each.id for each in workflow.nodes][:3] == ["n1", "n3", "n5"]
    assert [str(each.source) for each in workflow.edges] == ["n1197", "n1198"]
    assert with_renamed_node(workflow, "n1199", "last").edges[1].target.node == "last"


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("duplicate_id", lambda w: with_node(w, node("n0"))),
        ("duplicate_id", lambda w: with_renamed_node(w, "n0", "n1")),
        ("unknown_node", lambda w: without_node(w, "n9")),
        ("unknown_node", lambda w: with_renamed_node(w, "n9", "x")),
        ("unknown_node", lambda w: with_changed_node(w, node("n9"))),
        ("unknown_node", lambda w: with_params(w, "n9", {})),
        ("unknown_node", lambda w: with_edge(w, edge("n0", "n9"))),
        ("unknown_node", lambda w: with_changed_edge(w, w.edges[0], edge("n9", "n0"))),
        ("unknown_edge", lambda w: without_edge(w, edge("n1", "n0"))),
        ("unknown_edge", lambda w: with_changed_edge(w, edge("x", "n0"), edge("n0", "n1"))),
    ],
)
def test_what_is_not_there_or_there_already_is_told(
    code: str, edit: Callable[[Workflow], Workflow]
) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        edit(graph_of(2, [(0, 1)]))
    assert caught.value.record().code == f"workflow.{code}"


def test_a_version_of_a_large_workflow_is_small() -> None:
    workflow = graph_of(2000, [(number, number + 1) for number in range(1999)])
    version = with_edge(with_params(workflow, "n7", {"a": 1}), edge("n0", "n9"))
    assert sys.getsizeof(version.nodes) + sys.getsizeof(version.edges) < 40_000
    assert all(a is b for a, b in zip(version.edges, workflow.edges, strict=False))
