"""The pages lead to each other, and what they show can be done."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from symphony.cli import main

from .conftest import DOCS, ROOT, Block, anchors_of, blocks_of, prose_of

PAGES = sorted(DOCS.rglob("*.md"))
#: Their blocks are run by tests/e2e/test_docs.py and checked by tests/workflow/test_reference.py.
TRIED_ELSEWHERE = {"first-workflow.md", "workflow-format.md"}
RUNNING = [
    page for page in PAGES if blocks_of(page) and page.relative_to(DOCS).name not in TRIED_ELSEWHERE
]


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """The files of ours that it links to, and the anchors in them."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            yield (page.parent / name).resolve() if name else page, anchor


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "README.md", *sorted(ROOT.glob("examples/*/README.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links_of(page):
        assert target.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(target), f"{target.name} has no {anchor}"


def test_every_page_is_reachable_from_the_index() -> None:
    found: set[Path] = set()
    pending = [DOCS / "index.md"]
    while pending:
        page = pending.pop()
        if page not in found:
            found.add(page)
            pending += [target for target, _ in links_of(page) if target.suffix == ".md"]
    assert set(PAGES) - found == set()


class Reader:
    """Somebody who does what a page shows, from top to bottom, in an empty folder."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capture = capture
        self._scripts = 0

    def follow(self, block: Block, shown: str) -> str:
        """What is on the screen after a block, given what was there before it."""
        if block.option.startswith("file="):
            path = self._folder / block.option.removeprefix("file=")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            return shown
        match block.language:
            case "python":
                self._run_script(block.text)
            case "sh":
                self._run_commands(block)
            case "text":
                for line in block.text.splitlines():
                    assert line in shown
                return shown
            case other:
                raise AssertionError(f"nobody knows what to do with a block of {other!r}")
        captured = self._capture.readouterr()
        return captured.out + captured.err

    def _run_script(self, text: str) -> None:
        self._scripts += 1
        script = self._folder / f"script_{self._scripts}.py"
        script.write_text(text, encoding="utf-8")
        runpy.run_path(str(script), run_name=script.stem)

    def _run_commands(self, block: Block) -> None:
        for line in block.text.splitlines():
            words = shlex.split(line)
            program = words.index("symphony")
            with pytest.MonkeyPatch.context() as patch:
                for assignment in words[:program]:
                    patch.setenv(*assignment.split("=", 1))
                code = main(words[program + 1 :])
            assert code == int(block.option.removeprefix("exit=") or 0), line


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.name)
def test_what_a_page_shows_works(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("SYMPHONY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    reader, shown = Reader(work, capsys), ""
    for block in blocks_of(page):
        shown = reader.follow(block, shown)
