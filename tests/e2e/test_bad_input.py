"""Every way to hand Symphony something wrong: a clear message, a documented exit code, nothing
lost, nothing left behind. Each test runs the real command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import SAMPLES, Cli, Outcome

WriteWorkflow = Callable[..., Path]

HELLO: list[dict[str, Any]] = [
    {"id": "name", "kind": "input", "schema": {"type": "string"}},
    {
        "id": "greet",
        "kind": "operator",
        "use": "text.template",
        "params": {"template": "Hello {{ name }}"},
    },
    {"id": "greeting", "kind": "output"},
]
HELLO_EDGES = ("name -> greet.with.name", "greet -> greeting")


def no_traceback(text: str) -> bool:
    return "Traceback" not in text


def test_missing_file(symphony: Cli) -> None:
    outcome = symphony("run", "nowhere.workflow.json")
    assert outcome.code == 4
    assert "nowhere.workflow.json" in outcome.stderr
    assert "files.missing" in outcome.stderr
    assert no_traceback(outcome.stderr)


def test_broken_json_names_line_and_column(symphony: Cli) -> None:
    path = symphony.work / "broken.workflow.json"
    path.write_text('{\n  "symphony": 1,\n  "id": "x"\n  "nodes": []\n}\n')
    outcome = symphony("run", path)
    assert outcome.code == 3
    assert "broken.workflow.json:4:3" in outcome.stderr
    assert "workflow.syntax" in outcome.stderr


def test_unknown_node_kind_suggests_the_nearest(
    symphony: Cli, write_workflow: WriteWorkflow
) -> None:
    outcome = symphony(
        "run", write_workflow([{"id": "a", "kind": "operater", "use": "files.walk"}])
    )
    assert outcome.code == 3
    assert "operater" in outcome.stderr
    assert "'operator'" in outcome.stderr
    assert "workflow.unknown_kind" in outcome.stderr


def test_unknown_operator_suggests_the_nearest(
    symphony: Cli, write_workflow: WriteWorkflow
) -> None:
    outcome = symphony(
        "run", write_workflow([{"id": "a", "kind": "operator", "use": "files.wlak"}])
    )
    assert outcome.code == 3
    assert "'files.walk'" in outcome.stderr


def test_cycle_is_shown_as_a_path(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    nodes = [
        {"id": name, "kind": "operator", "use": "value.expression", "params": {"expression": "v"}}
        for name in ("a", "b", "c")
    ]
    edges = ("a -> b.with.v", "b -> c.with.v", "c -> a.with.v")
    outcome = symphony("run", write_workflow(nodes, *edges))
    assert outcome.code == 3
    assert "a -> b -> c -> a" in outcome.stderr
    assert "workflow.cycle" in outcome.stderr


def test_missing_input_is_named(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    outcome = symphony("run", write_workflow(HELLO, *HELLO_EDGES))
    assert outcome.code == 3
    assert "'name'" in outcome.stderr
    assert "-i name=" in outcome.stderr


def test_unknown_input_suggests_the_nearest(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    outcome = symphony("run", write_workflow(HELLO, *HELLO_EDGES), "-i", "nmae=Ada")
    assert outcome.code == 3
    assert "'name'" in outcome.stderr


def test_value_of_the_wrong_type(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    nodes = [
        {"id": "count", "kind": "input", "schema": {"type": "integer"}},
        {"id": "out", "kind": "output"},
    ]
    outcome = symphony("run", write_workflow(nodes, "count -> out"), "-i", "count=many")
    assert outcome.code == 3
    assert "count" in outcome.stderr
    assert "integer" in outcome.stderr
    assert "many" in outcome.stderr


def test_errors_are_json_on_stdout_when_asked(symphony: Cli) -> None:
    outcome = symphony("run", "nowhere.workflow.json", "--json")
    assert outcome.code == 4
    assert outcome.document["error"]["code"] == "files.missing"


FOLDER_NODES: list[dict[str, Any]] = [
    {"id": "folder", "kind": "input", "schema": {"type": "string", "format": "folder"}},
    {"id": "walk", "kind": "operator", "use": "files.walk"},
    {"id": "files", "kind": "output"},
]
FOLDER_EDGES = ("folder -> walk.folder", "walk.files -> files")


def without_override() -> tuple[str, ...]:
    """Root may read everything; take that right away, or say why this cannot be tested."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root reads every folder, and there is no setpriv to take that right away")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


def test_unreadable_folder(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    locked = symphony.work / "locked"
    locked.mkdir(mode=0o000)
    outcome = symphony(
        "run",
        write_workflow(FOLDER_NODES, *FOLDER_EDGES),
        "-i",
        f"folder={locked}",
        prefix=without_override(),
    )
    locked.chmod(0o700)
    assert outcome.code == 3
    assert "was refused" in outcome.stderr
    assert str(locked) in outcome.stderr
    assert no_traceback(outcome.stderr)


def test_folder_that_does_not_exist(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    path = write_workflow(FOLDER_NODES, *FOLDER_EDGES)
    outcome = symphony("run", path, "-i", "folder=nowhere")
    assert outcome.code == 3
    assert "input 'folder'" in outcome.stderr
    assert "nowhere" in outcome.stderr


def test_binary_file_where_text_is_expected_keeps_the_other_branch(
    symphony: Cli, write_workflow: WriteWorkflow
) -> None:
    (symphony.work / "picture.bin").write_bytes(b"\x89PNG\0\0\1\2\3\xff")
    nodes: list[dict[str, Any]] = [
        {
            "id": "read",
            "kind": "operator",
            "use": "files.read_text",
            "params": {"path": "picture.bin"},
        },
        {"id": "text", "kind": "output"},
        *HELLO,
    ]
    path = write_workflow(nodes, "read -> text", *HELLO_EDGES)
    outcome = symphony("run", path, "-i", "name=Ada", "--json")
    document = outcome.document
    assert outcome.code == 1
    assert document["state"] == "failed"
    assert document["nodes"]["read"]["error"]["code"] == "files.not_text"
    assert document["nodes"]["text"]["state"] == "skipped"
    assert document["outputs"] == {"greeting": "Hello Ada"}
    assert "picture.bin" in outcome.stderr


def misbehaving(how: str) -> list[dict[str, Any]]:
    return [
        {
            "id": "ext",
            "kind": "operator",
            "use": "misbehave",
            "params": {"how": how},
            "timeout_s": 2,
        },
        {"id": "out", "kind": "output"},
        *HELLO,
    ]


def run_extension(symphony: Cli, write: WriteWorkflow, how: str) -> Outcome:
    path = write(misbehaving(how), "ext -> out", *HELLO_EDGES, extensions=[str(SAMPLES)])
    return symphony("run", path, "-i", "name=Ada", "--json")


def test_extension_that_crashes(symphony: Cli, write_workflow: WriteWorkflow) -> None:
    outcome = run_extension(symphony, write_workflow, "exit_at_once")
    assert outcome.code == 1
    assert outcome.document["nodes"]["ext"]["error"]["code"] == "extensions.crashed"
    assert outcome.document["outputs"] == {"greeting": "Hello Ada"}
    assert no_traceback(outcome.stderr)


def test_extension_that_hangs_is_ended_at_its_timeout(
    symphony: Cli, write_workflow: WriteWorkflow
) -> None:
    outcome = run_extension(symphony, write_workflow, "hang")
    assert outcome.code == 1
    assert outcome.document["nodes"]["ext"]["error"]["category"] == "timeout"
    assert outcome.document["outputs"] == {"greeting": "Hello Ada"}


def test_extension_that_prints_does_not_disturb_stdout(
    symphony: Cli, write_workflow: WriteWorkflow
) -> None:
    outcome = run_extension(symphony, write_workflow, "print_everywhere")
    assert outcome.code == 0
    assert outcome.document["state"] == "completed"


def test_interrupt_cancels_the_run_and_keeps_what_is_done(
    symphony: Cli, write_workflow: WriteWorkflow
) -> None:
    path = write_workflow(
        misbehaving("hang"), "ext -> out", *HELLO_EDGES, extensions=[str(SAMPLES)]
    )
    process = symphony.start("run", path, "-i", "name=Ada", "--json")
    assert process.stderr is not None
    for line in process.stderr:
        if "greeting" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    document = json.loads(stdout)
    assert process.returncode == 130
    assert document["state"] == "cancelled"
    assert document["outputs"] == {"greeting": "Hello Ada"}
    assert no_traceback(stderr)


def test_full_disk(symphony: Cli, write_workflow: WriteWorkflow, tmp_path: Path) -> None:
    """A home on a file system of 2 MiB; a run that wants to keep more than that."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    symphony.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(symphony.home)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        expression = {"expression": "x + x + x + x"}
        nodes: list[dict[str, Any]] = [
            {"id": "text", "kind": "input", "schema": {"type": "string", "format": "file"}},
            {"id": "read", "kind": "operator", "use": "files.read_text"},
            {"id": "big", "kind": "operator", "use": "value.expression", "params": expression},
            {"id": "out", "kind": "output"},
        ]
        source = symphony.work / "large.txt"
        source.write_text("".join(f"{number:09d}\n" for number in range(90_000)))
        path = write_workflow(nodes, "text -> read.path", "read -> big.with.x", "big -> out")
        outcome = symphony("run", path, "-i", f"text={source}", "--json")
        left = [str(each) for each in symphony.home.rglob("*") if "tmp" in each.name]
    finally:
        subprocess.run(["umount", "-l", str(symphony.home)], check=True)
    assert outcome.code in (1, 5)
    assert "no space left" in outcome.stderr.lower()
    assert left == []
    assert no_traceback(outcome.stderr)
