from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from symphony.commons.values import ArtifactRef, Value
from symphony.extensions import ExtensionHost, Found, HostConfig, open_host
from symphony.ipc import PART_SIZE
from symphony.sdk import BadValue, ValueTooLarge

from .conftest import Desk, NoSuchArtifact

Samples = dict[str, Found]
Leftovers = Callable[[], list[int]]


def call(found: Found, desk: Desk, **inputs: Value) -> dict[str, Value]:
    async def main() -> dict[str, Value]:
        async with open_host() as host:
            return await host.call(found, inputs, desk)

    return asyncio.run(main())


def origin(outputs: dict[str, Value]) -> dict[str, Value]:
    return cast("dict[str, Value]", outputs["origin"])


def pid_of(outputs: dict[str, Value]) -> int:
    return cast("int", origin(outputs)["pid"])


def test_values_go_there_and_back(samples: Samples, desk: Desk) -> None:
    value: Value = {"text": "ünï", "list": [1, 2.5, None, True, -(2**63)], "nested": {"": []}}
    outputs = call(samples["echo"], desk, value=value)
    assert outputs["value"] == value
    assert origin(outputs)["run"] == "run-1"
    assert origin(outputs)["node"] == "node-1"
    assert origin(outputs)["folder"] == str(samples["echo"].folder)


def test_an_input_with_a_default_may_be_left_out(samples: Samples, desk: Desk) -> None:
    assert call(samples["echo"], desk, value="a", times=2)["value"] == ["a", "a"]


def test_nothing_is_started_before_the_first_call(leftovers: Leftovers) -> None:
    async def main() -> list[int]:
        async with open_host():
            return leftovers()

    assert asyncio.run(main()) == []


def test_one_process_serves_many_calls(samples: Samples, desk: Desk, leftovers: Leftovers) -> None:
    async def main() -> None:
        async with open_host() as host:
            first = await host.call(samples["echo"], {"value": 1}, desk)
            second = await host.call(samples["echo"], {"value": 2}, desk)
            assert pid_of(first) == pid_of(second)
            assert origin(second)["calls"] == 2
            assert leftovers() == [pid_of(first)]

    asyncio.run(main())


def test_calls_of_one_extension_take_turns_and_others_do_not_wait(
    samples: Samples, desk: Desk, tmp_path: Path
) -> None:
    gates = [tmp_path / "first", tmp_path / "second"]
    for gate in gates:
        os.mkfifo(gate)

    async def main() -> None:
        async with open_host() as host:
            calls = [
                asyncio.create_task(
                    host.call(samples["slow"], {"steps": 1, "gate": str(gate)}, desk)
                )
                for gate in gates
            ]
            other = await host.call(samples["echo"], {"value": 1}, desk)
            assert other["value"] == 1
            for gate in gates:
                assert not calls[-1].done()
                await asyncio.to_thread(gate.write_text, "go\n")
            assert [await each for each in calls] == [{"value": 1}, {"value": 1}]
            assert desk.steps.count((0, 1, "loading")) == 1

    asyncio.run(main())


def test_the_environment_has_no_keys(
    samples: Samples, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    variables = origin(call(samples["echo"], desk, value=1))["environment"]
    assert "PATH" in cast("list[str]", variables)
    assert "OPENAI_API_KEY" not in cast("list[str]", variables)
    assert "SYMPHONY_CHANNEL" not in cast("list[str]", variables)


def test_ctrl_c_does_not_reach_the_process(samples: Samples, desk: Desk) -> None:
    about = origin(call(samples["echo"], desk, value=1))
    assert about["session"] == about["pid"] != os.getsid(0)


def test_inputs_are_checked_before_anything_is_started(
    samples: Samples, desk: Desk, leftovers: Leftovers
) -> None:
    bad: list[tuple[dict[str, Value], str]] = [
        ({"value": float("nan")}, "value"),
        ({"value": 1, "tims": 2}, "tims"),
        ({"times": 2}, "value"),
        ({"value": cast("Value", {1: 2})}, "value"),
        ({"value": cast("Value", [b"bytes"])}, "value"),
    ]

    async def main() -> None:
        async with open_host() as host:
            for inputs, port in bad:
                with pytest.raises(BadValue) as caught:
                    await host.call(samples["echo"], inputs, desk)
                assert caught.value.port == port
            assert leftovers() == []

    asyncio.run(main())


def test_inputs_over_the_limit_are_refused_and_the_process_goes_on(
    samples: Samples, desk: Desk
) -> None:
    config = HostConfig(max_message_bytes=2 * PART_SIZE)

    async def main() -> None:
        async with open_host(config) as host:
            first = await host.call(samples["echo"], {"value": 1}, desk)
            with pytest.raises(ValueTooLarge, match="inputs") as caught:
                await host.call(samples["echo"], {"value": "x" * 2 * PART_SIZE}, desk)
            assert "artifact" in caught.value.hint
            again = await host.call(samples["echo"], {"value": "x" * PART_SIZE}, desk)
            assert pid_of(again) == pid_of(first)

    asyncio.run(main())


@pytest.mark.parametrize("size", [0, 10, PART_SIZE, 2 * PART_SIZE + 1])
def test_artifacts_are_read_and_written(
    samples: Samples, desk: Desk, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = os.urandom(1000) * (size // 1000) + b"x" * (size % 1000)
    desk.stored["blake3:1"] = content
    outputs = call(samples["artifacts"], desk, artifact=ArtifactRef("blake3:1").as_value())
    assert outputs["size"] == size
    ref = cast("dict[str, Value]", outputs["artifact"])
    assert desk.stored[str(ref["$artifact"])] == content
    assert desk.described[str(ref["$artifact"])] == ("text/plain", "copy.txt")
    assert issubclass(desk.given[0], Path) == (size > PART_SIZE)
    assert list(tmp_path.iterdir()) == []


def test_the_services_own_error_comes_out_as_it_is(samples: Samples, desk: Desk) -> None:
    with pytest.raises(NoSuchArtifact) as caught:
        call(samples["artifacts"], desk, artifact={"$artifact": "blake3:none"})
    assert caught.value.id == "blake3:none"


def test_a_bug_in_the_services_comes_out_and_ends_the_process(
    samples: Samples, desk: Desk, leftovers: Leftovers
) -> None:
    class Buggy(Desk):
        async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
            await asyncio.sleep(0)
            raise KeyError(ref.id)

    async def main() -> None:
        artifact: Value = {"$artifact": "blake3:1"}
        async with open_host() as host:
            with pytest.raises(KeyError):
                await host.call(samples["artifacts"], {"artifact": artifact}, Buggy())
            desk.stored["blake3:1"] = b"abc"
            outputs = await host.call(samples["artifacts"], {"artifact": artifact}, desk)
            assert outputs["size"] == 3

    asyncio.run(main())


def test_reports_arrive_in_order(samples: Samples, desk: Desk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def main() -> None:
        async with open_host() as host:
            inputs: dict[str, Value] = {"steps": 3, "gate": str(gate)}
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(host.call(samples["slow"], inputs, desk))
                tasks.create_task(asyncio.to_thread(gate.write_text, "1\n2\n3\n"))

    asyncio.run(main())
    assert desk.steps == [
        (0, 1, "loading"),
        (0, 3, "step 0"),
        (1, 3, "step 1"),
        (2, 3, "step 2"),
    ]
    assert desk.lines == [("info", "waiting", {"steps": 3})]


def test_a_process_that_died_at_rest_is_replaced(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host() as host:
            first = pid_of(await host.call(samples["echo"], {"value": 1}, desk))
            notice = os.pidfd_open(first)
            os.kill(first, signal.SIGKILL)
            await asyncio.to_thread(os.waitid, os.P_PIDFD, notice, os.WEXITED | os.WNOWAIT)
            os.close(notice)
            await asyncio.sleep(0)
            second = pid_of(await host.call(samples["echo"], {"value": 1}, desk))
            assert second != first

    asyncio.run(main())


def test_closing_lets_an_instrument_unload(
    samples: Samples, desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "symphony.extensions")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    gate_text = str(gate)

    async def main() -> None:
        async with open_host() as host:
            await host.call(samples["slow"], {"steps": 0, "gate": gate_text}, desk)

    async def with_gate_open() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(main())
            tasks.create_task(asyncio.to_thread(gate.write_text, ""))

    asyncio.run(with_gate_open())
    facts = [vars(record)["facts"] for record in caplog.records if record.message == "printed"]
    assert {"extension": "slow", "line": "unloaded"} in facts


def test_a_found_extension_with_an_error_is_not_called(samples: Samples, desk: Desk) -> None:
    broken = Found(samples["echo"].folder, None, NoSuchArtifact("x"))
    with pytest.raises(NoSuchArtifact):
        call(broken, desk, value=1)


def test_many_extensions_and_calls_at_once(
    samples: Samples, desk: Desk, leftovers: Leftovers
) -> None:
    async def main() -> None:
        async with open_host() as host:
            await ten_calls(host)
            assert len(leftovers()) == 2

    async def ten_calls(host: ExtensionHost) -> None:
        desk.stored["blake3:1"] = b"abc"
        artifact: Value = {"$artifact": "blake3:1"}
        async with asyncio.TaskGroup() as tasks:
            echoes = [
                tasks.create_task(host.call(samples["echo"], {"value": number}, desk))
                for number in range(10)
            ]
            copies = [
                tasks.create_task(host.call(samples["artifacts"], {"artifact": artifact}, desk))
                for _ in range(10)
            ]
        assert [each.result()["value"] for each in echoes] == list(range(10))
        assert {each.result()["size"] for each in copies} == {3}

    asyncio.run(main())


def test_turn_keeps_other_calls_waiting_and_ends_with_its_block(
    samples: Samples, desk: Desk
) -> None:
    async def main() -> None:
        async with open_host() as host:
            async with host.turn(samples["echo"]) as call:
                waiting = asyncio.create_task(host.call(samples["echo"], {"value": 2}, desk))
                assert origin(await call({"value": 1}, desk))["calls"] == 1
                assert origin(await call({"value": 1}, desk))["calls"] == 2
                assert not waiting.done()
            assert origin(await waiting)["calls"] == 3

    asyncio.run(main())
