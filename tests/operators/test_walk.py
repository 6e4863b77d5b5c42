from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from msgspec import json

from symphony.commons.files import FileMissing, FileNotPermitted, WrongFileKind
from symphony.commons.values import Value
from symphony.operators import BadInput

Outputs: TypeAlias = "Mapping[str, Value]"
Call: TypeAlias = "Callable[..., Outputs]"


def fill(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


def fields(found: Outputs, port: str, name: str) -> list[Value]:
    rows = found[port]
    assert isinstance(rows, list)
    return [row[name] for row in rows if isinstance(row, dict)]


def paths(found: Outputs) -> list[Value]:
    return fields(found, "files", "path")


def test_files_are_found_in_order_with_their_facts(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "b.txt", "a/c.txt", "a/b/d.txt")
    os.utime(tmp_path / "b.txt", (0, 1_700_000_000))
    found = call("files.walk", folder=str(tmp_path))
    assert paths(found) == ["a/b/d.txt", "a/c.txt", "b.txt"]
    assert found["problems"] == []
    files = found["files"]
    assert isinstance(files, list)
    assert files[2] == {"path": "b.txt", "size": 1, "modified": "2023-11-14T22:13:20Z"}


def test_an_empty_folder_has_no_files(call: Call, tmp_path: Path) -> None:
    assert call("files.walk", folder=str(tmp_path)) == {"files": [], "problems": []}


def test_pattern_and_ignore_choose(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "a.py", "a.md", "src/b.py", "src/old/c.py", "build/d.py", "src/build")
    found = call("files.walk", folder=str(tmp_path), pattern="*.py", ignore=["build/", "src/old"])
    assert paths(found) == ["a.py", "src/b.py"]


def test_folders_of_tools_are_left_out_unless_everything_is_wanted(
    call: Call, tmp_path: Path
) -> None:
    fill(tmp_path, ".git/HEAD", "node_modules/x.js", "a/__pycache__/y.pyc", ".github/z.yml", "git")
    assert paths(call("files.walk", folder=str(tmp_path))) == [".github/z.yml", "git"]
    assert len(paths(call("files.walk", folder=str(tmp_path), everything=True))) == 5


def test_the_limit_is_told_where_it_cuts(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "a", "b", "c")
    found = call("files.walk", folder=str(tmp_path), limit=2)
    assert len(paths(found)) == 2
    assert "more than 2 files" in str(found["problems"])
    assert call("files.walk", folder=str(tmp_path), limit=3)["problems"] == []


def test_links_are_passed_over_unless_they_are_followed(call: Call, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    fill(root, "a")
    fill(outside, "b")
    (root / "out").symlink_to(outside)
    (root / "link").symlink_to("a")
    (root / "broken").symlink_to("nowhere")
    assert paths(call("files.walk", folder=str(root))) == ["a"]
    followed = call("files.walk", folder=str(root), follow_links=True)
    assert paths(followed) == ["a", "link", "out/b"]
    assert followed["problems"] == []


def test_loops_of_links_end(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "a/file")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    found = call("files.walk", folder=str(tmp_path), follow_links=True)
    assert paths(found) == ["a/file"]
    assert fields(found, "problems", "path") == ["one", "two"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names_are_found_and_undecodable_ones_are_problems(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, " space ", "new\nline", "qu'o\"te", "日本語", "-dash", "e\u0301", "a*b")
    root = os.fsencode(tmp_path)
    Path(os.fsdecode(root + b"/caf\xe9.txt")).write_text("x")
    Path(os.fsdecode(root + b"/dir\xff")).mkdir()
    Path(os.fsdecode(root + b"/dir\xff/inside")).write_text("x")
    found = call("files.walk", folder=str(tmp_path))
    assert len(paths(found)) == 7
    assert fields(found, "problems", "path") == ["caf\\xe9.txt", "dir\\xff"]
    assert json.decode(json.encode(found)) == found


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")
def test_pipes_and_sockets_are_passed_over(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    assert paths(call("files.walk", folder=str(tmp_path))) == ["a"]


def test_a_folder_too_deep_to_open_is_a_problem(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "a")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptor)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    found = call("files.walk", folder=str(tmp_path))
    assert paths(found) == ["a"]
    assert "too long" in str(fields(found, "problems", "reason"))


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may read. Root may read everything, and is nobody in the meantime."""
    fill(tmp_path, "open/a", "shut/b")
    shut = tmp_path / "shut"
    if os.geteuid() != 0:
        shut.chmod(0)
        yield shut
        shut.chmod(0o755)
        return
    above = {folder: folder.stat().st_mode for folder in [tmp_path, *list(tmp_path.parents)[:-2]]}
    for folder in above:
        folder.chmod(0o755)
    shut.chmod(0)
    os.seteuid(65534)
    yield shut
    os.seteuid(0)
    for folder, mode in above.items():
        folder.chmod(mode)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_an_unreadable_folder_is_a_problem_below_and_an_error_at_the_root(
    closed: Path, call: Call
) -> None:
    found = call("files.walk", folder=str(closed.parent))
    assert paths(found) == ["open/a"]
    assert found["problems"] == [{"path": "shut", "reason": "permission denied"}]
    with pytest.raises(FileNotPermitted):
        call("files.walk", folder=str(closed))


def test_a_missing_folder_a_file_and_nonsense_are_errors(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "file")
    with pytest.raises(FileMissing):
        call("files.walk", folder=str(tmp_path / "missing"))
    with pytest.raises(WrongFileKind):
        call("files.walk", folder=str(tmp_path / "file"))
    for nonsense in ("", "a\0b", "~nobody-of-that-name/x"):
        with pytest.raises(BadInput):
            call("files.walk", folder=nonsense)


def test_a_relative_folder_and_the_home_folder(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "docs/a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert paths(call("files.walk", folder="docs")) == ["a"]
    assert paths(call("files.walk", folder="~/docs")) == ["a"]


def test_times_beyond_the_calendar_are_left_empty(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, "old")
    os.utime(tmp_path / "old", (0, 2**40))
    modified = fields(call("files.walk", folder=str(tmp_path)), "files", "modified")
    assert modified in ([""], ["2446-05-10T22:38:55Z"])  # some file systems cap it


@pytest.mark.slow
def test_twenty_thousand_files_take_less_than_two_seconds(call: Call, tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / str(folder)).mkdir()
        for file in range(200):
            (tmp_path / str(folder) / f"{file}.txt").touch()
    began = time.perf_counter()
    found = call("files.walk", folder=str(tmp_path), ignore=["*.log", "out/"])
    assert time.perf_counter() - began < 2.0
    assert len(paths(found)) == 20_000
