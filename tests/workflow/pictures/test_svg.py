from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import msgspec
import pytest

from symphony.workflow import Edge, Node, NodeId, NodeKind, PortRef, Workflow
from symphony.workflow.pictures import svg
from symphony.workflow.pictures._text import pixels

from .conftest import HOSTILE, chain, edge, fan, gallery, hostile, node, tangle

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]
SIZES = {"h": (19, True), "t": (13, True), "d": (12, False), "n": (12, False), "s": (11, False)}


def parsed(workflow: Workflow) -> ET.Element:
    return ET.fromstring(svg(workflow).encode())


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "0"))


def moved(element: ET.Element) -> tuple[float, float]:
    found = re.fullmatch(r"translate\(([-\d.e]+) ([-\d.e]+)\)", element.get("transform", ""))
    return (float(found[1]), float(found[2])) if found else (0.0, 0.0)


def cards(root: ET.Element) -> list[ET.Element]:
    return [
        group for group in root.iter(f"{SVG}g") if group.find(f"{SVG}rect[@class='b']") is not None
    ]


def boxes(root: ET.Element) -> list[Box]:
    """Of the nodes that stand directly in the main drawing."""
    drawing = next(group for group in root.findall(f"{SVG}g") if moved(group)[0] == 28)
    found = []
    for group in cards(drawing):
        rect = group.findall(f"{SVG}rect")[-1]
        found.append((*moved(group), number(rect, "width"), number(rect, "height")))
    return found


def apart(a: Box, b: Box) -> bool:
    return (
        a[0] + a[2] <= b[0] + 0.2
        or b[0] + b[2] <= a[0] + 0.2
        or a[1] + a[3] <= b[1] + 0.2
        or b[1] + b[3] <= a[1] + 0.2
    )


DRAWN = {
    "empty": Workflow("empty", ()),
    "one": Workflow("one", (node("alone"),)),
    "unconnected": Workflow("loose", tuple(node(f"n{number}") for number in range(30))),
    "chain": chain(40),
    "fan": fan(45),
    "gallery": gallery(),
    "tangle": tangle(60),
    "wide tangle": tangle(60, seed=2, span=60),
    "cycle": Workflow(
        "c", (node("a"), node("b")), (edge("a", "b"), edge("b", "a"), edge("a", "a.x"))
    ),
}


@pytest.mark.parametrize("workflow", DRAWN.values(), ids=DRAWN)
def test_a_drawing_is_xml_in_which_no_two_boxes_overlap(workflow: Workflow) -> None:
    root = parsed(workflow)
    found = boxes(root)
    assert len(found) == len(workflow.nodes)
    for place, box in enumerate(found):
        assert all(apart(box, other) for other in found[:place])


@pytest.mark.parametrize("workflow", DRAWN.values(), ids=DRAWN)
def test_everything_lies_inside_the_page(workflow: Workflow) -> None:
    root = parsed(workflow)
    width, height = number(root, "width"), number(root, "height")
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    for x, y, box_width, box_height in boxes(root):
        assert x + box_width + 28 <= width
        assert y + box_height <= height


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str) -> None:
    root = parsed(hostile(text))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "style", "rect", "g", "text", "path", "circle")
    }
    assert all(not name.startswith("on") for element in root.iter() for name in element.attrib)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_its_box(text: str) -> None:
    for group in cards(parsed(hostile(text))):
        rect = group.findall(f"{SVG}rect")[-1]
        for written in group.findall(f"{SVG}text"):
            size, bold = SIZES.get(written.get("class", ""), (10, False))
            length = number(written, "textLength")
            assert length == pytest.approx(pixels(written.text or "", size, bold=bold), abs=0.06)
            anchor = {None: 0.0, "middle": 0.5, "end": 1.0}[written.get("text-anchor")]
            left = number(written, "x") - anchor * length
            assert left >= 0
            assert left + length <= number(rect, "width")


def test_each_edge_is_drawn_and_each_port_that_needs_a_name_has_one() -> None:
    text = svg(gallery())
    root = parsed(gallery())
    lines = [path for path in root.iter(f"{SVG}path") if path.get("class", "").startswith("e ")]
    legend = 1  # for the edge that brings order only
    assert len(lines) == len(gallery().edges) + len(gallery().workflows["resize"].edges) + legend
    for port in ("many", "few", ">a<", ">b<", "if value != null", "order only"):
        assert port in text
    assert ">items<" not in text  # the only one into its node


def test_a_nested_workflow_has_a_frame_of_its_own() -> None:
    root = parsed(gallery())
    assert len(root.findall(f".//{SVG}rect[@class='f']")) == 1
    assert "Make one picture smaller" in svg(gallery())


def test_a_workflow_that_uses_itself_is_drawn_once() -> None:
    inner = Workflow("again", (node("more", NodeKind.WORKFLOW, use="again"),))
    outer = Workflow("w", (node("go", NodeKind.WORKFLOW, use="again"),), workflows={"again": inner})
    assert len(parsed(outer).findall(f".//{SVG}rect[@class='f']")) == 1


def test_positions_are_kept_if_every_node_has_one() -> None:
    nodes = tuple(
        node(name, position=place)
        for name, place in {"a": (0.0, 300.0), "b": (400.0, 0.0), "c": (800.0, 300.0)}.items()
    )
    workflow = Workflow("w", nodes, (edge("c", "a"), edge("b", "a.x")))
    (ax, ay, *_), (bx, by, *_), (cx, cy, *_) = boxes(parsed(workflow))
    assert ax < bx < cx
    assert (cx - ax) == pytest.approx(2 * (bx - ax), abs=0.3)
    assert by < ay == cy
    partly = msgspec.structs.replace(nodes[0], position=None)
    laid_out = msgspec.structs.replace(workflow, nodes=(partly, *nodes[1:]))
    assert boxes(parsed(laid_out))[0][0] > boxes(parsed(laid_out))[2][0]


def test_positions_that_leave_no_room_do_not_count() -> None:
    nodes = tuple(node(name, position=(1.0, 1.0)) for name in "abc")
    found = boxes(parsed(Workflow("w", nodes, (edge("a", "b"), edge("b", "c")))))
    assert all(apart(box, other) for place, box in enumerate(found) for other in found[:place])


def test_a_drawing_is_the_same_each_time_and_needs_nothing_from_elsewhere() -> None:
    text = svg(tangle(30))
    assert text == svg(tangle(30))
    assert "href" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text


def test_more_ports_than_one_can_read_are_drawn_as_one() -> None:
    names = [f"p{number}" for number in range(60)]
    workflow = Workflow(
        "w",
        (node("a"), Node(NodeId("j"), NodeKind.JOIN)),
        tuple(Edge(PortRef(NodeId("a"), name), PortRef(NodeId("j"), name)) for name in names),
    )
    assert all(height < 100 for *_, height in boxes(parsed(workflow)))


@pytest.mark.slow
@pytest.mark.parametrize("workflow", [tangle(500), fan(500), chain(500), tangle(500, span=200)])
def test_large_workflows_are_drawn(workflow: Workflow) -> None:
    assert len(boxes(parsed(workflow))) == len(workflow.nodes)
