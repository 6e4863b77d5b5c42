"""What takes Linux: kill a whole process group when the host dies, find what left the group.

The usual means, a parent-death signal, reaches only the direct child, fires when the *thread* that
started it ends, and must be asked for inside the child. Here the kernel itself signals the group:
the child holds the reading end of a pipe set to send SIGKILL to the group when something happens
on it, and the one thing that can happen is that the host, which holds the writing end, is gone.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def exit_notice(pid: int) -> Iterator[int]:
    """A descriptor that becomes readable when the process, a child of ours, has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def tie_group_to_pipe(reading_end: int, group: int) -> None:
    """Have the kernel kill the process group once the pipe has no writer left. Works for as long
    as a process of the group has the reading end open."""
    fcntl.fcntl(reading_end, fcntl.F_SETOWN, -group)
    fcntl.fcntl(reading_end, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(reading_end, fcntl.F_GETFL)
    fcntl.fcntl(reading_end, fcntl.F_SETFL, flags | os.O_ASYNC)


def kill_marked(marker: str) -> None:
    """Kill every process of ours that was started with `marker`, as in NAME=value, in its
    environment; looks again until it finds no new one, since one may fork meanwhile."""
    killed: set[int] = set()
    while found := set(_marked(marker.encode())) - killed:
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        killed |= found


def _marked(marker: bytes) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            if marker in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
