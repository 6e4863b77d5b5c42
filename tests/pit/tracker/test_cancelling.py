from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from tests.pit.tracker.playing import (
    Gate,
    Stage,
    breaks,
    on_stage,
    operator,
    states,
    workflow,
)

from symphony.commons.values import Value
from symphony.execution import (
    BodyContext,
    Event,
    NodeFailed,
    NodeFinished,
    NodeStarted,
    Recorded,
    RunCreated,
    RunState,
    fold,
)
from symphony.pit.tracker import NodeProgress, RunControl


def test_cancel_stops_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        gate, control = Gate(), RunControl()
        plan = workflow(
            [operator("done"), operator("a", "gate"), operator("b"), operator("c")],
            "done -> a.value",
            "a -> b.value",
        )
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(
                stage.play(plan, {"gate": gate}, concurrency=1, control=control)
            )
            await gate.entered.wait()
            control.cancel("enough")
            control.cancel("more than enough")
        status = run.result()
        assert gate.cancelled
        assert status.state is RunState.CANCELLED
        assert status.cancel_reason == "enough"
        assert states(status) == {
            "done": "completed",
            "a": "cancelled",
            "b": "cancelled",
            "c": "cancelled",
        }
        assert fold(await stage.journal.read("run-1")) == status

    on_stage(tmp_path, act)


def test_cancel_before_the_beginning_runs_nothing(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        control = RunControl()
        control.cancel()
        status = await stage.play(workflow([operator("a")]), control=control)
        assert status.state is RunState.CANCELLED
        assert not any(isinstance(event, NodeStarted) for event in stage.events)

    on_stage(tmp_path, act)


def test_cancel_after_the_end_has_no_effect(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        control = RunControl()
        status = await stage.play(workflow([operator("a")]), control=control)
        control.cancel()
        assert status.state is RunState.COMPLETED
        assert fold(await stage.journal.read("run-1")) == status

    on_stage(tmp_path, act)


def test_observer_may_cancel_the_run(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        control = RunControl()

        def observe(heard: Recorded | NodeProgress) -> None:
            if isinstance(heard, Recorded) and heard.event == NodeStarted("n2", 1):
                control.cancel()

        names = [f"n{number}" for number in range(6)]
        edges = [f"{a} -> {b}.value" for a, b in pairwise(names)]
        status = await stage.play(
            workflow([operator(name) for name in names], *edges),
            {},
            observer=observe,
            control=control,
        )
        assert status.state is RunState.CANCELLED
        assert list(states(status).values())[:2] == ["completed", "completed"]
        assert list(states(status).values())[3:] == ["cancelled"] * 3

    on_stage(tmp_path, act)


def test_cancelled_caller_gets_the_run_ended_in_order_first(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        gate = Gate()
        run = asyncio.create_task(stage.play(workflow([operator("a", "gate")]), {"gate": gate}))
        await gate.entered.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert gate.cancelled
        status = fold(await stage.journal.read("run-1"))
        assert status.state is RunState.CANCELLED
        assert status.cancel_reason == "the program was stopped"

    on_stage(tmp_path, act)


def test_second_cancellation_does_not_hang_on_a_body_that_ignores_the_first(
    tmp_path: Path,
) -> None:
    async def act(stage: Stage) -> None:
        entered, stubborn = asyncio.Event(), asyncio.Event()

        async def ignores(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
            entered.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                stubborn.set()
            await asyncio.get_running_loop().create_future()
            return {}

        run = asyncio.create_task(stage.play(workflow([operator("a", "ig")]), {"ig": ignores}))
        await entered.wait()
        run.cancel()
        await stubborn.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(run, 5)

    on_stage(tmp_path, act)


def test_body_that_lets_out_a_cancellation_of_its_own_does_not_hang_the_run(
    tmp_path: Path,
) -> None:
    async def leaks(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        raise asyncio.CancelledError

    plan = workflow([operator("a", "leak"), operator("b"), operator("c")], "a -> b.value")

    async def act(stage: Stage) -> None:
        status = await asyncio.wait_for(stage.play(plan, {"leak": leaks}, concurrency=1), 5)
        assert status.state is RunState.FAILED
        assert states(status) == {"a": "cancelled", "b": "skipped", "c": "completed"}

    on_stage(tmp_path, act)


@pytest.mark.parametrize("kind", [RunCreated, NodeStarted, NodeFinished, NodeFailed])
def test_observer_may_cancel_at_any_event_and_the_others_hear_all_in_order(
    tmp_path: Path, kind: type[Event]
) -> None:
    plan = workflow(
        [operator("a"), operator("bad", "break"), operator("b"), operator("c"), operator("d")],
        "a -> b.value",
        "b -> c.value",
        "bad -> d.value",
    )

    async def act(stage: Stage) -> None:
        control, first, second = RunControl(), list[int](), list[int]()

        def observe(heard: Recorded | NodeProgress) -> None:
            assert isinstance(heard, Recorded)
            first.append(heard.seq)
            if isinstance(heard.event, kind):
                control.cancel("seen enough")
            second.append(heard.seq)

        status = await stage.play(
            plan, {"break": breaks}, concurrency=2, observer=observe, control=control
        )
        assert status.state is RunState.CANCELLED
        assert status.cancel_reason == "seen enough"
        assert states(status)["c"] == "cancelled"
        assert first == second == list(range(1, status.seq + 1))
        assert fold(await stage.journal.read("run-1")) == status

    on_stage(tmp_path, act)


def test_observer_that_cancels_and_breaks_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    control = RunControl()

    def observe(heard: Recorded | NodeProgress) -> None:
        if isinstance(heard, Recorded) and isinstance(heard.event, NodeFinished):
            control.cancel()
            raise BrokenPipeError("nobody listens")

    async def act(stage: Stage) -> None:
        with pytest.raises(BrokenPipeError):
            await stage.play(
                workflow([operator("a"), operator("b")]), observer=observe, control=control
            )
        assert fold(await stage.journal.read("run-1")).state is RunState.FAILED

    on_stage(tmp_path, act)


def cancel_twice(run: asyncio.Task[object]) -> None:
    run.cancel()
    asyncio.get_running_loop().call_soon(run.cancel)


def cancel_everything(_: asyncio.Task[object]) -> None:
    """As `asyncio.run` does when it is over."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def cancel_and_then_everything(run: asyncio.Task[object]) -> None:
    run.cancel()
    everything = asyncio.all_tasks() - {asyncio.current_task()}
    asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in everything])


@pytest.mark.parametrize("stop", [cancel_twice, cancel_everything, cancel_and_then_everything])
def test_run_that_is_torn_down_while_it_is_cancelled_has_an_end_in_the_journal(
    tmp_path: Path, stop: Callable[[asyncio.Task[object]], None]
) -> None:
    async def act(stage: Stage) -> None:
        both = asyncio.Barrier(3)

        async def clears_up(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
            await both.wait()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.get_running_loop().run_in_executor(None, str)
            return {}

        plan = workflow(
            [operator("a", "clear"), operator("b", "clear"), operator("c")], "a -> c.value"
        )
        run: asyncio.Task[object] = asyncio.create_task(stage.play(plan, {"clear": clears_up}))
        await both.wait()
        stop(run)
        await asyncio.wait([run])
        assert run.cancelled()
        status = fold(await stage.journal.read("run-1"))
        assert status.state is RunState.CANCELLED
        assert status.cancel_reason == "the program was stopped"
        assert states(status) == dict.fromkeys("abc", "cancelled")
        assert [each.seq for each in stage.heard if isinstance(each, Recorded)] == list(
            range(1, status.seq + 1)
        )

    on_stage(tmp_path, act)
