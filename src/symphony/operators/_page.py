"""How a report's blocks look.

The page loads nothing and runs nothing: no script, no request, and a content security policy that
forbids both. All text is escaped by the template engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from symphony.operators import _charts
from symphony.operators._blocks import Block, Point

SCATTER_HEIGHT = 380
#: A page with more marks than this is slow to open and no clearer.
MOST_MARKS = 3000


def render_html(title: str, blocks: Sequence[Block], *, footer: str = "") -> bytes:
    """UTF-8; what that cannot hold (half a surrogate pair in a file name) is shown as an escape."""
    template = _environment().get_template("report.html")
    page = template.render(title=title, blocks=blocks, footer=footer)
    return page.encode("utf-8", "backslashreplace")


def _markers(points: Sequence[Point]) -> _charts.Markers:
    every = -(-len(points) // MOST_MARKS) or 1
    drawn = [(point.x, point.y, point.label, point.group) for point in points[::every]]
    return _charts.markers(drawn, SCATTER_HEIGHT)


#: Control characters, but for the line feed, and those that reorder the text around them.
_INVISIBLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _visible(value: object) -> object:
    """What a template is about to print: odd characters of a file name must not redraw the page."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("symphony.operators"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.globals.update(
        block_kind=lambda block: block.__struct_config__.tag,
        columns=_charts.columns,
        markers=_markers,
        spans_end=lambda spans: max((span.start + span.duration for span in spans), default=0.0),
        ticks=_charts.ticks,
        show=lambda value, unit: _charts.FORMATS[unit](value),
        scatter_height=SCATTER_HEIGHT,
        colours=_charts.COLOURS,
        shapes=_charts.SHAPES,
    )
    return environment
