"""Kills a process that carries out a run at a random moment, lets another go on with it, which may
be killed too, and looks at what came of it. Writes one JSON object a trial, until HITS kills have
hit a run that went on.

    python -m tests.chaos.run_trials SHAPE HITS SEED FOLDER

Each process is a fork of this one, so that a trial costs the run and not the start of Python; this
one has no threads. Bodies note in a file that they begin and end.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count, pairwise
from pathlib import Path

from tests.pit.tracker.playing import (
    edge,
    node,
    open_stage,
    operator,
    sink,
    source,
    workflow,
)

from symphony.commons.values import Value
from symphony.execution import BodyContext, fold
from symphony.pit.tracker import RunMissing
from symphony.workflow import NodeKind, Workflow

LANES = 8
INPUTS: dict[str, Value] = {"n": 1}


def chain() -> Workflow:
    names = [f"n{number}" for number in range(60)]
    edges = [f"{a} -> {b}.value" for a, b in pairwise(names)]
    nodes = [source("n"), *(operator(name, "work") for name in names), sink("out")]
    return workflow(nodes, "n -> n0.value", *edges, f"{names[-1]} -> out")


def wide() -> Workflow:
    lanes = [[f"l{lane}_{step}" for step in range(8)] for lane in range(16)]
    nodes = [source("n"), *(operator(name, "work") for lane in lanes for name in lane)]
    edges = [f"{a} -> {b}.value" for lane in lanes for a, b in pairwise(lane)]
    heads = [f"n -> {lane[0]}.value" for lane in lanes]
    ends = [f"{lane[-1]} -> all.p{number}" for number, lane in enumerate(lanes)]
    return workflow(
        [*nodes, operator("all", "work"), sink("out")], *heads, *edges, *ends, "all -> out"
    )


def body() -> Workflow:
    return workflow(
        [source("item"), operator("a", "work"), operator("b", "work"), sink("made")],
        "item -> a.value",
        "a -> b.value",
        "b -> made",
    )


def mapped() -> Workflow:
    spread = edge("first -> each.items")
    return workflow(
        [
            source("n"),
            operator("first", "list"),
            node("each", NodeKind.MAP, use="body", parallel=12),
            operator("all", "work"),
            sink("out"),
        ],
        "n -> first.value", spread, "each.made -> all.value", "all -> out",
        body=body(),
    )  # fmt: skip


def looped() -> Workflow:
    round_ = workflow(
        [
            *(source("n"), source("round"), sink("next", name="n")),
            *(operator("a", "work"), operator("b", "work")),
        ],
        "n -> a.value", "round -> a.round", "a -> b.value", "b -> next",
    )  # fmt: skip
    return workflow(
        [source("n"), node("count", NodeKind.LOOP, use="round", limit=25), sink("out")],
        "n -> count.n", "count.n -> out",
        round=round_,
    )  # fmt: skip


def nested() -> Workflow:
    inner = workflow(
        [source("n"), operator("l", "list"), node("each", NodeKind.MAP, use="body"), sink("o")],
        "n -> l.value", "l -> each.items", "each.made -> o",
        body=body(),
    )  # fmt: skip
    return workflow(
        [
            source("n"),
            node("one", NodeKind.WORKFLOW, use="inner"),
            operator("sum", "work"),
            node("two", NodeKind.WORKFLOW, use="inner"),
            operator("end", "work"),
            sink("out"),
        ],
        "n -> one.n", "one.o -> sum.value", "sum -> two.n", "two.o -> end.value", "end -> out",
        inner=inner,
    )  # fmt: skip


SHAPES = {each.__name__: each for each in (chain, wide, mapped, looped, nested)}


def total(value: Value) -> int:
    if isinstance(value, list):
        return sum(map(total, value))
    return value if isinstance(value, int) else 0


async def perform_in(folder: Path, plan: Workflow, *, first: bool) -> None:
    began = folder / "began"
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance = random.Random(os.getpid())

    async def work(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        os.write(log, f"b {context.node} {time.time()}\n".encode())
        began.touch()
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.004)
        result = (1 + sum(map(total, inputs.values()))) % 1_000_003
        os.write(log, f"e {context.node}\n".encode())
        return {"value": result}

    async def lists(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        await work(inputs, context)
        return {"value": list(range(20))}

    functions = {"work": work, "list": lists}
    async with open_stage(folder) as stage:
        if first:
            await stage.play(plan, functions, INPUTS, concurrency=LANES)
        else:
            await stage.go_on(functions, concurrency=LANES)


def forked(folder: Path, act: Callable[[], object], kill_after: float | None = None) -> object:
    """What `act` gives in a process of its own; None if that was killed."""
    for name in ("began", "result"):
        (folder / name).unlink(missing_ok=True)
    child = os.fork()
    if not child:
        try:
            (folder / "result").write_text(json.dumps(act()))
        except BaseException as error:  # noqa: BLE001 - the boundary of the process
            (folder / "error").write_text(f"{type(error).__name__}: {error}")
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        while not (folder / "began").exists() and not (folder / "result").exists():
            time.sleep(0.0005)
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if os.WEXITSTATUS(status):
        raise SystemExit((folder / "error").read_text())
    result: object = json.loads((folder / "result").read_text())
    return result


def process(folder: Path, plan: Workflow, *, first: bool, kill_after: float | None) -> bool:
    """Whether the run was carried to its end."""

    def act() -> bool:
        asyncio.run(perform_in(folder, plan, first=first))
        return True

    return bool(forked(folder, act, kill_after))


def journaled(folder: Path) -> tuple[dict[str, str], bool] | None:
    """The state of each node in the journal, and whether the run has ended; None if it is not in
    there."""

    async def look() -> tuple[dict[str, str], bool] | None:
        async with open_stage(folder) as stage:
            try:
                status = fold(await stage.journal.read("run-1"))
            except RunMissing:
                return None
            states = {name: each.state.value for name, each in status.nodes.items()}
            return states, status.finished_at is not None

    return forked(folder, lambda: asyncio.run(look()))  # type: ignore[return-value]  # from JSON


def trial(
    shape: str, folder: Path, chance: random.Random, seconds: float, answer: list[Value]
) -> dict[str, int]:
    plan = SHAPES[shape]()
    folder.mkdir()
    planned = chance.randint(1, 3)
    kills, hits, repeated, most_again, first, ended = 0, 0, 0, 0, True, False
    known: dict[str, int] = {}
    while not ended:
        kill_after = chance.uniform(0.0, 0.6) * seconds if kills < planned else None
        ended = process(folder, plan, first=first, kill_after=kill_after)
        ends = ends_in(folder / "log")
        # What was known to have finished before this process began has not run in it.
        repeated += sum(ends[name] > times for name, times in known.items())
        if ended:
            break
        kills += 1
        found = journaled(folder)
        if found is None:
            (folder / "log").unlink(missing_ok=True)  # the run never began
            continue
        states, over = found
        if over:
            break
        hits += 1
        first = False
        done = {name for name, state in states.items() if state == "completed"}
        most_again = max(most_again, sum(name not in done for name in ends))
        known = {name: ends[name] for name in done if name in ends}
    return {
        "hits": hits,
        "right": end_of(folder) == answer,
        "repeated": repeated,
        "again": most_again,
    }


def ends_in(log: Path) -> Counter[str]:
    """How often the body of each node came to its end."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line[2:] for line in lines if line.startswith("e "))


def end_of(folder: Path) -> list[Value]:
    """The result of a run that has ended, and its state."""

    async def look() -> list[Value]:
        async with open_stage(folder) as stage:
            status = fold(await stage.journal.read("run-1"))
            return [status.nodes["out"].outputs["value"], status.state.value]

    return forked(folder, lambda: asyncio.run(look()))  # type: ignore[return-value]  # from JSON


def first_body(folder: Path) -> float:
    """When the first body of a run began."""
    return float((folder / "log").read_text().split("\n", 1)[0].rsplit(" ", 1)[1])


def main() -> None:
    shape, wanted, seed, base = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    chance = random.Random(seed)
    whole = base / "whole"
    whole.mkdir()
    process(whole, SHAPES[shape](), first=True, kill_after=None)
    seconds = (whole / "result").stat().st_mtime - first_body(whole)
    answer = end_of(whole)
    hits = 0
    for number in count():
        result = trial(shape, base / str(number), chance, seconds, answer)
        sys.stdout.write(json.dumps(result) + "\n")
        hits += result["hits"]
        if hits >= wanted:
            break


if __name__ == "__main__":
    main()
