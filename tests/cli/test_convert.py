from __future__ import annotations

import json
from pathlib import Path

import pytest

from symphony.cli import main
from symphony.workflow import Compression, Format, dumps, format_of, load

OLD = """{"symphony": 1, "id": "t", "extensions": ["./ext"], "metadata": {"team": "x"},
  "nodes": [{"id": "b", "kind": "output"}]}"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.json"
    path.write_text(OLD)
    return path


def convert(*arguments: str | Path) -> int:
    return main(["convert", *map(str, arguments)])


@pytest.mark.parametrize("name", ["new.yaml", "new.toml.lz4", "new.swf.zst", "new.msgpack", "new"])
def test_the_name_says_the_format(old: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    new = old.with_name(name)
    assert convert(old, new, "--json") == 0
    form, compression = format_of(new)
    assert json.loads(capsys.readouterr().out) == {
        "file": str(new),
        "format": form or "json",
        "compression": compression,
        "symphony": 2,
        "size": new.stat().st_size,
    }
    assert load(new) == load(old)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("compression", Compression)
def test_options_say_more_than_the_name(old: Path, form: str, compression: str) -> None:
    new = old.with_name("new.json")
    assert convert(old, new, "--format", form, "--compression", compression) == 0
    back = old.with_name("back.json")
    # A suffix tells texts apart: YAML and TOML do not call themselves .json.
    if form in (Format.YAML, Format.TOML):
        new = new.rename(new.with_suffix(f".{form}"))
    assert convert(new, back) == 0
    assert back.read_text() == dumps(load(old))


def test_nothing_is_written_over(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = old.read_bytes()
    assert convert(old, old) == 8
    assert "exists already" in capsys.readouterr().err
    assert old.read_bytes() == before
    assert convert(old, old, "--force") == 0
    assert '"symphony": 2' in old.read_text()


def test_back_to_an_older_format(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = old.with_name("new.json")
    assert convert(old, new, "--to-format", "1") == 0
    assert json.loads(new.read_text()) == json.loads(OLD)
    new.write_text(
        OLD.replace('"symphony": 1', '"symphony": 2')
        .replace('"output"', '"join"')
        .replace('{"team": "x"}', "{}")
    )
    assert convert(new, old.with_name("no.json"), "--to-format", "1") == 3
    assert "Format 1 has no nodes of kind 'join'" in capsys.readouterr().err
    assert not old.with_name("no.json").exists()


def test_paths_still_lead_to_the_same_place(old: Path) -> None:
    (old.parent / "part.json").write_text(OLD)
    old.write_text(
        OLD.replace('"symphony": 1', '"symphony": 2')
        .replace('"nodes"', '"workflows": {"p": {"file": "./part.json"}}, "nodes"')
        .replace('{"team": "x"}', "{}")
    )
    new = old.parent / "deep" / "er" / "new.yaml"
    new.parent.mkdir(parents=True)
    assert convert(old, new) == 0
    workflow = load(new)
    assert workflow.extensions == ("../../ext",)
    assert workflow.workflows["p"].file == "../../part.json"
    assert workflow.workflows["p"].nodes == load(old).workflows["p"].nodes
