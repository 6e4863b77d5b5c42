"""Edits: each makes a new version of a workflow and leaves the old one as it is.

Versions share their nodes and edges; a version costs a list of pointers, 80 kB for 10,000 nodes and
160 kB for 20,000 edges if these change, so undo is a list of versions. `bench/workflow.py` measures
both. None of them checks more than it needs: `validate` tells what an edit has broken.

Where a node stands, and which edges touch it, is worked out once and handed on from version to
version. It is a shared index that only grows, and each version looks up in its own lists whether
what the index says is true of it; so versions may branch as they like.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from symphony.commons.names import did_you_mean
from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._model import Edge, Node, NodeId, PortRef, Workflow
from symphony.workflow._policy import Policy

#: After so many removals the index is made anew.
_MOST_GONE: Final = 1024
_INDEX: Final = "_index"


def with_node(workflow: Workflow, node: Node) -> Workflow:
    """With one more node, the last. Raises WorkflowInvalid if its id is taken."""
    index = _index(workflow)
    if index.number(workflow, node.id) is not None:
        _refuse(workflow, ProblemCode.DUPLICATE_ID, f"There is a node {node.id!r} already.")
    index.note_node(len(workflow.nodes) + len(index.gone_nodes), node)
    return _version(workflow, index, nodes=(*workflow.nodes, node))


def without_node(workflow: Workflow, name: str) -> Workflow:
    """Without a node and the edges that touch it. Raises WorkflowInvalid if there is none."""
    number = _number(workflow, name)
    index = _index(workflow)
    touching = index.edges(workflow, NodeId(name))
    gone = _with_gone(index.gone_nodes, [number])
    edges = _without(workflow.edges, touching)
    following = _Index(index.known, gone, _with_gone(index.gone_edges, touching))
    return _version(workflow, following, nodes=_without(workflow.nodes, [number]), edges=edges)


def with_changed_node(workflow: Workflow, node: Node) -> Workflow:
    """With a node in the place of that with the same id. Raises WorkflowInvalid without one."""
    number = _number(workflow, node.id)
    index = _index(workflow)
    index.note_node(index.base_of_node(number), node)
    nodes = (*workflow.nodes[:number], node, *workflow.nodes[number + 1 :])
    return _version(workflow, index, same_ids=True, nodes=nodes)


def with_params(workflow: Workflow, name: str, params: Mapping[str, Value]) -> Workflow:
    """With other parameters of a node."""
    return _with_fields(workflow, name, params=dict(params))


def with_position(workflow: Workflow, name: str, position: tuple[float, float] | None) -> Workflow:
    """With a node drawn elsewhere."""
    return _with_fields(workflow, name, position=position)


def with_renamed_node(workflow: Workflow, name: str, new: str) -> Workflow:
    """With another id of a node; edges follow, and the policies that name it."""
    number = _number(workflow, name)
    old, fresh = NodeId(name), NodeId(new)
    if name == new:
        return workflow
    index = _index(workflow)
    if index.number(workflow, fresh) is not None:
        _refuse(workflow, ProblemCode.DUPLICATE_ID, f"There is a node {new!r} already.")
    nodes, edges = list(workflow.nodes), list(workflow.edges)
    nodes[number] = msgspec.structs.replace(nodes[number], id=fresh)
    index.note_node(index.base_of_node(number), nodes[number])
    for each in index.referrers(workflow, old):
        policy = _policy_with(nodes[each].policy, name, new)
        nodes[each] = msgspec.structs.replace(nodes[each], policy=policy)
        index.note_node(index.base_of_node(each), nodes[each])
    for each in index.edges(workflow, old):
        edges[each] = _edge_with(edges[each], old, fresh)
        index.note_edge(index.base_of_edge(each), edges[each])
    return _version(workflow, index, nodes=tuple(nodes), edges=tuple(edges))


def with_edge(workflow: Workflow, edge: Edge) -> Workflow:
    """With one more edge, the last. Raises WorkflowInvalid unless it joins nodes that exist."""
    for ref in (edge.source, edge.target):
        _number(workflow, ref.node)
    index = _index(workflow)
    index.note_edge(len(workflow.edges) + len(index.gone_edges), edge)
    return _version(workflow, index, same_ids=True, edges=(*workflow.edges, edge))


def without_edge(workflow: Workflow, edge: Edge) -> Workflow:
    """Without an edge; of equal ones, the first. Raises WorkflowInvalid if there is none."""
    index, number = _index(workflow), _edge_number(workflow, edge)
    gone = _with_gone(index.gone_edges, [number])
    following = _Index(index.known, index.gone_nodes, gone)
    edges = _without(workflow.edges, [number])
    return _version(workflow, following, same_ids=True, edges=edges)


def with_changed_edge(workflow: Workflow, old: Edge, new: Edge) -> Workflow:
    """With an edge in the place of another, as `without_edge` and `with_edge` find fault."""
    number = _edge_number(workflow, old)
    for ref in (new.source, new.target):
        _number(workflow, ref.node)
    index = _index(workflow)
    index.note_edge(index.base_of_edge(number), new)
    edges = (*workflow.edges[:number], new, *workflow.edges[number + 1 :])
    return _version(workflow, index, same_ids=True, edges=edges)


class _Known:
    """Numbers by the ids of nodes: of the node itself, of the edges from or to it, and of the nodes
    whose policies name it.

    All versions that come from one share it, whichever way they went. So it holds at least what is
    true of each, and may hold more: what it says has to be looked up.
    """

    __slots__ = ("also", "naming", "nodes", "touching")

    def __init__(self) -> None:
        self.nodes: dict[NodeId, int] = {}
        #: The places of a node in branches that have it elsewhere; empty unless there are branches.
        self.also: dict[NodeId, list[int]] = {}
        self.touching: dict[NodeId, list[int]] = {}
        self.naming: dict[NodeId, list[int]] = {}


class _Index:
    """Where things stand in one version. Numbers are those of the version for which it was made:
    `gone` are those removed since, and what was added has got the next ones."""

    __slots__ = ("gone_edges", "gone_nodes", "known")

    def __init__(
        self, known: _Known, gone_nodes: tuple[int, ...] = (), gone_edges: tuple[int, ...] = ()
    ) -> None:
        self.known = known
        self.gone_nodes = gone_nodes
        self.gone_edges = gone_edges

    @classmethod
    def of(cls, workflow: Workflow) -> _Index:
        index = cls(_Known())
        for number, node in enumerate(workflow.nodes):
            index.note_node(number, node)
        for number, edge in enumerate(workflow.edges):
            index.note_edge(number, edge)
        return index

    def note_node(self, base: int, node: Node) -> None:
        if self.known.nodes.setdefault(node.id, base) != base:
            self.known.also.setdefault(node.id, []).append(base)
        for name in _named_by(node.policy):
            self.known.naming.setdefault(NodeId(name), []).append(base)

    def note_edge(self, base: int, edge: Edge) -> None:
        for ref in (edge.source, edge.target):
            self.known.touching.setdefault(ref.node, []).append(base)

    def base_of_node(self, number: int) -> int:
        return _base(number, self.gone_nodes)

    def base_of_edge(self, number: int) -> int:
        return _base(number, self.gone_edges)

    def number(self, workflow: Workflow, name: NodeId) -> int | None:
        """None if the version has no such node."""
        nodes, base = workflow.nodes, self.known.nodes.get(name)
        if base is None:
            return None
        places: list[int] = [base, *self.known.also.get(name, [])]
        for each in places:
            number = each - bisect_left(self.gone_nodes, each)
            if number < len(nodes) and nodes[number].id == name:
                return number
        return None

    def edges(self, workflow: Workflow, name: NodeId) -> list[int]:
        """The numbers of the edges that touch a node, ascending."""
        edges, found = workflow.edges, set[int]()
        for base in self.known.touching.get(name, ()):
            number = base - bisect_left(self.gone_edges, base)
            if number < len(edges):
                edge = edges[number]
                if name in (edge.source.node, edge.target.node):
                    found.add(number)
        return sorted(found)

    def referrers(self, workflow: Workflow, name: NodeId) -> set[int]:
        """The numbers of the nodes whose policies name a node."""
        nodes, found = workflow.nodes, set[int]()
        for base in self.known.naming.get(name, ()):
            number = base - bisect_left(self.gone_nodes, base)
            if number < len(nodes) and name in _named_by(nodes[number].policy):
                found.add(number)
        return found


def _index(workflow: Workflow) -> _Index:
    kept = vars(workflow)
    index: _Index | None = kept.get(_INDEX)
    if index is None or max(len(index.gone_nodes), len(index.gone_edges)) > _MOST_GONE:
        index = kept[_INDEX] = _Index.of(workflow)
    return index


def _version(
    workflow: Workflow, index: _Index, *, same_ids: bool = False, **changes: Any
) -> Workflow:
    version = msgspec.structs.replace(workflow, source=None, **changes)
    kept = vars(version)
    kept[_INDEX] = index
    if same_ids and "numbers" in vars(workflow):
        kept["numbers"] = workflow.numbers
    return version


def _with_fields(workflow: Workflow, name: str, **fields: Any) -> Workflow:
    node = workflow.nodes[_number(workflow, name)]
    return with_changed_node(workflow, msgspec.structs.replace(node, **fields))


def _number(workflow: Workflow, name: str) -> int:
    number = _index(workflow).number(workflow, NodeId(name))
    if number is None:
        hint = did_you_mean(name, workflow.numbers)
        _refuse(workflow, ProblemCode.UNKNOWN_NODE, f"There is no node {name!r}.", hint)
    return number


def _edge_number(workflow: Workflow, edge: Edge) -> int:
    touching = _index(workflow).edges(workflow, edge.source.node)
    number = next((each for each in touching if workflow.edges[each] == edge), None)
    if number is None:
        message = f'There is no such edge from "{edge.source}" to "{edge.target}".'
        _refuse(workflow, ProblemCode.UNKNOWN_EDGE, message)
    return number


def _refuse(workflow: Workflow, code: ProblemCode, message: str, hint: str = "") -> NoReturn:
    raise WorkflowInvalid(f"Workflow {workflow.id!r}", [Problem(code, message, hint=hint)])


def _named_by(policy: Policy) -> tuple[str, ...]:
    fallback = policy.fallback.node if policy.fallback is not None else ""
    return tuple(name for name in (fallback, policy.compensate) if name)


def _policy_with(policy: Policy, name: str, new: str) -> Policy:
    if policy.compensate == name:
        policy = msgspec.structs.replace(policy, compensate=new)
    if policy.fallback is not None and policy.fallback.node == name:
        fallback = msgspec.structs.replace(policy.fallback, node=new)
        policy = msgspec.structs.replace(policy, fallback=fallback)
    return policy


def _edge_with(edge: Edge, name: NodeId, new: NodeId) -> Edge:
    def renamed(ref: PortRef) -> PortRef:
        return msgspec.structs.replace(ref, node=new) if ref.node == name else ref

    return msgspec.structs.replace(edge, source=renamed(edge.source), target=renamed(edge.target))


def _without(items: tuple[Any, ...], numbers: Iterable[int]) -> tuple[Any, ...]:
    left = list(items)
    for number in sorted(numbers, reverse=True):
        del left[number]
    return tuple(left)


def _base(number: int, gone: tuple[int, ...]) -> int:
    """The number that something has in the index, from that in the version: each of those gone
    before it adds one."""
    return number + bisect_right(range(len(gone)), number, key=lambda place: gone[place] - place)


def _with_gone(gone: tuple[int, ...], numbers: Iterable[int]) -> tuple[int, ...]:
    bases = list(gone)
    for base in [_base(number, gone) for number in numbers]:
        insort(bases, base)
    return tuple(bases)
