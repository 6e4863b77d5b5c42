from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.pit.tracker.playing import (
    Stage,
    on_stage,
    operator,
    pass_on,
    workflow,
)

from symphony.commons.values import Value
from symphony.execution import (
    BodyContext,
    NodeState,
    NodeTiming,
    Recorded,
    fold,
)
from symphony.pit.tracker import NodeProgress
from symphony.testing import FakeClock


def test_progress_told_from_a_thread_reaches_the_observer_in_the_loops_thread(
    tmp_path: Path,
) -> None:
    heard_in: set[int] = set()

    async def act(stage: Stage) -> None:
        seen = {done: asyncio.Event() for done in (500, 1000)}

        def observe(heard: Recorded | NodeProgress) -> None:
            if isinstance(heard, NodeProgress):
                heard_in.add(threading.get_ident())
                stage.heard.append(heard)
                if heard.done in seen:
                    seen[int(heard.done)].set()

        def count(context: BodyContext, start: int, end: int) -> None:
            for done in range(start, end + 1):
                context.progress(done, 1000, f"{done} done")

        async def works(_: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
            for start, end in ((0, 500), (501, 1000)):
                await asyncio.to_thread(count, context, start, end)
                await asyncio.wait_for(seen[end].wait(), 5)
            return {"value": None}

        await stage.play(workflow([operator("a", "work")]), {"work": works}, observer=observe)
        assert stage.heard[-1] == NodeProgress("a", 1000, 1000, "1000 done")
        assert heard_in == {threading.get_ident()}

    on_stage(tmp_path, act)


def test_progress_of_a_body_that_has_ended_goes_nowhere(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        contexts: list[BodyContext] = []

        async def keeps(_: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
            contexts.append(context)
            context.progress(1, 2)
            return {"value": None}

        await stage.play(workflow([operator("a", "keep")]), {"keep": keeps})
        contexts[0].progress(2, 2)
        await asyncio.sleep(0)
        assert not any(isinstance(each, NodeProgress) for each in stage.heard)

    on_stage(tmp_path, act)


def test_timings_tell_when_each_node_ran(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        clock = stage.clock = FakeClock()
        timings: list[NodeTiming] = []

        async def takes(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
            await clock.sleep(float(str(inputs["seconds"])))
            return {"value": None}

        async def looks(_: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
            timings.extend(context.timings())
            return {"value": None}

        plan = workflow(
            [
                operator("second", "take", seconds=3),
                operator("first", "take", seconds=2),
                operator("look", "look"),
                operator("never"),
            ],
            "first -> second.after",
            "first -> look.after",
            "look -> never.value",
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stage.play(plan, {"take": takes, "look": looks}))
            await clock.sleepers(1)
            await clock.advance(2)
            await clock.sleepers(1)
            await clock.advance(3)
        assert timings == [
            NodeTiming("first", 0.0, 2.0, NodeState.COMPLETED),
            NodeTiming("second", 2.0, 0.0, NodeState.RUNNING),
            NodeTiming("look", 2.0, 0.0, NodeState.RUNNING),
        ]

    on_stage(tmp_path, act)


def test_body_knows_who_it_is_and_logs_with_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def speaks(_: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        context.log("warning", "look here", count=3)
        context.log("shouting", "and here")
        return {"value": [context.run_id, context.node, context.attempt, context.key]}

    async def act(stage: Stage) -> None:
        status = await stage.play(workflow([operator("a", "speak")]), {"speak": speaks})
        assert status.nodes["a"].outputs == {"value": ["run-1", "a", 1, "run-1:a"]}

    with caplog.at_level(logging.INFO):
        on_stage(tmp_path, act)
    spoken = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert ("WARNING", "look here") in spoken
    assert ("INFO", "and here") in spoken


def test_two_runs_share_a_journal_and_a_store(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        plan = workflow([operator(f"n{number}") for number in range(50)])
        runs = await asyncio.gather(
            *(stage.play(plan, {"pass": pass_on}, run_id=f"run-{number}") for number in range(4))
        )
        for status in runs:
            assert fold(await stage.journal.read(status.run_id)) == status

    on_stage(tmp_path, act)
