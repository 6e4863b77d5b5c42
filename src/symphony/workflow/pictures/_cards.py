"""What is written in the box of a node, and how large the box is for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

import msgspec

from symphony.workflow import DEFAULT_PORT, Node, NodeKind, Scope, described
from symphony.workflow.pictures._layout import Box
from symphony.workflow.pictures._skeleton import Skeleton, inner_of
from symphony.workflow.pictures._text import clean, cut, pixels

TITLE_SIZE: Final = 13.0
DETAIL_SIZE: Final = 11.0
PORT_SIZE: Final = 10.0
#: Of the part of a box above its ports; of a row of ports; of the icon, with room on its left.
HEADER: Final = 46.0
ROW: Final = 16.0
STRIP: Final = 17.0
PADDING: Final = 10.0
ICON: Final = 26.0
TEXT_AT: Final = PADDING + ICON + 8.0
_TEXT_ROOM: Final = 176.0
_PORT_ROOM: Final = 112.0
_NARROWEST: Final = 104.0
#: More ports than these on one side are drawn as one.
MOST_PORTS: Final = 40


class Flow(StrEnum):
    """Where the arrows lead."""

    RIGHT = "right"
    DOWN = "down"


@dataclass(slots=True)
class Card:
    """A node as it is drawn. `ins` and `outs` are the ports that lines lead to, and `in_labels`
    what is written beside them: nothing where there is only one."""

    node: Node
    title: str
    detail: str
    ins: list[str]
    outs: list[str]
    in_labels: list[str]
    out_labels: list[str]
    width: float
    height: float
    box: Box


def cards_of(skeleton: Skeleton, scope: Scope, flow: Flow) -> list[Card]:
    ins: list[dict[str, None]] = [{} for _ in skeleton.nodes]
    outs: list[dict[str, None]] = [{} for _ in skeleton.nodes]
    for number, node in enumerate(skeleton.nodes):
        outs[number].update(dict.fromkeys(case.name for case in node.cases))
    for tie in skeleton.ties:
        outs[tie.source][tie.out] = None
        ins[tie.target][tie.into] = None
    return [
        _card(node, scope, list(ins[number]), list(outs[number]), flow)
        for number, node in enumerate(skeleton.nodes)
    ]


def _card(node: Node, scope: Scope, ins: list[str], outs: list[str], flow: Flow) -> Card:
    title = cut(
        clean(node.title or node.id), _TEXT_ROOM, partial(pixels, size=TITLE_SIZE, bold=True)
    )
    detail = cut(clean(_full_detail(node, scope)), _TEXT_ROOM, partial(pixels, size=DETAIL_SIZE))
    in_labels, ins = _labels(ins)
    out_labels, outs = _labels(outs, always=node.kind is NodeKind.BRANCH)
    width = TEXT_AT + PADDING + 2
    width += max(pixels(title, TITLE_SIZE, bold=True), pixels(detail, DETAIL_SIZE))
    width = max(width, _NARROWEST)
    make = _rightward if flow is Flow.RIGHT else _downward
    box, width, height = make(in_labels, out_labels, len(ins), len(outs), width)
    return Card(node, title, detail, ins, outs, in_labels, out_labels, width, height, box)


def _full_detail(node: Node, scope: Scope) -> str:
    return " · ".join(
        part for part in (node.id if node.title else "", detail_of(node, scope)) if part
    )


def detail_of(node: Node, scope: Scope) -> str:
    """What there is to say of a node besides its name, in a few words."""
    match node.kind:
        case NodeKind.INPUT:
            return _takes(node)
        case NodeKind.OUTPUT:
            return described(node.schema) if node.schema else "output"
        case NodeKind.WORKFLOW | NodeKind.MAP | NodeKind.LOOP:
            return _nesting(node, scope)
        case NodeKind.BRANCH:
            return node.cases[0].when if len(node.cases) == 1 else f"{len(node.cases)} cases"
        case NodeKind.MERGE:
            return "first that comes"
        case NodeKind.JOIN:
            return "all into one"
        case NodeKind.WAIT:
            return "asks a person"
        case NodeKind.OPERATOR | NodeKind.INSTRUMENT:
            return node.use or f"an {node.kind}"


def _takes(node: Node) -> str:
    if node.default is msgspec.UNSET:
        return described(node.schema)
    return f"{described(node.schema)} = {shown(node.default)}"


def shown(value: object) -> str:
    """A value in a few characters."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 30 else f"{text[:29]}…"


def _nesting(node: Node, scope: Scope) -> str:
    inner = inner_of(node, scope)
    size = f" · {counted(len(inner[0].nodes), 'node')}" if inner and inner[0].nodes else ""
    if node.kind is NodeKind.MAP:
        return f"each item: {node.use}{size}"
    if node.kind is NodeKind.LOOP:
        until = f" until {node.until}" if node.until else ""
        return f"{node.use}{until}{size}"
    return f"{node.use}{size}"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _labels(ports: list[str], *, always: bool = False) -> tuple[list[str], list[str]]:
    """What is written beside the ports, and the ports that are drawn apart."""
    if len(ports) > MOST_PORTS:
        return [], ["*"]
    ports = ports or [DEFAULT_PORT]
    if len(ports) == 1 and not always:
        return [], ports
    fit = partial(pixels, size=PORT_SIZE)
    return [cut(clean(port), _PORT_ROOM, fit) for port in ports], ports


def _rightward(
    ins: list[str], outs: list[str], in_count: int, out_count: int, width: float
) -> tuple[Box, float, float]:
    """Ports in rows below the header, those in on the left and those out on the right."""
    rows = max(len(ins), len(outs))
    height = HEADER + (rows * ROW + 8 if rows else 0)
    width = max(width, _widest(ins) + _widest(outs) + 2 * PADDING + (18 if ins and outs else 0))
    header = HEADER / 2 - height / 2
    first = HEADER - height / 2
    return (
        Box(
            height,
            width,
            [ROW if ins else 0.0] * in_count,
            [ROW if outs else 0.0] * out_count,
            first + len(ins) * ROW / 2 if ins else header,
            first + len(outs) * ROW / 2 if outs else header,
        ),
        width,
        height,
    )


def _downward(
    ins: list[str], outs: list[str], in_count: int, out_count: int, width: float
) -> tuple[Box, float, float]:
    """Ports side by side, those in above the header and those out below it."""
    ins_breadth = [pixels(label, PORT_SIZE) + 12 for label in ins] or [0.0] * in_count
    outs_breadth = [pixels(label, PORT_SIZE) + 12 for label in outs] or [0.0] * out_count
    width = max(width, sum(ins_breadth) + 8, sum(outs_breadth) + 8)
    height = HEADER + (STRIP if ins else 0) + (STRIP if outs else 0)
    return Box(width, height, ins_breadth, outs_breadth), width, height


def _widest(labels: Iterable[str]) -> float:
    return max((pixels(label, PORT_SIZE) for label in labels), default=0.0)
