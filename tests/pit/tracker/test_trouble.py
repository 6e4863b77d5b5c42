from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from tests.pit.tracker.playing import (
    Gate,
    Stage,
    gives,
    on_stage,
    operator,
    states,
    workflow,
)

from symphony.commons.files import DiskFull
from symphony.commons.values import Value
from symphony.execution import (
    BodyContext,
    NodeStarted,
    Recorded,
    RunFinished,
    RunState,
    fold,
)
from symphony.pit.tracker import NodeProgress


def test_engine_that_breaks_ends_the_run_and_says_so_in_the_journal(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        gate = Gate()

        async def bug(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
            await gate.entered.wait()
            raise LookupError("a bug")

        plan = workflow([operator("a", "gate"), operator("b", "bug")])
        with pytest.raises(LookupError, match="a bug"):
            await stage.play(plan, {"gate": gate, "bug": bug})
        assert gate.cancelled
        last = (await stage.journal.read("run-1"))[-1].event
        assert isinstance(last, RunFinished)
        assert last.state is RunState.FAILED
        assert last.error is not None
        assert last.error.message == "LookupError: a bug"

    on_stage(tmp_path, act)


def test_observer_that_breaks_ends_the_run(tmp_path: Path) -> None:
    def observe(heard: Recorded | NodeProgress) -> None:
        if isinstance(heard, Recorded) and isinstance(heard.event, NodeStarted):
            raise BrokenPipeError("nobody listens")

    async def act(stage: Stage) -> None:
        with pytest.raises(BrokenPipeError):
            await stage.play(workflow([operator("a"), operator("b")]), {}, observer=observe)
        assert fold(await stage.journal.read("run-1")).state is RunState.FAILED

    on_stage(tmp_path, act)


def test_observer_that_breaks_on_progress_ends_the_run_too(tmp_path: Path) -> None:
    def observe(heard: Recorded | NodeProgress) -> None:
        if isinstance(heard, NodeProgress):
            raise BrokenPipeError("nobody listens")

    async def act(stage: Stage) -> None:
        gate = Gate()

        async def works(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
            context.progress(1, 2)
            return await gate(inputs, context)

        with pytest.raises(BrokenPipeError):
            await stage.play(workflow([operator("a", "work")]), {"work": works}, observer=observe)
        assert gate.cancelled

    on_stage(tmp_path, act)


def test_full_disk_under_the_journal_ends_the_run_even_if_its_bodies_only_wait(
    tiny_disk: Path,
) -> None:
    names = [f"n{number}" for number in range(2000)]
    edges = [f"{a} -> {b}.value" for a, b in pairwise(names)]
    plan = workflow([operator(name, "fill") for name in names] + [operator("w", "gate")], *edges)

    async def act(stage: Stage) -> None:
        gate = Gate()

        async def fills(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
            if not gate.cancelled:
                await stage.journal.flush()
            return {"value": "x" * 3000}

        with pytest.raises(DiskFull):
            await asyncio.wait_for(stage.play(plan, {"gate": gate, "fill": fills}), 20)
        assert gate.cancelled
        with pytest.raises(DiskFull):
            await stage.journal.flush()
        journaled = await stage.journal.read("run-1")
        assert fold(journaled).state is RunState.RUNNING
        assert journaled == stage.heard[: len(journaled)]

    on_stage(tiny_disk, act)


def test_full_disk_under_the_store_fails_the_node_alone(tmp_path: Path, tiny_disk: Path) -> None:
    (tiny_disk / "artifacts").mkdir()
    (tmp_path / "artifacts").symlink_to(tiny_disk / "artifacts")
    plan = workflow([operator("a", "big"), operator("b")])

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"big": gives(os.urandom(3_000_000).hex())})
        assert states(status) == {"a": "failed", "b": "completed"}
        error = status.nodes["a"].error
        assert error is not None
        assert error.code == "files.disk_full"

    on_stage(tmp_path, act)
