"""How somebody outside a run steers it."""

from __future__ import annotations

from collections.abc import Callable


class RunControl:
    """Give one to `perform` and keep it. Call it from the thread of the run's event loop."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._listener: Callable[[str], None] | None = None

    def cancel(self, reason: str = "cancelled by request") -> None:
        """Let nothing more start, and stop what runs. Also before the run has begun; once only."""
        if self._reason is None:
            self._reason = reason
            if self._listener is not None:
                self._listener(reason)

    def attach(self, listener: Callable[[str], None]) -> None:
        """For the run: be told of a cancellation, also of one that has come already."""
        self._listener = listener
        if self._reason is not None:
            listener(self._reason)
