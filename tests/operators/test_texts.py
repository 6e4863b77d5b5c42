from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.files import FileMissing, NotText, WrongFileKind
from symphony.commons.values import Value
from symphony.operators import BUILTIN, BadInput
from symphony.operators._texts import ReadText

Call: TypeAlias = "Callable[..., Mapping[str, Value]]"

SAMPLE = "Grüße, 日本, naïve 🎼\r\nsecond line\n"


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (SAMPLE.encode(), SAMPLE, "utf-8"),
        (SAMPLE.encode("utf-8-sig"), SAMPLE, "utf-8"),
        (b"\xff\xfe" + SAMPLE.encode("utf-16-le"), SAMPLE, "utf-16-le"),
        (b"\xfe\xff" + SAMPLE.encode("utf-16-be"), SAMPLE, "utf-16-be"),
        (b"\xff\xfe\0\0" + SAMPLE.encode("utf-32-le"), SAMPLE, "utf-32-le"),
        ("Grüße “quoted” €".encode("cp1252"), "Grüße “quoted” €", "cp1252"),
        (b"caf\xe9 \x81 \x9d", "caf\xe9 \x81 \x9d", "cp1252"),
        (b"\x1b[31mred\x1b[0m\f\b\t", "\x1b[31mred\x1b[0m\f\b\t", "utf-8"),
        (b"", "", "utf-8"),
        (b"\xef\xbb\xbf", "", "utf-8"),
    ],
)
def test_text_is_decoded_whatever_it_was_written_in(
    data: bytes, text: str, encoding: str, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(data)
    found = call("files.read_text", path=str(tmp_path / "file"))
    assert found == {"value": text, "encoding": encoding, "truncated": False}


@pytest.mark.parametrize(
    "data",
    [
        b"text\0text",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "UTF-16 without its mark".encode("utf-16-le"),
        bytes(range(1, 256)) * 8,
        b"\xff\xfe\0\xd8",
        b"\xff\xfea\0\0\0",
    ],
)
def test_binary_files_are_refused(data: bytes, call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(NotText):
        call("files.read_text", path=str(tmp_path / "file"))


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff")), st.integers(1, 40))
def test_exactly_the_first_characters_are_read(
    tmp_path_factory: pytest.TempPathFactory, text: str, limit: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "text"
    for mark, encoding in ((b"", "utf-8"), (b"\xff\xfe", "utf-16-le")):
        file.write_bytes(mark + text.encode(encoding))
        found = BUILTIN["files.read_text"].function(str(file), limit)
        assert found == ReadText(text[:limit], encoding, truncated=len(text) > limit)


@pytest.mark.parametrize(
    "beginning", [b"a" * 4096, "é🎼".encode() * 700, b"\xff\xfe" + b"a\0" * 2048]
)
def test_a_huge_file_is_not_read_to_its_end(beginning: bytes, call: Call, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.write(beginning)
        file.truncate(2 << 30)
    began = time.perf_counter()
    found = call("files.read_text", path=str(huge), limit=100)
    assert time.perf_counter() - began < 0.1
    assert found["truncated"] is True
    assert len(str(found["value"])) == 100


def test_many_texts_keep_their_facts_and_problems_do_not_stop_them(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.txt").write_text("longer")
    (tmp_path / "c.bin").write_bytes(b"\0\1")
    (tmp_path / "out").symlink_to("/etc/hostname")
    files: list[Value] = [{"path": "a.txt", "size": 3, "mark": [1]}, "sub/b.txt"]
    bad: list[Value] = ["c.bin", "missing", "../x", "/etc/passwd", "sub", "out", {"size": 1}, "a\0"]
    found = call("files.read_texts", folder=str(tmp_path), files=[*files, *bad], limit=4)
    facts: dict[str, Value] = {"encoding": "utf-8", "truncated": False}
    assert found["texts"] == [
        {"path": "a.txt", "size": 3, "mark": [1], "text": "one", **facts},
        {"path": "sub/b.txt", "text": "long", **facts, "truncated": True},
    ]
    problems = found["problems"]
    assert isinstance(problems, list)
    assert [each["path"] for each in problems if isinstance(each, dict)] == [
        *bad[:-2], "", "a\0",
    ]  # fmt: skip


def test_the_total_is_bounded_and_what_is_left_out_is_told(call: Call, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name * 10)
    found = call("files.read_texts", folder=str(tmp_path), files=["a", "b", "c"], total=15)
    texts, problems = found["texts"], found["problems"]
    assert isinstance(texts, list)
    assert [each["text"] for each in texts if isinstance(each, dict)] == ["a" * 10, "b" * 5]
    assert problems == [{"path": "c", "reason": "left out: 15 characters have been read"}]


def test_texts_of_walked_files_can_be_read_at_once(call: Call, tmp_path: Path) -> None:
    (tmp_path / "q'o\n日").write_text("x")
    files = call("files.walk", folder=str(tmp_path))["files"]
    found = call("files.read_texts", folder=str(tmp_path), files=files)
    assert found["problems"] == []


def test_what_is_no_file_is_an_error(call: Call, tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        call("files.read_text", path=str(tmp_path / "missing"))
    with pytest.raises(WrongFileKind):
        call("files.read_text", path=str(tmp_path))
    with pytest.raises(BadInput):
        call("files.read_text", path="a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_does_not_hang(call: Call, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WrongFileKind):
        call("files.read_text", path=str(tmp_path / "pipe"))


def test_text_is_written_whole_with_the_folders_above(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "new/deep/file.txt"
    written = call("files.write_text", path="new/deep/file.txt", text=SAMPLE)
    assert written == {"path": str(target), "size": len(SAMPLE.encode())}
    assert target.read_bytes() == SAMPLE.encode()
    call("files.write_text", path=str(target), text="")
    assert target.read_bytes() == b""
    assert list(target.parent.iterdir()) == [target]


def test_writing_in_the_place_of_a_folder_is_an_error(call: Call, tmp_path: Path) -> None:
    with pytest.raises(WrongFileKind):
        call("files.write_text", path=str(tmp_path), text="x")
