from __future__ import annotations

from hypothesis import given, settings
from tests.pit.tracker.playing import operator, workflow
from tests.strategies import dags, graph_of

from symphony.pit.tracker._values import Held, Values
from symphony.workflow import Graph, PortRef

ONE, TWO = Held(b"1"), Held(b'{"two":[2]}')


def test_value_stays_until_the_last_node_that_needs_it_has_ended() -> None:
    values = Values(
        workflow([operator(name) for name in "abc"], "a -> b.value", "a -> c.x", "a -> c.y")
    )
    values.put("a", {"value": ONE})
    values.release("b")
    assert values.given_to("c") == {PortRef.parse("c.x"): ONE, PortRef.parse("c.y"): ONE}
    values.release("c")
    assert len(values._held) == 0


def test_value_that_nobody_needs_is_not_kept() -> None:
    values = Values(workflow([operator("a"), operator("b")], "a.used -> b.value"))
    values.put("a", {"used": ONE, "unused": TWO})
    assert len(values._held) == 1


def test_value_is_not_kept_if_all_who_needed_it_have_ended_before_it_came() -> None:
    values = Values(workflow([operator("a"), operator("b")], "a -> b.value"))
    values.release("b")
    values.put("a", {"value": ONE})
    assert len(values._held) == 0


def test_each_copy_is_a_value_of_its_own() -> None:
    first, second = TWO.copy(), TWO.copy()
    assert first == second == {"two": [2]}
    assert first is not second


@settings(max_examples=50)
@given(dags())
def test_at_every_moment_exactly_what_a_later_node_needs_is_held(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    plan = graph_of(*graph)
    values, shape = Values(plan), Graph(plan)
    order = shape.order()
    for position, number in enumerate(order):
        name = shape.names[number]
        assert {at.port for at in values.given_to(name)} == {
            f"from_{shape.names[parent]}" for parent in shape.parents[number]
        }
        values.put(name, {"value": ONE})
        values.release(name)
        later = set(order[position + 1 :])
        assert len(values._held) == sum(
            bool(later & set(shape.children[done])) for done in order[: position + 1]
        )
