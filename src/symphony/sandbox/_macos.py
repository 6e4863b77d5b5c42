"""What takes macOS. Untested on this platform: written from the documentation of kqueue.

It has no signal to a group when a pipe loses its writer, and shows nobody another process's
environment. So an extension learns of its host's death by the end of its channel alone, and a
process that leaves the group is not found; `probe` says so.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What follows is not there on other systems; a type checker that knows skips it.
assert sys.platform == "darwin"  # noqa: S101


@contextmanager
def exit_notice(pid: int) -> Iterator[int]:
    """A descriptor that becomes readable when the process, a child of ours, has ended."""
    queue = select.kqueue()
    try:
        event = select.kevent(
            pid,
            select.KQ_FILTER_PROC,
            select.KQ_EV_ADD | select.KQ_EV_ONESHOT,
            select.KQ_NOTE_EXIT,
        )
        queue.control([event], 0)
        yield queue.fileno()
    finally:
        queue.close()


def tie_group_to_pipe(reading_end: int, group: int) -> None:
    """Nothing here does that."""


def kill_marked(marker: str) -> None:
    """The group is all that can be found."""
