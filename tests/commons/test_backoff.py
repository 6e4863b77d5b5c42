from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.backoff import Backoff


def test_without_jitter_each_delay_is_the_factor_longer_up_to_the_ceiling() -> None:
    backoff = Backoff(initial=1, factor=3, ceiling=20, jitter=0, attempts=6)
    assert list(backoff.delays(Random(0))) == [1, 3, 9, 20, 20]


def test_one_attempt_has_nothing_to_wait_for() -> None:
    assert list(Backoff(attempts=1).delays(Random(0))) == []


def test_endless_backoff_neither_ends_nor_overflows() -> None:
    delays = Backoff(factor=10.0, jitter=0, attempts=None).delays(Random(0))
    assert list(islice(delays, 5000))[-1] == 30.0


def test_same_seed_gives_the_same_delays_and_another_seed_others() -> None:
    delays = [list(Backoff().delays(Random(seed))) for seed in (1, 1, 2)]
    assert delays[0] == delays[1] != delays[2]


def test_full_jitter_spreads_evenly_from_zero_to_the_full_delay() -> None:
    delays = Backoff(initial=10, factor=1, attempts=4001).delays(Random(7))
    tenths = [int(delay) for delay in delays]
    assert all(300 < tenths.count(tenth) < 500 for tenth in range(10))


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("initial", lambda: Backoff(initial=-1)),
        ("initial", lambda: Backoff(initial=31)),
        ("initial", lambda: Backoff(initial=float("nan"))),
        ("factor", lambda: Backoff(factor=0.9)),
        ("jitter", lambda: Backoff(jitter=1.1)),
        ("jitter", lambda: Backoff(jitter=-0.1)),
        ("attempts", lambda: Backoff(attempts=0)),
    ],
)
def test_nonsense_is_refused(field: str, make: Callable[[], Backoff]) -> None:
    with pytest.raises(ValueError, match=rf"^{field} must"):
        make()


@given(
    st.floats(0, 10),
    st.floats(1, 100),
    st.floats(0, 1),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_delays_stay_between_their_bounds(
    initial: float, factor: float, jitter: float, attempts: int, random: Random
) -> None:
    backoff = Backoff(initial, factor, 10.0, jitter, attempts)
    delays = list(backoff.delays(random))
    full = list(replace(backoff, jitter=0.0).delays(Random(0)))
    assert len(delays) == attempts - 1
    for delay, most in zip(delays, full, strict=True):
        assert most * (1 - jitter) - 1e-9 <= delay <= most <= 10.0
