"""Which results of an earlier run still hold for a new one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from symphony.commons.values import Value
from symphony.execution import NodeState, NodeStatus, RunStatus
from symphony.workflow import NESTING, Edge, Graph, Node, NodeKind, Workflow

_HOLD = (NodeState.COMPLETED, NodeState.CACHED)


def reusable(
    before: Workflow,
    status: RunStatus,
    workflow: Workflow,
    inputs: Mapping[str, Value],
    anew: frozenset[str],
) -> dict[str, NodeStatus]:
    """The nodes that need not run again: they completed, nothing about them has changed, nor about
    any node above them. Those of `anew` run again, and all below them."""
    graph, kept = Graph(workflow), dict[str, NodeStatus]()
    old_edges, new_edges = _into(before), _into(workflow)
    for number in graph.order():
        node = workflow.nodes[number]
        old = status.nodes.get(node.id)
        if node.id in anew or old is None or old.state not in _HOLD or old.by == "person":
            continue
        if not all(graph.names[parent] in kept for parent in graph.parents[number]):
            continue
        if not _same(before, workflow, node) or old_edges.get(node.id) != new_edges.get(node.id):
            continue
        if node.kind is NodeKind.INPUT and old.outputs.get("value") != inputs.get(node.id):
            continue
        kept[node.id] = old
    return kept


def _same(before: Workflow, workflow: Workflow, node: Node) -> bool:
    if node.id not in before.numbers or _bare(before.node(node.id)) != _bare(node):
        return False
    # What carries it out may use anything that stands in the workflow around it.
    return node.kind not in NESTING or before.workflows == workflow.workflows


def _bare(node: Node) -> Node:
    return msgspec.structs.replace(node, title="", description="", position=None)


def _into(workflow: Workflow) -> dict[str, list[Edge]]:
    edges: dict[str, list[Edge]] = {}
    for edge in workflow.edges:
        edges.setdefault(edge.target.node, []).append(msgspec.structs.replace(edge, label=""))
    return edges
