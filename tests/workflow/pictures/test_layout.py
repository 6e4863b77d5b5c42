from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.workflow.pictures._layout import Box, Layout, Link, arrange, pooled, tightened


@st.composite
def drawings(draw: st.DrawFn) -> tuple[list[Box], list[Link], list[int]]:
    layers = draw(st.lists(st.integers(0, 5), min_size=1, max_size=14))
    boxes = [
        Box(
            draw(st.floats(10, 200)),
            draw(st.floats(10, 80)),
            [draw(st.floats(0, 30)) for _ in range(draw(st.integers(1, 3)))],
            [draw(st.floats(0, 30)) for _ in range(draw(st.integers(1, 3)))],
        )
        for _ in layers
    ]
    pairs = [
        (a, b) for a in range(len(layers)) for b in range(len(layers)) if layers[a] < layers[b]
    ]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []
    links = [
        Link(
            a,
            draw(st.integers(0, len(boxes[a].outs) - 1)),
            b,
            draw(st.integers(0, len(boxes[b].ins) - 1)),
            draw(st.integers(0, 1)),
        )
        for a, b in chosen
    ]
    return boxes, links, layers


def overlaps(boxes: list[Box], layout: Layout) -> list[tuple[int, int]]:
    return [
        (a, b)
        for a in range(len(boxes))
        for b in range(a)
        if abs(layout.across[a] - layout.across[b])
        < (boxes[a].breadth + boxes[b].breadth) / 2 - 0.01
        and abs(layout.along[a] - layout.along[b]) < (boxes[a].depth + boxes[b].depth) / 2 - 0.01
    ]


@settings(max_examples=40)
@given(drawings())
def test_boxes_do_not_overlap_and_lanes_run_beside_them(
    drawing: tuple[list[Box], list[Link], list[int]],
) -> None:
    boxes, links, layers = drawing
    layout = arrange(boxes, links, layers, {})
    assert overlaps(boxes, layout) == []
    assert min(at - box.breadth / 2 for at, box in zip(layout.across, boxes, strict=True)) >= -0.01
    for link, lanes in zip(links, layout.lanes, strict=True):
        first = layers[link.source] + 1
        assert len(lanes) == layers[link.target] - first
        for layer, lane in enumerate(lanes, first):
            for number, box in enumerate(boxes):
                if layers[number] == layer:
                    assert abs(lane - layout.across[number]) > box.breadth / 2


@settings(max_examples=40)
@given(drawings())
def test_layers_follow_one_another(drawing: tuple[list[Box], list[Link], list[int]]) -> None:
    layout = arrange(*drawing, {1: 50.0})
    for (_, end), (start, _) in pairwise(layout.layer_bounds):
        assert end < start


def test_a_straight_line_is_drawn_for_a_chain() -> None:
    boxes = [Box(100 + 20 * (number % 3), 40) for number in range(6)]
    links = [Link(number, 0, number + 1, 0, 0) for number in range(5)]
    layout = arrange(boxes, links, list(range(6)), {})
    assert max(layout.across) - min(layout.across) < 0.01


def test_crossings_that_can_be_avoided_are() -> None:
    boxes = [Box(100, 40) for _ in range(8)]
    links = [Link(number, 0, 7 - number, 0, 0) for number in range(4)]
    layout = arrange(boxes, links, [0] * 4 + [1] * 4, {})
    upper = sorted(range(4), key=layout.across.__getitem__)
    lower = sorted(range(4, 8), key=layout.across.__getitem__)
    assert [7 - number for number in upper] == lower


def test_lines_from_one_port_share_their_lanes() -> None:
    boxes = [Box(100, 40) for _ in range(4)]
    links = [Link(0, 0, 2, 0, "t"), Link(0, 0, 3, 0, "t"), Link(0, 0, 3, 0, "other")]
    layout = arrange(boxes, links, [0, 1, 2, 3], {})
    assert layout.lanes[0][0] == layout.lanes[1][0]
    assert layout.lanes[2][0] != layout.lanes[1][0]


def test_what_feeds_others_stands_just_before_them() -> None:
    assert tightened([0, 0, 1, 2], [(0, 2), (2, 3), (1, 3)]) == [0, 1, 1, 2]


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 10)), max_size=12))
def test_pooled_values_ascend_and_keep_the_mean(wanted: list[tuple[float, float]]) -> None:
    values = pooled([want for want, _ in wanted], [weight for _, weight in wanted])
    assert all(a <= b + 1e-9 for a, b in pairwise(values))
    before = sum(want * weight for want, weight in wanted)
    after = sum(value * weight for value, (_, weight) in zip(values, wanted, strict=True))
    assert abs(before - after) < 1e-6 * (1 + abs(before))
    if all(a <= b for (a, _), (b, _) in pairwise(wanted)):
        assert values == [want for want, _ in wanted]
