"""What the tests of the transports share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


@pytest.fixture
def count_descriptors() -> Callable[[], int]:
    """How many this process has open."""
    return lambda: len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """`asyncio.run`, on each event loop in turn."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run_loop(main: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main)

    return run_loop
