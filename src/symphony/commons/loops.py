"""Which event loop a program runs on: uvloop's where it is installed, else asyncio's own.

uvloop takes half as long for a message over a socket, and some 10 ms to be imported: it is for
what talks much. A command that only opens a database says `asyncio.run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:  # Any: what it yields is the loop's business
    """As `asyncio.run`, on the fastest loop that is installed."""
    with asyncio.Runner(loop_factory=_fastest()) as runner:
        return runner.run(main)


def _fastest() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop
    except ImportError:  # there is none for Windows
        return None
    return new_event_loop
