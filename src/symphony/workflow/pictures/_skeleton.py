"""What every picture is drawn from: the nodes, what ties them, and in which order they come.

Pictures are drawn of faulty workflows too, since that is when one wants to look: of nodes with one
id the first counts, ties to nodes that are not there are kept apart, and of a cycle the tie that
closes it is known as one that leads back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import msgspec

from symphony.workflow import DEFAULT_PORT, EdgeKind, Node, NodeKind, Scope, Workflow, body_of

#: Workflows nested deeper than this are named, but not drawn.
MAX_NESTING = 8


class TieKind(StrEnum):
    """Why one node comes after another."""

    DATA = "data"
    CONTROL = "control"
    FALLBACK = "fallback"
    UNDO = "undo"


class Tie(msgspec.Struct, frozen=True, gc=False):
    """An edge, or what a policy ties; `source` and `target` are numbers of nodes."""

    source: int
    target: int
    kind: TieKind = TieKind.DATA
    out: str = DEFAULT_PORT
    into: str = DEFAULT_PORT
    when: str = ""
    label: str = ""

    @property
    def text(self) -> str:
        """What is written beside it."""
        condition = f"if {self.when}" if self.when else ""
        return ": ".join(part for part in (self.label, condition) if part)


@dataclass(frozen=True, slots=True)
class Loose:
    """An edge to or from a node that is not there."""

    source: str
    target: str


class Skeleton:
    """The graph of one workflow, without those nested in it."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.nodes: tuple[Node, ...] = tuple(
            workflow.nodes[number] for number in workflow.numbers.values()
        )
        self._number = {node.id: number for number, node in enumerate(self.nodes)}
        self.loose: list[Loose] = []
        self.ties: list[Tie] = [*self._edges(), *self._policies()]

    def _edges(self) -> Iterator[Tie]:
        for edge in self.workflow.edges:
            source = self._number.get(edge.source.node)
            target = self._number.get(edge.target.node)
            if source is None or target is None:
                self.loose.append(Loose(str(edge.source), str(edge.target)))
                continue
            kind = TieKind.CONTROL if edge.kind is EdgeKind.CONTROL else TieKind.DATA
            ports = (edge.source.port, edge.target.port)
            if kind is TieKind.CONTROL:
                ports = (DEFAULT_PORT, DEFAULT_PORT)
            elif edge.target.member:
                ports = (ports[0], f"{edge.target.port}.{edge.target.member}")
            yield Tie(source, target, kind, *ports, edge.when, edge.label)

    def _policies(self) -> Iterator[Tie]:
        for number, node in enumerate(self.nodes):
            fallback = node.policy.fallback.node if node.policy.fallback else ""
            for kind, name in (
                (TieKind.FALLBACK, fallback),
                (TieKind.UNDO, node.policy.compensate),
            ):
                other = self._number.get(name) if name else None  # type: ignore[call-overload]
                if other is not None:
                    label = "if it fails" if kind is TieKind.FALLBACK else "to undo it"
                    yield Tie(number, other, kind, label=label)

    @cached_property
    def _children(self) -> list[list[int]]:
        children: list[dict[int, None]] = [{} for _ in self.nodes]
        for tie in self.ties:
            if tie.source != tie.target:
                children[tie.source][tie.target] = None
        return [list(each) for each in children]

    @cached_property
    def _walk(self) -> tuple[list[int], set[tuple[int, int]]]:
        """Every node after its parents, and the pairs that would lead back."""
        state = bytearray(len(self.nodes))  # 0 not met, 1 on the way here, 2 done
        done: list[int] = []
        back: set[tuple[int, int]] = set()
        for root in self._roots():
            if state[root]:
                continue
            state[root] = 1
            way = [(root, iter(self._children[root]))]
            while way:
                number, rest = way[-1]
                child = next(rest, None)
                if child is None:
                    state[number] = 2
                    done.append(number)
                    way.pop()
                elif state[child] == 1:
                    back.add((number, child))
                elif not state[child]:
                    state[child] = 1
                    way.append((child, iter(self._children[child])))
        return done[::-1], back

    def _roots(self) -> list[int]:
        """Those without parents, then all: on a cycle, nobody is without."""
        fed = {tie.target for tie in self.ties if tie.source != tie.target}
        free = [number for number in range(len(self.nodes)) if number not in fed]
        return [*free[::-1], *(number for number in range(len(self.nodes)) if number in fed)]

    @property
    def order(self) -> list[int]:
        return self._walk[0]

    def leads_back(self, tie: Tie) -> bool:
        return tie.source == tie.target or (tie.source, tie.target) in self._walk[1]

    @cached_property
    def levels(self) -> list[int]:
        """For each node, how many others come before it at most."""
        levels = [0] * len(self.nodes)
        back = self._walk[1]
        for number in self.order:
            below = levels[number] + 1
            for child in self._children[number]:
                if levels[child] < below and (number, child) not in back:
                    levels[child] = below
        return levels

    @cached_property
    def ties_into(self) -> list[list[Tie]]:
        into: list[list[Tie]] = [[] for _ in self.nodes]
        for tie in self.ties:
            into[tie.target].append(tie)
        return into

    def critical_path(self) -> list[int]:
        """The way through the graph that takes longest by `estimate_s`; of equal ones, and where
        nothing is estimated, the one with most nodes."""
        best: list[tuple[float, int]] = [(0.0, 0)] * len(self.nodes)
        come_from: list[int] = [-1] * len(self.nodes)
        for number in self.order:
            for tie in self.ties_into[number]:
                if not self.leads_back(tie) and best[tie.source] > best[number]:
                    best[number], come_from[number] = best[tie.source], tie.source
            seconds, steps = best[number]
            best[number] = (seconds + (self.nodes[number].estimate_s or 0.0), steps + 1)
        if not best:
            return []
        path = [max(range(len(best)), key=best.__getitem__)]
        while come_from[path[-1]] >= 0:
            path.append(come_from[path[-1]])
        return path[::-1]


def inner_of(node: Node, scope: Scope) -> Scope | None:
    """The workflow that a node runs, before those around it; None if it runs none that is here."""
    nests = node.kind in (NodeKind.WORKFLOW, NodeKind.MAP, NodeKind.LOOP)
    return body_of(node, scope) if nests else None
