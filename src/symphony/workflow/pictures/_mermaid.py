"""A workflow as a Mermaid flowchart, which many pages draw by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from symphony.workflow import DEFAULT_PORT, Node, NodeKind, Scope, Workflow
from symphony.workflow.pictures._cards import detail_of
from symphony.workflow.pictures._skeleton import MAX_NESTING, Skeleton, Tie, TieKind, inner_of
from symphony.workflow.pictures._text import clean, cut
from symphony.workflow.pictures._theme import COLOURS

_LONGEST: Final = 60
_SHAPES: Final[dict[NodeKind, tuple[str, str]]] = {
    NodeKind.INPUT: ("([", "])"),
    NodeKind.OUTPUT: ("([", "])"),
    NodeKind.OPERATOR: ("[", "]"),
    NodeKind.INSTRUMENT: ("{{", "}}"),
    NodeKind.WORKFLOW: ("[[", "]]"),
    NodeKind.MAP: ("[[", "]]"),
    NodeKind.LOOP: ("[[", "]]"),
    NodeKind.BRANCH: ("{", "}"),
    NodeKind.MERGE: (">", "]"),
    NodeKind.JOIN: ("[/", "\\]"),
    NodeKind.WAIT: ("[/", "/]"),
}
#: What Mermaid, or the HTML it draws labels with, would read.
_ESCAPED: Final = str.maketrans(
    {character: f"#{ord(character)};" for character in "\"'#;<>&`\\|*_~[](){}"}
)


def mermaid(workflow: Workflow) -> str:
    """The text of a flowchart. A nested workflow is a subgraph where it is used first."""
    return "\n".join(["flowchart TB", *_Writer().body((workflow,), "n", "  "), *_classes()]) + "\n"


class _Writer:
    def __init__(self) -> None:
        self._shown: set[int] = set()

    def body(self, scope: Scope, prefix: str, margin: str) -> Iterator[str]:
        skeleton = Skeleton(scope[0])
        names = [f"{prefix}{number}" for number in range(len(skeleton.nodes))]
        for name, node in zip(names, skeleton.nodes, strict=True):
            yield from self._node(name, node, scope, margin)
        for tie in skeleton.ties:
            yield f"{margin}{names[tie.source]} {_arrow(tie)} {names[tie.target]}"

    def _node(self, name: str, node: Node, scope: Scope, margin: str) -> Iterator[str]:
        inner = inner_of(node, scope)
        label = _label(clean(node.title or node.id), clean(detail_of(node, scope)))
        if inner is None or id(inner[0]) in self._shown or len(inner) > MAX_NESTING:
            opening, closing = _SHAPES[node.kind]
            yield f'{margin}{name}{opening}"{label}"{closing}:::{node.kind}'
            return
        self._shown.add(id(inner[0]))
        yield f'{margin}subgraph {name}["{label}"]'
        yield from self.body(inner, f"{name}x", f"{margin}  ")
        yield f"{margin}end"


def _label(title: str, detail: str) -> str:
    return f"{_escaped(title)}<br/>{_escaped(detail)}" if detail else _escaped(title)


def _escaped(text: str) -> str:
    return cut(text, _LONGEST, len).translate(_ESCAPED)


def _arrow(tie: Tie) -> str:
    arrow = "-->" if tie.kind is TieKind.DATA else "-.->"
    ports = [port for port in (tie.out, tie.into) if port != DEFAULT_PORT]
    parts = [clean(" → ".join(ports)), clean(tie.text)]
    text = _escaped(" ".join(part for part in parts if part))
    return f'{arrow}|"{text}"|' if text else arrow


def _classes() -> Iterator[str]:
    for kind in NodeKind:
        yield f"  classDef {kind} stroke:{COLOURS[kind][0]},stroke-width:2px"
