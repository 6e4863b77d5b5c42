"""Where boxes stand and lines run: a layered drawing in the manner of Sugiyama.

Layers follow one another along the flow; within a layer, boxes stand across it. A line that passes
a layer takes a place there as a box does (a *lane*), and lines from one port share their lanes, so
that they read as one trunk with branches. Crossings are reduced by sweeps that put each box where
its neighbours are on average; ports are sorted the same way. Then each layer is settled: every box
as near as it may be to where its lines would be straight, a least-squares problem under "keep your
distance" that pooling solves exactly in linear time. That, iterated, drew straighter trunks than
the priority method did, in a third of the lines of Brandes and Köpf's.

Of libraries, grandalf (GPL or EPL, last released 2023) was weighed: it knows neither ports nor
shared trunks, and boxes of one layer may overlap the lines that pass it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Final, NamedTuple

#: Between boxes of one layer, and beside a lane.
BOX_GAP: Final = 26.0
LANE_GAP: Final = 12.0
LANE: Final = 4.0
#: Between layers: at least, at most, and how much of the widest step across is added.
LAYER_GAP: Final = 42.0
WIDEST_LAYER_GAP: Final = 120.0
STEEPNESS: Final = 0.08
#: How much straightness counts: between boxes, of a box and a lane, between lanes.
_PULL: Final = (1.0, 2.0, 8.0)
_ROUNDS_OF_SETTLING: Final = 14
#: How far a box or lane is moved to make a line straight.
_NUDGE: Final = 18.0


@dataclass(slots=True)
class Box:
    """What takes room: `breadth` across the flow, `depth` along it. `ins` and `outs` are how broad
    each port is; they lie side by side around `ins_at` and `outs_at`, seen from the middle."""

    breadth: float
    depth: float
    ins: list[float] = field(default_factory=lambda: [0.0])
    outs: list[float] = field(default_factory=lambda: [0.0])
    ins_at: float = 0.0
    outs_at: float = 0.0


class Link(NamedTuple):
    """From port number `out` of a box to port number `into` of another. Those of one `trunk`
    share their lanes."""

    source: int
    out: int
    target: int
    into: int
    trunk: Hashable


class Layout(NamedTuple):
    """`across` and `along` are the middles of the boxes; offsets are of ports, from there. `lanes`
    are, for each link, the places across at which it passes the layers between its ends."""

    across: list[float]
    along: list[float]
    in_offsets: list[list[float]]
    out_offsets: list[list[float]]
    lanes: list[list[float]]
    layers: list[int]
    layer_bounds: list[tuple[float, float]]


def arrange(
    boxes: Sequence[Box],
    links: Sequence[Link],
    layers: Sequence[int],
    room_above: Mapping[int, float],
) -> Layout:
    """Lay out boxes whose layers are known; each link must lead to a higher layer.

    `room_above` is how much is added before a layer, by its number.
    """
    drawing = _Drawing(boxes, links, layers)
    drawing.reduce_crossings()
    drawing.settle()
    return drawing.layout(room_above)


def tightened(layers: Sequence[int], pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Layers in which boxes with more children than parents stand just above their children."""
    moved = list(layers)
    children: list[list[int]] = [[] for _ in layers]
    parents = [0] * len(moved)
    for source, target in pairs:
        children[source].append(target)
        parents[target] += 1
    for number in sorted(range(len(moved)), key=lambda number: -layers[number]):
        if len(children[number]) > parents[number]:
            moved[number] = min(moved[child] for child in children[number]) - 1
    lowest = min(moved, default=0)
    return [layer - lowest for layer in moved]


class _Drawing:
    """Items are the boxes, and then the lanes, by number."""

    def __init__(self, boxes: Sequence[Box], links: Sequence[Link], layers: Sequence[int]) -> None:
        self.boxes = boxes
        self.links = links
        self.layer_of = list(layers)
        self.breadth = [box.breadth for box in boxes]
        self.in_order = [list(range(len(box.ins))) for box in boxes]
        self.out_order = [list(range(len(box.outs))) for box in boxes]
        self.ways: list[list[int]] = []
        #: Pieces between neighbouring layers: upper item and port, lower item and port.
        self.pieces: dict[tuple[int, int, int, int], None] = {}
        self._route()
        self.layers: list[list[int]] = [[] for _ in range(max(self.layer_of, default=-1) + 1)]
        for item in self._by_descent():
            self.layers[self.layer_of[item]].append(item)
        self.place = [0] * len(self.layer_of)
        self._renumber()
        self.above, self.below = self._neighbours()
        self.in_offsets = [[0.0] * len(box.ins) for box in boxes]
        self.out_offsets = [[0.0] * len(box.outs) for box in boxes]
        self._place_ports()
        self.x = [0.0] * len(self.layer_of)

    def _route(self) -> None:
        trunks: dict[tuple[int, int, Hashable], list[int]] = {}
        for link in self.links:
            lanes = trunks.setdefault((link.source, link.out, link.trunk), [])
            first = self.layer_of[link.source] + 1
            needed = self.layer_of[link.target] - first
            while len(lanes) < needed:
                lanes.append(len(self.layer_of))
                self.layer_of.append(first + len(lanes) - 1)
                self.breadth.append(LANE)
            way = lanes[:needed]
            self.ways.append(way)
            ends = [(link.source, link.out), *((lane, -1) for lane in way)]
            for upper, lower in pairwise([*ends, (link.target, link.into)]):
                self.pieces[*upper, *lower] = None

    def _by_descent(self) -> list[int]:
        """The items as they are met from the first layer on, in depth: what belongs together
        begins side by side."""
        children: list[list[int]] = [[] for _ in self.layer_of]
        fed = bytearray(len(self.layer_of))
        for upper, _, lower, _ in self.pieces:
            children[upper].append(lower)
            fed[lower] = 1
        met = bytearray(len(self.layer_of))
        found: list[int] = []
        for root in (item for item in range(len(self.layer_of)) if not fed[item]):
            pending = [root]
            while pending:
                item = pending.pop()
                if not met[item]:
                    met[item] = 1
                    found.append(item)
                    pending.extend(reversed(children[item]))
        return found

    def _neighbours(self) -> tuple[list[list[tuple[int, int, int]]], ...]:
        """For each item its neighbours in the layer before and after, as (other, the other's port,
        own port)."""
        above: list[list[tuple[int, int, int]]] = [[] for _ in self.layer_of]
        below: list[list[tuple[int, int, int]]] = [[] for _ in self.layer_of]
        for upper, out, lower, into in self.pieces:
            above[lower].append((upper, out, into))
            below[upper].append((lower, into, out))
        return above, below

    def _renumber(self) -> None:
        for layer in self.layers:
            for place, item in enumerate(layer):
                self.place[item] = place

    # --- ports ---

    def _place_ports(self) -> None:
        for number, box in enumerate(self.boxes):
            self.in_offsets[number] = _offsets(box.ins, self.in_order[number], box.ins_at)
            self.out_offsets[number] = _offsets(box.outs, self.out_order[number], box.outs_at)

    def _in_offset(self, item: int, port: int) -> float:
        return self.in_offsets[item][port] if port >= 0 else 0.0

    def _out_offset(self, item: int, port: int) -> float:
        return self.out_offsets[item][port] if port >= 0 else 0.0

    def _sort_ports(self) -> None:
        """Each port where its neighbours are on average; one without keeps its turn."""
        for number in range(len(self.boxes)):
            for order, neighbours, offset in (
                (self.in_order[number], self.above[number], self._out_offset),
                (self.out_order[number], self.below[number], self._in_offset),
            ):
                if len(order) > 1:
                    sums: dict[int, list[float]] = {}
                    for other, port, own in neighbours:
                        at = self.place[other] + offset(other, port) / (self.breadth[other] + 1)
                        sums.setdefault(own, []).append(at)
                    means = {own: sum(each) / len(each) for own, each in sums.items()}
                    order.sort(key=lambda port: means.get(port, 0.0))
        self._place_ports()

    # --- crossings ---

    def reduce_crossings(self) -> None:
        rounds = 12 if len(self.layer_of) < 1500 else 6 if len(self.layer_of) < 6000 else 3
        best, kept, idle = self._crossings(), self._state(), 0
        for number in range(2 * rounds):
            if not best or idle == 4:
                break
            self._sweep(down=number % 2 == 0)
            self._sort_ports()
            crossings = self._crossings()
            idle = 0 if crossings < best else idle + 1
            if crossings < best:
                best, kept = crossings, self._state()
        self.layers, self.in_order, self.out_order = kept
        self._renumber()
        self._place_ports()

    def _state(self) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
        layers, ins, outs = self.layers, self.in_order, self.out_order
        return [each[:] for each in layers], [each[:] for each in ins], [each[:] for each in outs]

    def _sweep(self, *, down: bool) -> None:
        neighbours = self.above if down else self.below
        offset = self._out_offset if down else self._in_offset
        place, breadth = self.place, self.breadth
        for layer in self.layers if down else reversed(self.layers):
            wanted = {}
            for item in layer:
                found = [
                    place[other] + offset(other, port) / (breadth[other] + 1)
                    for other, port, _ in neighbours[item]
                ]
                wanted[item] = sum(found) / len(found) if found else place[item]
            layer.sort(key=wanted.__getitem__)
            for number, item in enumerate(layer):
                place[item] = number

    def _crossings(self) -> int:
        by_layer: list[list[tuple[float, float]]] = [[] for _ in self.layers]
        for upper, out, lower, into in self.pieces:
            start = self.place[upper] + self._out_offset(upper, out) / (self.breadth[upper] + 1)
            end = self.place[lower] + self._in_offset(lower, into) / (self.breadth[lower] + 1)
            by_layer[self.layer_of[upper]].append((start, end))
        return sum(map(_inversions, by_layer))

    # --- places ---

    def settle(self) -> None:
        for layer in self.layers:
            at = 0.0
            for before, item in pairwise([-1, *layer]):
                at += self._distance(before, item) if before >= 0 else 0.0
                self.x[item] = at
        for number in range(_ROUNDS_OF_SETTLING):
            both = number >= _ROUNDS_OF_SETTLING - 4
            for layer in self.layers if number % 2 == 0 else reversed(self.layers):
                self._settle_layer(layer, up=both or number % 2 == 1, down=both or number % 2 == 0)
        for _ in range(2):
            self._straighten_lanes()
            self._straighten_boxes()
        lowest = min(
            (self.x[item] - self.breadth[item] / 2 for item in range(len(self.x))), default=0.0
        )
        self.x = [x - lowest for x in self.x]

    def _straighten_lanes(self) -> None:
        """Lanes of one line that can stand in line do, each run of them as long as it may be."""
        for way in sorted({tuple(way) for way in self.ways if way}, key=len, reverse=True):
            run: list[int] = []
            lowest, highest = -inf, inf
            for lane in way:
                low, high = self._room(lane)
                if max(low, lowest) > min(high, highest):
                    self._align(run, lowest, highest)
                    run, lowest, highest = [], -inf, inf
                run.append(lane)
                lowest, highest = max(low, lowest), min(high, highest)
            self._align(run, lowest, highest)

    def _align(self, run: list[int], lowest: float, highest: float) -> None:
        """Put a run in line, with one of its ends too if that is possible."""
        ends = [
            *(self.x[item] + self._out_offset(item, port) for item, port, _ in self.above[run[0]]),
            *(self.x[item] + self._in_offset(item, port) for item, port, _ in self.below[run[-1]]),
        ]
        mean = sum(self.x[lane] for lane in run) / len(run)
        fitting = [end for end in ends if lowest <= end <= highest and abs(end - mean) < _NUDGE]
        aim = min(fitting, key=lambda end: abs(end - mean)) if fitting else mean
        for lane in run:
            self.x[lane] = min(max(aim, lowest), highest)

    def _straighten_boxes(self) -> None:
        """A box that needs to move little for one of its lines to be straight does."""
        for item in range(len(self.boxes)):
            steps = [
                *(
                    self.x[other] + self._out_offset(other, port) - self.x[item]
                    - self._in_offset(item, own)
                    for other, port, own in self.above[item]
                ),
                *(
                    self.x[other] + self._in_offset(other, port) - self.x[item]
                    - self._out_offset(item, own)
                    for other, port, own in self.below[item]
                ),
            ]  # fmt: skip
            if not steps or min(map(abs, steps)) < 0.05:
                continue
            step = min(steps, key=abs)
            low, high = self._room(item)
            if abs(step) < _NUDGE and low <= self.x[item] + step <= high:
                self.x[item] += step

    def _room(self, item: int) -> tuple[float, float]:
        """Between its neighbours in the layer."""
        layer, place = self.layers[self.layer_of[item]], self.place[item]
        low, high = -inf, inf
        if place:
            low = self.x[layer[place - 1]] + self._distance(layer[place - 1], item)
        if place + 1 < len(layer):
            high = self.x[layer[place + 1]] - self._distance(item, layer[place + 1])
        return min(low, self.x[item]), max(high, self.x[item])

    def _distance(self, left: int, right: int) -> float:
        lanes = (left >= len(self.boxes)) + (right >= len(self.boxes))
        gap = LANE_GAP if lanes else BOX_GAP
        return (self.breadth[left] + self.breadth[right]) / 2 + gap

    def _settle_layer(self, layer: list[int], *, up: bool, down: bool) -> None:
        if not layer:
            return
        wanted, weights = [], []
        for item in layer:
            total = weight = 0.0
            for other, port, own in self.above[item] if down else ():
                pull = self._pull(item, other)
                total += pull * (
                    self.x[other] + self._out_offset(other, port) - self._in_offset(item, own)
                )
                weight += pull
            for other, port, own in self.below[item] if up else ():
                pull = self._pull(item, other)
                total += pull * (
                    self.x[other] + self._in_offset(other, port) - self._out_offset(item, own)
                )
                weight += pull
            wanted.append(total / weight if weight else self.x[item])
            weights.append(weight or 0.01)
        shifts = [0.0]
        for left, right in pairwise(layer):
            shifts.append(shifts[-1] + self._distance(left, right))
        free = pooled([want - shift for want, shift in zip(wanted, shifts, strict=True)], weights)
        for item, at, shift in zip(layer, free, shifts, strict=True):
            self.x[item] = at + shift

    def _pull(self, item: int, other: int) -> float:
        return _PULL[(item >= len(self.boxes)) + (other >= len(self.boxes))]

    def layout(self, room_above: Mapping[int, float]) -> Layout:
        count = len(self.boxes)
        depths = [
            max((self.boxes[item].depth for item in layer if item < count), default=0.0)
            for layer in self.layers
        ]
        steps = [0.0] * len(self.layers)
        for upper, out, lower, into in self.pieces:
            step = abs(
                self.x[upper] + self._out_offset(upper, out)
                - self.x[lower] - self._in_offset(lower, into)
            )  # fmt: skip
            layer = self.layer_of[upper]
            steps[layer] = max(steps[layer], step)
        bounds, at = [], 0.0
        for layer, (depth, step) in enumerate(zip(depths, steps, strict=True), 1):
            bounds.append((at, at + depth))
            gap = min(LAYER_GAP + STEEPNESS * step, WIDEST_LAYER_GAP)
            at += depth + gap + room_above.get(layer, 0.0)
        along = [sum(bounds[layer]) / 2 for layer in self.layer_of[:count]]
        lanes = [[self.x[lane] for lane in way] for way in self.ways]
        return Layout(
            self.x[:count],
            along,
            self.in_offsets,
            self.out_offsets,
            lanes,
            self.layer_of[:count],
            bounds,
        )


def _offsets(widths: Sequence[float], order: Sequence[int], middle: float) -> list[float]:
    at = middle - sum(widths) / 2
    offsets = [0.0] * len(widths)
    for port in order:
        offsets[port] = at + widths[port] / 2
        at += widths[port]
    return offsets


def _inversions(pairs: list[tuple[float, float]]) -> int:
    pairs.sort()
    ends: list[float] = []
    crossings = 0
    for _, end in pairs:
        crossings += len(ends) - bisect_right(ends, end)
        insort(ends, end)
    return crossings


def pooled(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The ascending values nearest to `wanted` by weighted squares."""
    pools: list[tuple[float, float, int]] = []
    for want, own_weight in zip(wanted, weights, strict=True):
        mean, weight, count = want, own_weight, 1
        while pools and pools[-1][0] > mean:
            other, more, others = pools.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, count = weight + more, count + others
        pools.append((mean, weight, count))
    return [mean for mean, _, count in pools for _ in range(count)]
