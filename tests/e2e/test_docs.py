"""The commands of "Your first workflow" do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from .conftest import Cli

PAGE = Path(__file__).parents[2] / "docs" / "first-workflow.md"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_first_workflow_page(symphony: Cli) -> None:
    shown = ""
    commands = 0
    for kind, option, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "json":
            (symphony.work / option.removeprefix("file=")).write_text(body)
        elif kind == "sh":
            program, *arguments = shlex.split(body)
            assert program == "symphony"
            outcome = symphony(*arguments)
            shown = outcome.stdout + outcome.stderr
            assert outcome.code == int(option.removeprefix("exit=") or 0), shown
            commands += 1
        else:
            for line in body.splitlines():
                assert line in shown
    assert commands == len(re.findall(r"^symphony ", PAGE.read_text(), re.MULTILINE))
