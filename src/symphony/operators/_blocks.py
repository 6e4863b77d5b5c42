"""What a report is made of: data, never markup. How it looks is in `_page` and in the templates."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from symphony.operators._charts import Scale, Unit


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Heading(_Data, frozen=True, kw_only=True, tag_field="kind", tag="heading"):
    text: str
    note: str = ""


class Text(_Data, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """A paragraph; a `notice` stands out: a limit that was applied, something that went wrong."""

    text: str
    notice: bool = False


class Stat(_Data, frozen=True, kw_only=True):
    label: str
    value: float | str
    unit: Unit = "count"
    note: str = ""


class Stats(_Data, frozen=True, kw_only=True, tag_field="kind", tag="stats"):
    items: list[Stat]


class _Chart(_Data, frozen=True, kw_only=True, tag_field="kind"):
    """Two charts share a row of a wide screen; a `wide` one has a row to itself."""

    title: str
    note: str = ""
    wide: bool = False


class Column(_Data, frozen=True, kw_only=True):
    title: str
    unit: Unit | None = None


class Table(_Chart, frozen=True, kw_only=True, tag="table"):
    columns: list[Column]
    rows: list[list[str | float | None]]


class Bar(_Data, frozen=True, kw_only=True):
    label: str
    value: float
    note: str = ""


class Bars(_Chart, frozen=True, kw_only=True, tag="bars"):
    bars: list[Bar]
    unit: Unit = "count"


class Histogram(_Chart, frozen=True, kw_only=True, tag="histogram"):
    """How often values occur; on the log scale columns end at 1, 2, 5, 10, 20, 50, ..."""

    values: list[float]
    unit: Unit = "count"
    scale: Scale = "linear"
    of: str = "values"


class Point(_Data, frozen=True, kw_only=True):
    x: float
    y: float
    label: str
    group: str = ""


class Scatter(_Chart, frozen=True, kw_only=True, tag="scatter"):
    points: list[Point]


class Span(_Data, frozen=True, kw_only=True):
    label: str
    start: float
    duration: float
    state: str = "completed"


class Timeline(_Chart, frozen=True, kw_only=True, tag="timeline"):
    """Seconds since a common start, one row a span."""

    spans: list[Span]


class Item(_Data, frozen=True, kw_only=True):
    title: str
    text: str = ""
    note: str = ""


class Listing(_Chart, frozen=True, kw_only=True, tag="list"):
    items: list[Item]


Block: TypeAlias = Heading | Text | Stats | Table | Bars | Histogram | Scatter | Timeline | Listing
