"""The geometry of a report's charts: numbers in, positions and labels out; templates draw them.

Horizontal positions are percentages and vertical ones pixels, so that a chart fills any width
while its text keeps its size.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["count", "bytes", "seconds"]
Scale: TypeAlias = Literal["linear", "log"]

#: Colours and marker shapes of the style sheet; a thirteenth group looks like the first.
COLOURS = 12
SHAPES = 4
#: Room at the edges of a scatter plot, so that no marker is cut: per cent and pixels.
EDGE = 3.0
EDGE_PX = 14

#: The share of a chart's width that the label below a column needs.
LABEL_WIDTH = 0.13

#: Values from here on, and those that are no number, are not drawn: the axis would overflow.
LARGEST = 1e300

_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def format_bytes(size: float) -> str:
    """Decimal units with three significant digits: 1536 is 1.54 KB."""
    power = 0
    while size >= 999.5 and power < len(_BYTE_UNITS) - 1:
        size /= 1000
        power += 1
    return f"{_three_digits(size)} {_BYTE_UNITS[power]}"


def format_count(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.3g}"


def format_seconds(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{_three_digits(seconds * 1000)} ms"
    if seconds < 60:
        return f"{_three_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _three_digits(number: float) -> str:
    if number >= 99.95 or float(number).is_integer():
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


FORMATS: Mapping[Unit, Callable[[float], str]] = {
    "count": format_count,
    "bytes": format_bytes,
    "seconds": format_seconds,
}


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


def ticks(most: float, unit: Unit, *, about: int = 4) -> list[Tick]:
    """Round marks from 0 to at most `most`, which lies at 100."""
    if most <= 0:
        return [Tick(0, FORMATS[unit](0))]
    raw = most / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw)
    if unit == "count":
        step = max(1.0, math.ceil(step))
    marks = [step * number for number in range(int(most / step * (1 + 1e-9)) + 1)]
    return [Tick(100 * mark / most, FORMATS[unit](mark)) for mark in marks]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a histogram; `low` and `high` bound the values that it counts."""

    left: float
    width: float
    height: float
    count: int
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Columns:
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    counted: int
    median: str


def columns(values: Iterable[float], scale: Scale, unit: Unit, most: int = 24) -> Columns:
    """Bins over `values`; on a log scale, zero and below share a first column that starts at 0."""
    kept = sorted(value for value in values if abs(value) < LARGEST)
    if not kept:
        return Columns((), (), 0, "")
    edges = _log_edges(kept, most) if scale == "log" else _linear_edges(kept, most)
    counts = _counted(kept, edges)
    tallest = max(counts)
    width = 100 / len(counts)
    show = FORMATS[unit]
    bars = tuple(
        Column(
            number * width,
            width,
            count / tallest,
            count,
            show(edges[number]),
            show(edges[number + 1]),
        )
        for number, count in enumerate(counts)
    )
    marks = tuple(Tick(number * width, show(edges[number])) for number in _marked(edges, scale))
    return Columns(bars, marks, len(kept), show(kept[len(kept) // 2]))


def _linear_edges(kept: Sequence[float], most: int) -> list[float]:
    low, high = kept[0], kept[-1]
    if low == high:
        return [low, low + 1]
    count = min(most, max(1, math.ceil(math.sqrt(len(kept)))))
    return [low + (high - low) * number / count for number in range(count + 1)]


def _log_edges(kept: Sequence[float], most: int) -> list[float]:
    """1, 2, 5, 10, 20, ... from below the least positive value to above the largest one."""
    positive = [value for value in kept if value > 0]
    if not positive:
        return [0, 1]
    low, high = math.floor(math.log10(positive[0])), math.floor(math.log10(positive[-1])) + 1
    steps = (1, 2, 5) if 3 * (high - low) <= most else (1,)
    edges = [step * 10.0**power for power in range(low, high) for step in steps] + [10.0**high]
    first = bisect_right(edges, positive[0]) - 1
    last = bisect_right(edges, positive[-1])
    return [0.0] * (kept[0] <= 0) + edges[first : last + 1]


def _marked(edges: Sequence[float], scale: Scale) -> list[int]:
    """Which edges get a label: on the log scale powers of ten, and never two that would touch."""
    marked: list[int] = []
    for number, edge in enumerate(edges):
        round_ = scale == "linear" or len(edges) <= 5 or edge == 0 or math.log10(edge).is_integer()
        if round_ and (not marked or number - marked[-1] >= LABEL_WIDTH * (len(edges) - 1)):
            marked.append(number)
    return marked


def _counted(kept: Sequence[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * (len(edges) - 1)
    number = 0
    for value in kept:
        while number < len(counts) - 1 and value >= edges[number + 1]:
            number += 1
        counts[number] += 1
    return counts


@dataclass(frozen=True, slots=True)
class Marker:
    left: float
    top: float
    group: int
    label: str


@dataclass(frozen=True, slots=True)
class Legend:
    group: int
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Markers:
    markers: tuple[Marker, ...]
    legend: tuple[Legend, ...]


def markers(points: Sequence[tuple[float, float, str, str]], height: int) -> Markers:
    """Points (x, y, label, group) spread over the plot, y upwards; groups as they first occur."""
    finite = [point for point in points if abs(point[0]) < LARGEST and abs(point[1]) < LARGEST]
    numbers: dict[str, int] = {}
    counts: list[int] = []
    for *_, group in finite:
        if group not in numbers:
            numbers[group] = len(numbers)
            counts.append(0)
        counts[numbers[group]] += 1
    across = _spread([point[0] for point in finite], EDGE, 100 - EDGE)
    down = _spread([-point[1] for point in finite], EDGE_PX, height - EDGE_PX)
    placed = tuple(
        Marker(left, top, numbers[group], label)
        for left, top, (_, _, label, group) in zip(across, down, finite, strict=True)
    )
    return Markers(placed, tuple(Legend(at, name, counts[at]) for name, at in numbers.items()))


def _spread(values: Sequence[float], low: float, high: float) -> list[float]:
    if not values:
        return []
    least, most = min(values), max(values)
    if least == most:
        return [(low + high) / 2] * len(values)
    return [low + (value - least) / (most - least) * (high - low) for value in values]
