from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from symphony.commons.files import FileMissing, FileTooLarge, NotText
from symphony.commons.values import Value
from symphony.operators import BadInput, BadJson

Call: TypeAlias = "Callable[..., Mapping[str, Value]]"

VALUE: Value = {"text": "日本\n", "list": [1, 2.5, None, True], "empty": {}, "z": 0, "a": 1}


@pytest.mark.parametrize("indent", [0, 2])
def test_what_is_written_is_read_again(indent: int, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "new/value.json"
    written = call("json.write", path=str(file), value=VALUE, indent=indent)
    assert written == {"path": str(file), "size": file.stat().st_size}
    assert call("json.read", path=str(file)) == {"value": VALUE}
    assert "日本" in file.read_text(encoding="utf-8")
    assert (file.read_text(encoding="utf-8").count("\n") == 1) == (indent == 0)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1,\n "b" 2}', 2, 6),
        ("", 1, 1),
        ("[1, 2", 1, 6),
        ("{}\n{}", 2, 1),
        ("[NaN]", 1, 1),
        ("[" * 100_000, 1, 1),
    ],
)
def test_broken_json_tells_the_line_and_column(
    text: str, line: int, column: int, call: Call, tmp_path: Path
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(BadJson) as caught:
        call("json.read", path=str(file))
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(file) in caught.value.message
    assert caught.value.record().category == "serialization"


def test_files_that_cannot_be_json_are_errors(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(FileMissing):
        call("json.read", path=str(file))
    file.write_bytes(b'"\xff"')
    with pytest.raises(NotText):
        call("json.read", path=str(file))
    file.write_text('"' + "x" * 100 + '"')
    with pytest.raises(FileTooLarge):
        call("json.read", path=str(file), limit=50)


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
def test_a_value_that_is_no_json_leaves_the_file_alone(
    value: Value, call: Call, tmp_path: Path
) -> None:
    file = tmp_path / "file.json"
    file.write_text("[]")
    with pytest.raises(BadInput):
        call("json.write", path=str(file), value=value)
    assert file.read_text() == "[]"
