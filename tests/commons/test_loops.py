from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from symphony.commons import loops


async def loop_in_use() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
def test_uvloop_is_used_where_it_is_installed() -> None:
    assert loops.run(loop_in_use()) == "uvloop"


def test_without_uvloop_it_is_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loops.run(loop_in_use()) == "asyncio"


def test_what_the_coroutine_raises_comes_out() -> None:
    async def fail() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        loops.run(fail())


def test_what_is_left_running_is_cancelled() -> None:
    ended: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("lingering")

    async def main() -> None:
        task = asyncio.create_task(linger())
        await asyncio.sleep(0)
        assert not task.done()

    loops.run(main())
    assert ended == ["lingering"]


def test_ctrl_c_cancels_the_coroutine_and_is_raised() -> None:
    program = (
        "import asyncio, os, signal\n"
        "from symphony.commons import loops\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cancelled')\n"
        "try:\n"
        "    loops.run(main())\n"
        "except KeyboardInterrupt:\n"
        "    print('raised')\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["cancelled", "raised"]


def test_a_program_that_runs_no_loop_does_not_import_uvloop() -> None:
    program = "import sys, symphony.commons.loops; print('uvloop' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "False"
