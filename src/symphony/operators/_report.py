"""Reports: a list of blocks becomes one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from symphony._version import __version__
from symphony.commons import blocking
from symphony.commons.values import ArtifactRef
from symphony.execution import NodeTiming
from symphony.operators._blocks import Block, Heading, Span, Timeline
from symphony.operators._declare import OperatorContext, operator


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
