"""What Ctrl-C means to a command that goes on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM in the block calls `act`; the next one acts as usual."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        act()

    try:
        for each in signals:
            loop.add_signal_handler(each, interrupt)
    except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt, which cancels too
        yield
        return
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
