from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from symphony.operators._blocks import Block
from symphony.operators._page import render_html


@pytest.fixture
def findings(load: Callable[[str, str], Any]) -> Any:
    return load("insight-report", "findings")


@pytest.fixture
def layout(load: Callable[[str, str], Any]) -> Any:
    return load("insight-report", "layout")


def typed(path: str, *, size: int = 100, type_: str = "python", text: bool = True) -> Any:
    return {
        "path": path,
        "size": size,
        "type": type_,
        "group": "code",
        "description": f"{type_} source",
        "text": text,
        "mime": "text/plain",
        "score": 0.9,
    }


def given(**changes: Any) -> dict[str, Any]:
    """What the other nodes found in a folder of three texts and a picture."""
    types = [typed(f"{name}.py") for name in "abc"]
    types.append(typed("d.png", size=5000, type_="png", text=False))
    points = [{"path": f"{name}.py", "x": 0.1, "y": -0.2, "cluster": 0} for name in "abc"]
    whole: dict[str, Any] = {
        "folder": "/home/someone/project",
        "sizes": [100, 100, 100, 5000],
        "types": types,
        "languages": [
            {"path": "a.py", "language": "zxx"},
            {"path": "b.py", "language": "en"},
            {"path": "c.py", "language": "en"},
        ],
        "model": "wordllama",
        "embedded": ["a.py", "b.py", "c.py"],
        "clusters": [{"name": "mail, send", "size": 3, "examples": ["a.py"], "excerpt": "x"}],
        "points": points,
        "duplicates": [{"paths": ["a.py", "b.py"], "similarity": 0.83}],
        "query": "",
        "hits": [],
        "summaries": [],
        "problems": [],
    }
    return whole | changes


def empty() -> dict[str, Any]:
    names = ("sizes", "types", "languages", "embedded", "clusters", "points", "duplicates")
    return given(**{name: [] for name in names})


HIT = {"path": "a.py", "score": 0.1, "snippet": "def send(): ...", "by": "both"}
CASES = {
    "usual": given(),
    "empty": empty(),
    "asked": given(query="mail", hits=[HIT, HIT | {"by": "words"}, HIT | {"by": "meaning"}]),
    "asked in vain": given(query="mail"),
    "summarized": given(summaries=["They send mail."]),
    "sampled": given(sizes=[10] * 5000),
    "unreadable": given(problems=[{"path": f"p{n}", "reason": "denied"} for n in range(9)]),
    "no text": given(
        types=[typed("d.png", text=False)],
        languages=[], embedded=[], clusters=[], points=[], duplicates=[],
    ),
    "hostile": given(folder="/<script>", types=[typed("<script>\n.py")]),
    "many": given(
        types=[typed(f"{n}", type_=f"type{n % 40}") for n in range(4000)],
        points=[{"path": str(n), "x": n, "y": n, "cluster": 0} for n in range(4000)],
        duplicates=[{"paths": [str(m) for m in range(30)], "similarity": 1.0}] * 100,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_folder_has_a_summary_and_a_report_that_can_be_drawn(
    findings: Any, layout: Any, case: str
) -> None:
    found = msgspec.convert(CASES[case], findings.Findings)
    summary = findings.summary(found)
    assert summary["files"] == len(CASES[case]["sizes"])
    assert len(msgspec.json.encode(summary)) < 40_000
    blocks = msgspec.convert(layout.blocks(found), list[Block])
    assert render_html(found.title, blocks).endswith(b"</html>")


def block(layout: Any, findings: Any, title: str, **changes: Any) -> Any:
    found = msgspec.convert(given(**changes), findings.Findings)
    return next(each for each in layout.blocks(found) if each.get("title") == title)


def test_kinds_are_counted_and_weighed(findings: Any) -> None:
    found = msgspec.convert(given(), findings.Findings)
    python, png = findings.summary(found)["types"]
    assert (python["type"], python["files"], python["bytes"]) == ("python", 3, 300)
    assert (png["type"], png["files"], png["bytes"]) == ("png", 1, 5000)


def test_bytes_are_ranked_by_size_and_files_by_number(findings: Any, layout: Any) -> None:
    by_files = block(layout, findings, "Files by kind of content")["bars"]
    by_bytes = block(layout, findings, "Bytes by kind of content")["bars"]
    assert [bar["label"] for bar in by_files] == ["python source", "png source"]
    assert [bar["label"] for bar in by_bytes] == ["png source", "python source"]


def test_a_long_tail_of_kinds_is_one_bar_and_nothing_is_lost(findings: Any, layout: Any) -> None:
    types = [typed(f"{n}-{m}", type_=f"t{n:02}") for n in range(30) for m in range(30 - n)]
    bars = block(layout, findings, "Files by kind of content", types=types)["bars"]
    assert len(bars) == layout.ROWS + 1
    assert bars[-1]["label"] == "20 other kinds"
    assert sum(bar["value"] for bar in bars) == len(types)


def test_languages_are_named_and_what_has_none_comes_last(findings: Any, layout: Any) -> None:
    spoken = [{"path": "x", "language": code} for code in ("zxx", "zxx", "zxx", "de", "und", "xx")]
    bars = block(layout, findings, "Human languages", languages=spoken)["bars"]
    assert [bar["label"] for bar in bars] == ["German", "xx", "none", "unclear"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sizes": [1] * 9000}, "4 of 9,000 files were looked at"),
        ({"embedded": ["a.py"]}, "1 of 3 texts were embedded, with wordllama"),
        ({"problems": [{"path": "x", "reason": "denied"}]}, "1 could not be read: x (denied)."),
        ({"problems": [{"path": "x", "reason": "y"}] * 8}, "x (y), and 3 more."),
    ],
)
def test_what_was_left_out_is_said_in_the_report_and_in_the_summary(
    findings: Any, layout: Any, changes: dict[str, Any], said: str
) -> None:
    found = msgspec.convert(given(**changes), findings.Findings)
    (limit,) = findings.summary(found)["limits"]
    assert said in limit
    notices = [each["text"] for each in layout.blocks(found) if each.get("notice")]
    assert notices == [limit]


def test_nothing_left_out_is_nothing_said(findings: Any) -> None:
    assert findings.limits(msgspec.convert(given(), findings.Findings)) == []


def test_answers_come_first_and_say_what_found_them(findings: Any, layout: Any) -> None:
    changes = {"query": "mail", "hits": [HIT, HIT | {"by": "words"}]}
    items = block(layout, findings, "Search: mail", **changes)["items"]
    assert [item["note"] for item in items] == ["by words and meaning", "by words"]


def test_a_line_feed_in_a_name_does_not_make_two_names(findings: Any, layout: Any) -> None:
    alike = [{"paths": ["one\ntwo", "three"], "similarity": 0.9}]
    table = block(layout, findings, "Near-duplicates", duplicates=alike)
    assert table["rows"] == [["one\\ntwo\nthree", "90%"]]


def test_each_cluster_has_its_summary_beside_it(findings: Any, layout: Any) -> None:
    table = block(layout, findings, "Clusters", summaries=["They send mail."])
    assert table["columns"][-1] == {"title": "Summary by a small language model; may be wrong"}
    assert table["rows"][0][-1] == "They send mail."
    assert len(block(layout, findings, "Clusters")["columns"]) == 3


def test_the_operator_gives_title_blocks_and_summary(call: Callable[..., Any]) -> None:
    outputs = call("insight-report", **given())
    assert outputs["title"] == "Repository insight: project"
    assert outputs["summary"]["texts"] == 3
    assert outputs["blocks"][0]["kind"] == "text"
