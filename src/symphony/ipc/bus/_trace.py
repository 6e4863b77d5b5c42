"""The W3C trace context of what is going on, handed from a request to all that it leads to.

An OpenTelemetry propagator reads and writes the same text; nothing here needs one.
"""

from __future__ import annotations

from contextvars import ContextVar
from random import getrandbits

#: The traceparent of the request that is being answered; empty where nothing is.
TRACE: ContextVar[str] = ContextVar("symphony_trace", default="")


def next_trace() -> str:
    """A traceparent for a message sent now: a new span, of the current trace if there is one."""
    current = TRACE.get()
    trace = current[3:35] if current else f"{getrandbits(128):032x}"
    return f"00-{trace}-{getrandbits(64):016x}-01"
