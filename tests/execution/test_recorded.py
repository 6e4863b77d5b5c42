"""Journals that earlier versions wrote: they fold to the same state for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from symphony.execution import RunStatus, decode, decode_turn, encode_turn, fold

RUNS = Path(__file__).parents[1] / "recorded" / "runs"


@pytest.mark.parametrize("journal", sorted(RUNS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_journal_folds_to_the_state_that_it_always_had(journal: Path) -> None:
    events = [decode(line) for line in journal.read_bytes().splitlines()]
    recorded = journal.with_suffix(".status.json").read_bytes()
    assert fold(events) == msgspec.json.decode(recorded, type=RunStatus)
    assert decode_turn(1, encode_turn(events)) == events


def test_there_are_recorded_journals() -> None:
    assert len(list(RUNS.glob("*.jsonl"))) >= 3
