"""What tests of the ground floor share: a disk that is really full, and a limit on file sizes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[[str], str]


def _run(command: list[str], cwd: Path) -> str:
    ended = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Program:
    """Runs a program whose current folder is a disk of 1 MiB, and returns what it printed.

    The disk is mounted in a name space of the child's own: no root needed, nothing to clean up.
    """
    mount = 'mount -t tmpfs -o size=1m tmpfs "$0" && cd "$0" && exec "$@"'
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(tmp_path)]
    if shutil.which("unshare") is None:
        pytest.skip("there is no `unshare` command to mount a small disk with")
    probe = subprocess.run([*alone, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {probe.stderr.strip()}")
    return lambda program: _run([*alone, sys.executable, "-c", program], tmp_path)


@pytest.fixture
def with_small_files(tmp_path: Path) -> Program:
    """Runs a program that may write no file over 256 KiB: what a quota or an old disk does."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limit on the size of a process's files")
    limit = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, resource.RLIM_INFINITY))\n"
    )
    return lambda program: _run([sys.executable, "-c", limit + program], tmp_path)


@pytest.fixture
def without_root(tmp_path: Path) -> Program:
    """Runs a program that calls `drop()` when it has imported all: root may read everything."""
    if sys.platform == "win32":
        pytest.skip("Windows has other permissions")
    drop = "import os\ndrop = lambda: os.geteuid() == 0 and (os.setgid(65534), os.setuid(65534))\n"
    tmp_path.chmod(0o755)
    return lambda program: _run([sys.executable, "-c", drop + program], tmp_path)
