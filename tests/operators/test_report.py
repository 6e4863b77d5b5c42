from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.execution import NodeState, NodeTiming
from symphony.operators import _blocks as report
from symphony.operators import _report
from symphony.operators._page import MOST_MARKS, render_html

VOID = {"meta", "link", "br", "img", "input", "hr"}
ODD = "<script>alert('x')</script>&\"'\u202e\x07\udcff日本.py"


class Outline(HTMLParser):
    """The elements of a page; raises if one is closed that is not the innermost open one."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


class Desk:
    """The part of a run's context that these operators use."""

    run_id, node, attempt, key = "run-7", "render", 1, "run-7:render"

    def __init__(self, timings: Sequence[NodeTiming] = ()) -> None:
        self.kept: dict[str, bytes] = {}
        self._timings = timings

    def progress(self, done: float, total: float, message: str = "") -> None: ...

    def log(self, level: str, message: str, **facts: Value) -> None: ...

    def timings(self) -> Sequence[NodeTiming]:
        return self._timings

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        return self.kept[ref.id]

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        assert isinstance(content, bytes)
        ref = ArtifactRef("blake3:00", media_type, len(content), name)
        self.kept[ref.id] = content
        return ref


def one_of_each(text: str) -> list[report.Block]:
    """Every kind of block, with `text` in every place that shows text."""
    return [
        report.Heading(text=text, note=text),
        report.Text(text=text, notice=True),
        report.Stats(items=[report.Stat(label=text, value=text, note=text)]),
        report.Table(
            title=text, note=text, columns=[report.Column(title=text)], rows=[[text], [None]]
        ),
        report.Bars(title=text, bars=[report.Bar(label=text, value=3, note=text)]),
        report.Histogram(title=text, values=[1, 2, 3], of=text),
        report.Scatter(title=text, points=[report.Point(x=0, y=1, label=text, group=text)]),
        report.Timeline(title=text, spans=[report.Span(label=text, start=0, duration=1)]),
        report.Listing(title=text, items=[report.Item(title=text, text=text, note=text)]),
    ]


def test_every_kind_of_block_is_drawn() -> None:
    page = Outline(render_html("Title", one_of_each("some text"), footer="the end"))
    assert page.open == []
    assert [page.count(tag) for tag in ("h1", "h2", "figure", "table", "dl")] == [1, 1, 6, 1, 1]
    assert "the end" in page.words


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    page = Outline(render_html(ODD, one_of_each(ODD), footer=ODD))
    assert page.open == []
    assert page.count("script") == 0
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>alert('x')</script>" in page.words
    assert "日本.py" in page.words


def test_characters_that_redraw_text_are_shown_as_escapes() -> None:
    page = render_html("t", [report.Text(text="a\u202eb\x1bc\u2066\n")]).decode()
    assert r"a\u202eb\u001bc\u2066" in page


def test_half_a_surrogate_pair_is_shown_as_an_escape() -> None:
    assert rb"name\udcff.txt" in render_html("t", [report.Text(text="name\udcff.txt")])


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=30))
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    assert Outline(render_html(text, one_of_each(text))).open == []


def test_a_page_asks_for_nothing_from_elsewhere() -> None:
    page = render_html("t", one_of_each("x")).decode()
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "url(" not in page
    assert "@import" not in page


def test_bars_are_as_long_as_their_values() -> None:
    bars = [report.Bar(label=name, value=value) for name, value in [("a", 200), ("b", 50)]]
    page = render_html("t", [report.Bars(title="b", bars=bars)]).decode()
    assert re.findall(r"class=\"bar\" style=\"width:([\d.]+)%", page) == ["100.00", "25.00"]


def test_spans_begin_where_they_began() -> None:
    spans = [
        report.Span(label="walk", start=0, duration=5),
        report.Span(label="types", start=5, duration=15, state="failed"),
    ]
    page = render_html("t", [report.Timeline(title="t", spans=spans)]).decode()
    drawn = re.findall(r"class=\"bar (\w*)\" style=\"margin-left:([\d.]+)%;width:([\d.]+)%", page)
    assert drawn == [("", "0.00", "25.00"), ("bad", "25.00", "75.00")]


def test_a_chart_says_what_it_shows_to_who_cannot_see_it() -> None:
    values = [1.0, 10.0, 100.0]
    block = report.Histogram(title="Sizes", values=values, scale="log", unit="bytes", of="files")
    page = Outline(render_html("t", [block]))
    labels = [attributes.get("aria-label") for tag, attributes in page.elements if tag == "svg"]
    assert "Sizes: 3 files, median 10 B" in labels


def test_too_many_points_are_thinned_and_the_page_says_so() -> None:
    count = 2 * MOST_MARKS
    points = [report.Point(x=number, y=0, label=str(number)) for number in range(count)]
    page = Outline(render_html("t", [report.Scatter(title="s", points=points)]))
    assert f"{MOST_MARKS:,} of {count:,} points are drawn." in page.words


@pytest.mark.parametrize(
    "block",
    [
        report.Bars(title="b", bars=[]),
        report.Bars(title="b", bars=[report.Bar(label="zero", value=0)]),
        report.Histogram(title="h", values=[]),
        report.Scatter(title="s", points=[]),
        report.Timeline(title="t", spans=[]),
        report.Listing(title="l", items=[]),
        report.Table(title="t", columns=[], rows=[]),
        report.Stats(items=[]),
    ],
)
def test_a_block_with_nothing_in_it_can_be_drawn(block: report.Block) -> None:
    assert Outline(render_html("t", [block])).open == []


def test_numbers_in_a_table_take_the_unit_of_their_column() -> None:
    columns = [report.Column(title="size", unit="bytes"), report.Column(title="note")]
    rows: list[list[str | float | None]] = [[2048, "x"], [None, None], ["many", "y"]]
    page = Outline(render_html("t", [report.Table(title="t", columns=columns, rows=rows)]))
    assert "2.05 KB" in page.words
    assert "many" in page.words


def test_render_keeps_the_page_as_an_artifact() -> None:
    desk = Desk()
    blocks: Value = [
        {"kind": "text", "text": "hello"},
        {"kind": "bars", "title": "Files", "bars": [{"label": "py", "value": 3}]},
    ]
    outputs = asyncio.run(_report.render.run({"title": "A report", "blocks": blocks}, desk))
    ref = as_ref(outputs["value"])
    assert ref is not None
    assert (ref.media_type, ref.name) == ("text/html", "report.html")
    page = Outline(desk.kept[ref.id])
    assert "A report" in page.words
    assert "run run-7" in page.words
    assert "How the run went" not in page.words


def test_render_draws_the_times_it_is_given() -> None:
    desk = Desk()
    timings: Value = [{"node": "walk", "start_s": 0, "duration_s": 1.5, "state": "completed"}]
    asyncio.run(_report.render.run({"title": "t", "blocks": [], "timings": timings}, desk))
    page = Outline(desk.kept["blake3:00"])
    assert "How the run went" in page.words
    assert "walk" in page.words
    assert "1.50 s" in page.words


@pytest.mark.parametrize(
    "block",
    [
        {"kind": "pie", "title": "x"},
        {"kind": "text"},
        {"kind": "bars", "title": "x", "bars": [{"label": "a", "value": "many"}]},
        {"kind": "text", "text": "x", "colour": "red"},
    ],
)
def test_a_block_that_cannot_be_drawn_is_refused(block: Value) -> None:
    from symphony.operators._errors import BadInput

    with pytest.raises(BadInput):
        asyncio.run(_report.render.run({"title": "t", "blocks": [block]}, Desk()))


def test_the_port_of_blocks_has_a_schema_that_says_which_kinds_there_are() -> None:
    (port,) = (port for port in _report.render.signature.inputs if port.name == "blocks")
    schema = msgspec.json.encode(port.schema).decode()
    assert all(f'"{kind}"' in schema for kind in ("bars", "histogram", "scatter", "timeline"))


def test_timings_leave_out_the_node_that_asks() -> None:
    walk = NodeTiming("walk", 0.0, 1.5, NodeState.COMPLETED)
    own = NodeTiming("render", 1.5, 0.0, NodeState.RUNNING)
    outputs = asyncio.run(_report.run_timings.run({"after": {"any": "value"}}, Desk([walk, own])))
    assert outputs["value"] == [
        {"node": "walk", "start_s": 0.0, "duration_s": 1.5, "state": "completed"}
    ]


def contrast(one: str, other: str) -> float:
    """WCAG 2: from 1 (equal) to 21 (black on white)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_can_be_told_from_what_is_behind_them(theme: int) -> None:
    page = render_html("t", []).decode()
    colours = [dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in re.split("@media", page)]
    palette = {**colours[0], **(colours[1] if theme else {})}
    for behind in ("page", "card"):
        for ink in ("ink", "soft"):
            assert contrast(palette[ink], palette[behind]) >= 4.5, (ink, behind)
        for number in range(12):
            assert contrast(palette[f"c{number}"], palette[behind]) >= 3, (number, behind)
    assert contrast(palette["ink"], palette["warn-page"]) >= 4.5
