from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import Pair, dags, graph_of

from symphony.workflow import Graph


@settings(max_examples=60, deadline=None)
@given(dags())
def test_the_order_puts_every_node_after_its_parents(dag: tuple[int, list[Pair]]) -> None:
    count, pairs = dag
    graph = Graph(graph_of(count, pairs))
    place = {number: place for place, number in enumerate(graph.order())}
    assert sorted(place) == list(range(count))
    assert all(place[source] < place[target] for source, target in pairs)
    assert graph.find_cycles() == []


@settings(max_examples=40, deadline=None)
@given(dags(), st.data())
def test_the_graph_does_not_depend_on_the_order_of_edges(
    dag: tuple[int, list[Pair]], data: st.DataObject
) -> None:
    count, pairs = dag
    graph = Graph(graph_of(count, pairs))
    again = Graph(graph_of(count, data.draw(st.permutations(pairs + pairs[:1]))))
    assert (again.children, again.parents) == (graph.children, graph.parents)
    assert again.order() == graph.order()
    assert all(children == sorted(set(children)) for children in graph.children)


PAIRS = st.integers(1, 10).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20),
    )
)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_cycles_are_paths_that_close_and_breaking_them_leaves_none(
    drawn: tuple[int, list[Pair]],
) -> None:
    count, pairs = drawn
    graph = Graph(graph_of(count, pairs))
    cycles = graph.find_cycles()
    assert (cycles == []) == (len(graph.order()) == count)
    on_a_cycle: set[int] = set()
    for path in cycles:
        steps = [graph.numbers[name] for name in path]
        assert steps[0] == steps[-1] == min(steps)
        assert all(step in graph.children[steps[at]] for at, step in enumerate(steps[1:]))
        assert len(set(steps)) == len(steps) - 1
        assert not on_a_cycle & set(steps)
        on_a_cycle |= set(steps)
    rest = [(a, b) for a, b in pairs if a not in on_a_cycle and b not in on_a_cycle]
    assert Graph(graph_of(count, rest)).find_cycles() == []


def test_what_needs_a_cycle_is_on_none() -> None:
    graph = Graph(graph_of(7, [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3), (4, 5), (6, 6)]))
    assert graph.find_cycles() == [["n0", "n1", "n2", "n0"], ["n3", "n4", "n3"], ["n6", "n6"]]
    assert graph.find_cycles(limit=1) == [["n0", "n1", "n2", "n0"]]
    assert graph.order() == []


def test_names_and_numbers_name_each_other() -> None:
    graph = Graph(graph_of(3, [(0, 2), (1, 2)]))
    assert [graph.numbers[name] for name in graph.names] == [0, 1, 2]
    assert (graph.children, graph.parents) == ([[2], [2], []], [[], [], [0, 1]])


def test_an_edge_to_nowhere_is_refused() -> None:
    with pytest.raises(KeyError):
        Graph(graph_of(1, [(0, 1)]))


COUNT = 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "pairs",
    [
        [(number, number + 1) for number in range(COUNT - 1)],
        [(number, number + step) for number in range(COUNT - 2) for step in (1, 2)],
        [(0, number) for number in range(1, COUNT - 1)]
        + [(number, COUNT - 1) for number in range(1, COUNT - 1)],
        [(number, (number + 1) % COUNT) for number in range(COUNT)],
        [(number, number ^ 1) for number in range(COUNT)],
    ],
    ids=["chain", "layers", "fan", "one long cycle", "many short cycles"],
)
def test_ten_thousand_nodes_take_no_time_and_no_recursion(pairs: list[Pair]) -> None:
    workflow = graph_of(COUNT, pairs)
    start = time.perf_counter()
    graph = Graph(workflow)
    is_whole = len(graph.order()) == COUNT
    assert (graph.find_cycles() == []) == is_whole
    assert time.perf_counter() - start < 0.5  # 0.02 s on a quiet machine
