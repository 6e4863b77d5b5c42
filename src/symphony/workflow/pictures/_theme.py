"""Colours and icons of the drawings: by kind of node, for light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from symphony.workflow import NodeKind

#: Of each kind: on light ground, on dark ground.
COLOURS: Final[dict[NodeKind, tuple[str, str]]] = {
    NodeKind.INPUT: ("#0f8f83", "#35c4b5"),
    NodeKind.OUTPUT: ("#2b8a3e", "#5ccf74"),
    NodeKind.OPERATOR: ("#3867d6", "#7aa2f7"),
    NodeKind.INSTRUMENT: ("#8544d8", "#bb93fa"),
    NodeKind.WORKFLOW: ("#0b7fab", "#4fc1e9"),
    NodeKind.MAP: ("#0b7fab", "#4fc1e9"),
    NodeKind.LOOP: ("#0b7fab", "#4fc1e9"),
    NodeKind.BRANCH: ("#c2690c", "#f0a44b"),
    NodeKind.MERGE: ("#c2690c", "#f0a44b"),
    NodeKind.JOIN: ("#c2690c", "#f0a44b"),
    NodeKind.WAIT: ("#cf2f5c", "#f7799b"),
}

#: Strokes on a square of 16 by 16.
ICONS: Final[dict[NodeKind, str]] = {
    NodeKind.INPUT: "M2 8h8M7 4.5 10.5 8 7 11.5M10 2.5h3.5v11H10",
    NodeKind.OUTPUT: "M6 8h8M10.5 4.5 14 8l-3.5 3.5M6 2.5H2.5v11H6",
    NodeKind.OPERATOR: "M8 5.2a2.8 2.8 0 1 0 .01 0M8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2"
    "M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4",
    NodeKind.INSTRUMENT: "M7 2.2c.6 3.6 1.6 4.6 5 5.3-3.4.7-4.4 1.7-5 5.3-.6-3.6-1.6-4.6-5-5.3"
    " 3.4-.7 4.4-1.7 5-5.3zM12.8 10.6v3.2M11.2 12.2h3.2",
    NodeKind.WORKFLOW: "M2.5 2.5h11v11h-11zM5 6h2.6v4H5zM7.6 8h3.4M9.4 6.2 11.2 8 9.4 9.8",
    NodeKind.MAP: "M5 2.5h8.5V11M2.5 5H11v8.5H2.5zM4.8 8h4M4.8 10.6h4",
    NodeKind.LOOP: "M13.2 8A5.2 5.2 0 1 1 11 3.8M11.4 1.2v3H8.4",
    NodeKind.BRANCH: "M2 8h4l4-4.5h3.5M6 8l4 4.5h3.5M11.6 1.6l2 1.9-2 1.9M11.6 10.6l2 1.9-2 1.9",
    NodeKind.MERGE: "M2.5 3.5H6L10 8h3.5M2.5 12.5H6L10 8M11.5 6l2 2-2 2",
    NodeKind.JOIN: "M6.5 2.5C4 2.5 5.5 8 3 8c2.5 0 1 5.5 3.5 5.5M9.5 2.5C12 2.5 10.5 8 13 8"
    "c-2.5 0-1 5.5-3.5 5.5M7.2 8h1.6",
    NodeKind.WAIT: "M8 2.2a2.6 2.6 0 1 0 .01 0M2.8 13.8c.4-3.4 2.4-4.8 5.2-4.8s4.8 1.4 5.2 4.8",
}

#: Fonts of the widths that the texts are measured by.
_FONT: Final = '"Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif'
_COMMON: Final = (
    f"text{{font-family:{_FONT}}}"
    ".h{font-size:19px;font-weight:650}.d,.n{font-size:12px}.t{font-size:13px;font-weight:600}"
    ".s{font-size:11px}.p,.w{font-size:10px}"
    ".e{fill:none;stroke-width:1.6;stroke-opacity:.72}"
    ".control{stroke-dasharray:5 4}.fallback,.undo{stroke-dasharray:2 4;stroke-linecap:round}"
    ".g{fill:none;stroke:#fff;stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}"
    ".b{stroke-width:1.2}.wait .b{stroke-dasharray:5 3}"
)
_LIGHT: Final = (
    ".bg{fill:#fbfcfe}.h,.t{fill:#1b2430}.d,.s,.n{fill:#5b6776}.p{fill:#465261}"
    ".b{fill:#fff;stroke:#ccd4de}.f{fill:#f1f4f9;stroke:#d3dae4}"
    ".l{fill:#fff8e6;stroke:#e6c877}.w{fill:#6d4c00}.cut{stroke:#d6336c}.a.cut{fill:#d6336c}"
)
_DARK: Final = (
    ".bg{fill:#10151c}.h,.t{fill:#e8edf4}.d,.s,.n{fill:#98a5b5}.p{fill:#b4c0ce}"
    ".b{fill:#1a222c;stroke:#364352}.f{fill:#151c25;stroke:#2c3745}.g{stroke:#10151c}"
    ".l{fill:#33290f;stroke:#7a6222}.w{fill:#f0d38a}.cut{stroke:#ff7aa8}.a.cut{fill:#ff7aa8}"
)


def style(kinds: Iterable[NodeKind]) -> str:
    present = list(kinds)
    light = _LIGHT + "".join(_rules(kind, COLOURS[kind][0]) for kind in present)
    dark = _DARK + "".join(_rules(kind, COLOURS[kind][1]) for kind in present)
    return f"{_COMMON}{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _rules(kind: NodeKind, colour: str) -> str:
    return f".{kind} .i,.a.{kind}{{fill:{colour}}}.e.{kind}{{stroke:{colour}}}"
