from __future__ import annotations

from pathlib import Path

import pytest

import symphony
from symphony.commons.duck import LONGEST, duck

HERE = Path(__file__).name


def _line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))


def test_duck_says_file_line_expression_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    price, count = 6, 7
    total = duck(price * count)
    assert total == 42
    place = f"{HERE}:{_line_of('total = duck')}"
    assert capsys.readouterr().err == f"[DUCK DEBUGGING] {place} price * count = 42\n"


def test_duck_returns_the_very_object() -> None:
    thing = object()
    assert duck(thing) is thing
    assert duck(value=thing) is thing


def test_several_ducks_on_a_line_each_say_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    text = "é"
    assert (duck(text), duck(len(text)), duck(duck(value=(1, 2)))) == ("é", 1, (1, 2))
    said = [line.split(" ", 3)[3] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "text = 'é'",
        "len(text) = 1",
        "(1, 2) = (1, 2)",
        "duck(value=(1, 2)) = (1, 2)",
    ]


def test_expression_over_several_lines_is_said_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    duck(
        [
            1,
            2,
        ]
    )
    assert "[ 1, 2, ] = [1, 2]" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["duck(1 + 1)", "duck(1 + 1) #"])
def test_without_source_the_expression_is_unknown(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(source, {"duck": duck})
    assert capsys.readouterr().err == "[DUCK DEBUGGING] <string>:1 ? = 2\n"


def test_source_that_changed_meanwhile_makes_the_expression_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "changed.py"
    for now in ("def (", "other = 1"):
        path.write_text(now)
        exec(compile("duck(1)", str(path), "exec"), {"duck": duck})
        path = tmp_path / "changed_too.py"
    assert capsys.readouterr().err.count(" ? = 1") == 2


def test_long_value_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    duck("x" * 1_000_000)
    said = capsys.readouterr().err
    assert len(said) < LONGEST + 200
    assert said.endswith("... (1000002 characters)\n")


def test_no_call_is_left_in_the_source() -> None:
    sources = [path for path in Path(symphony.__file__).parent.rglob("*.py") if path.stem != "duck"]
    left = [path for path in sources if "duck(" in path.read_text(encoding="utf-8")]
    assert len(sources) > 10
    assert left == []
