"""What is read of the code base and of its documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "symphony"

_FENCE = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, the option after it (`file=...`, `exit=3`), its text."""

    language: str
    option: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The names by which its headings can be linked to."""
    kept = (
        re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose_of(page))
    )
    return {heading.replace(" ", "-") for heading in kept}


def rows_of(page: str, *, heading: str = "") -> list[list[str]]:
    """The cells of every table row below a heading of the second level, or in the whole page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def named_rows(page: str, *, heading: str = "") -> dict[str, list[str]]:
    """Rows whose first cell is a name in code, by that name."""
    rows = rows_of(page, heading=heading)
    return {cells[0].strip("`"): cells[1:] for cells in rows if re.fullmatch(r"`[^`]+`", cells[0])}
