from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from symphony.cli import main
from symphony.workflow import load

SAMPLES = Path(__file__).parents[1] / "samples" / "imports"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLES / "n8n" / "loop.json", tmp_path / "export.json"))


def test_a_file_of_ours_is_written_beside_it(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["workflow", "import", str(saved)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "note: work: it used credentials" in captured.err
    assert "4 nodes, 3 edges written to" in captured.err
    assert load(saved.parent / "every-row.workflow.json").name == "Every row"


def test_no_file_is_written_over_unless_one_says_so(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = saved.parent / "mine.workflow.json"
    there.write_text("mine")
    assert main(["workflow", "import", str(saved), "-o", str(there)]) == 8
    assert there.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["workflow", "import", str(saved), "-o", str(there), "--force"]) == 0
    assert load(there).id == "every-row"


def test_it_can_be_written_to_stdout(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflow", "import", str(saved), "-o", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "every-row"
    assert list(saved.parent.iterdir()) == [saved]


def test_what_was_done_as_a_document(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflow", "import", str(saved), "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert document["from"] == "n8n"
    assert document["ids"] == {"Start": "start", "Loop": "loop", "Work": "work", "Done": "done"}
    assert {"node": "loop"}.items() <= next(
        note for note in document["notes"] if "was cut" in note["text"]
    ).items()


def test_faults_of_the_file_are_told_with_their_places(capsys: pytest.CaptureFixture[str]) -> None:
    broken = SAMPLES / "comfyui" / "broken.json"
    assert main(["workflow", "import", str(broken), "--from", "comfyui"]) == 3
    error = capsys.readouterr().err
    assert "7 problems" in error
    assert "8:13: Two nodes have the id 1." in error
