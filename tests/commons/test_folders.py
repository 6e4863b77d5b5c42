from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from symphony.commons.files import FileError, FileFailed
from symphony.commons.folders import Home, find_home, user_path


def test_variable_names_the_home(tmp_path: Path) -> None:
    assert find_home({"SYMPHONY_HOME": str(tmp_path)}) == Home(tmp_path)


@pytest.mark.parametrize("environ", [{}, {"SYMPHONY_HOME": ""}])
def test_without_the_variable_home_is_the_platforms_folder(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    home = find_home(environ)
    assert home.root.is_absolute()
    assert home.root.name == "symphony"


def test_home_is_absolute_whatever_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert find_home({"SYMPHONY_HOME": "~/s"}) == Home(Path("/home/someone/s"))
    assert find_home({"SYMPHONY_HOME": "here"}) == Home(Path.cwd() / "here")


def test_everything_lies_directly_in_the_home_under_a_name_of_its_own() -> None:
    home = Home(Path("/h"))
    places = [home.config, home.runs, home.audit, home.bus, home.run]
    places += [home.artifacts, home.extensions, home.results, home.logs]
    assert {place.parent for place in places} == {Path("/h")}
    assert len(set(places)) == len(places)


def test_created_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    home.create()
    home.create()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_home_that_is_a_file_is_an_error_of_files(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(FileError):
        Home(tmp_path / "home").create()


def test_path_of_a_user_is_absolute_and_odd_bytes_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert user_path("~/x") == Path("/home/someone/x")
    assert user_path("here") == Path.cwd() / "here"
    assert user_path("/caf\udce9") == Path("/caf\udce9")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("~no-such-user/x", "home folder of '~no-such-user' is not known"),
        ("/a\0b", "NUL"),
        ("~a\0b/x", "NUL"),
        ("/a\ud800b", "no file name can hold such characters"),
    ],
)
def test_path_that_no_file_can_have_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FileFailed, match=reason):
        user_path(text)
    with pytest.raises(FileFailed, match=reason):
        find_home({"SYMPHONY_HOME": text})


def test_relative_path_in_a_folder_that_is_gone_is_an_error_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileError):
        user_path("here")


def test_home_must_be_utf8_and_its_error_fits_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFailed, match="must be UTF-8") as caught:
        find_home({"SYMPHONY_HOME": "/caf\udce9"})
    assert b"caf" in msgspec.json.encode(caught.value.record())
    monkeypatch.setenv("XDG_DATA_HOME", "/caf\udce9")
    with pytest.raises(FileFailed, match="must be UTF-8"):
        find_home({})
