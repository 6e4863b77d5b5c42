from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest


def _is_gone(pid: int, within_s: float = 5) -> bool:
    try:
        notice = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(notice, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(notice)


@pytest.fixture
def is_gone() -> Callable[..., bool]:
    """Whether a process, of whomever it is a child, has exited or does so in time."""
    return _is_gone


@pytest.fixture
def descriptors() -> Callable[[], set[str]]:
    """The descriptors of this process, each with what it is."""

    def listed() -> set[str]:
        found = set()
        for entry in Path("/proc/self/fd").iterdir():
            try:
                found.add(f"{entry.name} {entry.readlink()}")
            except FileNotFoundError:
                continue
        return found

    return listed
