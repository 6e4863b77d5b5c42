from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from symphony.sdk import Raised
from symphony.sdk._failures import LONGEST_REASON, report_failure


def reported(folder: Path, program: str) -> Raised:
    """What is reported of a program in `folder` that raises."""
    path = folder / "program.py"
    path.write_text(program)
    try:
        runpy.run_path(str(path))
    except (ValueError, OSError, SyntaxError) as error:
        return report_failure(error, "ext", "run", str(folder))
    raise AssertionError("it did not raise")


def test_type_message_and_place_are_told(tmp_path: Path) -> None:
    raised = reported(tmp_path, "def f():\n    raise ValueError('too dark')\nf()\n")
    assert (raised.exception, raised.reason, raised.place) == (
        "ValueError",
        "too dark",
        "program.py:2",
    )
    assert raised.message == (
        "The extension 'ext' failed in run at program.py:2: ValueError: too dark"
    )


def test_the_place_is_in_the_extension_though_a_library_raised(tmp_path: Path) -> None:
    raised = reported(tmp_path, "import json\n\njson.loads('{')\n")
    assert (raised.exception, raised.place) == ("JSONDecodeError", "program.py:3")


def test_a_syntax_error_is_placed_where_it_stands(tmp_path: Path) -> None:
    raised = reported(tmp_path, "x = 1\ny = = 2\n")
    assert (raised.exception, raised.place) == ("SyntaxError", "program.py:2")


def test_the_traceback_is_printed_with_its_causes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reported(
        tmp_path,
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise OSError('x') from error\n",
    )
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in printed
    assert "direct cause" in printed
    assert printed.endswith("OSError: x\n")


def test_a_message_that_cannot_be_made_does_no_harm(tmp_path: Path) -> None:
    raised = reported(
        tmp_path,
        "class Odd(ValueError):\n    def __str__(self):\n        raise RuntimeError\nraise Odd\n",
    )
    assert raised.exception == "Odd"
    assert "failed" in raised.reason


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    raised = reported(tmp_path, "raise ValueError('x' * 1_000_000)\n")
    assert LONGEST_REASON <= len(raised.reason) <= LONGEST_REASON + 10
