"""Start a process that talks over an inherited socket, and end it with all that it started.

The process leads its own session: Ctrl-C at the host's terminal does not reach it, and it can be
killed together with its children. It gets one descriptor besides the standard three that it needs
to know of, the channel; both of its outputs are one pipe, read here as lines.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress

from symphony.commons import blocking
from symphony.sandbox._errors import SpawnFailed
from symphony.sandbox._output import OutputPump
from symphony.sandbox._policy import Policy, clean_environment, probe

if sys.platform == "linux":
    from symphony.sandbox._linux import exit_notice, kill_marked, tie_group_to_pipe
elif sys.platform == "darwin":
    from symphony.sandbox._macos import exit_notice, kill_marked, tie_group_to_pipe

#: Names the descriptor of the channel in the process's environment.
CHANNEL_VARIABLE = "SYMPHONY_CHANNEL"
MARKER_VARIABLE = "SYMPHONY_PROCESS"

#: How long to wait for the rest of the output of a process that is gone. It is there already,
#: unless something that could not be killed holds the pipe open.
OUTPUT_GRACE_S = 1.0


class SandboxedProcess:
    """A running process. `channel` is the host's end of its socket pair, `report` what it is kept
    from."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        marker: str,
        channel: socket.socket,
        exited: asyncio.Event,
        output: OutputPump,
    ) -> None:
        self.pid = child.pid
        self.channel = channel
        self.report = probe()
        self._child = child
        self._marker = marker
        self._output = output
        self._exited = exited

    @property
    def exited(self) -> bool:
        return self._exited.is_set()

    def kill(self) -> None:
        """Kill the process and its group now; `wait` tells when all is gone."""
        # While the leader has not been reaped, its number cannot have passed to a stranger.
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for the end of the process; then make an end of what it started, and of its output.

        Returns the exit code, or the negative number of the signal that killed it. Safe to cancel.
        """
        await self._exited.wait()
        return await self._finish()

    async def end(self) -> None:
        """Kill it, and return when nothing is left."""
        self.kill()
        await self._finish()

    async def _finish(self) -> int:
        code = await blocking.run(self._reap)
        with suppress(TimeoutError):
            async with asyncio.timeout(OUTPUT_GRACE_S):
                await self._output.ended.wait()
        return code

    def _reap(self) -> int:
        """The group goes before the leader is reaped, and with it its number."""
        self.kill()
        code = self._child.wait()
        kill_marked(f"{MARKER_VARIABLE}={self._marker}")
        return code


@asynccontextmanager
async def spawn(
    policy: Policy, on_output: Callable[[str], None]
) -> AsyncIterator[SandboxedProcess]:
    """Run a process for the length of the block; whatever is left of it at the end is killed.

    `on_output` gets each line that it prints. Raises SpawnFailed. The process finds its end of
    the channel in the descriptor that SYMPHONY_CHANNEL names.
    """
    if sys.platform not in ("linux", "darwin"):
        reason = f"extensions cannot run on {sys.platform} yet"
        raise SpawnFailed(policy.argv[0], policy.cwd, reason)
    marker = uuid.uuid4().hex
    with ExitStack() as ends:
        channel, their_channel = socket.socketpair()
        ends.callback(channel.close)
        lifeline, lifeline_holder = os.pipe()
        ends.callback(os.close, lifeline_holder)
        output, their_output = os.pipe()
        ends.callback(os.close, output)
        with ExitStack() as theirs:
            theirs.callback(their_channel.close)
            theirs.callback(os.close, lifeline)
            theirs.callback(os.close, their_output)
            child = _start(policy, marker, their_channel.fileno(), lifeline, their_output)
        pump = OutputPump(output, on_output)
        ends.callback(pump.stop)
        process = SandboxedProcess(child, marker, channel, _exit_of(child.pid, ends), pump)
        try:
            yield process
        finally:
            await process.end()


def _exit_of(pid: int, ends: ExitStack) -> asyncio.Event:
    """An event that is set when the process exits; it has yet to be reaped then."""
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()
    notice = ends.enter_context(exit_notice(pid))
    ends.callback(loop.remove_reader, notice)

    def note() -> None:
        loop.remove_reader(notice)
        exited.set()

    loop.add_reader(notice, note)
    return exited


def _start(
    policy: Policy, marker: str, channel: int, lifeline: int, output: int
) -> subprocess.Popen[bytes]:
    """Takes about 0.4 ms, whatever the size of the host, and so runs on the loop: a result that
    comes from a thread is lost when the waiting task is cancelled, and it is a live process."""
    own = {MARKER_VARIABLE: marker, CHANNEL_VARIABLE: str(channel)}
    try:
        child = subprocess.Popen(  # noqa: S603 - the caller's program is what we are here to run
            policy.argv,
            cwd=policy.cwd,
            env=clean_environment(os.environ, policy.environment) | own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(channel, lifeline),
            start_new_session=True,
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise SpawnFailed(policy.argv[0], policy.cwd, reason) from error
    tie_group_to_pipe(lifeline, child.pid)
    return child
