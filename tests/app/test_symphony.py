from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.app.workflows import ECHO, WAITING, wait

import symphony
from symphony.app import Symphony
from symphony.commons.errors import SymphonyError
from symphony.commons.values import Value
from symphony.execution import NodeStarted, NodeState, RunFinished, RunState
from symphony.extensions import FolderMissing, RequirementMissing
from symphony.operators import operator
from symphony.pit.tracker import NodeMissing, RunEnded, RunExists
from symphony.sdk import BadManifest
from symphony.workflow import Workflow, loads


@asynccontextmanager
async def house(tmp_path: Path) -> AsyncIterator[Symphony]:
    async with symphony.open(tmp_path / "home", operators=[wait], logging__file=False) as opened:
        yield opened


def using(kind: str, use: str, **more: Value) -> Workflow:
    import json

    nodes = [{"id": "x", "kind": kind, "use": use}]
    return loads(json.dumps({"symphony": 1, "id": "u", "nodes": nodes, **more}))


def test_run_tells_every_event_and_its_result(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            run = await opened.run(loads(ECHO), {"a": "hello"})
            events = [recorded.event async for recorded in run.events()]
            status = await run.result()
        assert isinstance(events[-1], RunFinished)
        assert status.state is RunState.COMPLETED
        assert status.nodes["b"].outputs == {"value": "hello"}

    asyncio.run(main())


def test_late_reader_gets_the_whole_past(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            run = await opened.run(loads(ECHO), {})
            await run.result()
            events = [recorded.seq async for recorded in run.events()]
        assert events == list(range(1, len(events) + 1))
        assert len(events) >= 6

    asyncio.run(main())


def test_taken_id_is_told_before_anything_starts(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            waiting = await opened.run(loads(WAITING), {})
            await (await opened.run(loads(ECHO), {}, run_id="twice")).result()
            with pytest.raises(RunExists):
                await opened.run(loads(ECHO), {}, run_id="twice")
            waiting.cancel()
            assert (await waiting.result()).state is RunState.CANCELLED

    asyncio.run(main())


def test_observer_that_raises_ends_its_run_alone(tmp_path: Path) -> None:
    def observer(news: object) -> None:
        raise ValueError("I looked away")

    async def main() -> None:
        async with house(tmp_path) as opened:
            run = await opened.run(loads(ECHO), {})
            run.watch(observer)
            with pytest.raises(ValueError, match="looked away"):
                await run.result()
            assert (await (await opened.run(loads(ECHO), {})).result()).state is RunState.COMPLETED

    asyncio.run(main())


def test_audit_log_that_cannot_be_written_harms_no_run(
    tmp_path: Path,
) -> None:
    """Somebody tampers with the log while a run goes on: its next entry is refused."""
    import sqlite3

    async def main() -> None:
        async with house(tmp_path) as opened:
            run = await opened.run(loads(WAITING), {})
            with sqlite3.connect(tmp_path / "home" / "audit.db") as database:
                names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                for (name,) in database.execute(names).fetchall():
                    database.execute(f"DROP TRIGGER {name}")
                database.execute("UPDATE head SET count = 0")
            run.cancel()
            assert (await run.result()).state is RunState.CANCELLED

    asyncio.run(main())


def test_error_in_the_block_cancels_the_runs(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            run = await opened.run(loads(WAITING), {})
            async for recorded in run.events():
                if isinstance(recorded.event, NodeStarted):
                    break
            raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        asyncio.run(main())

    async def look() -> RunState:
        async with house(tmp_path) as opened:
            return (await opened.journal.runs())[0].state

    assert asyncio.run(look()) is RunState.CANCELLED


def test_own_operator_is_used_by_name(tmp_path: Path) -> None:
    @operator("mine.double")
    def double(value: int) -> int:
        return 2 * value

    flow = loads(
        '{"symphony": 1, "id": "d", "nodes": [{"id": "n", "kind": "operator",'
        ' "use": "mine.double", "params": {"value": 21}}, {"id": "o", "kind": "output"}],'
        ' "edges": [{"from": "n", "to": "o"}]}'
    )

    async def main() -> Mapping[str, Value]:
        async with symphony.open(tmp_path, operators=[double], logging__file=False) as opened:
            status = await (await opened.run(flow, {})).result()
            return status.nodes["o"].outputs

    assert asyncio.run(main()) == {"value": 42}


def test_not_a_number_fails_the_node_instead_of_becoming_null(tmp_path: Path) -> None:
    @operator("bad.nan")
    def nan() -> dict[str, Value]:
        return {"deep": [float("nan")]}

    async def main() -> None:
        async with symphony.open(tmp_path, operators=[nan], logging__file=False) as opened:
            status = await (await opened.run(using("operator", "bad.nan"), {})).result()
        assert status.nodes["x"].state is NodeState.FAILED
        assert status.nodes["x"].error is not None
        assert status.nodes["x"].error.code == "tracker.output_invalid"

    asyncio.run(main())


def write_extension(folder: Path, manifest: str) -> None:
    folder.mkdir(parents=True)
    (folder / "symphony.toml").write_text(manifest)


MANIFEST = '[extension]\nid = "x"\ntype = "operator"\nversion = "0.1.0"\nentry = "x:X"\n'


@pytest.mark.parametrize(
    ("manifest", "error"),
    [
        (MANIFEST + 'requires = ["no-such-package>=1"]\n', RequirementMissing),
        (MANIFEST.replace("entry", "enrty"), BadManifest),
        (None, FolderMissing),
    ],
)
def test_what_is_wrong_with_an_extension_is_told_instead_of_an_unknown_name(
    tmp_path: Path, manifest: str | None, error: type[SymphonyError]
) -> None:
    if manifest is not None:
        write_extension(tmp_path / "extensions" / "x", manifest)

    async def main() -> None:
        flow = using("operator", "x", extensions=["extensions"])
        async with house(tmp_path) as opened:
            with pytest.raises(error):
                await opened.run(flow, {}, base=tmp_path)
            with pytest.raises(error):
                await opened.validate(flow, tmp_path)

    asyncio.run(main())


def test_secret_never_reaches_the_journal(tmp_path: Path) -> None:
    from symphony.commons.secrets import redact

    redact("hunter2-hunter2")

    @operator("leaky.fail")
    def fail() -> int:
        raise RuntimeError("login with hunter2-hunter2 was refused")

    async def main() -> None:
        async with symphony.open(tmp_path, operators=[fail]) as opened:
            status = await (await opened.run(using("operator", "leaky.fail"), {})).result()
            assert status.nodes["x"].error is not None
            assert "refused" in status.nodes["x"].error.message

    asyncio.run(main())
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path


def test_run_is_paused_and_goes_on_and_its_results_are_taken_over(tmp_path: Path) -> None:
    calls: list[int] = []

    @operator("test.count")
    def count(value: int) -> int:
        calls.append(value)
        return value + 1

    document = """{
      "symphony": 1, "id": "counted",
      "nodes": [
        {"id": "n", "kind": "input", "schema": {"type": "integer"}},
        {"id": "a", "kind": "operator", "use": "test.count"},
        {"id": "b", "kind": "operator", "use": "test.count"},
        {"id": "out", "kind": "output"}
      ],
      "edges": [
        {"from": "n", "to": "a.value"}, {"from": "a", "to": "b.value"}, {"from": "b", "to": "out"}
      ]
    }"""

    async def main() -> None:
        async with symphony.open(tmp_path, operators=[count], logging__file=False) as house:
            run = await house.run(loads(document), {"n": 1}, run_id="first")
            run.pause()
            run.resume()
            assert (await run.result()).nodes["out"].outputs == {"value": 3}
            again = await house.rerun("first", anew=["b"])
            status = await again.result()
            assert status.again == "first"
            assert status.nodes["a"].state is NodeState.CACHED
            assert calls == [1, 2, 2]
            with pytest.raises(NodeMissing):
                await house.rerun("first", anew=["c"])
            with pytest.raises(RunEnded):
                await (await house.resume("first")).result()

    asyncio.run(main())
