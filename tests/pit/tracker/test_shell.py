from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pit.tracker.playing import (
    BodyBroke,
    Stage,
    adds,
    breaks,
    on_stage,
    operator,
    sink,
    source,
    states,
    workflow,
)
from tests.strategies import dags, graph_of

from symphony.commons.values import Value
from symphony.execution import (
    BodyContext,
    NodeStarted,
    NodeState,
    Recorded,
    RunState,
    fold,
)
from symphony.pit.tracker import NodeProgress, RunControl, RunExists
from symphony.workflow import InputsInvalid, loads


def test_values_flow_from_inputs_through_operators_to_outputs(tmp_path: Path) -> None:
    plan = workflow(
        [source("a"), source("b", default=5), operator("sum", "add", more=100), sink("total")],
        "a -> sum.x",
        "b -> sum.y",
        "sum -> total",
    )

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"add": adds}, {"a": 2})
        assert status.state is RunState.COMPLETED
        assert status.inputs == {"a": 2, "b": 5}
        assert status.nodes["total"].outputs == {"value": 107}

    on_stage(tmp_path, act)


def test_journal_holds_all_that_the_observer_heard_and_folds_to_the_result(tmp_path: Path) -> None:
    plan = workflow([operator("a"), operator("b", "break"), operator("c")], "b -> c.value")

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"break": breaks})
        journaled = await stage.journal.read("run-1")
        assert journaled == stage.heard
        assert [each.seq for each in journaled] == list(range(1, len(journaled) + 1))
        assert fold(journaled) == status
        assert loads(await stage.journal.document("run-1")) == plan

    on_stage(tmp_path, act)


def test_failure_is_told_as_it_was_raised_and_other_branches_go_on(tmp_path: Path) -> None:
    plan = workflow(
        [operator("bad", "break"), operator("below"), operator("good"), operator("after")],
        "bad -> below.value",
        "good -> after.value",
    )

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"break": breaks}, concurrency=1)
        assert status.state is RunState.FAILED
        assert states(status) == {
            "bad": "failed",
            "below": "skipped",
            "good": "completed",
            "after": "completed",
        }
        assert status.nodes["bad"].error == BodyBroke().record()
        assert status.nodes["below"].because == "bad"

    on_stage(tmp_path, act)


def test_no_more_than_the_limit_run_at_a_time(tmp_path: Path) -> None:
    running, most = 0, 0

    async def counts(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return {"value": None}

    plan = workflow([operator(f"n{number}", "count") for number in range(20)])

    async def act(stage: Stage) -> None:
        await stage.play(plan, {"count": counts}, concurrency=3)
        assert most == 3

    on_stage(tmp_path, act)


def test_waiting_bodies_overlap(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        meeting = asyncio.Barrier(3)

        async def meets(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
            await meeting.wait()
            return {"value": None}

        plan = workflow([operator(name, "meet") for name in "abc"])
        assert (await stage.play(plan, {"meet": meets})).state is RunState.COMPLETED

    on_stage(tmp_path, act)


@settings(max_examples=12, deadline=None)
@given(graph=dags(), broken=st.sets(st.integers(0, 11)), concurrency=st.integers(1, 3))
def test_random_graphs_end_with_every_node_where_it_belongs(
    tmp_path_factory: pytest.TempPathFactory,
    graph: tuple[int, list[tuple[int, int]]],
    broken: set[int],
    concurrency: int,
) -> None:
    plan = graph_of(*graph)
    failing = {f"n{number}" for number in broken}

    async def body(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        if len(context.node) % 2:
            await asyncio.sleep(0)
        if context.node in failing:
            raise BodyBroke
        return {"value": 1 + sum(value for value in inputs.values() if isinstance(value, int))}

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"any": body}, concurrency=concurrency)
        paths: dict[str, int] = {}
        parents = {str(node.id): [] for node in plan.nodes}  # type: dict[str, list[str]]
        for edge in plan.edges:
            parents[edge.target.node].append(edge.source.node)
        for name, node in status.nodes.items():
            blocked = any(status.nodes[up].state is not NodeState.COMPLETED for up in parents[name])
            if blocked:
                assert node.state is NodeState.SKIPPED
            elif name in failing:
                assert node.state is NodeState.FAILED
            else:
                assert node.state is NodeState.COMPLETED
                paths[name] = 1 + sum(
                    count
                    for up in parents[name]
                    if isinstance(count := status.nodes[up].outputs["value"], int)
                )
                assert node.outputs["value"] == paths[name]
        assert fold(await stage.journal.read("run-1")) == status

    on_stage(tmp_path_factory.mktemp("run"), act)


def test_missing_input_is_refused_before_anything_is_journaled(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        with pytest.raises(InputsInvalid):
            await stage.play(workflow([source("folder")]))
        assert await stage.journal.runs() == []
        assert stage.heard == []

    on_stage(tmp_path, act)


def test_run_id_is_used_once(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        await stage.play(workflow([operator("a")]))
        before = await stage.journal.read("run-1")
        with pytest.raises(RunExists):
            await stage.play(workflow([operator("b")]))
        assert await stage.journal.read("run-1") == before

    on_stage(tmp_path, act)


def test_workflow_without_nodes_is_complete(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        assert (await stage.play(workflow([]))).state is RunState.COMPLETED

    on_stage(tmp_path, act)


def test_long_chain_of_short_bodies_lets_the_loop_turn(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(3000)]
    plan = workflow(
        [operator(name) for name in names], *(f"{a} -> {b}.value" for a, b in pairwise(names))
    )

    async def act(stage: Stage) -> None:
        control = RunControl()

        def observe(heard: Recorded | NodeProgress) -> None:
            if isinstance(heard, Recorded) and heard.event == NodeStarted("n5", 1):
                asyncio.get_running_loop().call_soon(control.cancel)

        status = await stage.play(plan, observer=observe, control=control)
        assert status.state is RunState.CANCELLED
        assert 0 < status.counts[NodeState.COMPLETED] < 3000

    on_stage(tmp_path, act)
