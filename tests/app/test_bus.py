from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.app.workflows import ECHO, WAITING, wait

import symphony
from symphony import ipc
from symphony.app import (
    BusSettings,
    NoBus,
    Run,
    ServedAlready,
    Symphony,
    as_address,
    bus_address,
    open_endpoint,
    open_served_bus,
)
from symphony.app._bus import Outlet, may_be_served
from symphony.commons.folders import Home
from symphony.execution import NodeStarted, Recorded, RunState, decode, kind_of
from symphony.workflow import loads


@asynccontextmanager
async def house(home: Path, **settings: object) -> AsyncIterator[Symphony]:
    async with symphony.open(home, operators=[wait], logging__file=False, **settings) as opened:
        yield opened


@asynccontextmanager
async def served(home: Path, **settings: int) -> AsyncIterator[ipc.Endpoint]:
    """The bus of a home, as `symphony serve` holds it, and somebody on it."""
    place = Home(home)
    place.create()
    config = BusSettings(**settings)  # type: ignore[arg-type]  # the names of whole numbers alone
    async with (
        open_served_bus(place, config),
        ipc.connect(bus_address(place, config), name="listener") as listener,
    ):
        yield listener


async def heard(subscription: ipc.Subscription, runs: Iterable[str]) -> list[ipc.Message]:
    """What comes until each of the runs has ended."""
    messages: list[ipc.Message] = []
    missing = {f"run.{run}.run.finished" for run in runs}
    async for batch in subscription:
        messages += batch
        missing -= {message.topic for message in batch}
        if not missing:
            return messages
    raise AssertionError("the subscription ended")


def recorded(message: ipc.Message) -> Recorded:
    return decode(bytes(message.envelope.payload))


async def started(run: Run) -> None:
    async for each in run.events():
        if isinstance(each.event, NodeStarted):
            return


def test_events_of_a_run_are_published_as_they_stand_in_the_journal(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            bus = await opened.bus()
            async with bus.subscribe("run.>") as subscription:
                run = await opened.run(loads(ECHO), {})
                messages = await heard(subscription, [run.id])
                events = [each async for each in run.events()]
        assert [recorded(message) for message in messages] == events
        topics = [f"run.{run.id}.{kind_of(each.event)}" for each in events]
        assert [message.topic for message in messages] == topics
        assert messages[0].payload_as(dict)["event"]["workflow_id"] == "echo"

    asyncio.run(main())


def test_filter_looks_into_the_events(tmp_path: Path) -> None:
    async def main() -> list[Recorded]:
        async with house(tmp_path) as opened:
            bus = await opened.bus()
            where = "payload.event.kind == 'run.finished' || payload.event.node == 'b'"
            async with bus.subscribe("run.>", where=where) as subscription:
                run = await opened.run(loads(ECHO), {})
                return [recorded(each) for each in await heard(subscription, [run.id])]

    kinds = [kind_of(each.event) for each in asyncio.run(main())]
    assert kinds == ["node.started", "node.finished", "run.finished"]


def test_bus_is_the_same_at_each_call_and_everybodys_in_the_process(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            first, second = await asyncio.gather(opened.bus(), opened.bus())
            assert first is second
            async with first.serve("echo", lambda request: request.payload):
                assert (await first.request("echo", [1])).payload == [1]

    asyncio.run(main())


def test_bus_that_begins_during_a_run_hears_the_rest(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with house(tmp_path) as opened:
            run = await opened.run(loads(WAITING), {})
            await started(run)
            bus = await opened.bus()
            async with bus.subscribe("run.>") as subscription:
                run.cancel()
                messages = await heard(subscription, [run.id])
        return [kind_of(recorded(message).event) for message in messages]

    kinds = asyncio.run(main())
    assert kinds[0] == "run.cancelling"
    assert kinds[-1] == "run.finished"


def test_bus_asked_for_by_a_task_that_has_ended_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            bus = await asyncio.create_task(opened.bus())
            assert (await bus.stats()).endpoints == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("plain-1_x", "plain-1_x"),
        ("a.b c", "a%2Eb%20c"),
        ("100%*>#", "100%25%2A%3E%23"),
        ("ü", "ü"),
    ],
)
def test_any_id_of_a_run_is_one_name_in_the_topic(tmp_path: Path, run_id: str, name: str) -> None:
    async def main() -> set[str]:
        async with house(tmp_path) as opened:
            bus = await opened.bus()
            async with bus.subscribe(f"run.{name}.>") as subscription:
                await opened.run(loads(ECHO), {}, run_id=run_id)
                messages = await heard(subscription, [name])
        return {message.topic.split(".")[1] for message in messages}

    assert asyncio.run(main()) == {name}


def test_subscriber_that_does_not_read_holds_up_no_run(tmp_path: Path) -> None:
    async def main() -> int:
        async with house(tmp_path, bus__publish_frames=2) as opened:
            bus = await opened.bus()
            async with bus.subscribe("run.>", credit=1):
                run = await opened.run(loads(ECHO), {})
                assert (await run.result()).state is RunState.COMPLETED
                return (await bus.stats()).frames_in

    # The first goes out at once, two wait, and there is no credit for the others.
    assert asyncio.run(main()) < 7


def test_what_finds_no_room_is_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> tuple[int, int]:
        doubts: list[int] = []
        async with house(tmp_path, bus__publish_frames=2) as opened:
            bus = await opened.bus()
            outlet = Outlet(bus, lambda: doubts.append(1))
            async with bus.subscribe("run.>", credit=1):
                run = await opened.run(loads(ECHO), {})
                run.watch(outlet.observer(run.id))
                await run.result()
            return outlet.dropped, len(doubts)

    dropped, doubts = asyncio.run(main())
    assert dropped == doubts > 0
    lines = [each for each in caplog.messages if each == "a bus does not take all events of runs"]
    assert len(lines) == 2  # this outlet, and the house's own


def test_event_that_no_bus_can_carry_harms_no_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            bus = await opened.bus()
            run = await opened.run(loads(ECHO), {}, run_id="x" * 300)
            assert (await run.result()).state is RunState.COMPLETED
            assert (await bus.stats()).refused == 0

    asyncio.run(main())


def test_runs_of_a_program_are_told_to_the_served_bus(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as listener, listener.subscribe("run.>") as subscription:
            async with house(tmp_path) as opened:
                runs = [await opened.run(loads(ECHO), {}) for _ in range(3)]
                events = [[each async for each in run.events()] for run in runs]
            messages = await heard(subscription, [run.id for run in runs])
        for run, expected in zip(runs, events, strict=True):
            told = [each for each in messages if each.topic.startswith(f"run.{run.id}.")]
            assert [recorded(each) for each in told] == expected

    asyncio.run(main())


def test_bus_that_is_served_later_hears_of_the_next_run_and_of_those_that_go_on(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            waiting = await opened.run(loads(WAITING), {})
            await started(waiting)
            async with served(tmp_path) as listener, listener.subscribe("run.>") as subscription:
                run = await opened.run(loads(ECHO), {})
                await run.result()
                waiting.cancel()
                messages = await heard(subscription, [run.id, waiting.id])
        for each in (waiting, run):
            told = [recorded(it) for it in messages if f".{each.id}." in it.topic]
            assert told == [event async for event in each.events()]

    asyncio.run(main())


def test_bus_that_is_served_anew_misses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            for _ in range(3):
                async with (
                    served(tmp_path) as listener,
                    listener.subscribe("run.>") as subscription,
                ):
                    run = await opened.run(loads(ECHO), {})
                    events = [each async for each in run.events()]
                    messages = await heard(subscription, [run.id])
                    told = {recorded(each).seq for each in messages if f".{run.id}." in each.topic}
                assert told == {each.seq for each in events}

    asyncio.run(main())


def test_runs_that_an_error_cancels_are_told_to_their_end(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with served(tmp_path) as listener, listener.subscribe("run.>") as subscription:
            with pytest.raises(KeyError, match="ours"):
                await fail_during(subscription)
            messages = await heard(subscription, ["waiting"])
        return [kind_of(recorded(each).event) for each in messages]

    async def fail_during(subscription: ipc.Subscription) -> None:
        async with house(tmp_path) as opened:
            await opened.run(loads(WAITING), {}, run_id="waiting")
            async for batch in subscription:
                if any(message.topic.endswith("node.started") for message in batch):
                    raise KeyError("ours")

    assert asyncio.run(main())[-1] == "run.finished"


@asynccontextmanager
async def held_up(home: Path, gate: asyncio.Event) -> AsyncIterator[ipc.Endpoint]:
    """A bus that nobody hears of, or gets anything from, until the gate is open."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        from_bus, to_bus = await asyncio.open_unix_connection(home / "real.sock")
        await asyncio.gather(pass_on(reader, to_bus), pass_on(from_bus, writer))

    path = Home(home).run / "bus.sock"
    path.parent.mkdir()
    async with (
        ipc.open_broker([f"unix:{home}/real.sock"]),
        ipc.connect(f"unix:{home}/real.sock", name="listener") as listener,
        await asyncio.start_unix_server(forward, path),
    ):
        yield listener


def test_bus_that_answers_when_the_runs_have_ended_still_hears_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The machine may be slow; the bus is not.
    monkeypatch.setattr("symphony.app._bus.LAST_CHANCE_S", 20.0)

    async def main() -> None:
        gate = asyncio.Event()
        async with (
            held_up(tmp_path, gate) as listener,
            listener.subscribe("run.>") as subscription,
        ):
            async with house(tmp_path) as opened:
                run = await opened.run(loads(ECHO), {})
                events = [each async for each in run.events()]
                asyncio.get_running_loop().call_later(0.1, gate.set)
            messages = await heard(subscription, [run.id])
        assert [recorded(each) for each in messages] == events

    asyncio.run(main())


async def remembered_run(opened: Symphony) -> Run | None:
    run = await opened.run(loads(ECHO), {})
    await run.result()
    reference = weakref.ref(run)
    del run
    gc.collect()
    return reference()


def test_run_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as opened:
            assert await remembered_run(opened) is None
            await opened.bus()
            assert await remembered_run(opened) is None
            async with served(tmp_path) as listener, listener.subscribe("run.>") as subscription:
                first = await opened.run(loads(ECHO), {})
                await heard(subscription, [first.id])
                assert await remembered_run(opened) is None

    asyncio.run(main())


async def run_and_close(home: Path) -> RunState:
    async with asyncio.timeout(8), house(home) as opened:
        run = await opened.run(loads(ECHO), {})
        return (await run.result()).state


def test_socket_that_nobody_serves_any_more_harms_no_run(tmp_path: Path) -> None:
    path = Home(tmp_path).run / "bus.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    assert not may_be_served(f"unix:{path}")
    assert asyncio.run(run_and_close(tmp_path)) is RunState.COMPLETED


def test_bus_that_does_not_answer_harms_no_run(tmp_path: Path) -> None:
    path = Home(tmp_path).run / "bus.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        assert asyncio.run(run_and_close(tmp_path)) is RunState.COMPLETED


def test_bus_that_talks_nonsense_harms_no_run(tmp_path: Path) -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        writer.close()

    async def main() -> RunState:
        path = Home(tmp_path).run / "bus.sock"
        path.parent.mkdir()
        async with await asyncio.start_unix_server(nonsense, path):
            return await run_and_close(tmp_path)

    assert asyncio.run(main()) is RunState.COMPLETED


def test_bus_that_takes_nobody_else_harms_no_run(tmp_path: Path) -> None:
    async def main() -> RunState:
        async with served(tmp_path, max_endpoints=1):
            return await run_and_close(tmp_path)

    assert asyncio.run(main()) is RunState.COMPLETED


def test_run_without_a_bus_imports_none(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, symphony\n"
        "from pathlib import Path\n"
        "from symphony.workflow import loads\n"
        "async def main():\n"
        "    async with symphony.open(Path(sys.argv[1]).absolute()) as house:\n"
        "        await (await house.run(loads(sys.argv[2]), {})).result()\n"
        "asyncio.run(main())\n"
        "heavy = ('symphony.ipc.bus._endpoint', 'symphony.ipc.bus._broker', 'uvloop', 'filelock')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), ECHO]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_home_is_served_by_one_process(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path):
            with pytest.raises(ServedAlready) as caught:
                async with served(tmp_path):
                    raise AssertionError("it was served twice")
        assert caught.value.holder == os.getpid()
        assert str(os.getpid()) in caught.value.hint
        async with served(tmp_path) as listener:
            assert (await listener.stats()).endpoints == 1

    asyncio.run(main())


def test_served_bus_keeps_as_much_as_the_settings_say(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, kept_messages=64) as listener:
            for number in range(200):
                await listener.publish_kept("kept.x", number)
        # What is over the limit goes when the log is opened, at the latest.
        async with served(tmp_path, kept_messages=64) as listener:
            with pytest.raises(ipc.ResumeGap) as caught:
                async with listener.subscribe("kept.>", after=0, epoch=listener.epoch):
                    raise AssertionError("what is pruned was promised")
        assert caught.value.oldest == 137

    asyncio.run(main())


def test_limits_of_what_is_kept_are_by_default_the_logs_own() -> None:
    settings, limits = BusSettings(), ipc.LogLimits()
    kept = (settings.kept_messages, settings.kept_bytes, settings.kept_age_s)
    assert kept == (limits.messages, limits.bytes, limits.age_s)


async def connect_to(address: str) -> None:
    async with open_endpoint(address, "test"):
        raise AssertionError("somebody is there")


def test_no_bus_is_told_with_its_address_and_what_to_do(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/bus.sock"
    with pytest.raises(NoBus, match="no such socket") as caught:
        asyncio.run(connect_to(address))
    assert caught.value.address == address
    assert "symphony serve" in caught.value.hint


@pytest.mark.slow  # for as long as an endpoint waits for a greeting: 10 s
def test_bus_that_does_not_answer_a_command_is_none(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "bus.sock"))
        sock.listen()
        with pytest.raises(NoBus, match="does not answer"):
            asyncio.run(connect_to(f"unix:{tmp_path}/bus.sock"))


def test_other_troubles_with_an_address_stay_what_they_are() -> None:
    with pytest.raises(ipc.IpcError) as caught:
        asyncio.run(connect_to("tcp:example.org:80"))
    assert caught.value.code == "ipc.bad_address"


def test_endpoint_of_a_command_can_be_found_by_its_name(tmp_path: Path) -> None:
    async def main() -> None:
        address = bus_address(Home(tmp_path), BusSettings())
        async with served(tmp_path) as listener, open_endpoint(address, "test") as endpoint:
            (found,) = await listener.endpoints(capability=endpoint.name)
            assert found.name == endpoint.name
            assert found.name.startswith("test.")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("", "unix:/h/run/bus.sock"),
        ("/run/x.sock", "unix:/run/x.sock"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("pipe:symphony", "pipe:symphony"),
        ("tcp:127.0.0.1:7000", "tcp:127.0.0.1:7000"),
        ("~/x.sock", "unix:/home/someone/x.sock"),
    ],
)
def test_setting_is_a_path_or_an_address(
    monkeypatch: pytest.MonkeyPatch, setting: str, address: str
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert bus_address(Home(Path("/h")), BusSettings(socket=setting)) == address


def test_relative_path_of_a_socket_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_address("x.sock") == f"unix:{tmp_path}/x.sock"


@pytest.mark.parametrize("made", [lambda path: None, lambda path: path.write_text("")])
def test_what_is_no_socket_is_not_served(tmp_path: Path, made: Callable[[Path], object]) -> None:
    made(tmp_path / "x")
    assert not may_be_served(f"unix:{tmp_path}/x")
    assert not may_be_served(f"unix:{tmp_path}/{'x' * 200}")


def test_address_that_cannot_be_asked_for_nothing_may_be_served() -> None:
    assert may_be_served("tcp:127.0.0.1:1")
