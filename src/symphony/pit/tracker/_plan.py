"""A workflow made ready for the tracker: nodes are dense numbers, what is asked often is a list.

Each workflow that a run may use is compiled once; the nodes of one of its rounds, items or uses
are the numbers of its plan from some number on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symphony.workflow import (
    NESTING,
    Edge,
    EdgeKind,
    Graph,
    Node,
    NodeId,
    NodeKind,
    Resources,
    Workflow,
)

#: How long a node is thought to take of which nobody knows anything.
_SECONDS = 1.0
#: The kinds whose nodes run if any edge into them is alive.
_MERGING = frozenset({NodeKind.MERGE, NodeKind.JOIN})


class Feed(NamedTuple):
    """An edge as its target sees it: from the node number `source`, into `port`."""

    source: int
    from_port: str
    port: str
    member: str
    edge: Edge

    @property
    def is_data(self) -> bool:
        return self.edge.kind is EdgeKind.DATA


class Plan:
    """One workflow. Lists are by the number of the node in it."""

    def __init__(self, workflow: Workflow, body: int) -> None:
        self.workflow = workflow
        self.body = body
        self.nodes: tuple[Node, ...] = workflow.nodes
        self.names: tuple[str, ...] = tuple(node.id for node in workflow.nodes)
        self.size = len(self.nodes)
        self.kinds = [node.kind for node in workflow.nodes]
        graph = Graph(workflow)
        self.feeds: list[list[Feed]] = [[] for _ in self.nodes]
        #: The nodes below, with the port that the edge leaves; None if any end will do.
        self.below: list[list[tuple[int, str | None]]] = [[] for _ in self.nodes]
        for edge in workflow.edges:
            self._link(edge, graph.numbers[edge.source.node], graph.numbers[edge.target.node])
        self.waits = [len(feeds) for feeds in self.feeds]
        self.merging = [kind in _MERGING for kind in self.kinds]
        #: Whether more than the ends of others decides that a node runs.
        self.weighed = [
            node.policy.skip is not None or any(feed.edge.when for feed in feeds)
            for node, feeds in zip(self.nodes, self.feeds, strict=True)
        ]
        #: Whether its inputs are values just as they came out of others.
        self.straight = [
            not node.params
            and all(
                feed.is_data and not (feed.member or feed.edge.when or feed.edge.transform)
                for feed in feeds
            )
            for node, feeds in zip(self.nodes, self.feeds, strict=True)
        ]
        self.needs = [_needs(node) for node in self.nodes]
        self.inputs = self._of_kind(NodeKind.INPUT)
        self.outputs = {
            node.name or node.id: number
            for number, node in enumerate(self.nodes)
            if node.kind is NodeKind.OUTPUT
        }
        #: The number of the plan that carries a node out, once all are compiled.
        self.inner: list[int] = [0] * self.size
        self.seconds = _critical(self.nodes, graph)
        self.ranks = self._ranks()
        self._set_aside(graph)

    def _link(self, edge: Edge, source: int, target: int) -> None:
        data = edge.kind is EdgeKind.DATA
        feed = Feed(source, edge.source.port, edge.target.port, edge.target.member, edge)
        self.feeds[target].append(feed)
        self.below[source].append((target, edge.source.port if data else None))

    def _of_kind(self, kind: NodeKind) -> dict[str, int]:
        return {
            name: number for number, name in enumerate(self.names) if self.kinds[number] is kind
        }

    def _ranks(self) -> list[int]:
        """The order among nodes that could start: priority, that of the edges into them, the
        longest way to the end, and then the place in the workflow."""

        def key(number: int) -> tuple[float, ...]:
            edges = max((feed.edge.priority for feed in self.feeds[number]), default=0)
            priority = self.nodes[number].policy.priority
            return (-priority, -edges, -self.seconds[number], number)

        ranks = [0] * self.size
        for rank, number in enumerate(sorted(range(self.size), key=key)):
            ranks[number] = rank
        return ranks

    def _set_aside(self, graph: Graph) -> None:
        """Who starts only when asked: stand-ins, with those they stand in for, and who undoes."""
        self.stands_in: dict[int, list[int]] = {}
        self.stand_in = [-1] * self.size
        self.undoes = [-1] * self.size
        for number, node in enumerate(self.nodes):
            if node.policy.fallback is not None and node.policy.fallback.node:
                other = graph.numbers[NodeId(node.policy.fallback.node)]
                self.stand_in[number] = other
                self.stands_in.setdefault(other, []).append(number)
            if node.policy.compensate:
                self.undoes[number] = graph.numbers[NodeId(node.policy.compensate)]
        aside = {number for number in self.undoes if number >= 0}
        frontier = list(aside)
        while frontier:
            new = set(graph.children[frontier.pop()]) - aside
            aside |= new
            frontier.extend(new)
        #: The nodes without which the workflow has ended: who undoes, and what needs these.
        self.aside = frozenset(aside)
        self.dormant = frozenset(self.stands_in) | {each for each in self.undoes if each >= 0}


class Plans:
    """The plan of a workflow, and of every one that it uses; the first is its own."""

    def __init__(self, workflow: Workflow) -> None:
        self._plans: list[Plan] = []
        self._known: dict[int, int] = {}
        self._compile(workflow, ())
        #: Whether there is a node that must not run twice.
        self.has_once = any(node.policy.once for plan in self._plans for node in plan.nodes)
        #: Whether there is a node that needs more than a place.
        self.has_needs = any(needs for plan in self._plans for needs in plan.needs)

    def __getitem__(self, body: int) -> Plan:
        return self._plans[body]

    @property
    def root(self) -> Plan:
        return self._plans[0]

    @property
    def bodies(self) -> tuple[tuple[str, ...], ...]:
        """The names of the nodes of each, as `RunCreated` has them; none if there is but one."""
        return tuple(plan.names for plan in self._plans) if len(self._plans) > 1 else ()

    def _compile(self, workflow: Workflow, around: Sequence[Workflow]) -> int:
        known = self._known.get(id(workflow))
        if known is not None:
            return known
        body = self._known[id(workflow)] = len(self._plans)
        plan = Plan(workflow, body)
        self._plans.append(plan)
        scope = (workflow, *around)
        for number, node in enumerate(workflow.nodes):
            if node.kind in NESTING:
                for place, each in enumerate(scope):
                    if node.use in each.workflows:
                        inner = each.workflows[node.use]
                        plan.inner[number] = self._compile(inner, scope[place:])
                        break
        return body


def _needs(node: Node) -> Resources | None:
    needs = node.policy.resources
    return needs if needs.cpu or needs.memory_mb or needs.slots else None


def _critical(nodes: Sequence[Node], graph: Graph) -> list[float]:
    """Of each node, the seconds of the longest way from its start to the end."""
    own = [_SECONDS if node.estimate_s is None else node.estimate_s for node in nodes]
    seconds = own[:]
    for number in reversed(graph.order()):
        below = max((seconds[child] for child in graph.children[number]), default=0.0)
        seconds[number] = own[number] + below
    return seconds
