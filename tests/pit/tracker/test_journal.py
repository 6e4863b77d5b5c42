from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.strategies import created, histories, recorded

from symphony.commons.files import DiskFull
from symphony.execution import (
    STATE_AFTER,
    Event,
    NodeFinished,
    Recorded,
    RunCancelling,
    RunFinished,
    RunStarted,
    RunState,
    encode,
    fold,
    kind_of,
)
from symphony.pit.tracker import Journal, RunExists, RunMissing, RunSummary, open_journal
from symphony.pit.tracker._journal import _MILESTONES, _TURNING_POINTS

FINGERPRINT = "f" * 64


async def write(journal: Journal, run_id: str, events: list[Recorded]) -> None:
    await journal.begin(run_id, FINGERPRINT, "{}")
    append(journal, run_id, events)
    await journal.flush()


def append(journal: Journal, run_id: str, events: list[Recorded]) -> None:
    """Each event as a turn of its own."""
    for event in events:
        journal.append(run_id, [event], state_after(event.event), lambda: None)


def state_after(event: Event) -> RunState | None:
    return event.state if isinstance(event, RunFinished) else STATE_AFTER.get(type(event))


@settings(max_examples=8, deadline=None)
@given(events=histories())
def test_what_was_flushed_is_read_back_the_same_by_the_next_process(
    tmp_path_factory: pytest.TempPathFactory, events: list[Recorded]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "runs.db"

    async def main() -> None:
        async with open_journal(path) as journal:
            await write(journal, "run-1", events)
            assert await journal.read("run-1") == events
        async with open_journal(path) as journal:
            assert await journal.read("run-1") == events

    asyncio.run(main())


def test_leaving_the_block_commits_what_was_appended(tmp_path: Path) -> None:
    events = recorded(created("a"), RunStarted(), RunFinished(RunState.FAILED))

    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            await journal.begin("run-1", FINGERPRINT, "{}")
            append(journal, "run-1", events)
        async with open_journal(tmp_path / "runs.db") as journal:
            assert await journal.read("run-1") == events

    asyncio.run(main())


def test_one_turn_is_one_row(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            await journal.begin("run-1", FINGERPRINT, "{}")
            turn = recorded(created("a"), RunStarted())
            journal.append("run-1", turn, RunState.RUNNING, lambda: None)
            assert await journal.read("run-1") == turn
            assert await journal.read("run-1", 1) == turn[1:]

    asyncio.run(main())
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        rows = connection.execute("SELECT run, seq, last, state, body FROM turns").fetchall()
    assert [row[:4] for row in rows] == [("run-1", 1, 2, "running")]
    assert json.loads(rows[0][4])[2] == [1002.0, {"kind": "run.started"}]


def test_run_of_an_older_version_an_event_a_row_is_read(tmp_path: Path) -> None:
    events = recorded(created("a"), RunStarted(), RunFinished(RunState.FAILED))

    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            await journal.begin("run-1", FINGERPRINT, "{}")
        with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                [
                    ("run-1", each.seq, each.at, kind_of(each.event), encode(each))
                    for each in events
                ],
            )
        async with open_journal(tmp_path / "runs.db") as journal:
            assert await journal.read("run-1") == events
            (summary,) = await journal.runs()
            assert summary.state is RunState.FAILED

    asyncio.run(main())


def test_unknown_run_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            for call in (journal.read("run-9"), journal.document("run-9")):
                with pytest.raises(RunMissing) as caught:
                    await call
                assert caught.value.run_id == "run-9"

    asyncio.run(main())


def test_run_id_is_given_once_and_others_are_not_disturbed(tmp_path: Path) -> None:
    events = recorded(created("a"), RunStarted())

    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            await write(journal, "run-1", events)
            again = asyncio.create_task(journal.begin("run-1", FINGERPRINT, "{}"))
            await write(journal, "run-2", events)
            with pytest.raises(RunExists):
                await again
            assert await journal.read("run-2") == events

    asyncio.run(main())


def test_document_is_kept_once_for_all_runs_of_the_same_workflow(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            for run_id in ("run-1", "run-2"):
                await journal.begin(run_id, FINGERPRINT, '{"symphony": 1}')
            await journal.begin("run-3", "e" * 64, '{"symphony": 1, "other": true}')
            assert await journal.document("run-2") == '{"symphony": 1}'
            assert await journal.document("run-3") == '{"symphony": 1, "other": true}'

    asyncio.run(main())
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM workflows").fetchone() == (2,)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], RunState.PENDING),
        ([RunStarted()], RunState.RUNNING),
        ([RunStarted(), RunCancelling("enough")], RunState.CANCELLING),
        ([RunStarted(), RunFinished(RunState.COMPLETED)], RunState.COMPLETED),
        ([RunStarted(), RunFinished(RunState.FAILED)], RunState.FAILED),
    ],
)
def test_summary_tells_the_state_that_the_events_fold_to(
    tmp_path: Path, events: list[Event], state: RunState
) -> None:
    history = recorded(created("a", "b"), *events)

    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            await write(journal, "run-1", history)
            ended = history[-1].at if state in (RunState.COMPLETED, RunState.FAILED) else None
            assert await journal.runs() == [
                RunSummary("run-1", "hello", "Hello", state, 2, 1001.0, ended)
            ]
            assert fold(history).state is state

    asyncio.run(main())


def test_latest_runs_come_first_and_one_that_was_never_created_not_at_all(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            for number in range(5):
                await write(journal, f"run-{number}", recorded(created("a")))
            await journal.begin("run-5", FINGERPRINT, "{}")
            found = await journal.runs(limit=3)
            assert [run.run_id for run in found] == ["run-4", "run-3"]

    asyncio.run(main())


@pytest.mark.parametrize("query", [_MILESTONES, _TURNING_POINTS])
def test_summaries_do_not_read_the_events_of_nodes(tmp_path: Path, query: str) -> None:
    async def main() -> None:
        async with open_journal(tmp_path / "runs.db"):
            pass

    asyncio.run(main())
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ("run-1",)).fetchall()
    steps = [row[3] for row in plan if "events" in row[3] or "turns" in row[3]]
    assert steps
    assert all("milestones" in step or "turning_points" in step for step in steps)


FILLING = textwrap.dedent(
    """
    import asyncio, resource, sys
    from pathlib import Path
    from symphony.commons.errors import SymphonyError
    from symphony.execution import NodeFinished, NodeStarted, Recorded, RunStarted, fold
    from symphony.pit.tracker import open_journal
    from tests.strategies import created, recorded

    events = recorded(created("a"), RunStarted(), NodeStarted("a", 1))
    large = NodeFinished("a", 1, {"value": "x" * 400_000})

    async def main():
        async with open_journal(Path(sys.argv[1])) as journal:
            await journal.begin("run-1", "f" * 64, "{}")
            journal.append("run-1", events, None, lambda: None)
            await journal.flush()
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            journal.append("run-1", [Recorded(4, 1004.0, large)], None, lambda: None)
            for call in (journal.watch(), journal.flush(), journal.flush()):
                try:
                    await asyncio.wait_for(call, 10)
                except SymphonyError as error:
                    print(error.code)
            print(await journal.read("run-1") == events)

    asyncio.run(main())
    """
)


def in_child(script: str, *arguments: str) -> list[str]:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", script, *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=50, cwd=root)
    return run.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_file_that_may_not_grow_breaks_the_journal_loudly_and_leaves_what_was_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    lines = in_child(FILLING, str(path))
    assert lines == ["files.disk_full"] * 3 + ["True"] or lines == ["database.failed"] * 3 + [
        "True"
    ]

    async def main() -> None:
        async with open_journal(path) as journal:
            assert [each.seq for each in await journal.read("run-1")] == [1, 2, 3]

    asyncio.run(main())


def test_broken_journal_drops_what_comes_and_says_so(tiny_disk: Path) -> None:
    large = NodeFinished("a", 1, {"value": "x" * 3_000_000})

    async def main() -> None:
        async with open_journal(tiny_disk / "runs.db") as journal:
            events = recorded(created("a"), RunStarted())
            await write(journal, "run-1", events)
            append(journal, "run-1", [Recorded(3, 1003.0, large)])
            with pytest.raises(DiskFull):
                await asyncio.wait_for(journal.watch(), 10)
            append(journal, "run-1", [Recorded(4, 1004.0, RunFinished(RunState.COMPLETED))])
            with pytest.raises(DiskFull):
                await journal.flush()
            assert await journal.read("run-1") == events

    asyncio.run(main())


RUNNING = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from symphony.execution import Recorded
    from tests.pit.tracker.playing import open_stage, operator, workflow

    async def works(inputs, context):
        await asyncio.sleep(0.0005)
        return {"value": context.node + "x" * (5000 if context.node.endswith("7") else 10)}

    class Told(list):
        def append(self, heard):
            if isinstance(heard, Recorded):
                print(heard.seq, flush=True)

    async def main():
        lanes = [[f"n{lane}_{step}" for step in range(400)] for lane in range(8)]
        edges = [f"{a} -> {b}.value" for lane in lanes for a, b in zip(lane, lane[1:])]
        plan = workflow([operator(name, "work") for lane in lanes for name in lane], *edges)
        async with open_stage(Path(sys.argv[1])) as stage:
            stage.heard = Told()
            await stage.play(plan, {"work": works}, concurrency=8)

    asyncio.run(main())
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [5, 60, 300, 1000, 2500])
def test_journal_of_a_killed_process_is_a_prefix_without_gaps_that_folds(
    tmp_path: Path, kill_after: int
) -> None:
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", RUNNING, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout is not None
    told = 0
    for line in child.stdout:
        told = int(line)
        if told >= kill_after:
            break
    os.kill(child.pid, signal.SIGKILL)
    told += len(child.stdout.read().split())
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL

    async def main() -> None:
        async with open_journal(tmp_path / "runs.db") as journal:
            events = await journal.read("run-1")
            assert [each.seq for each in events] == list(range(1, len(events) + 1))
            assert len(events) >= told, "what was told is committed"
            status = fold(events)
            assert status.state in (RunState.PENDING, RunState.RUNNING)
            assert len(status.running) <= 8

    asyncio.run(main())
    with closing(sqlite3.connect(tmp_path / "artifacts" / "artifacts.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
