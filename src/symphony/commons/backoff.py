"""How long to wait between attempts: exponentially longer, at random, never above a ceiling.

The jitter spreads out clients that failed together; with `jitter=1.0` ("full jitter") each delay
is drawn from zero to the full one, which costs the shared thing least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds. `attempts` counts all attempts, the first included; None is for ever."""

    initial: float = 0.5
    factor: float = 2.0
    ceiling: float = 30.0
    jitter: float = 1.0
    attempts: int | None = 5

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= self.ceiling:
            raise ValueError("initial must be from 0 to ceiling")
        if self.factor < 1:
            raise ValueError("factor must be at least 1")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter must be from 0 to 1")
        if self.attempts is not None and self.attempts < 1:
            raise ValueError("attempts must be at least 1")

    def delays(self, random: Random) -> Iterator[float]:
        """One delay before each attempt after the first; the same for the same seed."""
        full = self.initial
        attempt = 1
        while self.attempts is None or attempt < self.attempts:
            yield full * (1 - self.jitter * random.random())
            full = min(full * self.factor, self.ceiling)
            attempt += 1
