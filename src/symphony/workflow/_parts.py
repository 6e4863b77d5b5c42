"""A workflow in the parts that a diff speaks of: header, nodes and edges by name, nested ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from symphony.commons.values import Value
from symphony.workflow._forms import (
    FIRST_VERSION,
    EdgeForm,
    canonical,
    canonical_nodes,
    edge_forms,
    edges_of,
)
from symphony.workflow._model import Edge, Metadata, Node, NodeId, PortRef, Workflow

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Whole(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of a workflow, also what is in another file."""

    id: str
    name: str = ""
    version: str = FIRST_VERSION
    description: str = ""
    extensions: tuple[str, ...] = ()
    metadata: Metadata = Metadata()
    file: str = ""
    nodes: tuple[Node, ...] = ()
    edges: tuple[EdgeForm, ...] = ()
    workflows: dict[str, Whole] = {}


def header_of(workflow: Workflow) -> Whole:
    """Without what has names of its own."""
    version = FIRST_VERSION if workflow.version == FIRST_VERSION else workflow.version
    return Whole(
        id=workflow.id,
        name=workflow.name,
        version=version,
        description=workflow.description,
        extensions=workflow.extensions,
        metadata=canonical(workflow.metadata, Metadata()),
        file=workflow.file,
    )


def whole_of(workflow: Workflow) -> Whole:
    return msgspec.structs.replace(
        header_of(workflow),
        nodes=canonical_nodes(workflow.nodes),
        edges=edge_forms(workflow.edges),
        workflows={name: whole_of(each) for name, each in workflow.workflows.items()},
    )


def workflow_of_whole(whole: Whole) -> Workflow:
    return Workflow(
        id=whole.id,
        nodes=whole.nodes,
        edges=edges_of(whole.edges),
        name=whole.name,
        version=whole.version,
        description=whole.description,
        extensions=whole.extensions,
        metadata=whole.metadata,
        workflows={name: workflow_of_whole(each) for name, each in whole.workflows.items()},
        file=whole.file,
    )


def document_of(part: msgspec.Struct) -> dict[str, Value]:
    """A part as plain values."""
    document: dict[str, Value] = msgspec.json.decode(msgspec.json.encode(part))
    return document


def keyed_nodes(nodes: Sequence[Node]) -> dict[str, Node]:
    return _keyed([node.id for node in nodes], canonical_nodes(nodes))


def keyed_edges(edges: Sequence[Edge]) -> dict[str, EdgeForm]:
    forms = edge_forms(edges)
    return _keyed([f"{form.source} -> {form.target}" for form in forms], forms)


def _keyed(names: Sequence[str], items: Sequence[_Struct]) -> dict[str, _Struct]:
    seen: Counter[str] = Counter()
    keyed = {}
    for name, item in zip(names, items, strict=True):
        seen[name] += 1
        keyed[name if seen[name] == 1 else f"{name}#{seen[name]}"] = item
    return keyed


def renamed(workflow: Workflow, names: Mapping[NodeId, NodeId]) -> Workflow:
    """With other ids, also where edges and policies name the nodes."""
    if not names:
        return workflow

    def end(ref: PortRef) -> PortRef:
        return msgspec.structs.replace(ref, node=names.get(ref.node, ref.node))

    return msgspec.structs.replace(
        workflow,
        nodes=tuple(_renamed_node(node, names) for node in workflow.nodes),
        edges=tuple(
            msgspec.structs.replace(edge, source=end(edge.source), target=end(edge.target))
            for edge in workflow.edges
        ),
    )


def _renamed_node(node: Node, names: Mapping[NodeId, NodeId]) -> Node:
    policy = node.policy
    if policy.compensate in names:
        policy = msgspec.structs.replace(policy, compensate=names[NodeId(policy.compensate)])
    if policy.fallback is not None and policy.fallback.node in names:
        fallback = msgspec.structs.replace(
            policy.fallback, node=names[NodeId(policy.fallback.node)]
        )
        policy = msgspec.structs.replace(policy, fallback=fallback)
    return msgspec.structs.replace(node, id=names.get(node.id, node.id), policy=policy)
