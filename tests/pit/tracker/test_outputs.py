from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.pit.tracker.playing import (
    Function,
    Stage,
    breaks,
    gives,
    on_stage,
    operator,
    sink,
    workflow,
)

from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.execution import (
    BodyContext,
    RunState,
)
from symphony.pit.artifacts import open_blocking_store, outputs_of

BIG = "x" * 5000


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
        gc.collect()  # Python 3.13 leaves finished frames in cycles for the collector
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
    with open_blocking_store(tmp_path / "artifacts") as store:
        outputs = outputs_of(store, "run-1")
    assert sorted((each.node, each.port, each.name) for each in outputs) == [
        ("w", "big", "w.big.json"),
        ("w", "page", "b.txt"),
        ("w", "value", "a.txt"),
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


@dataclass
class Measured:
    value: float


@pytest.mark.parametrize(
    "odd",
    [
        [float("nan")],
        {"a": float("inf")},
        (1.0, float("nan")),
        {"deep": [(None, float("-inf"))]},
        {float("nan")},
        frozenset({float("inf")}),
        Measured(float("nan")),
    ],
)
def test_number_that_json_does_not_have_fails_the_node_wherever_it_is(
    tmp_path: Path, odd: Value
) -> None:
    async def act(stage: Stage) -> None:
        plan = workflow([operator("a", "odd"), operator("b", "fine")])
        status = await stage.play(plan, {"odd": gives(odd), "fine": gives((None, 1.5))})  # type: ignore[arg-type]  # tuples pass
        error = status.nodes["a"].error
        assert error is not None
        assert error.message == (
            "The value of a.value cannot be used: JSON has no NaN and no infinity."
        )
        assert status.nodes["b"].outputs == {"value": [None, 1.5]}

    on_stage(tmp_path, act)
