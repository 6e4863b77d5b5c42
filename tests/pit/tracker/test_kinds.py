"""What the nodes do that the tracker carries out itself, and what of a run flows on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.pit.tracker.playing import (
    Stage,
    adds,
    after,
    breaks,
    edge,
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
    NodeState,
    RunState,
    RunStatus,
    RunWaiting,
    fold,
)
from symphony.pit.tracker import RunControl
from symphony.workflow import Case, Node, NodeKind, Policy, Skip, Transform, Workflow

BIG = "x" * 5000


def play(
    tmp_path: Path,
    plan: Workflow,
    functions: Mapping[str, object] | None = None,
    inputs: Mapping[str, Value] | None = None,
    **options: object,
) -> RunStatus:
    """The end of a run, which is also what its journal folds to."""
    ended: list[RunStatus] = []

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, functions, inputs, **options)  # type: ignore[arg-type]
        assert fold(await stage.journal.read("run-1")) == status
        ended.append(status)

    on_stage(tmp_path, act)
    return ended[0]


def value_of(status: RunStatus, name: str, port: str = "value") -> Value:
    return status.nodes[name].outputs[port]


def branch(*cases: str) -> Node:
    """Cases are spelled "name: condition"."""
    pairs = [case.split(": ", 1) for case in cases]
    return node("way", NodeKind.BRANCH, cases=tuple(Case(name, when) for name, when in pairs))


@pytest.mark.parametrize(
    ("value", "taken"), [(1, "small"), (5, "middle"), (50, "otherwise"), (-1, "small")]
)
def test_branch_hands_its_value_on_at_the_first_case_that_holds(
    tmp_path: Path, value: int, taken: str
) -> None:
    plan = workflow(
        [
            source("n"),
            branch("small: value < 5", "middle: value < 10"),
            *(operator(name) for name in ("small", "middle", "otherwise")),
            node("merged", NodeKind.MERGE),
            sink("out"),
        ],
        "n -> way",
        *(f"way.{name} -> {name}.value" for name in ("small", "middle", "otherwise")),
        *(f"{name} -> merged.{name}" for name in ("otherwise", "middle", "small")),
        "merged -> out",
    )
    status = play(tmp_path, plan, None, {"n": value})
    assert status.state is RunState.COMPLETED
    for name in ("small", "middle", "otherwise"):
        assert status.nodes[name].state == ("completed" if name == taken else "skipped")
    assert status.nodes["merged"].outputs == {"value": value, "port": taken}
    assert value_of(status, "out") == value


def test_dead_edges_skip_all_below_but_merges_and_joins_with_something_alive(
    tmp_path: Path,
) -> None:
    plan = workflow(
        [
            source("n"),
            branch("left: value == 1"),
            operator("a"),
            operator("b"),
            operator("below"),
            node("both", NodeKind.JOIN),
            node("none", NodeKind.JOIN),
            operator("last"),
        ],
        "n -> way",
        "way.left -> a.value",
        "way.otherwise -> b.value",
        "b -> below.value",
        "a -> both.a",
        "below -> both.b",
        "b -> none.b",
        "below -> none.c",
        "none -> last.value",
    )
    status = play(tmp_path, plan, None, {"n": 1})
    assert value_of(status, "both") == {"a": 1}
    skipped = {name for name, state in states(status).items() if state == "skipped"}
    assert skipped == {"b", "below", "none", "last"}
    assert status.nodes["last"].because == "way"


def test_condition_on_an_edge_decides_and_transforms_apply_after_it_in_order(
    tmp_path: Path,
) -> None:
    steps = (
        Transform(filter="item > 1"),
        Transform(map="item * 10 + index"),
        Transform(reduce="total + item", initial=100),
        Transform(expression="{'sum': value}"),
    )
    plan = workflow(
        [source("list"), operator("yes"), operator("no"), operator("flat")],
        edge("list -> yes.value", when="size(value) == 3", transform=steps),
        edge("list -> no.value", when="size(value) > 3"),
        edge("list -> flat.value", transform=(Transform(map="[[item]]"), Transform(flatten=1))),
    )
    status = play(tmp_path, plan, None, {"list": [1, 2, 3]})
    assert value_of(status, "yes") == {"sum": 100 + 20 + 31}
    assert status.nodes["no"].state is NodeState.SKIPPED
    assert status.nodes["no"].because == "list"
    assert value_of(status, "flat") == [[1], [2], [3]]


def test_condition_that_cannot_be_evaluated_fails_the_node_it_leads_to(tmp_path: Path) -> None:
    plan = workflow(
        [source("n"), operator("a"), operator("b"), operator("c")],
        edge("n -> a.value", when="value.name == 'x'"),
        edge("n -> b.value", when="value + 1"),
        "a -> c.value",
    )
    status = play(tmp_path, plan, None, {"n": 1})
    assert status.state is RunState.FAILED
    assert states(status) == {"n": "completed", "a": "failed", "b": "failed", "c": "skipped"}
    assert {status.nodes[name].error.code for name in "ab"} == {"expressions.failed"}  # type: ignore[union-attr]


def test_control_edge_makes_a_node_wait_and_carries_nothing(tmp_path: Path) -> None:
    plan = workflow(
        [operator("first", "big"), operator("then", "see"), operator("not")],
        after("first -> then"),
        after("first -> not", when="value.value == 'small'"),
    )
    seen: list[object] = []

    async def see(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
        seen.append(dict(inputs))
        return {"value": None}

    status = play(tmp_path, plan, {"big": gives(BIG), "see": see})
    assert seen == [{}]
    assert status.nodes["then"].started_at >= status.nodes["first"].finished_at  # type: ignore[operator]
    assert status.nodes["not"].state is NodeState.SKIPPED


def inner_sum() -> Workflow:
    return workflow(
        [source("item"), source("more", default=1), operator("add", "add"), sink("total")],
        "item -> add.x",
        "more -> add.y",
        "add -> total",
    )


def test_workflow_inside_a_workflow_is_a_node_with_its_ports(tmp_path: Path) -> None:
    plan = workflow(
        [
            source("n"),
            node("use", NodeKind.WORKFLOW, use="sum", params={"more": 5}),
            node("again", NodeKind.WORKFLOW, use="sum"),
            sink("out"),
        ],
        "n -> use.item",
        "use.total -> again.item",
        "again.total -> out",
        sum=inner_sum(),
    )
    status = play(tmp_path, plan, {"add": adds}, {"n": 2})
    assert value_of(status, "out") == 2 + 5 + 1
    assert value_of(status, "use.add") == 7
    assert list(status.nodes)[4:8] == ["use.item", "use.more", "use.add", "use.total"]


def test_workflow_finds_what_it_uses_in_those_around_it(tmp_path: Path) -> None:
    outer = workflow(
        [source("item"), node("deep", NodeKind.WORKFLOW, use="sum"), sink("total")],
        "item -> deep.item",
        "deep.total -> total",
    )
    plan = workflow(
        [source("n"), node("use", NodeKind.WORKFLOW, use="outer"), sink("out")],
        "n -> use.item",
        "use.total -> out",
        sum=inner_sum(),
        outer=outer,
    )
    status = play(tmp_path, plan, {"add": adds}, {"n": 2})
    assert value_of(status, "out") == 3
    assert status.nodes["use.deep.add"].state is NodeState.COMPLETED


@pytest.mark.parametrize("parallel", [0, 1, 3])
@pytest.mark.parametrize("items", [[], [1], [1, 2, 3, 4, 5]])
def test_map_runs_its_workflow_for_each_item_and_keeps_their_order(
    tmp_path: Path, items: list[Value], parallel: int
) -> None:
    plan = workflow(
        [
            source("list"),
            node("each", NodeKind.MAP, use="sum", parallel=parallel, params={"more": 100}),
            sink("out"),
        ],
        "list -> each.items",
        "each.total -> out",
        sum=inner_sum(),
    )
    running = most = 0

    async def add(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3 + len(context.node) % 2):
            await asyncio.sleep(0)
        running -= 1
        return await adds(inputs, context)

    status = play(tmp_path, plan, {"add": add}, {"list": items})
    assert status.state is RunState.COMPLETED
    assert value_of(status, "out") == [each + 100 for each in items]  # type: ignore[operator]
    assert len(status.nodes) == 3 + 4 * len(items)
    assert most <= min(parallel or 4, 4)


def test_map_gives_the_number_of_an_item_and_large_results_arrive_whole(tmp_path: Path) -> None:
    inner = workflow(
        [source("item"), source("index"), operator("big", "big"), sink("at"), sink("made")],
        "item -> big.value",
        "index -> at",
        "big -> made",
    )
    plan = workflow(
        [source("list"), node("each", NodeKind.MAP, use="one"), sink("numbers"), sink("all")],
        "list -> each.items",
        "each.at -> numbers",
        "each.made -> all",
        one=inner,
    )

    async def big(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
        return {"value": [inputs["value"], BIG]}

    async def act(stage: Stage) -> None:
        status = await stage.play(plan, {"big": big}, {"list": ["a", "b"]})
        assert value_of(status, "numbers") == [0, 1]
        assert status.nodes["all"].spilled == ("value",)
        (ref,) = status.nodes["all"].artifacts
        assert await stage.store.get(ref) == f'[["a","{BIG}"],["b","{BIG}"]]'.encode()

    on_stage(tmp_path, act)


def test_map_refuses_more_items_than_its_limit_before_it_starts_any(tmp_path: Path) -> None:
    plan = workflow(
        [source("list"), node("each", NodeKind.MAP, use="sum", limit=2)],
        "list -> each.items",
        sum=inner_sum(),
    )
    status = play(tmp_path, plan, {"add": adds}, {"list": [1, 2, 3]})
    assert status.nodes["each"].error.code == "tracker.map_too_long"  # type: ignore[union-attr]
    assert len(status.nodes) == 2


def test_item_that_fails_fails_the_map_when_the_others_have_ended(tmp_path: Path) -> None:
    plan = workflow(
        [source("list"), node("each", NodeKind.MAP, use="sum"), operator("below")],
        "list -> each.items",
        "each.total -> below.value",
        sum=inner_sum(),
    )

    async def add(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        return await (breaks if inputs["x"] == 2 else adds)(inputs, context)

    status = play(tmp_path, plan, {"add": add}, {"list": [1, 2, 3]})
    assert status.state is RunState.FAILED
    assert [status.nodes[f"each[{at}].add"].state for at in range(3)] == [
        "completed",
        "failed",
        "completed",
    ]
    error = status.nodes["each"].error
    assert error is not None
    assert error.facts == {"inner": "each[1].add", "cause": "test.broke"}
    assert status.nodes["below"].state is NodeState.SKIPPED


@pytest.mark.parametrize(
    ("until", "rounds"), [("n >= 21", 3), ("false", 4), ("rounds == 2", 2), ("", 4)]
)
def test_loop_carries_what_a_round_gives_into_the_next(
    tmp_path: Path, until: str, rounds: int
) -> None:
    body = workflow(
        [
            source("n"),
            source("step"),
            source("round"),
            operator("add", "add"),
            sink("next", name="n"),
        ],
        "n -> add.n",
        "step -> add.step",
        "round -> add.round",
        "add -> next",
    )
    plan = workflow(
        [
            source("first"),
            node("count", NodeKind.LOOP, use="body", params={"step": 5}, until=until, limit=4),
            sink("last"),
            sink("rounds"),
        ],
        "first -> count.n",
        "count.n -> last",
        "count.rounds -> rounds",
        body=body,
    )
    status = play(tmp_path, plan, {"add": adds}, {"first": 0})
    assert value_of(status, "rounds") == rounds
    assert value_of(status, "last") == 5 * rounds + sum(range(rounds + 1))
    assert f"count[{rounds}].add" in status.nodes
    assert f"count[{rounds + 1}].add" not in status.nodes


def test_wait_asks_and_the_run_waits_until_a_person_answers(tmp_path: Path) -> None:
    plan = workflow(
        [
            operator("draft", "draft"),
            node("ask", NodeKind.WAIT, schema={"type": "boolean"}, params={"prompt": "Send it?"}),
            operator("send"),
        ],
        "draft -> ask.context",
        "ask -> send.value",
    )

    async def act(stage: Stage) -> None:
        control = RunControl()
        run = asyncio.create_task(stage.play(plan, {"draft": gives("Hello")}, control=control))
        await stage.until(lambda event: isinstance(event, RunWaiting))
        status = fold(await stage.journal.read("run-1"))
        assert status.state is RunState.WAITING
        question = status.nodes["ask"].asked
        assert question is not None
        assert (question.prompt, question.context) == ("Send it?", "Hello")
        control.provide("ask", value=True)
        ended = await asyncio.wait_for(run, 5)
        assert ended.state is RunState.COMPLETED
        assert value_of(ended, "send") is True
        assert ended.nodes["ask"].by == "person"
        assert fold(await stage.journal.read("run-1")) == ended

    on_stage(tmp_path, act)


@pytest.mark.parametrize("default", [None, 7])
def test_wait_that_nobody_answers_takes_its_default_or_fails(
    tmp_path: Path, default: int | None
) -> None:
    fields = {} if default is None else {"default": default}
    plan = workflow([node("ask", NodeKind.WAIT, timeout_s=0.001, **fields)])
    status = play(tmp_path, plan)
    if default is None:
        assert status.nodes["ask"].error.code == "tracker.unanswered"  # type: ignore[union-attr]
    else:
        assert (value_of(status, "ask"), status.nodes["ask"].by) == (7, "default")


@pytest.mark.parametrize("value", [None, {"value": "instead"}])
def test_node_is_skipped_where_its_policy_says_so(
    tmp_path: Path, value: dict[str, Value] | None
) -> None:
    skip = Skip("value == 1") if value is None else Skip("value == 1", value)
    plan = workflow(
        [
            source("n"),
            node("a", NodeKind.OPERATOR, use="pass", policy=Policy(skip=skip)),
            sink("b"),
        ],
        "n -> a",
        "a -> b",
    )
    status = play(tmp_path, plan, None, {"n": 1})
    assert status.state is RunState.COMPLETED
    assert (status.nodes["a"].state, status.nodes["a"].by) == ("skipped", "policy")
    assert states(status)["b"] == ("skipped" if value is None else "completed")
    assert status.nodes["b"].outputs == (value or {})
