from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symphony.commons.values import Value

CALL = Callable[..., dict[str, Value]]


@pytest.fixture
def content_types(load: Callable[[str, str], Any]) -> Any:
    return load("file-type", "content_types")


def by_first_byte(content_types: Any, asked: list[bytes]) -> Callable[[bytes], Any]:
    def identify(content: bytes) -> Any:
        asked.append(content)
        return content_types.Kind(
            type=content[:1].decode(), group="g", mime="m", description="d", text=True, score=1.0
        )

    return identify


def test_files_with_equal_ends_are_looked_at_once(content_types: Any, tmp_path: Path) -> None:
    for name, content in [("a", b"x" * 5), ("b", b"y"), ("c", b"x" * 5)]:
        (tmp_path / name).write_bytes(content)
    asked: list[bytes] = []
    identify = by_first_byte(content_types, asked)
    found, problems = content_types.kinds(tmp_path, ["a", "b", "c"], identify, done=lambda _: None)
    assert sorted(asked) == [b"xxxxx", b"y"]
    assert [(kind.path, kind.type, kind.size) for kind in found] == [
        ("a", "x", 5),
        ("b", "y", 1),
        ("c", "x", 5),
    ]
    assert problems == []


@pytest.mark.parametrize("extra", [0, 1, 2, 3, 4, 5, 4096, 100_000])
def test_both_ends_of_a_file_are_read_and_nothing_twice(
    content_types: Any, tmp_path: Path, extra: int
) -> None:
    content = os.urandom(content_types.SEEN + extra)
    (tmp_path / "file").write_bytes(content)
    ends = content_types.read_ends(tmp_path, "file")
    last = content[max(content_types.SEEN, len(content) - content_types.SEEN) :]
    assert ends.content == content[: content_types.SEEN] + last
    assert ends.size == len(content)


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(
    content_types: Any, tmp_path: Path
) -> None:
    (tmp_path / "good").write_bytes(b"g")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    found, problems = content_types.kinds(
        tmp_path,
        ["gone", "good", "pipe", "folder", "nul\0"],
        by_first_byte(content_types, []),
        done=lambda _: None,
    )
    assert [kind.path for kind in found] == ["good"]
    assert [problem.path for problem in problems] == ["gone", "pipe", "folder", "nul\0"]
    assert problems[0].reason == "No such file or directory"
    assert problems[1].reason == "not a regular file"


def test_progress_counts_every_file_and_repeats_are_known_from_earlier_ones(
    content_types: Any, tmp_path: Path
) -> None:
    count = 2 * content_types.AT_ONCE + 1
    names = [str(number) for number in range(count)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"%d" % (number % 3))
    told: list[int] = []
    asked: list[bytes] = []
    identify = by_first_byte(content_types, asked)
    found, _ = content_types.kinds(tmp_path, names, identify, done=told.append)
    assert told == [64, 128, 129]
    assert len(asked) == 3
    assert [kind.path for kind in found] == names


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 300), most=st.integers(1, 300))
def test_a_sample_is_as_large_as_allowed_and_spread_evenly(
    content_types: Any, count: int, most: int
) -> None:
    paths = [str(number) for number in range(count)]
    chosen = [int(path) for path in content_types.spread(paths, most)]
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    steps = {later - one for one, later in pairwise(chosen)}
    assert not steps or max(steps) - min(steps) <= 1


def test_without_a_limit_every_file_is_looked_at(content_types: Any) -> None:
    assert content_types.spread(["a", "b", "c"], 0) == ["a", "b", "c"]


@pytest.mark.slow
def test_the_model_tells_content_from_bytes_whatever_the_name(call: CALL, tmp_path: Path) -> None:
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(40))
    (tmp_path / "notes.bin").write_text("# A title\n\nSome *markdown* with [a link](http://x.y).\n")
    (tmp_path / "empty").write_text("")
    files: Value = [{"path": name} for name in ("picture.txt", "notes.bin", "empty", "gone")]
    outputs: Any = call("file-type", folder=str(tmp_path), files=files, most=0)
    told = {kind["path"]: (kind["type"], kind["text"]) for kind in outputs["types"]}
    assert told == {
        "picture.txt": ("png", False),
        "notes.bin": ("markdown", True),
        "empty": ("empty", False),
    }
    assert [problem["path"] for problem in outputs["problems"]] == ["gone"]
