"""Workflows in files of their own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from symphony.workflow import (
    Format,
    Workflow,
    WorkflowInvalid,
    dumps,
    encode,
    fingerprint,
    load,
    loads,
)
from symphony.workflow import _references as module


def write(path: Path, *references: str, **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "symphony": 2,
        "id": "t",
        "nodes": [{"id": "in", "kind": "input"}],
        "workflows": {f"w{number}": {"file": file} for number, file in enumerate(references)},
        **more,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return path


def problem_of(path: Path) -> str:
    with pytest.raises(WorkflowInvalid) as caught:
        load(path)
    return str(caught.value)


def test_a_path_is_seen_from_the_file_it_stands_in(tmp_path: Path) -> None:
    top = write(tmp_path / "top.json", "parts/a.json")
    write(tmp_path / "parts/a.json", "../more/b.yaml", name="A")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.yaml").write_text("symphony: 2\nid: b\nname: B\nnodes: []\n")
    workflow = load(top)
    inner = workflow.workflows["w0"]
    assert (inner.id, inner.name, inner.file) == ("w0", "A", "parts/a.json")
    assert inner.workflows["w0"].name == "B"
    assert inner.source is not None
    assert inner.source.name == str(tmp_path / "parts/a.json")
    assert len(inner.nodes) == 1


def test_only_the_reference_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    workflow = load(write(tmp_path / "top.json", "./a.json"))
    assert '"workflows": {"w0": {"file": "./a.json"}}' in dumps(workflow)
    for form in Format:
        (tmp_path / "again").write_bytes(encode(workflow, form))
        assert load(tmp_path / "again") == workflow


def test_a_text_leaves_its_references_open(tmp_path: Path) -> None:
    path = write(tmp_path / "top.json", "./a.json")
    workflow = loads(path.read_text())
    assert workflow.workflows["w0"] == Workflow("w0", (), file="./a.json")
    write(tmp_path / "a.json")
    assert fingerprint(load(path)) != fingerprint(workflow)


def test_references_in_a_workflow_that_stands_in_the_file_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.json", name="A")
    inline = {"part": {"nodes": [], "workflows": {"deep": {"file": "a.json"}}}}
    workflow = load(write(tmp_path / "top.json", workflows=inline))
    assert workflow.workflows["part"].workflows["deep"].name == "A"


def test_a_fault_of_a_reference_is_told_where_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "top.json", "./none.json", "/etc/a.json", "a\0b", "./folder")
    (tmp_path / "folder").mkdir()
    shown = problem_of(path)
    assert "12:15: Workflow 'w0' cannot be read. There is no file or folder " in shown
    assert "15:15: Workflow 'w1': the path '/etc/a.json' is absolute." in shown
    assert "18:15: Workflow 'w2': the path 'a\\x00b' contains a NUL character." in shown
    assert "21:15: Workflow 'w3' cannot be read. " in shown


def test_a_fault_in_a_file_that_is_referred_to_is_told_there(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "b.json")
    (tmp_path / "b.json").write_text("{\n")
    assert problem_of(write(tmp_path / "top.json", "a.json")).startswith(f"{tmp_path}/b.json:2:1: ")


def test_a_file_may_not_lead_back_to_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "./b.json")
    write(tmp_path / "b.json", "./link.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
    shown = problem_of(tmp_path / "a.json")
    assert "leads back to a file that it is part of: a.json -> b.json -> link.json." in shown
    assert shown.startswith(f"{tmp_path}/b.json:12:15: ")


def test_files_lead_to_each_other_so_far_and_no_further(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / f"{number}.json", f"{number + 1}.json")
    write(tmp_path / "15.json")
    assert load(tmp_path / "0.json").nodes
    write(tmp_path / "15.json", "16.json")
    write(tmp_path / "16.json")
    assert "More than 16 files lead to each other." in problem_of(tmp_path / "0.json")


def test_a_file_that_many_name_is_read_once_and_counted_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        write(tmp_path / f"{number}.json", *[f"{number + 1}.json"] * 10)
    write(tmp_path / "10.json")
    assert "more than 10,000 workflows in each other" in problem_of(tmp_path / "0.json")
    workflow = load(tmp_path / "7.json")
    one, other = (workflow.workflows[name].workflows["w0"] for name in ("w0", "w1"))
    assert one is other
    monkeypatch.setattr(module, "MAX_WORKFLOWS", 1111)
    assert load(tmp_path / "7.json").nodes
    monkeypatch.setattr(module, "MAX_WORKFLOWS", 1110)
    assert "more than 1,110 workflows" in problem_of(tmp_path / "7.json")


def test_a_workflow_stands_in_a_file_or_here(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    both = {"w": {"file": "a.json", "nodes": [{"id": "x", "kind": "input"}]}}
    shown = problem_of(write(tmp_path / "top.json", workflows=both))
    assert "Workflow 'w' is in a file, and has nodes here too." in shown
