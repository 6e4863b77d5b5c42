from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeAlias

import pytest

from symphony.commons.files import FileMissing, FileNotPermitted
from symphony.ipc.transport._identity import identify
from symphony.ipc.transport._stdio import open_child
from symphony.testing._wires import Recorder

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]

ECHO = """
import asyncio, os, sys
from symphony.ipc.transport._stdio import stdio

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        print("stray print")
        os.write(1, b"stray write")
        os.system("echo stray child")
        assert sys.stdin.read() == ""
        self.transport.write(data.upper())

    def connection_lost(self, exc):
        self.lost.set_result(exc)

async def main():
    print("before")
    async with stdio(Echo) as (transport, echo):
        await echo.lost
    print("after", file=sys.stderr)

asyncio.run(main())
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    time.sleep(60)
"""
LARGE = 300_000
UNBUFFERED = "PYTHONUNBUFFERED"


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("run", ["asyncio"], indirect=True)
def test_parent_and_child_speak_and_stray_prints_do_not_disturb(
    run: Run, capfd: pytest.CaptureFixture[str], count_descriptors: Callable[[], int]
) -> None:
    async def main() -> None:
        before = count_descriptors()
        buffered = {name: value for name, value in os.environ.items() if name != UNBUFFERED}
        async with open_child(program(ECHO), Recorder, environment=buffered) as child:
            peer = identify(child.transport)
            assert (peer.pid, peer.how) == (child.process.pid, "child")
            child.transport.write(b"hello")
            await child.protocol.until(lambda end: end.received.endswith(b"HELLO"))
            child.transport.write_eof()
            await child.protocol.until_lost()
        assert child.process.returncode == 0
        assert child.protocol.received == b"before\nHELLO"
        assert child.protocol.losses == [None]
        assert count_descriptors() == before

    run(main())
    err = capfd.readouterr().err
    assert [word for word in ("stray print", "stray write", "stray child") if word not in err] == []


def test_a_child_that_does_not_end_is_killed(run: Run) -> None:
    async def main() -> None:
        async with open_child(program(STUBBORN), Recorder, grace_s=0) as child:
            await child.protocol.until(lambda end: end.received == b"up\n")
        assert child.process.returncode == -9
        assert gone(child.process.pid)
        assert len(child.protocol.losses) == 1

    run(main())


def test_an_error_or_a_cancel_ends_the_child_at_once(
    run: Run, count_descriptors: Callable[[], int]
) -> None:
    pids: list[int] = []

    async def hold(up: asyncio.Event) -> None:
        async with open_child(program(STUBBORN), Recorder, grace_s=1000) as child:
            pids.append(child.process.pid)
            await child.protocol.until(lambda end: bool(end.received))
            child.transport.write(bytes(LARGE))  # more than it will ever read
            up.set()
            await asyncio.Event().wait()

    async def main() -> None:
        up = asyncio.Event()
        holding = asyncio.create_task(hold(up))
        await up.wait()
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        assert gone(pids[0])

    run(main())


def test_a_child_that_dies_is_an_end_after_its_last_words(run: Run) -> None:
    async def main() -> None:
        words = f"import os; os.write(1, b'last' * {LARGE // 8}); os._exit(3)"
        async with open_child(program(words), Recorder) as child:
            await child.protocol.until_lost()
            assert child.protocol.ended
            assert len(child.protocol.received) == LARGE // 2
            assert await child.process.wait() == 3

    run(main())


def test_a_program_that_cannot_be_run_is_an_error_of_files(
    tmp_path: Path, run: Run, count_descriptors: Callable[[], int]
) -> None:
    async def main() -> None:
        before = count_descriptors()
        with pytest.raises(FileMissing):
            async with open_child([str(tmp_path / "none")], Recorder):
                pass
        (tmp_path / "text").touch(0o600)
        with pytest.raises(FileNotPermitted):
            async with open_child([str(tmp_path / "text")], Recorder):
                pass
        assert count_descriptors() <= before + 2  # the loop's own, for signals of children

    run(main())


def test_a_terminal_or_a_file_is_no_connection(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("{}")
    with (tmp_path / "input").open() as file:
        result = subprocess.run(
            program(ECHO), stdin=file, capture_output=True, text=True, check=False
        )
    assert result.returncode == 1
    assert "TransportUnavailable" in result.stderr
    assert "Start the program from another" not in result.stdout
