"""Reports: a list of blocks becomes one HTML file that needs nothing else.

Blocks hold data, never markup. How they look is in `_page` and in the templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from symphony._version import __version__
from symphony.commons import blocking
from symphony.commons.values import ArtifactRef
from symphony.execution import NodeTiming
from symphony.operators._charts import Scale, Unit
from symphony.operators._declare import OperatorContext, operator


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


@operator("report.render", title="Render a report")
async def render(
    context: OperatorContext,
    title: str,
    blocks: Annotated[list[Block], Meta(description="What the report shows, from top to bottom.")],
    timings: Annotated[
        list[NodeTiming], Meta(description="Drawn at the end, if given, as run.timings gives them.")
    ] = [],  # noqa: B006
) -> ArtifactRef:
    """One HTML file that needs nothing else, with charts, for light and dark screens."""
    # The template engine is imported when a report is drawn: not everyone who lists operators does.
    from symphony.operators._page import render_html

    shown = [*blocks, *_course(timings)]
    footer = f"Symphony {__version__}, run {context.run_id}"
    page = await blocking.run(render_html, title, shown, footer=footer)
    return await context.write_artifact(page, "text/html", "report.html")


After: TypeAlias = Annotated[Any, Meta(description="From the node to wait for; not looked at.")]


@operator("run.timings", title="Times of the run so far")
def run_timings(
    context: OperatorContext,
    after: After = None,  # noqa: ARG001 the edge is what counts
) -> list[NodeTiming]:
    """When each node of this run began and how long it took, in order of their start."""
    return [timing for timing in context.timings() if timing.node != context.node]


def _course(timings: Sequence[NodeTiming]) -> Sequence[Block]:
    if not timings:
        return ()
    spans = [
        Span(
            label=timing.node, start=timing.start_s, duration=timing.duration_s, state=timing.state
        )
        for timing in timings
    ]
    return Heading(text="How the run went"), Timeline(
        title="Time of each node", spans=spans, wide=True
    )
