"""A workflow on a terminal: its nodes level by level, each once, with what flows into it.

A tree that follows the edges was tried first. On the demo workflow half of its lines were
references to nodes shown elsewhere, a chain of 40 nodes ran out of the screen, and what a node
gets, which is what one looks for, stood in as many places as it has parents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

from symphony.workflow import DEFAULT_PORT, Node, NodeKind, Scope, Workflow
from symphony.workflow.pictures._cards import counted, detail_of
from symphony.workflow.pictures._skeleton import (
    MAX_NESTING,
    Skeleton,
    Tie,
    TieKind,
    inner_of,
)
from symphony.workflow.pictures._text import clean, columns, cut

Role: TypeAlias = NodeKind | Literal["name", "faint", "condition", "fault"]
#: Gives a piece of text its colour. It must not change how wide the text is.
Paint: TypeAlias = Callable[[str, Role], str]

_GLYPHS: Final[dict[NodeKind, str]] = {
    NodeKind.INPUT: "▷",
    NodeKind.OUTPUT: "▶",
    NodeKind.OPERATOR: "●",
    NodeKind.INSTRUMENT: "◆",
    NodeKind.WORKFLOW: "▣",
    NodeKind.MAP: "▤",
    NodeKind.LOOP: "↻",
    NodeKind.BRANCH: "◇",
    NodeKind.MERGE: "▽",
    NodeKind.JOIN: "⊕",
    NodeKind.WAIT: "◷",
}
_LONGEST_NAME: Final = 28
_LONGEST_DETAIL: Final = 34
_NARROWEST: Final = 40

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")

Piece: TypeAlias = tuple[str, Role | None]


def _plain(text: str, _: Role) -> str:
    return text


def tree(workflow: Workflow, *, width: int = 100, paint: Paint = _plain) -> str:
    """Lines of at most `width` columns, or of 40 if that is less. Text of the workflow cannot
    control the terminal."""
    writer = _Writer(max(width, _NARROWEST), paint)
    writer.head(workflow)
    writer.body((workflow,), "")
    return "\n".join(writer.lines) + "\n"


def line(workflow: Workflow, *, width: int = 100) -> str:
    """One line: how much there is, and the longest way through it."""
    skeleton = Skeleton(workflow)
    names = [clean(skeleton.nodes[number].id) for number in skeleton.critical_path()]
    start = f"{counted(len(workflow.nodes), 'node')} · {counted(len(workflow.edges), 'edge')}"
    way = " → ".join(names)
    room = max(width, _NARROWEST) - columns(start) - 3
    if columns(way) > room and len(names) > 2:
        way = _middle_left_out(names, room)
    return cut(f"{start} · {way}" if way else start, max(width, _NARROWEST), columns)


def _middle_left_out(names: list[str], room: int) -> str:
    kept = names[:1]
    end = f"→ … → {names[-1]}"
    for name in names[1:-1]:
        if columns(" → ".join([*kept, name])) + columns(end) + 1 > room:
            break
        kept.append(name)
    return f"{' → '.join(kept)} {end}"


class _Writer:
    """Writes lines that fit, wrapped under a hanging indent."""

    def __init__(self, width: int, paint: Paint) -> None:
        self._width = width
        self._paint = paint
        self.lines: list[str] = []
        self._shown: dict[int, str] = {}

    def head(self, workflow: Workflow) -> None:
        name = cut(clean(workflow.name or workflow.id), self._width, columns)
        size = f"{counted(len(workflow.nodes), 'node')} · {counted(len(workflow.edges), 'edge')}"
        facts = cut(clean(f"{workflow.id} {workflow.version} · {size}"), self._width, columns)
        self._add([(name, "name")], "", "")
        self._add([(facts, "faint")], "", "")
        if workflow.description:
            self._add([(word, None) for word in clean(workflow.description).split(" ")], "", "")
        self.lines.append("")

    def body(self, scope: Scope, margin: str) -> None:
        skeleton = Skeleton(scope[0])
        nodes, levels = skeleton.nodes, skeleton.levels
        order = sorted(range(len(nodes)), key=levels.__getitem__)
        room = self._width - columns(margin)
        names = max((columns(clean(node.id)) for node in nodes), default=0)
        name_width = min(names, _LONGEST_NAME, room // 3)
        details = max((columns(self._detail(node, scope)) for node in nodes), default=0)
        detail_width = min(details, _LONGEST_DETAIL, max(room - name_width - 34, 8))
        digits = len(str(max(levels, default=0) + 1))
        before = -1
        for number in order:
            level = levels[number]
            mark = f"{level + 1:>{digits}} " if level != before else " " * (digits + 1)
            before = level
            node = nodes[number]
            pieces: list[Piece] = [
                (_padded(clean(node.id), name_width), "name"),
                (_padded(self._detail(node, scope), detail_width), "faint"),
                *self._sources(skeleton, number),
            ]
            glyph = self._paint(_GLYPHS[node.kind], node.kind)
            hang = " " * (digits + 3 + min(name_width + detail_width + 4, room // 2))
            self._add(pieces, f"{margin}{self._paint(mark, 'faint')}{glyph} ", margin + hang)
            self._nested(node, scope, f"{margin}{' ' * (digits + 1)}")
        for loose in skeleton.loose:
            text = f"{loose.source} → {loose.target}: there is no such node"
            self._add([(clean(text), "fault")], f"{margin}{' ' * (digits + 1)}! ", margin + "  ")

    def _detail(self, node: Node, scope: Scope) -> str:
        return clean(detail_of(node, scope))

    def _sources(self, skeleton: Skeleton, number: int) -> Iterator[Piece]:
        ties = skeleton.ties_into[number]
        for place, tie in enumerate(ties):
            comma = "," if place + 1 < len(ties) else ""
            source = clean(skeleton.nodes[tie.source].id)
            back = skeleton.leads_back(tie)
            if place == 0:
                yield "←", "faint"
            yield f"{_source(tie, source)}{'' if tie.when or back else comma}", None
            if tie.when:
                yield f"if {clean(tie.when)}{'' if back else comma}", "condition"
            if back:
                yield f"(a cycle){comma}", "fault"

    def _nested(self, node: Node, scope: Scope, margin: str) -> None:
        """What a node runs, below it; where it was shown before, only its name is left."""
        inner = inner_of(node, scope)
        if inner is None or not inner[0].nodes:
            return
        margin += self._paint("│ ", node.kind)
        earlier = self._shown.get(id(inner[0]))
        if earlier is not None or len(inner) > MAX_NESTING:
            text = f"as in {earlier}" if earlier else "nested too deeply to be shown"
            self._add([(text, "faint")], margin, margin)
            return
        self._shown[id(inner[0])] = clean(node.id)
        self.body(inner, margin)

    def _add(self, pieces: list[Piece], start: str, hang: str) -> None:
        """One line of pieces, and more of them if it gets too long."""
        text, used = start, _visible(start)
        begun = False
        for piece, role in pieces:
            gap = " " if begun else ""
            if begun and used + len(gap) + columns(piece.rstrip()) > self._width:
                self.lines.append(text.rstrip())
                text, used, gap = hang, _visible(hang), ""
            shown = cut(piece, self._width - used - len(gap), columns)
            bare = shown.rstrip()
            text += gap + (self._paint(bare, role) if role else bare)
            text += " " * (len(shown) - len(bare))
            used += len(gap) + columns(shown)
            begun = True
        self.lines.append(text.rstrip())


def _source(tie: Tie, source: str) -> str:
    if tie.kind is TieKind.CONTROL:
        return f"after {source}"
    if tie.kind is TieKind.FALLBACK:
        return f"if {source} fails"
    if tie.kind is TieKind.UNDO:
        return f"to undo {source}"
    out = source if tie.out == DEFAULT_PORT else f"{source}.{clean(tie.out)}"
    return out if tie.into == DEFAULT_PORT else f"{clean(tie.into)}={out}"


def _padded(text: str, width: int) -> str:
    shown = cut(text, width, columns)
    return shown + " " * (width - columns(shown))


def _visible(painted: str) -> int:
    """Columns of what `paint` may have coloured."""
    return columns(_COLOURS.sub("", painted))
