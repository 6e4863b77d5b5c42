from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import created, histories, recorded

from symphony.commons.errors import ErrorRecord
from symphony.execution import (
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    Progress,
    Recorded,
    RunFinished,
    RunStarted,
    RunState,
    RunStatus,
    fold,
)

#: Two of four nodes done, 5 s after the start at 1002.
HALF: tuple[Event, ...] = (
    created("a", "b", "c", "d"),
    RunStarted(),
    NodeStarted("a", 1),
    NodeFinished("a", 1, {}),
    NodeStarted("b", 1),
    NodeFinished("b", 1, {}),
    NodeStarted("c", 1),
)


def test_rate_and_time_left_follow_from_what_is_done() -> None:
    assert Progress.of(fold(recorded(*HALF)), 1007.0) == Progress(
        total=4,
        done=2,
        failed=0,
        skipped=0,
        running=("c",),
        fraction=0.5,
        elapsed_s=5.0,
        rate=0.4,
        eta_s=5.0,
    )


def test_half_a_body_counts_half_a_node() -> None:
    progress = Progress.of(fold(recorded(*HALF)), 1007.0, {"c": 0.5, "a": 1.0, "other": 1.0})
    assert progress.done == 2
    assert progress.fraction == pytest.approx(2.5 / 4)
    assert progress.rate == pytest.approx(0.5)
    assert progress.eta_s == pytest.approx(3.0)


def test_a_body_that_exaggerates_counts_one_node_at_most() -> None:
    status = fold(recorded(*HALF))
    assert Progress.of(status, 1007.0, {"c": 7.0}).fraction == 0.75
    assert Progress.of(status, 1007.0, {"c": -7.0}).fraction == 0.5


def test_what_did_not_run_is_done_but_makes_no_speed() -> None:
    events = (*HALF, NodeFailed("c", 1, ErrorRecord("x", "y")), NodeSkipped("d", "c"))
    progress = Progress.of(fold(recorded(*events)), 1008.0)
    assert (progress.done, progress.failed, progress.skipped) == (4, 1, 1)
    assert (progress.fraction, progress.rate, progress.eta_s) == (1.0, 0.5, 0.0)
    cancelled = Progress.of(fold(recorded(*HALF, NodeCancelled("c"), NodeCancelled("d"))), 1012.0)
    assert (cancelled.done, cancelled.skipped, cancelled.rate) == (4, 2, 0.2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_before_the_first_node_ends_nobody_knows_how_long(count: int) -> None:
    progress = Progress.of(fold(recorded(*HALF)[:count]), 1002.0)
    assert (progress.fraction, progress.rate) == (0.0 if count else 1.0, 0.0)
    assert progress.eta_s == (None if count else 0.0)


def test_after_the_end_time_stands_still() -> None:
    history = recorded(*HALF, RunFinished(RunState.FAILED))
    progress = Progress.of(fold(history), 9999.0)
    assert (progress.elapsed_s, progress.fraction, progress.eta_s) == (6.0, 1.0, 0.0)


def test_a_clock_that_was_set_back_does_no_harm() -> None:
    progress = Progress.of(fold(recorded(*HALF)), 900.0)
    assert (progress.elapsed_s, progress.rate, progress.eta_s) == (0.0, 0.0, None)


def test_estimates_weigh_nodes_and_the_pace_of_the_run_corrects_them() -> None:
    seconds = {"a": 1.0, "b": 3.0, "c": 4.0, "d": 8.0}
    progress = Progress.of(fold(recorded(*HALF)), 1010.0, {"c": 0.5}, seconds)
    assert progress.fraction == pytest.approx((1 + 3 + 2) / 16)
    assert progress.eta_s == pytest.approx((2 + 8) * 8 / 6)
    unknown = Progress.of(fold(recorded(*HALF)), 1010.0, None, {"a": 2.0})
    assert unknown.fraction == 0.5


@settings(max_examples=25, deadline=None)
@given(histories(), st.dictionaries(st.sampled_from("abc"), st.floats(-1, 2)))
def test_a_run_never_goes_back(history: list[Recorded], fractions: dict[str, float]) -> None:
    status = RunStatus()
    last = 0
    for record in history:
        status.apply(record)
        progress = Progress.of(status, record.at, fractions)
        assert 0.0 <= progress.fraction <= 1.0
        assert progress.done >= last
        assert progress.done + len(progress.running) <= progress.total
        assert progress.eta_s is None or progress.eta_s >= 0.0
        last = progress.done
