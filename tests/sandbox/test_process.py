from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from symphony.sandbox import CHANNEL_VARIABLE, Policy, SandboxedProcess, SpawnFailed, probe, spawn

IsGone = Callable[..., bool]

#: Starts one process that stays in the group and one that leaves the session, tells both.
WITH_CHILDREN = """
import os, signal, socket, subprocess
plain = subprocess.Popen(["/bin/sleep", "1000"])
apart = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
print(plain.pid, apart.pid, flush=True)
"""


def python(program: str, cwd: Path = Path("/")) -> Policy:
    return Policy((sys.executable, "-I", "-S", "-c", textwrap.dedent(program)), cwd)


def run(program: str, cwd: Path = Path("/")) -> tuple[int, list[str]]:
    async def main() -> tuple[int, list[str]]:
        lines: list[str] = []
        async with spawn(python(program, cwd), lines.append) as process:
            return await process.wait(), lines

    return asyncio.run(main())


def while_running(
    program: str, check: Callable[[SandboxedProcess, list[int]], Awaitable[None]]
) -> None:
    """Run `check` once the program has printed a line of numbers."""

    async def main() -> None:
        printed: asyncio.Queue[str] = asyncio.Queue()
        async with spawn(python(program), printed.put_nowait) as process:
            await check(process, [int(word) for word in (await printed.get()).split()])

    asyncio.run(main())


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os._exit(200)", 200),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.abort()", -signal.SIGABRT),
    ],
)
def test_the_end_of_a_process_is_told(program: str, code: int) -> None:
    assert run(program) == (code, [])


def test_both_outputs_come_as_lines_at_every_level() -> None:
    _, lines = run(
        """
        import os, subprocess, sys
        print("print", flush=True)
        os.write(1, b"descriptor 1\\n")
        sys.stderr.write("stderr\\n")
        subprocess.run(["/bin/echo", "child"])
        os.write(2, b"unfinished")
        os._exit(1)
        """
    )
    assert lines == ["print", "descriptor 1", "stderr", "child", "unfinished"]


def test_a_flood_of_output_all_arrives_before_wait_returns() -> None:
    _, lines = run("for n in range(20000): print(n)")
    assert lines == [str(number) for number in range(20000)]


def test_standard_input_is_empty() -> None:
    assert run("import sys; print(repr(sys.stdin.read()))") == (0, ["''"])


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123")
    _, lines = run("import json, os; print(json.dumps(dict(os.environ)))")
    environment = json.loads(lines[0])
    assert "OPENAI_API_KEY" not in environment
    assert environment["PATH"] == os.environ["PATH"]
    assert int(environment[CHANNEL_VARIABLE]) > 2


def test_the_folder_is_the_policys(tmp_path: Path) -> None:
    assert run("import os; print(os.getcwd())", tmp_path) == (0, [str(tmp_path)])


def test_no_descriptor_of_the_host_is_inherited() -> None:
    """The standard three, the channel, the end of a pipe that ties it to the host's life."""
    with Path("/dev/zero").open() as file:
        os.set_inheritable(file.fileno(), True)
        _, lines = run(
            """
            import os
            for name in os.listdir("/proc/self/fd"):
                try:
                    print(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
                except OSError:
                    pass
            """
        )
    assert sorted(lines) == ["/dev/null", "pipe", "pipe", "pipe", "socket"]


def test_the_channel_is_a_socket_to_the_host() -> None:
    async def main() -> bytes:
        program = f"""
            import os, socket
            channel = socket.socket(fileno=int(os.environ["{CHANNEL_VARIABLE}"]))
            channel.sendall(channel.recv(100).upper())
            """
        loop = asyncio.get_running_loop()
        async with spawn(python(program), print) as process:
            process.channel.setblocking(False)
            await loop.sock_sendall(process.channel, b"hello")
            return await loop.sock_recv(process.channel, 100)

    assert asyncio.run(main()) == b"HELLO"


def test_the_process_leads_a_session_of_its_own() -> None:
    """So that Ctrl-C at the terminal, which signals the foreground group, does not reach it."""

    async def check(process: SandboxedProcess, printed: list[int]) -> None:
        assert printed == [process.pid]
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid != os.getsid(0)

    while_running("import os, signal; print(os.getpid(), flush=True); signal.pause()", check)


def test_the_report_is_what_was_probed() -> None:
    async def main() -> bool:
        async with spawn(python("pass"), print) as process:
            return process.report == probe()

    assert asyncio.run(main())


def test_leaving_the_block_ends_the_process_and_all_that_it_started(is_gone: IsGone) -> None:
    left: list[int] = []

    async def check(process: SandboxedProcess, printed: list[int]) -> None:
        left.extend((process.pid, *printed))
        assert not any(is_gone(pid, within_s=0) for pid in left)

    while_running(WITH_CHILDREN + "signal.pause()", check)
    assert len(left) == 3
    assert all(is_gone(pid, within_s=0.5) for pid in left)


def test_children_of_a_process_that_has_ended_are_ended_too(is_gone: IsGone) -> None:
    code, lines = run(WITH_CHILDREN + "os._exit(7)")
    assert code == 7
    assert all(is_gone(int(pid), within_s=0.5) for pid in lines[0].split())


def test_an_exception_in_the_block_ends_the_process(is_gone: IsGone) -> None:
    left: list[int] = []

    async def check(process: SandboxedProcess, printed: list[int]) -> None:
        left.extend((process.pid, *printed))
        raise LookupError

    with pytest.raises(LookupError):
        while_running(WITH_CHILDREN + "signal.pause()", check)
    assert all(is_gone(pid, within_s=0.5) for pid in left)


def test_cancelling_a_wait_does_not_disturb_the_process() -> None:
    async def check(process: SandboxedProcess, _: list[int]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await process.wait()
        assert not process.exited
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        assert process.exited

    while_running("import signal; print(1, flush=True); signal.pause()", check)


def test_waiting_and_killing_may_be_repeated() -> None:
    async def main() -> list[int]:
        async with spawn(python("raise SystemExit(5)"), print) as process:
            codes = [await process.wait(), await process.wait()]
            process.kill()
            await process.end()
            return [*codes, await process.wait()]

    assert asyncio.run(main()) == [5, 5, 5]


@pytest.mark.parametrize(
    ("argv", "cwd", "reason"),
    [
        (("/no/such/program",), "/", "No such file"),
        ((sys.executable,), "/no/such/folder", "No such file"),
        (("/etc/passwd",), "/", "Permission denied"),
    ],
)
def test_a_program_that_cannot_start_is_told(
    argv: tuple[str, ...], cwd: str, reason: str, descriptors: Callable[[], set[str]]
) -> None:
    async def main() -> None:
        before = descriptors()
        with pytest.raises(SpawnFailed, match=reason) as caught:
            async with spawn(Policy(argv, Path(cwd)), print):
                pass
        assert caught.value.program == argv[0]
        assert descriptors() == before

    asyncio.run(main())


def test_many_processes_leave_no_descriptor_behind(
    descriptors: Callable[[], set[str]],
) -> None:
    async def one() -> None:
        async with spawn(Policy(("/bin/true",), Path("/")), print) as process:
            await process.wait()

    async def main() -> None:
        await one()
        gc.collect()
        before = descriptors()
        for _ in range(6):
            await asyncio.gather(one(), one())
        gc.collect()
        assert descriptors() == before

    asyncio.run(main())


HOST = """
import asyncio, sys
from pathlib import Path
from symphony.sandbox import Policy, spawn

async def main():
    policy = Policy((sys.executable, "-I", "-S", "-c", sys.argv[1]), Path("/"))
    async with spawn(policy, lambda line: print(line, flush=True)):
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_killing_the_host_kills_the_process_and_its_group(is_gone: IsGone) -> None:
    """Even a process that pays no attention to anything, as this one does."""
    program = """
import os, signal, subprocess
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
child = subprocess.Popen(["/bin/sleep", "1000"])
print(os.getpid(), child.pid, flush=True)
while True:
    signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", HOST, program], stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout is not None
        pids = [int(word) for word in host.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(is_gone(pid, within_s=0) for pid in pids)
        host.kill()
    assert all(is_gone(pid) for pid in pids)


def test_an_interrupted_host_ends_the_process(is_gone: IsGone) -> None:
    program = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with subprocess.Popen(
        [sys.executable, "-c", HOST, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        host.send_signal(signal.SIGINT)
        assert host.wait(10) != 0
    assert is_gone(pid, within_s=0)
