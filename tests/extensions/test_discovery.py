from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from symphony.commons.errors import SymphonyError
from symphony.extensions import Found, discover

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, extra: str = "", id_: str | None = None) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "symphony.toml").write_text(
            f"""
            [extension]
            id = "{id_ or name}"
            type = "operator"
            version = "0.1.0"
            entry = "a:B"
            {extra}
            """
        )
        return folder

    return write


def only(folder: Path) -> Found:
    (found,) = discover([folder])
    return found


def error_of(folder: Path) -> SymphonyError:
    found = only(folder)
    assert found.error is not None
    with pytest.raises(type(found.error)):
        found.require()
    return found.error


def test_a_folder_may_be_an_extension_or_hold_some(tmp_path: Path, write: Write) -> None:
    write("b")
    write("a")
    (tmp_path / "no_extension").mkdir()
    (tmp_path / "file").touch()
    found = discover([tmp_path])
    assert [each.folder.name for each in found] == ["a", "b"]
    assert all(each.error is None for each in found)
    assert only(tmp_path / "a") == found[0]
    assert found[0].require().id == "a"


def test_a_broken_one_does_not_hide_the_others(tmp_path: Path, write: Write) -> None:
    write("a")
    write("b", "surprise = 1")
    write("c")
    (tmp_path / "c" / "symphony.toml").write_bytes(b"\xff\x00")
    write("d")
    assert [each.error.code if each.error else None for each in discover([tmp_path])] == [
        None,
        "sdk.bad_manifest",
        "files.not_text",
        None,
    ]


def test_a_missing_folder_is_told(tmp_path: Path, write: Write) -> None:
    write("a")
    gone, good = discover([tmp_path / "gone", tmp_path])
    assert gone.error is not None
    assert gone.error.code == "extensions.folder_missing"
    assert good.error is None


def test_of_two_with_one_id_the_second_is_in_error(tmp_path: Path, write: Write) -> None:
    first = write("one/x", id_="x")
    second = write("two/x", id_="x")
    found = discover([tmp_path / "one", tmp_path / "two"])
    assert found[0].error is None
    assert found[1].error is not None
    assert found[1].error.code == "extensions.duplicate"
    assert found[1].error.record().facts == {
        "extension": "x",
        "folder": str(second),
        "first": str(first),
    }


def test_a_folder_that_is_named_twice_counts_once(tmp_path: Path, write: Write) -> None:
    write("a")
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    assert len(discover([tmp_path, tmp_path / "a", link])) == 1


def test_installed_requirements_are_satisfied(write: Write) -> None:
    needs = (
        'requires = ["msgspec", "MsgSpec>=0.18", "msgspec[yaml]<99",'
        " \"nothing-like-this; python_version < '3'\"]"
    )
    assert error_free(write("a", needs))


def error_free(folder: Path) -> bool:
    return only(folder).error is None


def test_missing_requirements_are_told_with_the_remedy(write: Write) -> None:
    folder = write("a", 'requires = ["msgspec>=999", "nothing-like-this", "msgspec"]')
    error = error_of(folder)
    assert error.code == "extensions.requirement_missing"
    assert error.hint == "Install them with: pip install 'msgspec>=999' nothing-like-this"
    found = only(folder)
    assert found.manifest is not None
    assert found.manifest.id == "a"


def test_missing_optional_packages_are_no_error(write: Write) -> None:
    found = only(write("a", 'optional = ["nothing-like-this", "msgspec"]'))
    assert found.error is None
    assert found.lacks == ("nothing-like-this",)


def test_a_requirement_that_pip_would_not_know_is_a_fault_of_the_manifest(write: Write) -> None:
    error = error_of(write("a", 'requires = ["not a requirement"]'))
    assert error.code == "sdk.bad_manifest"
    assert "'not a requirement'" in error.message


@pytest.mark.parametrize(("sdk", "fits"), [("^0.1", True), ("*", True), (">=2", False)])
def test_the_sdk_must_be_one_that_the_extension_knows(write: Write, sdk: str, fits: bool) -> None:
    found = only(write("a", f'sdk = "{sdk}"'))
    assert (found.error is None) is fits
    if found.error is not None:
        assert found.error.code == "extensions.sdk_mismatch"


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "loop", "loop/inner", "a\ud800b"])
def test_a_folder_that_cannot_be_looked_at_is_told(tmp_path: Path, write: Write, name: str) -> None:
    write("fine/a", id_="a")
    (tmp_path / "loop").symlink_to("loop")
    odd, good = discover([tmp_path / name, tmp_path / "fine"])
    assert (odd.folder, odd.manifest) == (tmp_path / name, None)
    assert odd.error is not None
    assert odd.error.code == "files.failed"
    assert good.error is None


def test_a_file_is_no_folder_to_look_in(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert error_of(tmp_path / "file").code == "extensions.folder_missing"


def test_a_manifest_nested_too_deeply_is_bad(write: Write) -> None:
    folder = write("a")
    (folder / "symphony.toml").write_text(f"a={'[' * 20_000}")
    assert error_of(folder).code == "sdk.bad_manifest"


def without_root() -> list[str]:
    """What to begin a command with so that permissions count for it: root may read everything."""
    if sys.platform == "win32":
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("there is no `setpriv` command to give up root's rights with")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


def test_an_unreadable_folder_does_not_hide_the_others(tmp_path: Path, write: Write) -> None:
    write("a")
    locked = write("b/inner", id_="b").parent
    write("c")
    program = textwrap.dedent(f"""
        import pathlib
        from symphony.extensions import discover
        for folder in ({str(tmp_path)!r}, {str(locked)!r}, {str(locked / "inner")!r}):
            for found in discover([pathlib.Path(folder)]):
                print(found.folder.name, found.error and found.error.code)
    """)
    command = [*without_root(), sys.executable, "-c", program]
    locked.chmod(0)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        locked.chmod(0o755)
    assert ended.stderr == ""
    refused = "files.not_permitted"
    lines = ["a None", f"b {refused}", "c None", f"b {refused}", f"inner {refused}"]
    assert ended.stdout.splitlines() == lines
