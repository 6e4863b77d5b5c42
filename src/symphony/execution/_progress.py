"""How far a run is, for a bar or a line of text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from symphony.execution._states import NODE_ENDED, NodeState
from symphony.execution._status import RunStatus


class Progress(msgspec.Struct, frozen=True):
    """A run at one moment. `done` counts the nodes that have ended, in whatever way.

    `fraction` (0 to 1), `rate` (nodes a second) and `eta_s` count half a node for a body that is
    half through. With `seconds`, how long each node is thought to take, `fraction` is the part of
    their sum, and `eta_s` what is left of it at the pace of this run so far; a node without an
    estimate counts as the mean of the others. `eta_s` is None as long as there is nothing to judge
    it by.
    """

    total: int
    done: int
    failed: int
    skipped: int
    running: tuple[str, ...]
    fraction: float
    elapsed_s: float
    rate: float
    eta_s: float | None

    @classmethod
    def of(
        cls,
        status: RunStatus,
        now: float,
        fractions: Mapping[str, float] | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> Progress:
        """`now` is in seconds since the epoch; `fractions` say how far the running bodies are."""
        counts = status.counts
        skipped = counts[NodeState.SKIPPED] + counts[NodeState.CANCELLED] + counts[NodeState.CACHED]
        worked = counts[NodeState.COMPLETED] + counts[NodeState.FAILED]
        total, done = len(status.nodes), worked + skipped
        live = sum(min(max((fractions or {}).get(name, 0.0), 0.0), 1.0) for name in status.running)
        ended = status.finished_at is not None
        elapsed_s = _elapsed(status, now)
        rate = (worked + live) / elapsed_s if elapsed_s > 0 else 0.0
        left = 0.0 if ended else total - done - live
        fraction = (done + live) / total if total else 1.0
        eta_s = left / rate if rate > 0 else (None if left else 0.0)
        if seconds:
            fraction, eta_s = _weighted(status, seconds, fractions or {}, elapsed_s)
        return cls(
            total=total,
            done=done,
            failed=counts[NodeState.FAILED],
            skipped=skipped,
            running=tuple(status.running),
            fraction=1.0 if ended or not total else fraction,
            elapsed_s=elapsed_s,
            rate=rate,
            eta_s=0.0 if ended else eta_s,
        )


def _weighted(
    status: RunStatus,
    seconds: Mapping[str, float],
    fractions: Mapping[str, float],
    elapsed_s: float,
) -> tuple[float, float | None]:
    """The part done of the sum of all estimates, and the time for the rest at the pace so far."""
    mean = sum(seconds.values()) / len(seconds)
    total = done = worked = 0.0
    for name, node in status.nodes.items():
        weight = seconds.get(name, mean)
        part = min(max(fractions.get(name, 0.0), 0.0), 1.0) if name in status.running else 0.0
        part = 1.0 if node.state in NODE_ENDED else part
        total += weight
        done += weight * part
        if node.started_at is not None:
            worked += weight * part
    if total <= 0.0:
        return 1.0, 0.0
    left = total - done
    if not left:
        return 1.0, 0.0
    return done / total, (left * elapsed_s / worked if worked > 0 and elapsed_s > 0 else None)


def _elapsed(status: RunStatus, now: float) -> float:
    """Never negative: the machine's clock may have been set back."""
    if status.started_at is None:
        return 0.0
    end = now if status.finished_at is None else status.finished_at
    return max(end - status.started_at, 0.0)
