from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.workflow import Fallback, NodeKind, Policy, Workflow
from symphony.workflow.pictures._skeleton import Skeleton, TieKind, inner_of

from .conftest import chain, edge, gallery, node


@st.composite
def graphs(draw: st.DrawFn) -> Workflow:
    """Any graph at all, cycles, loops and double ids included."""
    names = [f"n{draw(st.integers(0, 6))}" for _ in range(draw(st.integers(1, 8)))]
    ends = st.sampled_from([*names, "nowhere"])
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=16))
    return Workflow("any", tuple(map(node, names)), tuple(edge(*pair) for pair in pairs))


@given(graphs())
def test_without_what_leads_back_every_tie_leads_to_a_higher_level(workflow: Workflow) -> None:
    skeleton = Skeleton(workflow)
    assert sorted(skeleton.order) == list(range(len(skeleton.nodes)))
    for tie in skeleton.ties:
        if not skeleton.leads_back(tie):
            assert skeleton.levels[tie.source] < skeleton.levels[tie.target]
    assert len(skeleton.ties) + len(skeleton.loose) == len(workflow.edges)


def test_a_graph_without_cycles_has_nothing_that_leads_back() -> None:
    skeleton = Skeleton(chain(50))
    assert not any(map(skeleton.leads_back, skeleton.ties))
    assert skeleton.levels == list(range(50))


def test_the_critical_path_is_the_longest_by_its_estimates() -> None:
    nodes = (node("a"), node("b", estimate_s=9.0), node("c"), node("d"), node("e"))
    edges = (edge("a", "b"), edge("b", "e"), edge("a", "c"), edge("c", "d"), edge("d", "e.x"))
    skeleton = Skeleton(Workflow("w", nodes, edges))
    assert [skeleton.nodes[number].id for number in skeleton.critical_path()] == ["a", "b", "e"]


def test_fallbacks_and_what_undoes_a_node_are_tied_to_it() -> None:
    policy = Policy(fallback=Fallback(node="b"), compensate="c")
    skeleton = Skeleton(Workflow("w", (node("a", policy=policy), node("b"), node("c"))))
    assert [(tie.target, tie.kind) for tie in skeleton.ties] == [
        (1, TieKind.FALLBACK),
        (2, TieKind.UNDO),
    ]


@pytest.mark.parametrize("kind", [NodeKind.MAP, NodeKind.LOOP, NodeKind.WORKFLOW])
def test_a_nested_workflow_is_looked_for_around_its_node(kind: NodeKind) -> None:
    around = gallery()
    inner = Workflow("inner", (node("x", kind, use="resize"),))
    found = inner_of(inner.nodes[0], (inner, around))
    assert found == (around.workflows["resize"], around)
    assert inner_of(node("y", kind, use="nobody"), (inner, around)) is None
