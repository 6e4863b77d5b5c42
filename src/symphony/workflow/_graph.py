"""The graph as plain lists of numbers: what orders, checks and runs a workflow.

A library of graphs was measured and lost: reading the names of the edges costs more than all that
follows, and whoever runs the graph needs the children lists anyway. `bench/workflow.py` shows it.

No method recurses: a chain of a million nodes is as good as any other graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import Final, NamedTuple

from symphony.workflow._model import NodeId, NodeKind, Workflow

#: How long a node counts in the critical path that has no `estimate_s`; those that only hand values
#: on take no time.
DEFAULT_ESTIMATE_S: Final = 1.0
_INSTANT: Final = frozenset(
    {NodeKind.INPUT, NodeKind.OUTPUT, NodeKind.BRANCH, NodeKind.MERGE, NodeKind.JOIN}
)
#: Names in the sets of ancestors and descendants that a graph keeps, all together.
_MOST_KEPT: Final = 1_000_000


class CriticalPath(NamedTuple):
    """The nodes that decide how long a run takes at least, and how long that is."""

    nodes: tuple[NodeId, ...]
    seconds: float


class Graph:
    """Who feeds whom, by the number of the node in the workflow.

    `children[n]` and `parents[n]` are ascending, each neighbour once, however many edges lead
    there. Every edge must name nodes that exist; cycles are allowed, and `find_cycles` finds them.
    Methods that take a name raise KeyError for one that no node has.
    """

    def __init__(self, workflow: Workflow) -> None:
        self._nodes = workflow.nodes
        self.names: tuple[NodeId, ...] = tuple([node.id for node in workflow.nodes])
        self.numbers: dict[NodeId, int] = workflow.numbers.copy()
        self.children: list[list[int]] = [[] for _ in self.names]
        self._waits: list[int] = [0] * len(self.names)
        numbers, children, waits = self.numbers, self.children, self._waits
        for edge in workflow.edges:
            child = numbers[edge.target.node]
            children[numbers[edge.source.node]].append(child)
            waits[child] += 1
        for below in children:
            if len(below) > 1:
                below.sort()
                if len(set(below)) < len(below):
                    self._keep_one_of_each(below)

    @cached_property
    def parents(self) -> list[list[int]]:
        parents: list[list[int]] = [[] for _ in self.names]
        for number, below in enumerate(self.children):
            for child in below:
                parents[child].append(number)
        return parents

    def levels(self) -> list[list[int]]:
        """What could run at the same time if each node took equally long: first the nodes without
        parents, then at each level those with a parent in the level before and none later.

        Nodes on a cycle, and what needs them, are left out.
        """
        return [level[:] for level in self._sorted[0]]

    def order(self) -> list[int]:
        """Every node after its parents, level by level, the same each time. Nodes on a cycle, and
        what needs them, are left out."""
        return list(chain.from_iterable(self._sorted[0]))

    def find_cycles(self, limit: int = 20) -> list[list[NodeId]]:
        """Cycles without a common node, each as its path, back to where it began.

        If they are fewer than `limit`, no cycle is left that shares no node with one of them.
        """
        levels, stuck = self._sorted
        waiting = stuck[:]
        left = len(self.names) - sum(map(len, levels))
        found: list[list[NodeId]] = []
        while left and len(found) < limit:
            cycle = self._cycle_among(waiting)
            found.append([self.names[number] for number in (*cycle, cycle[0])])
            for number in cycle:
                waiting[number] = 0
            left -= sum(map(len, self._released(waiting, cycle)))
        return found

    def would_create_cycle(self, source: str, target: str) -> bool:
        """Whether an edge from one node to the other would close a cycle.

        Looks from both ends at once, and only at levels between the two: a fraction of the graph.
        """
        above, below = self.numbers[NodeId(source)], self.numbers[NodeId(target)]
        return above == below or self._leads(below, above)

    def dependencies(self, name: str) -> tuple[NodeId, ...]:
        """The nodes that lead to this one directly."""
        return tuple(self.names[number] for number in self.parents[self.numbers[NodeId(name)]])

    def dependents(self, name: str) -> tuple[NodeId, ...]:
        """The nodes that this one leads to directly."""
        return tuple(self.names[number] for number in self.children[self.numbers[NodeId(name)]])

    def ancestors(self, name: str) -> frozenset[NodeId]:
        """All that leads to a node, itself only if it is on a cycle; kept for the next time."""
        return self._above.names(self.numbers[NodeId(name)])

    def descendants(self, name: str) -> frozenset[NodeId]:
        """All that a node leads to, itself only if it is on a cycle; kept for the next time."""
        return self._below.names(self.numbers[NodeId(name)])

    def critical_path(self, default_s: float = DEFAULT_ESTIMATE_S) -> CriticalPath:
        """The chain of nodes that takes longest by their `estimate_s`.

        A node without one counts `default_s`; inputs, outputs, branches, merges and joins nothing.
        Of chains that take equally long, one; nodes on a cycle, and what needs them, do not count.
        """
        count = len(self.names)
        begins, before = [0.0] * count, [-1] * count
        last, longest = -1, -1.0
        for number in chain.from_iterable(self._sorted[0]):
            ends = begins[number] + self._estimate(number, default_s)
            if ends >= longest:
                last, longest = number, ends
            for child in self.children[number]:
                if ends > begins[child] or before[child] < 0:
                    begins[child], before[child] = ends, number
        return CriticalPath(self._back_from(last, before), max(0.0, longest))

    def path(self, source: str, target: str) -> tuple[NodeId, ...] | None:
        """A shortest path from one node to another, both included; None if there is none."""
        start, end = self.numbers[NodeId(source)], self.numbers[NodeId(target)]
        before = [-1] * len(self.names)
        before[start] = start
        reached = [start]
        for number in reached:  # grows while it is read
            if number == end:
                before[start] = -1
                return self._back_from(end, before)
            for child in self.children[number]:
                if before[child] < 0:
                    before[child] = number
                    reached.append(child)
        return None

    def paths(self, source: str, target: str, limit: int = 1000) -> Iterator[tuple[NodeId, ...]]:
        """The paths from one node to another, at most `limit`, each when it is asked for.

        They come in the order of the nodes in the workflow; none visits a node twice. Between two
        lies at most a walk through the nodes in between, in a graph without cycles.
        """
        start, end = self.numbers[NodeId(source)], self.numbers[NodeId(target)]
        useful = {self.numbers[name] for name in self.ancestors(target)} | {end}
        steps: dict[int, Iterator[int]] = {}
        if start in useful:
            steps[start] = iter(self.children[start])
        while steps and limit > 0:
            number = next(reversed(steps))
            if number == end:
                yield tuple(self.names[step] for step in steps)
                limit -= 1
                following = None
            else:
                fresh = (each for each in steps[number] if each in useful and each not in steps)
                following = next(fresh, None)
            if following is None:
                del steps[number]
            else:
                steps[following] = iter(self.children[following])

    def walk(
        self,
        *starts: str,
        depth_first: bool = False,
        upwards: bool = False,
        enter: Callable[[NodeId], bool] = lambda _: True,
    ) -> Iterator[NodeId]:
        """Each node that can be reached, once, the starts included; without any, from all nodes
        that have no parents (or, upwards, no children).

        `enter` is asked for each node that comes, and if it says no, the walk does not go on from
        there. Breadth first comes by distance; depth first goes on from a node before its
        neighbours.
        """
        ahead, behind = self.children, self.parents
        if upwards:
            ahead, behind = behind, ahead
        first = [self.numbers[NodeId(name)] for name in starts]
        if not starts:
            first = [number for number, others in enumerate(behind) if not others]
        walk = _depth_first if depth_first else _breadth_first
        for number in walk(first, ahead, lambda each: enter(self.names[each])):
            yield self.names[number]

    def _keep_one_of_each(self, below: list[int]) -> None:
        for child in below:
            self._waits[child] -= 1
        below[:] = sorted(set(below))
        for child in below:
            self._waits[child] += 1

    @cached_property
    def _above(self) -> _Reach:
        return _Reach(self.names, self.parents)

    @cached_property
    def _below(self) -> _Reach:
        return _Reach(self.names, self.children)

    @cached_property
    def _sorted(self) -> tuple[list[list[int]], list[int]]:
        """The levels, and for how many parents each node still waits after the last."""
        waiting = self._waits[:]
        free = [number for number, count in enumerate(waiting) if not count]
        return self._released(waiting, free), waiting

    def _released(self, waiting: list[int], free: list[int]) -> list[list[int]]:
        """Those that are free, then level by level what becomes free by the end of the last.

        `waiting` counts the parents that each node still waits for, and is brought up to date.
        """
        children = self.children
        levels: list[list[int]] = []
        while free:
            levels.append(free)
            freed: list[int] = []
            for number in free:
                for child in children[number]:
                    left = waiting[child] = waiting[child] - 1
                    if not left:
                        freed.append(child)
            free = freed
        return levels

    def _cycle_among(self, waiting: list[int]) -> list[int]:
        """Each node that still waits has a parent that does: go up until one comes again."""
        path: dict[int, None] = {}
        number = next(number for number, count in enumerate(waiting) if count > 0)
        while number not in path:
            path[number] = None
            number = next(parent for parent in self.parents[number] if waiting[parent] > 0)
        steps = list(path)
        cycle = steps[steps.index(number) :][::-1]
        lowest = cycle.index(min(cycle))
        return cycle[lowest:] + cycle[:lowest]

    @cached_property
    def _heights(self) -> list[int]:
        """The level of each node; of those that have none, one that rules nothing out."""
        levels, _ = self._sorted
        heights = [-1] * len(self.names)
        for height, level in enumerate(levels):
            for number in level:
                heights[number] = height
        return heights

    def _leads(self, start: int, end: int) -> bool:
        """Whether there is a path; the end that has found less goes on first."""
        heights, floor, ceiling = self._heights, self._heights[start], self._heights[end]
        is_bounded = ceiling >= 0  # then all that leads to the end has a level
        if is_bounded and not -1 < floor < ceiling:
            return False
        down, up = {start}, {end}
        lower, upper = [start], [end]
        while lower and upper:
            if len(lower) <= len(upper):
                found = {child for number in lower for child in self.children[number]} - down
                if found & up:
                    return True
                down |= found
                lower = [each for each in found if not is_bounded or -1 < heights[each] < ceiling]
            else:
                found = {parent for number in upper for parent in self.parents[number]} - up
                if found & down:
                    return True
                up |= found
                upper = [each for each in found if not is_bounded or heights[each] > floor]
        return False

    def _estimate(self, number: int, default_s: float) -> float:
        node = self._nodes[number]
        if node.estimate_s is not None:
            return node.estimate_s
        return 0.0 if node.kind in _INSTANT else default_s

    def _back_from(self, number: int, before: list[int]) -> tuple[NodeId, ...]:
        steps: list[NodeId] = []
        while number >= 0:
            steps.append(self.names[number])
            number = before[number]
        return tuple(reversed(steps))


class _Reach:
    """The names of all that each node leads to, going ahead; kept while they are not too many."""

    def __init__(self, names: tuple[NodeId, ...], ahead: list[list[int]]) -> None:
        self._names = names
        self._ahead = ahead
        self._kept: dict[int, frozenset[NodeId]] = {}
        self._size = 0

    def names(self, start: int) -> frozenset[NodeId]:
        if (known := self._kept.get(start)) is not None:
            return known
        found = frozenset([self._names[number] for number in self._numbers(start)])
        self._size += len(found)
        if self._size > _MOST_KEPT:
            self._kept.clear()
            self._size = len(found)
        self._kept[start] = found
        return found

    def _numbers(self, start: int) -> set[int]:
        seen: set[int] = set()
        stack = [start]
        while stack:
            for following in self._ahead[stack.pop()]:
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
        return seen


def _breadth_first(
    first: Iterable[int], ahead: list[list[int]], enter: Callable[[int], bool]
) -> Iterator[int]:
    reached = list(dict.fromkeys(first))
    seen = set(reached)
    for number in reached:  # grows while it is read
        yield number
        if enter(number):
            fresh = [each for each in ahead[number] if each not in seen]
            seen.update(fresh)
            reached.extend(fresh)


def _depth_first(
    first: Iterable[int], ahead: list[list[int]], enter: Callable[[int], bool]
) -> Iterator[int]:
    seen: set[int] = set()
    stack = list(first)[::-1]
    while stack:
        number = stack.pop()
        if number not in seen:
            seen.add(number)
            yield number
            if enter(number):
                stack.extend(reversed(ahead[number]))
