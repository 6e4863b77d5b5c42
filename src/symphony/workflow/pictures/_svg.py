"""A workflow as an SVG: one file without scripts or fonts of its own, for light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final
from xml.sax.saxutils import escape

from symphony.workflow import Node, NodeKind, Workflow
from symphony.workflow.pictures._cards import (
    DETAIL_SIZE,
    HEADER,
    ICON,
    PADDING,
    PORT_SIZE,
    STRIP,
    TEXT_AT,
    TITLE_SIZE,
    Card,
    Flow,
    counted,
)
from symphony.workflow.pictures._plan import Line, Plan, Point, number, plan_of
from symphony.workflow.pictures._skeleton import MAX_NESTING, Skeleton, TieKind, inner_of
from symphony.workflow.pictures._text import clean, cut, pixels
from symphony.workflow.pictures._theme import ICONS, style

_MARGIN: Final = 28.0
_NARROWEST: Final = 480.0
_FRAME: Final = 22.0
_NAME_SIZE: Final = 19.0
_TEXT_SIZE: Final = 12.0
#: More workflows nested in one are named in their nodes, but not drawn.
_MOST_FRAMES: Final = 40


def svg(workflow: Workflow) -> str:
    """The drawing as the text of a file. Faulty workflows are drawn too, cycles in red."""
    plans = [(scope[0], plan_of(Skeleton(scope[0]), scope)) for scope in _scopes(workflow)]
    (_, main), frames = plans[0], plans[1:]
    width = max(main.width, _NARROWEST, *(plan.width + 2 * _FRAME for _, plan in frames))
    body: list[str] = []
    y = _head(workflow, width, body)
    body.append(f'<g transform="translate({number(_MARGIN)} {number(y)})">')
    body.extend(_drawn(main))
    body.append("</g>")
    y += main.height
    for inner, plan in frames:
        y = _framed(inner, plan, y + 26.0, body)
    y = _legend([plan for _, plan in plans], y + 34.0, width, body)
    kinds = _kinds(plan for _, plan in plans)
    total_width, total_height = number(width + 2 * _MARGIN), number(y + 18.0)
    name = escape(clean(workflow.name or workflow.id))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width}" height="{total_height}"'
        f' viewBox="0 0 {total_width} {total_height}" role="img">\n'
        f"<title>{name}</title>\n<style>{style(kinds)}</style>\n"
        f'<rect class="bg" width="100%" height="100%" rx="12"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _scopes(workflow: Workflow) -> list[tuple[Workflow, ...]]:
    """The workflow and those that its nodes use, each once, with what is around it."""
    found: list[tuple[Workflow, ...]] = [(workflow,)]
    known = {id(workflow)}
    for scope in found:  # grows while it is read
        for node in scope[0].nodes:
            inner = inner_of(node, scope)
            if inner is None or id(inner[0]) in known or len(inner) > MAX_NESTING:
                continue
            if inner[0].nodes and len(found) <= _MOST_FRAMES:
                known.add(id(inner[0]))
                found.append(inner)
    return found


def _kinds(plans: Iterator[Plan]) -> list[NodeKind]:
    present = {card.node.kind for card in chain.from_iterable(plan.cards for plan in plans)}
    return [kind for kind in NodeKind if kind in present]


# --- around the drawing ---


def _head(workflow: Workflow, width: float, body: list[str]) -> float:
    """The name, how much there is of it, and what it is for; gives where the drawing begins."""
    facts = f"{counted(len(workflow.nodes), 'node')} · {counted(len(workflow.edges), 'edge')}"
    room = width - pixels(facts, _TEXT_SIZE) - 24.0
    name = _cut(workflow.name or workflow.id, room, _NAME_SIZE, bold=True)
    body.append(_text("h", _MARGIN, 40.0, name, _NAME_SIZE, bold=True))
    body.append(_text("n", _MARGIN + width, 40.0, facts, _TEXT_SIZE, anchor="end"))
    y = 44.0
    for line in _wrapped(clean(workflow.description), min(width, 900.0), lines=2):
        y += 17.0
        body.append(_text("d", _MARGIN, y, line, _TEXT_SIZE))
    return y + 28.0


def _wrapped(text: str, width: float, lines: int) -> list[str]:
    found: list[str] = []
    words = text.split(" ") if text else []
    while words and len(found) < lines - 1:
        line = words.pop(0)
        while words and pixels(f"{line} {words[0]}", _TEXT_SIZE) <= width:
            line = f"{line} {words.pop(0)}"
        found.append(_cut(line, width, _TEXT_SIZE))
    return [*found, _cut(" ".join(words), width, _TEXT_SIZE)] if words else found


def _cut(text: str, width: float, size: float, *, bold: bool = False) -> str:
    return cut(clean(text), width, lambda part: pixels(part, size, bold=bold))


def _framed(workflow: Workflow, plan: Plan, y: float, body: list[str]) -> float:
    width, height = plan.width + 2 * _FRAME, plan.height + _FRAME + 44.0
    title = _cut(workflow.name or workflow.id, width - 2 * _FRAME, TITLE_SIZE, bold=True)
    body.append(f'<g transform="translate({number(_MARGIN)} {number(y)})">')
    body.append(f'<rect class="f" width="{number(width)}" height="{number(height)}" rx="12"/>')
    body.append(_text("t", _FRAME, 27.0, title, TITLE_SIZE, bold=True))
    body.append(f'<g transform="translate({number(_FRAME)} 44)">')
    body.extend(_drawn(plan))
    body.append("</g></g>")
    return y + height


def _legend(plans: list[Plan], y: float, width: float, body: list[str]) -> float:
    x = 0.0
    for kind in _kinds(iter(plans)):
        step = 24.0 + pixels(kind, _TEXT_SIZE) + 20.0
        if x + step > width:
            x, y = 0.0, y + 26.0
        body.append(f'<g class="{kind}" transform="translate({number(_MARGIN + x)} {number(y)})">')
        body.append(_icon(kind, 0.0, -13.0, 18.0))
        body.append(f"{_text('n', 24.0, 0.0, kind, _TEXT_SIZE)}</g>")
        x += step
    ties = {line.tie.kind for plan in plans for line in plan.lines}
    names = {
        TieKind.CONTROL: "order only",
        TieKind.FALLBACK: "if it fails",
        TieKind.UNDO: "to undo it",
    }
    for tie_kind, name in names.items():
        if tie_kind in ties:
            step = 36.0 + pixels(name, _TEXT_SIZE) + 20.0
            if x + step > width:
                x, y = 0.0, y + 26.0
            left = _MARGIN + x
            body.append(
                f'<path class="e operator {tie_kind}" d="M{number(left)} {number(y - 4)}h28"/>'
            )
            body.append(_text("n", left + 36.0, y, name, _TEXT_SIZE))
            x += step
    return y


# --- the drawing ---


def _drawn(plan: Plan) -> Iterator[str]:
    for line in plan.lines:
        yield _line(plan, line)
    pointed: set[Point] = set()
    for line in plan.lines:
        if line.end not in pointed:
            pointed.add(line.end)
            yield _arrow(plan, line)
    for place, card in enumerate(plan.cards):
        yield _card(plan, place, card)
    for line in plan.lines:
        if line.label:
            yield from _label(line)


def _classes(plan: Plan, line: Line) -> str:
    tie = line.tie
    cut_off = " cut" if plan.flow is Flow.DOWN and _points_back(plan, line) else ""
    return f"{plan.cards[tie.source].node.kind}{cut_off}"


def _points_back(plan: Plan, line: Line) -> bool:
    return line.end.y <= plan.corners[line.tie.source].y


def _line(plan: Plan, line: Line) -> str:
    kind = "" if line.tie.kind is TieKind.DATA else f" {line.tie.kind}"
    return f'<path class="e {_classes(plan, line)}{kind}" d="{line.path}"/>'


def _arrow(plan: Plan, line: Line) -> str:
    shape = "l-7-4v8z" if plan.flow is Flow.RIGHT else "l-4-7h8z"
    end = f"{number(line.end.x)} {number(line.end.y)}"
    return f'<path class="a {_classes(plan, line)}" d="M{end}{shape}"/>'


def _label(line: Line) -> Iterator[str]:
    width = pixels(line.label, PORT_SIZE) + 12.0
    x, y = line.label_at
    yield (
        f'<rect class="l" x="{number(x - width / 2)}" y="{number(y - 8)}" width="{number(width)}"'
        f' height="16" rx="8"/>{_text("w", x, y + 3.5, line.label, PORT_SIZE, anchor="middle")}'
    )


def _card(plan: Plan, place: int, card: Card) -> str:
    corner = plan.corners[place]
    kind = card.node.kind
    top = STRIP if plan.flow is Flow.DOWN and card.in_labels else 0.0
    round_ = kind in (NodeKind.INPUT, NodeKind.OUTPUT) and card.height <= HEADER
    size = f'width="{number(card.width)}" height="{number(card.height)}"'
    rim = f'<rect class="b" {size} rx="{"23" if round_ else "9"}"'
    parts = [
        f'<g class="{kind}" transform="translate({number(corner.x)} {number(corner.y)})">',
        f"<title>{escape(_told(card.node))}</title>",
        f'{rim} x="4" y="4"/>' if kind is NodeKind.MAP else "",
        f"{rim}/>",
        _icon(kind, PADDING, top + (HEADER - ICON) / 2, ICON),
        _text(
            "t", TEXT_AT, top + (20.0 if card.detail else 28.0), card.title, TITLE_SIZE, bold=True
        ),
        _text("s", TEXT_AT, top + 35.0, card.detail, DETAIL_SIZE),
        *_ports(plan, place, card),
        "</g>",
    ]
    return "".join(parts)


def _told(node: Node) -> str:
    """What is shown of a node when one points at it."""
    about = [f"{node.id} ({node.kind}{f' {node.use}' if node.use else ''})", node.description]
    return "\n".join(clean(each) for each in about if each)


def _ports(plan: Plan, place: int, card: Card) -> Iterator[str]:
    corner = plan.corners[place]
    for labels, points, anchor, inward in (
        (card.in_labels, plan.in_ports[place], "start", PADDING),
        (card.out_labels, plan.out_ports[place], "end", -PADDING),
    ):
        for label, point in zip(labels, points, strict=False):
            x, y = point.x - corner.x, point.y - corner.y
            if plan.flow is Flow.RIGHT:
                yield _text("p", x + inward, y + 3.5, label, PORT_SIZE, anchor=anchor)
            else:
                y += 13.0 if inward > 0 else -6.0
                yield _text("p", x, y, label, PORT_SIZE, anchor="middle")
    for point in plan.out_ports[place] if card.out_labels else ():
        place_ = f'cx="{number(point.x - corner.x)}" cy="{number(point.y - corner.y)}"'
        yield f'<circle class="i" {place_} r="2.6"/>'


def _icon(kind: NodeKind, x: float, y: float, size: float) -> str:
    inset = number(size * 0.19)
    return (
        f'<g transform="translate({number(x)} {number(y)})">'
        f'<rect class="i" width="{number(size)}" height="{number(size)}"'
        f' rx="{number(size * 0.27)}"/>'
        f'<path class="g" transform="translate({inset} {inset}) scale({size * 0.62 / 16:.4g})"'
        f' d="{ICONS[kind]}"/></g>'
    )


def _text(
    class_: str, x: float, y: float, text: str, size: float, *, bold: bool = False, anchor: str = ""
) -> str:
    """A text that its viewer fits to its measure, whatever the font."""
    if not text:
        return ""
    side = f' text-anchor="{anchor}"' if anchor not in ("", "start") else ""
    length = number(pixels(text, size, bold=bold))
    return (
        f'<text class="{class_}" x="{number(x)}" y="{number(y)}"{side} textLength="{length}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )
