"""The graph beside models that are too simple to be wrong: closures of sets, all paths by
recursion. Cases are many and small, for a fault of a graph shows in a small one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import Pair, graph_of

from symphony.workflow import Graph, NodeKind, Workflow

pytestmark = pytest.mark.slow
CASES = settings(max_examples=1000, deadline=None)
Drawn = tuple[int, set[Pair]]


@st.composite
def graphs(draw: st.DrawFn, *, cycles: bool, most: int = 8) -> Drawn:
    """A number of nodes, and pairs of them; the bits of one number choose the pairs."""
    count = draw(st.integers(1, most))
    possible = [(a, b) for a in range(count) for b in range(count) if cycles or a < b]
    bits = draw(st.integers(0, 2 ** len(possible) - 1))
    if draw(st.booleans()):  # fewer of them
        bits &= draw(st.integers(0, 2 ** len(possible) - 1))
    places = draw(st.permutations(range(count)))
    chosen = [pair for at, pair in enumerate(possible) if bits >> at & 1]
    return count, {(places[a], places[b]) for a, b in chosen}


def closure(count: int, pairs: set[Pair]) -> set[Pair]:
    """All (a, b) such that a leads to b, by Warshall."""
    found = set(pairs)
    for via, a, b in itertools.product(range(count), repeat=3):
        if (a, via) in found and (via, b) in found:
            found.add((a, b))
    return found


def every_path(
    pairs: set[Pair], start: int, end: int, seen: tuple[int, ...] = ()
) -> Iterator[tuple[int, ...]]:
    seen = (*seen, start)
    if start == end:
        yield seen
        return
    for a, b in sorted(pairs):
        if a == start and b not in seen:
            yield from every_path(pairs, b, end, seen)


def graph(drawn: Drawn) -> Graph:
    count, pairs = drawn
    return Graph(graph_of(count, sorted(pairs, key=lambda pair: hash(pair) % 7)))


def numbers(names: tuple[str, ...] | frozenset[str]) -> list[int]:
    return [int(name.removeprefix("n")) for name in names]


@CASES
@given(graphs(cycles=True))
def test_the_order_has_each_node_after_its_parents_and_leaves_out_what_needs_a_cycle(
    drawn: Drawn,
) -> None:
    count, pairs = drawn
    leads = closure(count, pairs)
    circular = {a for a, b in leads if a == b}
    stuck = {each for each in range(count) if any((a, each) in leads for a in circular)}
    order = graph(drawn).order()
    place = {number: place for place, number in enumerate(order)}
    assert sorted(order) == sorted(set(range(count)) - stuck)
    assert all(place[a] < place[b] for a, b in pairs if a in place and b in place)


@CASES
@given(graphs(cycles=True))
def test_a_cycle_is_found_if_there_is_one_and_is_one(drawn: Drawn) -> None:
    count, pairs = drawn
    leads = closure(count, pairs)
    cycles = graph(drawn).find_cycles()
    assert bool(cycles) == any(a == b for a, b in leads)
    for cycle in cycles:
        steps = numbers(tuple(cycle))
        assert steps[0] == steps[-1]
        assert set(itertools.pairwise(steps)) <= pairs


@CASES
@given(graphs(cycles=True))
def test_an_edge_would_create_a_cycle_if_its_end_leads_to_its_start(drawn: Drawn) -> None:
    count, pairs = drawn
    leads, subject = closure(count, pairs), graph(drawn)
    for a, b in itertools.product(range(count), repeat=2):
        assert subject.would_create_cycle(f"n{a}", f"n{b}") == (a == b or (b, a) in leads)


@CASES
@given(graphs(cycles=False))
def test_the_level_of_a_node_is_the_length_of_the_longest_path_to_it(drawn: Drawn) -> None:
    count, pairs = drawn
    levels = graph(drawn).levels()
    longest = [
        max(len(path) for start in range(count) for path in every_path(pairs, start, node)) - 1
        for node in range(count)
    ]
    assert [sorted(level) for level in levels] == [
        [node for node in range(count) if longest[node] == at] for at in range(max(longest) + 1)
    ]


@CASES
@given(graphs(cycles=True))
def test_ancestors_and_descendants_are_the_closure(drawn: Drawn) -> None:
    count, pairs = drawn
    leads, subject = closure(count, pairs), graph(drawn)
    for node in range(count):
        for _ in range(2):  # the second time from memory
            assert {(a, node) for a in numbers(subject.ancestors(f"n{node}"))} == {
                pair for pair in leads if pair[1] == node
            }
            assert {(node, b) for b in numbers(subject.descendants(f"n{node}"))} == {
                pair for pair in leads if pair[0] == node
            }
        assert {(a, node) for a in numbers(subject.dependencies(f"n{node}"))} == {
            pair for pair in pairs if pair[1] == node
        }
        assert {(node, b) for b in numbers(subject.dependents(f"n{node}"))} == {
            pair for pair in pairs if pair[0] == node
        }


@CASES
@given(graphs(cycles=True, most=6), st.integers(0, 20))
def test_paths_are_all_that_there_are_and_the_one_path_is_a_shortest(
    drawn: Drawn, limit: int
) -> None:
    count, pairs = drawn
    subject = graph(drawn)
    for a, b in itertools.product(range(count), repeat=2):
        expected = sorted(every_path(pairs, a, b))
        found = [tuple(numbers(path)) for path in subject.paths(f"n{a}", f"n{b}")]
        assert found == expected
        assert len(list(subject.paths(f"n{a}", f"n{b}", limit))) == min(limit, len(expected))
        one = subject.path(f"n{a}", f"n{b}")
        if one is None:
            assert not expected
        else:
            assert tuple(numbers(one)) in expected
            assert len(one) == min(map(len, expected))


@CASES
@given(
    graphs(cycles=False, most=6),
    st.lists(st.none() | st.integers(0, 4), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_the_critical_path_takes_as_long_as_the_longest(
    drawn: Drawn, estimates: list[int | None], bodies: list[bool]
) -> None:
    count, pairs = drawn
    plain = graph_of(count, sorted(pairs))
    nodes = tuple(
        msgspec.structs.replace(
            node,
            kind=NodeKind.OPERATOR if bodies[number] else NodeKind.JOIN,
            estimate_s=estimates[number],
        )
        for number, node in enumerate(plain.nodes)
    )
    workflow: Workflow = msgspec.structs.replace(plain, nodes=nodes)

    def cost(node: int) -> float:
        given = estimates[node]
        return given if given is not None else 2.5 if bodies[node] else 0

    path = Graph(workflow).critical_path(default_s=2.5)
    steps = numbers(path.nodes)
    every = itertools.product(range(count), repeat=2)
    costs = [sum(map(cost, each)) for a, b in every for each in every_path(pairs, a, b)]
    assert path.seconds == max(costs) == sum(map(cost, steps))
    assert set(itertools.pairwise(steps)) <= pairs


@CASES
@given(graphs(cycles=True), st.data())
def test_a_walk_visits_what_can_be_reached_once(drawn: Drawn, data: st.DataObject) -> None:
    count, pairs = drawn
    subject, leads = graph(drawn), closure(count, pairs)
    start = data.draw(st.integers(0, count - 1))
    closed = data.draw(st.sets(st.integers(0, count - 1)))
    open_pairs = {(a, b) for a, b in pairs if a not in closed}
    reachable = {start} | {b for a, b in closure(count, open_pairs) if a == start}
    for depth_first in (False, True):
        walked = subject.walk(
            f"n{start}", depth_first=depth_first, enter=lambda name: int(name[1:]) not in closed
        )
        found = numbers(tuple(walked))
        assert found[0] == start
        assert len(found) == len(set(found))
        assert set(found) == reachable
        up = numbers(tuple(subject.walk(f"n{start}", depth_first=depth_first, upwards=True)))
        assert set(up) == {start} | {a for a, b in leads if b == start}
