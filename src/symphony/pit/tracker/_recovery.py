"""What the policy of a node makes of a failed attempt. Pure; chance comes from the run's seed."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from symphony.commons.backoff import Backoff
from symphony.commons.errors import ErrorRecord
from symphony.pit.tracker._errors import InnerFailed
from symphony.workflow import Retry

#: A node in whose runs the process died this often is not tried again.
MOST_CRASHES: Final = 3


def next_delay(retry: Retry, code: str, failures: int, chance: str) -> float | None:
    """The seconds before the next attempt after so many failures; None if there is none.

    The same `chance` gives the same delay.
    """
    if failures >= retry.attempts or not _counts(retry, code):
        return None
    delays = Backoff(
        initial=min(retry.delay_s, retry.max_delay_s),
        factor=max(retry.factor, 1.0),
        ceiling=retry.max_delay_s,
        jitter=min(max(retry.jitter, 0.0), 1.0),
        attempts=None,
    ).delays(Random(chance))  # noqa: S311 - it spreads out, it hides nothing
    for _ in range(failures - 1):
        next(delays)
    return next(delays)


def _counts(retry: Retry, code: str) -> bool:
    return not retry.on or any(code == on or code.startswith(f"{on}.") for on in retry.on)


def nested(inner: str, error: ErrorRecord) -> ErrorRecord:
    """Why a node failed that other nodes carry out: of the kind of what happened inside."""
    record = InnerFailed(inner, error.code, error.message, error.hint).record()
    return msgspec.structs.replace(record, category=error.category)
