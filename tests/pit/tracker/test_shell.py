from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import tracemalloc
from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pit.tracker.playing import (
    Function,
    Gate,
    Stage,
    on_stage,
    operator,
    pass_on,
    sink,
    source,
    workflow,
)
from tests.strategies import dags, graph_of

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import DiskFull
from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.execution import (
    BodyContext,
    NodeStarted,
    NodeState,
    NodeTiming,
    Recorded,
    RunFinished,
    RunState,
    RunStatus,
    fold,
)
from symphony.pit.tracker import NodeProgress, RunControl, RunExists
from symphony.testing import FakeClock
from symphony.workflow import InputsInvalid, loads

BIG = "x" * 5000


class BodyBroke(SymphonyError):
    code = "test.broke"
    category = Category.IO

    def __init__(self) -> None:
        super().__init__("It broke.", hint="Mend it.")


async def breaks(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
    raise BodyBroke


async def adds(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
    return {"value": sum(value for value in inputs.values() if isinstance(value, int))}


def gives(value: Value) -> Function:
    async def body(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        return {"value": value}

    return body


def states(status: RunStatus) -> dict[str, str]:
    return {name: str(node.state) for name, node in status.nodes.items()}


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
            if isinstance(heard, Recorded) and heard.event == NodeStarted("n0", 1):
                asyncio.get_running_loop().call_soon(control.cancel)

        status = await stage.play(plan, observer=observe, control=control)
        assert status.state is RunState.CANCELLED
        assert 0 < status.counts[NodeState.COMPLETED] < 3000

    on_stage(tmp_path, act)


# ---- values


def test_large_output_is_spilled_and_arrives_whole(tmp_path: Path) -> None:
    plan = workflow(
        [operator("make", "make"), operator("take"), sink("out")],
        "make -> take.value",
        "take -> out",
    )

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"make": gives([BIG, 1])})
        for name in ("make", "take", "out"):
            node = status.nodes[name]
            assert node.spilled == ("value",)
            ref = as_ref(node.outputs["value"])
            assert ref is not None
            assert node.artifacts == (ref,)
            assert ref.name == f"{'make' if name == 'make' else 'take'}.value.json"
            assert msgspec.json.decode(await stage.store.get(ref)) == [BIG, 1]

    on_stage(tmp_path, act)


@pytest.mark.parametrize(("size", "spilled"), [(4094, False), (4095, True)])
def test_limit_for_values_in_the_journal_is_4_kib_of_json(
    tmp_path: Path, size: int, spilled: bool
) -> None:
    async def act(stage: Stage) -> None:
        status = await stage.play(workflow([operator("a", "make")]), {"make": gives("x" * size)})
        assert bool(status.nodes["a"].spilled) is spilled

    on_stage(tmp_path, act)


def memory_at_the_end(tmp_path: Path, joint: str) -> int:
    """Traced bytes when the last of 16 large values has been used; `joint` uses them all."""
    makers = [f"make{number}" for number in range(16)]
    plan = workflow(
        [
            *(operator(name, "make") for name in makers),
            operator("first", joint),
            operator("joint", joint),
            operator("last", "measure"),
        ],
        *(f"{name} -> joint.{name}" for name in makers),
        "first -> joint.first",
        *(f"{name} -> last.m{name}" for name in makers[:1]),
    )
    measured: list[int] = []

    async def makes(_: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        return {"value": context.node * 100_000}

    async def measures(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        measured.append(tracemalloc.get_traced_memory()[0])
        return {"value": None}

    async def takes(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        return {"value": None}

    async def act(stage: Stage) -> None:
        functions: dict[str, Function] = {
            "make": makes,
            "measure": measures,
            "break": breaks,
            "take": takes,
        }
        await stage.play(plan, functions, concurrency=1)

    tracemalloc.start()
    try:
        on_stage(tmp_path, act)
    finally:
        tracemalloc.stop()
    return measured[0]


@pytest.mark.parametrize("joint", ["take", "break"])
def test_values_leave_memory_when_whoever_needed_them_has_ended_or_been_skipped(
    tmp_path: Path, joint: str
) -> None:
    value_size = 500_000
    assert memory_at_the_end(tmp_path, joint) < 6 * value_size


def test_every_artifact_handed_out_is_recorded_as_used(tmp_path: Path) -> None:
    async def writes(_: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        small = await context.write_artifact(b"small", "text/plain", "a.txt")
        path = tmp_path / "made"
        path.write_bytes(b"from a file" * 10_000)
        large = await context.write_artifact(path, "text/plain", "b.txt")
        assert await context.read_artifact(small, limit=5) == b"small"
        return {"value": {"deep": [small.as_value()]}, "page": large.as_value(), "big": BIG}

    async def act(stage: Stage) -> None:
        status = await stage.play(workflow([operator("w", "write")]), {"write": writes})
        assert sorted(ref.name for ref in status.nodes["w"].artifacts) == [
            "a.txt",
            "b.txt",
            "w.big.json",
        ]

    on_stage(tmp_path, act)
    with closing(sqlite3.connect(tmp_path / "artifacts" / "artifacts.db")) as connection:
        uses = connection.execute("SELECT run, node, port, name FROM uses ORDER BY port").fetchall()
    assert uses == [
        ("run-1", "w", "big", "w.big.json"),
        ("run-1", "w", "page", "b.txt"),
        ("run-1", "w", "value", "a.txt"),
    ]


def test_reference_to_content_that_the_store_does_not_have_fails_the_node(tmp_path: Path) -> None:
    unknown = ArtifactRef(f"blake3:{'0' * 64}").as_value()

    async def act(stage: Stage) -> None:
        status = await stage.play(workflow([operator("a", "lie")]), {"lie": gives(unknown)})
        error = status.nodes["a"].error
        assert error is not None
        assert error.code == "artifacts.missing"

    on_stage(tmp_path, act)


def test_body_cannot_change_what_another_one_sees(tmp_path: Path) -> None:
    made: list[Value] = [1, [2]]

    async def spoils(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
        for value in inputs.values():
            assert isinstance(value, list)
            value.append("spoiled")
        made.append("late")
        return {"value": None}

    plan = workflow(
        [
            operator("make", "make"),
            operator("spoil", "spoil", constant=[0]),
            operator("again", "spoil", constant=[0]),
            operator("see"),
        ],
        "make -> spoil.value",
        "make -> again.value",
        "spoil -> see.after",
        "make -> see.value",
    )

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"make": gives(made), "spoil": spoils}, concurrency=1)
        assert status.state is RunState.COMPLETED
        assert status.nodes["see"].outputs == {"value": [1, [2]]}
        assert status.nodes["make"].outputs == {"value": [1, [2]]}
        assert plan.nodes[1].params == {"constant": [0]}

    on_stage(tmp_path, act)


@pytest.mark.parametrize("odd", [object(), "\ud800", {("a", "b"): 1}])
def test_output_that_json_cannot_express_fails_the_node(tmp_path: Path, odd: Value) -> None:
    async def act(stage: Stage) -> None:
        status = await stage.play(workflow([operator("a", "odd")]), {"odd": gives(odd)})
        error = status.nodes["a"].error
        assert error is not None
        assert error.code == "tracker.output_invalid"
        assert error.facts["port"] == "value"
        assert error.message.startswith("The value of a.value cannot be used: ")

    on_stage(tmp_path, act)


def test_output_node_checks_what_it_declares(tmp_path: Path) -> None:
    plan = workflow(
        [operator("a", "make"), sink("out", {"type": "array", "items": {"type": "string"}})],
        "a -> out",
    )

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"make": gives(["x", 3])})
        error = status.nodes["out"].error
        assert error is not None
        assert error.message == (
            'The value of out.value cannot be used: 3 is not of type "string" (at /1).'
        )
        fine = await stage.play(plan, {"make": gives(["x"])}, run_id="run-2")
        assert fine.nodes["out"].outputs == {"value": ["x"]}

    on_stage(tmp_path, act)


# ---- cancelling


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


# ---- what goes wrong around the bodies


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
        status = await stage.play(plan, {"big": gives("x" * 3_000_000)})
        assert states(status) == {"a": "failed", "b": "completed"}
        error = status.nodes["a"].error
        assert error is not None
        assert error.code == "files.disk_full"

    on_stage(tmp_path, act)


# ---- what bodies see and tell


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
