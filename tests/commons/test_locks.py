from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from symphony.commons.errors import Category
from symphony.commons.files import WrongFileKind
from symphony.commons.locks import LockHeld, locked

HOLDER = """
import sys
from pathlib import Path
from symphony.commons.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "install.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_lock_can_be_taken_again_after_the_block_even_if_it_failed(path: Path) -> None:
    def fail() -> None:
        with locked(path):
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    with locked(path):
        pass


def test_another_process_is_named(path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(LockHeld, match=f"by process {holder.pid}") as caught, locked(path):
        pass
    assert caught.value.holder == holder.pid
    assert caught.value.category is Category.CONFLICT


def test_waiting_ends_when_the_holder_is_done(path: Path, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.write("go\n")
    holder.stdin.flush()
    with locked(path, timeout=30):
        assert holder.wait(30) == 0


def test_a_killed_holder_leaves_no_lock_behind(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    assert holder.wait(30) == -signal.SIGKILL
    with locked(path):
        assert (path.parent / "install.lock.pid").read_text() == str(os.getpid())


def test_it_is_not_re_entrant(path: Path) -> None:
    with locked(path):
        with pytest.raises(LockHeld) as caught, locked(path, timeout=0.01):
            pass
        assert (caught.value.holder, caught.value.waited) == (os.getpid(), 0.01)


def test_a_holder_that_left_no_note_is_unknown(path: Path) -> None:
    with locked(path):
        (path.parent / "install.lock.pid").write_text("")
        with pytest.raises(LockHeld, match="another process") as caught, locked(path):
            pass
    assert caught.value.holder is None


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(WrongFileKind), locked(tmp_path / "home" / "install.lock"):
        pass
