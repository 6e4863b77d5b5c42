"""Runs whose process died, at every moment, and what somebody asks of runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.pit.tracker.playing import (
    Function,
    Gate,
    Stage,
    adds,
    breaks,
    gives,
    node,
    on_stage,
    operator,
    sink,
    source,
    states,
    workflow,
)

from symphony.commons.values import Value
from symphony.execution import (
    BodyContext,
    NodeFinished,
    NodeSkipped,
    NodeState,
    RunState,
    RunStatus,
    RunWaiting,
    fold,
)
from symphony.pit.tracker import (
    CommandRefused,
    DefinitionChanged,
    Level,
    Limits,
    Manner,
    NodeMissing,
    OutputInvalid,
    RunBusy,
    RunControl,
    RunEnded,
    RunMissing,
    reusable,
)
from symphony.pit.tracker._syncer import Syncer, Told
from symphony.workflow import Case, NodeKind, Policy, Workflow


def everything() -> Workflow:
    """A graph with nodes of every kind that goes on by itself."""
    body = workflow(
        [source("item"), source("index"), operator("work", "add"), sink("made")],
        "item -> work.x",
        "index -> work.y",
        "work -> made",
    )
    count = workflow(
        [source("n"), operator("more", "add", by=1), sink("next", name="n")],
        "n -> more.n",
        "more -> next",
    )
    deep = workflow(
        [source("n"), node("inner", NodeKind.LOOP, use="count", limit=2), sink("out")],
        "n -> inner.n",
        "inner.n -> out",
    )
    return workflow(
        [
            source("list"),
            operator("big", "big"),
            node("each", NodeKind.MAP, use="body"),
            operator("total", "sum"),
            node("way", NodeKind.BRANCH, cases=(Case("large", "value > 10"),)),
            operator("yes"),
            operator("no"),
            node("merged", NodeKind.MERGE),
            node("use", NodeKind.WORKFLOW, use="deep"),
            node("both", NodeKind.JOIN),
            sink("result"),
        ],
        "list -> each.items",
        "each.made -> total.list",
        "total -> way",
        "way.large -> yes.value",
        "way.otherwise -> no.value",
        "yes -> merged.yes",
        "no -> merged.no",
        "merged -> use.n",
        "use.out -> both.use",
        "big -> both.big",
        "both -> result",
        body=body,
        count=count,
        deep=deep,
    )


BIG: Value = ["x" * 5000]


async def sums(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
    items = inputs["list"]
    assert isinstance(items, list)
    return {"value": sum(each for each in items if isinstance(each, int))}


BODIES: dict[str, Function] = {"add": adds, "sum": sums, "big": gives(BIG)}
INPUTS: dict[str, Value] = {"list": [3, 4, 5]}


@pytest.mark.slow
def test_run_cut_off_after_any_event_goes_on_to_the_same_end(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        whole = await stage.play(everything(), BODIES, INPUTS, concurrency=2)
        assert whole.state is RunState.COMPLETED
        expected = {name: each.outputs for name, each in whole.nodes.items()}
        journaled = await stage.journal.read("run-1")
        for count in range(2, len(journaled)):
            ran: Counter[str] = Counter()
            before = fold(journaled[:count])
            stage.cut_off(count, new_id=f"cut-{count}")
            status = await stage.go_on(counted(BODIES, ran), run_id=f"cut-{count}", concurrency=2)
            assert status.state is RunState.COMPLETED
            assert {name: each.outputs for name, each in status.nodes.items()} == expected
            finished = {name for name, each in before.nodes.items() if each.state == "completed"}
            assert not finished & ran.keys(), "what had finished ran again"
            assert set(ran.values()) <= {1}
            assert fold(await stage.journal.read(f"cut-{count}")) == status

    on_stage(tmp_path, act)


def counted(bodies: Mapping[str, Function], ran: Counter[str]) -> dict[str, Function]:
    def wrap(body: Function) -> Function:
        async def call(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
            ran[context.node] += 1
            return await body(inputs, context)

        return call

    return {name: wrap(body) for name, body in bodies.items()}


def test_run_that_died_goes_on_and_counts_its_deaths(tmp_path: Path) -> None:
    plan = workflow([operator("a"), operator("b", "see")], "a -> b.value")
    seen: list[tuple[int, str]] = []

    async def see(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        seen.append((context.attempt, context.key))
        return inputs

    async def act(stage: Stage) -> None:
        await stage.play(plan, {"see": see})
        stage.cut_off(5)
        status = await stage.go_on({"see": see}, run_id="cut", workflow=plan)
        assert seen == [(1, "run-1:b"), (2, "run-1:b")] or seen[1] == (2, "cut:b")
        assert status.nodes["b"].crashes == 1
        assert status.nodes["a"].attempt == 1

    on_stage(tmp_path, act)


def test_node_that_ran_in_three_deaths_fails(tmp_path: Path) -> None:
    plan = workflow([operator("a")])

    async def act(stage: Stage) -> None:
        await stage.play(plan)
        stage.cut_off(3, new_id="cut-0")
        for number in range(3):
            status = await stage.go_on(run_id=f"cut-{number}")
            begun = 3 + 2 * (number + 1)
            stage.cut_off(begun, f"cut-{number}", f"cut-{number + 1}")
        assert status.state is RunState.FAILED
        assert status.nodes["a"].error.code == "tracker.crashed"  # type: ignore[union-attr]

    on_stage(tmp_path, act)


@pytest.mark.parametrize("decision", ["retry", "provide", "skip"])
def test_once_node_that_was_interrupted_waits_for_a_decision(tmp_path: Path, decision: str) -> None:
    mail = node("mail", NodeKind.OPERATOR, use="mail", policy=Policy(once=True))
    plan = workflow([mail, operator("after")], "mail -> after.value")
    sent: list[int] = []

    async def send(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        sent.append(1)
        return {"value": "sent"}

    async def act(stage: Stage) -> None:
        await stage.play(plan, {"mail": send})
        stage.cut_off(3)
        control = RunControl()
        run = asyncio.create_task(stage.go_on({"mail": send}, run_id="cut", control=control))
        await stage.until(lambda event: isinstance(event, RunWaiting))
        assert len(sent) == 1
        if decision == "retry":
            control.retry("mail")
        elif decision == "skip":
            control.skip("mail", {"value": "skipped"})
        else:
            with pytest.raises(OutputInvalid):
                control.provide("mail", "sent")
            control.provide("mail", {"value": "sent"})
        status = await asyncio.wait_for(run, 5)
        assert status.state is RunState.COMPLETED
        assert len(sent) == (2 if decision == "retry" else 1)
        after = "skipped" if decision == "skip" else "sent"
        assert status.nodes["after"].outputs == {"value": after}

    on_stage(tmp_path, act)


def test_run_is_carried_out_by_one_at_a_time(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        gate = Gate()
        run = asyncio.create_task(stage.play(workflow([operator("a", "gate")]), {"gate": gate}))
        await gate.entered.wait()
        with pytest.raises(RunBusy) as caught:
            await stage.go_on()
        assert caught.value.holder is not None
        gate.open.set()
        await run
        with pytest.raises(RunEnded):
            await stage.go_on()
        with pytest.raises(RunMissing):
            await stage.go_on(run_id="nobody")

    on_stage(tmp_path, act)


def test_workflow_that_was_edited_meanwhile_is_refused_and_the_old_one_still_known(
    tmp_path: Path,
) -> None:
    plan = workflow([operator("a"), operator("b")], "a -> b.value")
    edited = workflow([operator("a"), operator("b", more=1)], "a -> b.value")

    async def act(stage: Stage) -> None:
        await stage.play(plan)
        stage.cut_off(4)
        with pytest.raises(DefinitionChanged):
            await stage.go_on(run_id="cut", workflow=edited)
        assert (await stage.go_on(run_id="cut")).state is RunState.COMPLETED

    on_stage(tmp_path, act)


def test_paused_run_starts_nothing_and_goes_on_when_it_is_taken_up_again(tmp_path: Path) -> None:
    plan = workflow([operator("a", "gate"), operator("b")], "a -> b.value")

    async def act(stage: Stage) -> None:
        gate, control = Gate(), RunControl()
        run = asyncio.create_task(stage.play(plan, {"gate": gate}, control=control))
        await gate.entered.wait()
        control.pause("lunch")
        control.pause("again")
        gate.open.set()
        await stage.until(lambda event: isinstance(event, NodeFinished))
        status = await stage.journal.status("run-1")
        assert (status.state, status.pause_reason) == (RunState.PAUSED, "lunch")
        assert status.nodes["b"].state is NodeState.QUEUED
        stage.cut_off(status.seq)
        control.resume()
        assert (await asyncio.wait_for(run, 5)).state is RunState.COMPLETED
        assert (await stage.go_on(run_id="cut")).state is RunState.COMPLETED

    on_stage(tmp_path, act)


def test_command_that_the_state_does_not_allow_is_refused_with_what_it_does(
    tmp_path: Path,
) -> None:
    async def act(stage: Stage) -> None:
        gate, control = Gate(), RunControl()
        plan = workflow([operator("a", "gate"), operator("done")])
        run = asyncio.create_task(stage.play(plan, {"gate": gate}, control=control))
        await stage.until(lambda event: isinstance(event, NodeFinished))
        await gate.entered.wait()
        refused: list[tuple[Callable[[], None], str]] = [
            (lambda: control.retry("a"), "skip"),
            (lambda: control.provide("a", 1), "skip"),
            (lambda: control.skip("done"), ""),
        ]
        for command, possible in refused:
            with pytest.raises(CommandRefused) as caught:
                command()
            assert caught.value.available == possible
        with pytest.raises(NodeMissing):
            control.skip("b")
        control.skip("a", {"value": 5})
        status = await asyncio.wait_for(run, 5)
        assert gate.cancelled
        assert states(status) == {"a": "skipped", "done": "completed"}

    on_stage(tmp_path, act)


def test_failed_node_is_retried_by_hand_with_the_values_of_those_above(tmp_path: Path) -> None:
    plan = workflow(
        [operator("up", "big"), operator("a", "break"), operator("z"), operator("g", "gate")],
        "up -> a.value",
        "a -> z.value",
    )
    fails = [True]

    async def act(stage: Stage) -> None:
        gate, control = Gate(), RunControl()

        async def at_first(
            inputs: Mapping[str, Value], context: BodyContext
        ) -> Mapping[str, Value]:
            return await breaks(inputs, context) if fails.pop() else inputs

        fails.insert(0, False)
        functions: dict[str, Function] = {"big": gives(BIG), "break": at_first, "gate": gate}
        run = asyncio.create_task(stage.play(plan, functions, control=control))
        await stage.until(lambda event: isinstance(event, NodeSkipped))
        control.retry("a")
        gate.open.set()
        status = await asyncio.wait_for(run, 5)
        assert status.state is RunState.COMPLETED
        assert status.nodes["a"].attempt == 2
        assert status.nodes["z"].spilled == ("value",)

    on_stage(tmp_path, act)


def test_new_run_takes_over_what_still_holds_of_an_old_one(tmp_path: Path) -> None:
    def plan(step: int) -> Workflow:
        return workflow(
            [
                source("n"),
                source("other", default=0),
                operator("a", "add"),
                operator("b", "add", step=step),
                operator("c", "add"),
                operator("d", "add"),
            ],
            "n -> a.n",
            "a -> b.n",
            "b -> c.n",
            "other -> d.n",
        )

    async def act(stage: Stage) -> None:
        old = await stage.play(plan(1), {"add": adds}, {"n": 1})
        cases: list[tuple[Workflow, dict[str, Value], frozenset[str], set[str]]] = [
            (plan(1), {"n": 1, "other": 0}, frozenset(), set()),
            (plan(1), {"n": 1, "other": 0}, frozenset({"b"}), {"b", "c"}),
            (plan(2), {"n": 1, "other": 0}, frozenset(), {"b", "c"}),
            (plan(1), {"n": 2, "other": 0}, frozenset(), {"a", "b", "c"}),
        ]
        for number, (new, inputs, anew, again) in enumerate(cases):
            ran: Counter[str] = Counter()
            kept = reusable(plan(1), old, new, inputs, anew)
            status = await stage.play(
                new, counted({"add": adds}, ran), inputs, run_id=f"n{number}", again=("run-1", kept)
            )
            assert set(ran) == again
            assert status.state is RunState.COMPLETED
            assert status.again == "run-1"
            fresh = await stage.play(new, {"add": adds}, inputs, run_id=f"fresh{number}")
            assert outputs(status) == outputs(fresh)

    on_stage(tmp_path, act)


def outputs(status: RunStatus) -> dict[str, dict[str, Value]]:
    return {name: each.outputs for name, each in status.nodes.items()}


@pytest.mark.parametrize("level", list(Level))
def test_every_level_gives_the_same_end(tmp_path: Path, level: Level) -> None:
    async def act(stage: Stage) -> None:
        manner = Manner(limits=Limits(3), level=level)
        status = await stage.play(everything(), BODIES, INPUTS, manner=manner)
        assert status.state is RunState.COMPLETED
        if level is not Level.MEMORY:
            assert fold(await stage.journal.read("run-1")) == status
        else:
            assert await stage.journal.runs() == []

    on_stage(tmp_path, act)


def test_run_is_cancelled_when_its_time_is_up(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        gate = Gate()
        manner = Manner(timeout_s=0.01)
        status = await stage.play(workflow([operator("a", "g")]), {"g": gate}, manner=manner)
        assert status.state is RunState.CANCELLED
        assert status.cancel_reason == "it ran longer than 0.01 s"

    on_stage(tmp_path, act)


@pytest.mark.parametrize("level", [Level.PROCESS, Level.POWER])
def test_start_of_a_once_node_and_the_end_of_a_run_are_synced_at_level_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    synced: list[int] = []
    real = Syncer.sync

    def counted_sync(self: Syncer, told: Told) -> None:
        synced.append(1)
        real(self, told)

    monkeypatch.setattr(Syncer, "sync", counted_sync)
    before: list[int] = []

    async def send(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        before.append(len(synced))
        return {"value": None}

    mail = node("mail", NodeKind.OPERATOR, use="mail", policy=Policy(once=True))

    async def act(stage: Stage) -> None:
        await stage.play(workflow([mail]), {"mail": send}, manner=Manner(level=level))

    on_stage(tmp_path, act)
    assert bool(before[0]) is (level is Level.POWER)
    assert (len(synced) > before[0]) is (level is Level.POWER)
