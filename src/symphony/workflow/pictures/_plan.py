"""Where everything of one drawing is, in pixels from its upper left corner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from symphony.workflow import Scope
from symphony.workflow.pictures._cards import PORT_SIZE, Card, Flow, cards_of
from symphony.workflow.pictures._layout import (
    BOX_GAP,
    LAYER_GAP,
    Layout,
    Link,
    arrange,
    tightened,
)
from symphony.workflow.pictures._skeleton import Skeleton, Tie
from symphony.workflow.pictures._text import clean, cut, pixels

#: As wide as a page shows without shrinking it: what fits is drawn from left to right.
PAGE: Final = 1240.0
#: Longer texts beside lines are cut.
LABEL_ROOM: Final = 190.0
#: Given positions are drawn this much apart at most, and this close at least.
_SCALES: Final = (0.5, 4.0)
#: Kept free between boxes whose positions are given.
_APART: Final = (36.0, 18.0)


class Point(NamedTuple):
    x: float
    y: float


@dataclass(slots=True)
class Line:
    """A line of a drawing: a path of straight pieces and curves, as SVG has them."""

    tie: Tie
    path: str
    end: Point
    label: str
    label_at: Point


@dataclass(slots=True)
class Plan:
    flow: Flow
    cards: list[Card]
    corners: list[Point]
    in_ports: list[list[Point]]
    out_ports: list[list[Point]]
    lines: list[Line]
    width: float
    height: float


def plan_of(skeleton: Skeleton, scope: Scope) -> Plan:
    """At the positions of the nodes if each has one and they leave room, else laid out."""
    placed = _placed(skeleton, cards_of(skeleton, scope, Flow.RIGHT))
    return placed or _laid_out(skeleton, scope)


def number(value: float) -> str:
    return f"{round(value, 1):.7g}"


# --- laid out ---


def _laid_out(skeleton: Skeleton, scope: Scope) -> Plan:
    ties = [tie for tie in skeleton.ties if not skeleton.leads_back(tie)]
    pairs = {(tie.source, tie.target) for tie in ties}
    tied = {end for pair in pairs for end in pair}
    layers = tightened(skeleton.levels, pairs)
    cards, flow = _chosen_flow(skeleton, scope, layers)
    inner = sorted(tied)
    short = {old: new for new, old in enumerate(inner)}
    links = [_link(tie, cards, short) for tie in ties]
    rooms = _label_rooms(ties, layers, flow)
    layout = arrange(
        [cards[old].box for old in inner], links, [layers[old] for old in inner], rooms
    )
    middles: dict[int, tuple[float, float]] = {
        old: (layout.across[new], layout.along[new]) for old, new in short.items()
    }
    plan = Plan(flow, cards, [], [], [], [], 0.0, 0.0)
    _place_alone([number for number in range(len(cards)) if number not in tied], middles, plan)
    offsets = {old: (layout.in_offsets[new], layout.out_offsets[new]) for old, new in short.items()}
    for old, card in enumerate(cards):
        across, along = middles[old]
        ins, outs = offsets.get(old, ([0.0] * len(card.ins), [0.0] * len(card.outs)))
        half = card.box.depth / 2
        plan.corners.append(_corner(card, _point(flow, across, along)))
        plan.in_ports.append([_point(flow, across + offset, along - half) for offset in ins])
        plan.out_ports.append([_point(flow, across + offset, along + half) for offset in outs])
    drawn: dict[object, int] = {}
    for tie, link, lanes in zip(ties, links, layout.lanes, strict=True):
        plan.lines.append(_routed(plan, layout, tie, link, lanes, drawn))
    plan.lines.extend(_curved(plan, tie) for tie in skeleton.ties if skeleton.leads_back(tie))
    _measure(plan, max((lane for lanes in layout.lanes for lane in lanes), default=0.0))
    return plan


def _chosen_flow(
    skeleton: Skeleton, scope: Scope, layers: Sequence[int]
) -> tuple[list[Card], Flow]:
    """To the right if that fits a page, else whichever way is nearer to fitting one."""
    right = cards_of(skeleton, scope, Flow.RIGHT)
    length, breadth = _extent(right, layers)
    if length <= PAGE:
        return right, Flow.RIGHT
    down = cards_of(skeleton, scope, Flow.DOWN)
    height, width = _extent(down, layers)
    if max(length, breadth * 1.4) <= max(width, height * 1.4):
        return right, Flow.RIGHT
    return down, Flow.DOWN


def _extent(cards: Sequence[Card], layers: Sequence[int]) -> tuple[float, float]:
    """About how long and how broad the layers will be."""
    depths: dict[int, float] = {}
    breadths: dict[int, float] = {}
    for card, layer in zip(cards, layers, strict=True):
        depths[layer] = max(depths.get(layer, 0.0), card.box.depth)
        breadths[layer] = breadths.get(layer, 0.0) + card.box.breadth + BOX_GAP
    return sum(depths.values()) + LAYER_GAP * len(depths), max(breadths.values(), default=0.0)


def _link(tie: Tie, cards: Sequence[Card], short: dict[int, int]) -> Link:
    source, target = cards[tie.source], cards[tie.target]
    trunk = (tie.kind, tie.text)
    return Link(
        short[tie.source],
        _port(source.outs, tie.out),
        short[tie.target],
        _port(target.ins, tie.into),
        trunk,
    )


def _port(ports: list[str], name: str) -> int:
    return ports.index(name) if name in ports else 0


def _label_rooms(ties: Sequence[Tie], layers: Sequence[int], flow: Flow) -> dict[int, float]:
    rooms: dict[int, float] = {}
    for tie in ties:
        if tie.text:
            room = pixels(_label(tie), PORT_SIZE) - 6 if flow is Flow.RIGHT else 16.0
            layer = layers[tie.target]
            rooms[layer] = max(rooms.get(layer, 0.0), room)
    return rooms


def _label(tie: Tie) -> str:
    return cut(clean(tie.text), LABEL_ROOM, lambda text: pixels(text, PORT_SIZE))


def _point(flow: Flow, across: float, along: float) -> Point:
    return Point(along, across) if flow is Flow.RIGHT else Point(across, along)


def _corner(card: Card, middle: Point) -> Point:
    return Point(middle.x - card.width / 2, middle.y - card.height / 2)


def _place_alone(alone: Sequence[int], middles: dict[int, tuple[float, float]], plan: Plan) -> None:
    """Nodes that nothing ties, in rows behind the others."""
    if not alone:
        return
    boxes = [card.box for card in plan.cards]
    start = max((at + boxes[old].depth / 2 for old, (_, at) in middles.items()), default=-LAYER_GAP)
    breadth = max((at + boxes[old].breadth / 2 for old, (at, _) in middles.items()), default=0.0)
    across, along, deepest = 0.0, start + LAYER_GAP, 0.0
    for old in alone:
        box = boxes[old]
        if across and across + box.breadth > max(breadth, 900.0):
            across, along, deepest = 0.0, along + deepest + BOX_GAP, 0.0
        middles[old] = (across + box.breadth / 2, along + box.depth / 2)
        across += box.breadth + BOX_GAP
        deepest = max(deepest, box.depth)


def _routed(
    plan: Plan, layout: Layout, tie: Tie, link: Link, lanes: list[float], drawn: dict[object, int]
) -> Line:
    """From the source's port through its lanes; what an earlier line of the trunk has drawn is not
    drawn again."""
    flow, bounds = plan.flow, layout.layer_bounds
    start = plan.out_ports[tie.source][link.out]
    end = plan.in_ports[tie.target][link.into]
    layer = layout.layers[link.source]
    points = [start, _on(flow, start, bounds[layer][1])]
    for passed, lane in enumerate(lanes, layer + 1):
        points += (_point(flow, lane, edge) for edge in bounds[passed])
    points += (_on(flow, end, bounds[layout.layers[link.target]][0]), end)
    trunk = (link.source, link.out, link.trunk)
    known = min(drawn.get(trunk, 0), len(lanes))
    drawn[trunk] = max(drawn.get(trunk, 0), len(lanes))
    points = points[1 + 2 * known :] if known else points
    before, after = points[-3], points[-2]
    middle = Point((before.x + after.x) / 2, (before.y + after.y) / 2)
    return Line(tie, "".join(_pieces(flow, points)), end, _label(tie), middle)


def _on(flow: Flow, point: Point, along: float) -> Point:
    return Point(along, point.y) if flow is Flow.RIGHT else Point(point.x, along)


def _pieces(flow: Flow, points: Sequence[Point]) -> Iterator[str]:
    """Straight on where the points are in line with the flow, else a curve that begins and ends
    along it."""
    yield f"M{number(points[0].x)} {number(points[0].y)}"
    for before, after in pairwise(points):
        here = f"{number(after.x)} {number(after.y)}"
        step = after.y - before.y if flow is Flow.RIGHT else after.x - before.x
        if abs(step) < 0.05:
            if before != after:
                yield f"L{here}"
        elif flow is Flow.RIGHT:
            middle = number((before.x + after.x) / 2)
            yield f"C{middle} {number(before.y)} {middle} {number(after.y)} {here}"
        else:
            middle = number((before.y + after.y) / 2)
            yield f"C{number(before.x)} {middle} {number(after.x)} {middle} {here}"


def _curved(plan: Plan, tie: Tie) -> Line:
    """One curve from port to port, whatever lies between."""
    source, target = plan.cards[tie.source], plan.cards[tie.target]
    start = plan.out_ports[tie.source][_port(source.outs, tie.out)]
    end = plan.in_ports[tie.target][_port(target.ins, tie.into)]
    gap = end.x - start.x if plan.flow is Flow.RIGHT else end.y - start.y
    reach = max(40.0, gap / 2 if gap > 0 else min(-gap / 3 + 40.0, 260.0))
    if plan.flow is Flow.RIGHT:
        bends = Point(start.x + reach, start.y), Point(end.x - reach, end.y)
    else:
        aside = max(source.width, target.width) / 2 + 40.0 if gap <= 0 else 0.0
        bends = Point(start.x + aside, start.y + reach), Point(end.x + aside, end.y - reach)
    path = " ".join(f"{number(point.x)} {number(point.y)}" for point in (*bends, end))
    middle = Point(
        (start.x + end.x + 3 * (bends[0].x + bends[1].x)) / 8,
        (start.y + end.y + 3 * (bends[0].y + bends[1].y)) / 8,
    )
    start_text = f"M{number(start.x)} {number(start.y)}"
    return Line(tie, f"{start_text}C{path}", end, _label(tie), middle)


# --- placed ---


def _placed(skeleton: Skeleton, cards: list[Card]) -> Plan | None:
    positions = [Point(*node.position) for node in skeleton.nodes if node.position is not None]
    if len(positions) < len(cards) or not cards:
        return None
    scale = _scale(cards, positions)
    if scale is None:
        return None
    left, top = min(point.x for point in positions), min(point.y for point in positions)
    plan = Plan(Flow.RIGHT, cards, [], [], [], [], 0.0, 0.0)
    for card, position in zip(cards, positions, strict=True):
        corner = Point((position.x - left) * scale, (position.y - top) * scale)
        plan.corners.append(corner)
        plan.in_ports.append(_side(corner.x, corner, card, card.ins, card.box.ins_at))
        plan.out_ports.append(
            _side(corner.x + card.width, corner, card, card.outs, card.box.outs_at)
        )
    plan.lines.extend(_curved(plan, tie) for tie in skeleton.ties)
    _measure(plan)
    return plan


def _side(x: float, corner: Point, card: Card, ports: list[str], middle: float) -> list[Point]:
    rows = card.box.ins if ports is card.ins else card.box.outs
    top = corner.y + card.height / 2 + middle - sum(rows) / 2
    return [Point(x, top + sum(rows[:place]) + rows[place] / 2) for place in range(len(ports))]


def _scale(cards: Sequence[Card], positions: Sequence[Point]) -> float | None:
    """The least that keeps the boxes apart; None if none does within reason."""
    least, most = _SCALES
    scale = least
    order = sorted(range(len(cards)), key=lambda number: positions[number].x)
    for place, first in enumerate(order):
        width, height = cards[first].width + _APART[0], cards[first].height + _APART[1]
        for second in order[place + 1 :]:
            right = positions[second].x - positions[first].x
            if right * scale >= width:
                break
            down = positions[second].y - positions[first].y
            tall = height if down >= 0 else cards[second].height + _APART[1]
            needed = min(_ratio(width, right), _ratio(tall, abs(down)))
            scale = max(scale, needed)
            if scale > most:
                return None
    return scale


def _ratio(size: float, distance: float) -> float:
    return size / distance if distance > 0 else float("inf")


def _measure(plan: Plan, farthest_lane: float = 0.0) -> None:
    placed = list(zip(plan.corners, plan.cards, strict=True))
    plan.width = max((corner.x + card.width for corner, card in placed), default=0.0)
    plan.height = max((corner.y + card.height for corner, card in placed), default=0.0)
    if plan.flow is Flow.RIGHT:
        plan.height = max(plan.height, farthest_lane)
    else:
        plan.width = max(plan.width, farthest_lane)
