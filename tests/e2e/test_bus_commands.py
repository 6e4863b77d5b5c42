"""The bus from the command line: real processes on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from symphony.commons.errors import Category, SymphonyError
from symphony.ipc import Endpoint, EndpointInfo, Request, connect

from .conftest import Cli, Outcome

T = TypeVar("T")

ECHO = [{"id": "a", "kind": "input", "default": 1}, {"id": "b", "kind": "output"}]


def address_of(symphony: Cli) -> str:
    return f"unix:{symphony.home / 'run' / 'bus.sock'}"


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> Outcome:
    if process.poll() is None:
        process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    return Outcome(process.returncode, stdout, stderr)


@contextmanager
def serving(symphony: Cli, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`symphony serve`, ready; ended if it has not been."""
    process = symphony.start("serve", "--json", *arguments)
    assert process.stdout is not None
    try:
        assert process.stdout.readline()
        yield process
    finally:
        end(process)


@pytest.fixture
def served(symphony: Cli) -> Iterator[Cli]:
    with serving(symphony):
        yield symphony


@asynccontextmanager
async def on_bus(symphony: Cli, name: str = "test") -> AsyncIterator[Endpoint]:
    async with asyncio.timeout(40), connect(address_of(symphony), name=name) as endpoint:
        yield endpoint


def with_bus(symphony: Cli, act: Callable[[Endpoint], Awaitable[T]]) -> T:
    async def main() -> T:
        async with on_bus(symphony) as endpoint:
            return await act(endpoint)

    return asyncio.run(main())


async def subscribed(endpoint: Endpoint, pattern: str) -> EndpointInfo:
    """Who subscribes to a pattern, as soon as somebody does."""
    async with endpoint.subscribe("bus.endpoint.changed") as changes:
        while True:
            for info in await endpoint.endpoints():
                if any(each.pattern == pattern for each in info.subscriptions):
                    return info
            await anext(changes)


_STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """What a test that failed has left."""
    yield
    while _STARTED:
        with _STARTED.pop() as process:
            process.kill()


def started(symphony: Cli, pattern: str, *arguments: str) -> subprocess.Popen[str]:
    """A command that has subscribed to `pattern`."""
    process = symphony.start("bus", *arguments)
    _STARTED.append(process)
    with_bus(symphony, lambda bus: subscribed(bus, pattern))
    return process


def lines_of(text: str) -> list[Any]:  # Any: tests read them freely
    return [json.loads(line) for line in text.splitlines()]


# Serving.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_listens_and_ends_in_order(
    symphony: Cli, number: signal.Signals
) -> None:
    process = symphony.start("serve", "--json")
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready == {"address": address_of(symphony), "pid": process.pid}
    outcome = end(process, number)
    assert (outcome.code, outcome.stdout) == (0, "")
    assert address_of(symphony) in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (symphony.home / "run" / "bus.sock").exists()


def test_home_is_served_once_and_the_other_is_named(symphony: Cli) -> None:
    with serving(symphony) as process:
        outcome = symphony("serve")
        assert outcome.code == 8
        assert "app.served_already" in outcome.stderr
        assert f"process {process.pid}" in outcome.stderr
        assert symphony("bus", "stats").code == 0


@pytest.mark.slow
def test_serve_takes_over_from_one_that_was_killed_with_what_it_kept(symphony: Cli) -> None:
    with serving(symphony) as process:
        assert symphony("bus", "publish", "--keep", "a.b", '"before"').code == 0
        process.kill()
        process.wait()
    assert (symphony.home / "run" / "bus.sock").exists()
    assert symphony("bus", "stats").code == 9
    with serving(symphony):
        outcome = symphony("bus", "subscribe", "a.>", "--after", "0", "--count", "1")
        assert outcome.stdout == '"before"\n'


@pytest.mark.slow
def test_serve_ends_an_open_request_with_an_error(symphony: Cli) -> None:
    symphony.environment["SYMPHONY_BUS__DRAIN_S"] = "0.05"
    with serving(symphony) as process:

        async def main() -> Outcome:
            asked = asyncio.Event()

            async def never(request: Request) -> None:
                asked.set()
                await asyncio.Event().wait()

            async with on_bus(symphony) as bus, bus.serve("slow", never):
                calling = asyncio.create_task(asyncio.to_thread(symphony, "bus", "call", "slow"))
                await asked.wait()
                process.send_signal(signal.SIGTERM)
                return await calling

        outcome = asyncio.run(main())
        assert outcome.code == 9
        assert "error:" in outcome.stderr
        assert "Traceback" not in outcome.stderr
        assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_socket_may_be_elsewhere(symphony: Cli, tmp_path: Path) -> None:
    symphony.environment["SYMPHONY_BUS__SOCKET"] = str(tmp_path / "else.sock")
    with serving(symphony):
        assert symphony("bus", "stats").code == 0
        del symphony.environment["SYMPHONY_BUS__SOCKET"]
        assert symphony("bus", "stats").code == 9
        assert symphony("bus", "stats", "--address", tmp_path / "else.sock").code == 0
        assert symphony("bus", "stats", "--address", f"unix:{tmp_path}/else.sock").code == 0


@pytest.mark.slow
def test_path_that_is_too_long_for_a_socket_is_told(symphony: Cli) -> None:
    symphony.environment["SYMPHONY_HOME"] = str(symphony.work / ("long" * 30))
    outcome = symphony("serve")
    assert outcome.code == 3
    assert "107" in outcome.stderr
    path = symphony.work / "hello.workflow.json"
    path.write_text(json.dumps({"symphony": 1, "id": "x", "nodes": ECHO, "edges": []}))
    assert "ipc." not in symphony("run", path).stderr


# Without a bus.


@pytest.mark.parametrize(
    "arguments",
    [
        ("monitor",),
        ("call", "a"),
        ("publish", "a", "1"),
        ("subscribe", "a"),
        ("endpoints",),
        ("stats",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_a_bus_each_command_says_where_none_is_and_what_to_do(
    symphony: Cli, arguments: tuple[str, ...]
) -> None:
    outcome = symphony("bus", *arguments, "--json")
    assert outcome.code == 9
    assert outcome.document["error"]["code"] == "app.no_bus"
    assert address_of(symphony) in outcome.stderr
    assert "symphony serve" in outcome.stderr


# Publishing and subscribing.


def test_payloads_are_json_a_file_stdin_or_as_they_are(served: Cli) -> None:
    subscriber = started(served, "a.>", "subscribe", "a.>", "--count", "6")
    (served.work / "x.json").write_text('{"from":\n "file"}')
    assert served("bus", "publish", "a.b", '{"x": [1, null]}').code == 0
    assert served("bus", "publish", "a.b", "@x.json").code == 0
    piped = subprocess.run(
        served.command("bus", "publish", "a.b", "-"),
        input='"from stdin"',
        env=served.environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, "", "")
    assert served("bus", "publish", "a.b", "--raw", "two\nlines \x1b[2J").code == 0
    assert served("bus", "publish", "a.b").code == 0
    raw = subprocess.run(
        served.command("bus", "publish", "a.b", "--raw", "-"),
        input=b"\xff\x00",
        env=served.environment,
        timeout=30,
    )
    assert raw.returncode == 0
    outcome = end_of(subscriber)
    assert outcome.code == 0
    assert outcome.stdout.splitlines() == [
        '{"x":[1,null]}',
        '{"from":"file"}',
        '"from stdin"',
        r"two\nlines \x1b[2J",
        "",
        "/wA=",
    ]


def end_of(process: subprocess.Popen[str]) -> Outcome:
    """Of a process that ends by itself."""
    stdout, stderr = process.communicate(timeout=30)
    return Outcome(process.returncode, stdout, stderr)


@pytest.mark.slow
def test_subscriber_is_told_all_of_a_message_as_json(served: Cli) -> None:
    subscriber = started(served, "a.*", "subscribe", "a.*", "--json", "--count", "3")

    async def speak(bus: Endpoint) -> None:
        await bus.publish("a.b", {"x": 1, "evil": "\x9b31m \u202e"})
        await bus.publish("a.b", "ünï".encode())
        await bus.publish("a.c", b"\xff")

    with_bus(served, speak)
    outcome = end_of(subscriber)
    first, second, third = lines_of(outcome.stdout)
    assert first["payload"] == {"x": 1, "evil": "\x9b31m \u202e"}
    assert "\x9b" not in outcome.stdout
    assert "\u202e" not in outcome.stdout
    assert (second["text"], second["size"]) == ("ünï", 5)
    assert (third["base64"], third["topic"]) == ("/w==", "a.c")


@pytest.mark.slow
def test_filters_and_groups_choose(served: Cli) -> None:
    large = started(served, "n", "subscribe", "n", "--where", "payload > 7", "--count", "2")
    members = [
        started(served, "g", "subscribe", "g", "--group", "us", "--count", "2") for _ in range(2)
    ]

    async def both_there(bus: Endpoint) -> None:
        async with bus.subscribe("bus.endpoint.changed") as changes:
            while True:
                found = [it for each in await bus.endpoints() for it in each.subscriptions]
                if sum(each.group == "us" for each in found) == 2:
                    break
                await anext(changes)
        for number in range(10):
            await bus.publish("n", number)
        for number in range(4):
            await bus.publish("g", number)

    with_bus(served, both_there)
    assert end_of(large).stdout.split() == ["8", "9"]
    shared = [end_of(member).stdout.split() for member in members]
    assert sorted(shared[0] + shared[1]) == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_durable_name_goes_on_where_it_was(served: Cli) -> None:
    arguments = ("subscribe", "k.>", "--durable", "me", "--count", "1")
    first = started(served, "k.>", *arguments)

    async def keep(bus: Endpoint) -> None:
        for number in range(3):
            await bus.publish_kept("k.n", number)

    with_bus(served, keep)
    assert end_of(first).stdout == "0\n"
    assert served("bus", *arguments).stdout == "1\n"
    assert served("bus", *arguments).stdout == "2\n"
    everything = served("bus", "subscribe", "k.>", "--after", "0", "--count", "3", "--json")
    assert [each["payload"] for each in lines_of(everything.stdout)] == [0, 1, 2]
    positions = [each["sequence"] for each in lines_of(everything.stdout)]
    assert positions == sorted(positions)
    behind = served("bus", "subscribe", "k.>", "--after", str(positions[1]), "--count", "1")
    assert behind.stdout == "2\n"


@pytest.mark.slow
@pytest.mark.parametrize(("more", "code"), [((), 0), (("--count", "5"), 130)])
def test_ctrl_c_ends_a_subscriber(served: Cli, more: tuple[str, ...], code: int) -> None:
    process = started(served, "a", "subscribe", "a", *more)
    outcome = end(process, signal.SIGINT)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (code, "", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("publish", "bus.mine", "1"), 6, "ipc.not_permitted"),
        (("publish", "--keep", "bus.mine", "1"), 6, "ipc.not_permitted"),
        (("publish", "a b", "1"), 3, "ipc.bad_topic"),
        (("publish", "--keep", "a..b", "1"), 3, "ipc.bad_topic"),
        (("publish", "a", "{nonsense"), 2, "--raw"),
        (("publish", "a", "@nowhere.json"), 4, "files.missing"),
        (("call", "nobody.there"), 9, "ipc.no_responder"),
        (("call", "a.>"), 3, "ipc.bad_topic"),
        (("subscribe", "a.>.b"), 3, "ipc.bad_topic"),
        (("subscribe", "a", "--where", "payload >"), 3, "ipc.bad_filter"),
        (("subscribe", "a", "--count", "0"), 2, "--count"),
        (("monitor", ">.a"), 3, "ipc.bad_topic"),
        (("stats", "--address", "nonsense:x:"), 9, "app.no_bus"),
        (("stats", "--address", "tcp:example.org:1"), 3, "ipc.bad_address"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else None,
)
def test_mistakes_are_told(served: Cli, arguments: tuple[str, ...], code: int, said: str) -> None:
    outcome = served("bus", *arguments)
    assert said in outcome.stderr
    assert outcome.code == code
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert "symphony.ipc" not in outcome.stderr


# Asking.


class Sulky(SymphonyError):
    code = "test.sulky"
    category = Category.VALIDATION

    def __init__(self) -> None:
        super().__init__("I do not want to.", hint="Ask nicely.")


def test_answers_and_failures_of_a_call(served: Cli) -> None:
    async def never(request: Request) -> None:
        await asyncio.Event().wait()

    def sulk(request: Request) -> None:
        raise Sulky

    async def main() -> dict[str, Outcome]:
        async with (
            on_bus(served) as bus,
            bus.serve("echo", lambda request: request.payload),
            bus.serve("bytes", lambda request: b"\xff\x00"),
            bus.serve("empty", lambda request: b""),
            bus.serve("sulky", sulk),
            bus.serve("never", never),
        ):
            calls = {
                "value": ("echo", '{"a": [1]}'),
                "json": ("echo", "[1]", "--json"),
                "raw": ("echo", "--raw", "as it is"),
                "bytes": ("bytes", "--json"),
                "empty": ("empty",),
                "sulky": ("sulky",),
                "never": ("never", "--timeout", "0.05"),
            }
            return {
                name: await asyncio.to_thread(served, "bus", "call", *arguments)
                for name, arguments in calls.items()
            }

    found = asyncio.run(main())
    assert json.loads(found["value"].stdout) == {"a": [1]}
    assert found["json"].document == {"payload": [1]}
    assert found["raw"].stdout == "as it is"
    assert found["bytes"].document == {"base64": "/wA="}
    assert (found["empty"].code, found["empty"].stdout) == (0, "")
    assert found["sulky"].code == 11
    assert "I do not want to." in found["sulky"].stderr
    assert "Ask nicely." in found["sulky"].stderr
    assert found["never"].code == 7
    assert "ipc.timeout" in found["never"].stderr


def test_who_is_on_the_bus_is_listed(served: Cli) -> None:
    async def main() -> dict[str, Outcome]:
        async with (
            on_bus(served, "answers") as one,
            connect(address_of(served), name="watches", capabilities=["eyes"]) as two,
            one.serve("price.of", lambda request: 1),
            two.subscribe("orders.*"),
        ):
            commands = {
                "all": (),
                "json": ("--json",),
                "eyes": ("--capability", "eyes", "--json"),
                "price": ("--serves", "price.of", "--json"),
                "nobody": ("--serves", "nothing"),
            }
            return {
                name: await asyncio.to_thread(served, "bus", "endpoints", *arguments)
                for name, arguments in commands.items()
            }

    found = asyncio.run(main())
    title, *rows = found["all"].stdout.splitlines()
    assert title.split()[:3] == ["NAME", "HEALTH", "LAG"]
    assert [row.split()[0] for row in rows] == ["answers", "watches"]
    assert rows[0].endswith("serves price.of")
    assert rows[1].endswith("subscribes orders.*")
    assert "healthy" in rows[0]
    documents = {name: json.loads(each.stdout) for name, each in found.items() if name[0] in "jep"}
    assert [each["name"] for each in documents["json"]] == ["answers", "watches"]
    assert documents["json"][1]["subscriptions"][0]["pattern"] == "orders.*"
    assert [each["name"] for each in documents["eyes"]] == ["watches"]
    assert [each["name"] for each in documents["price"]] == ["answers"]
    assert (found["nobody"].code, found["nobody"].stdout) == (0, "")


@pytest.mark.slow
def test_stats_count(served: Cli) -> None:
    before = served("bus", "stats", "--json").document
    served("bus", "publish", "a.b", "1")
    after = served("bus", "stats", "--json").document
    assert after["unrouted"] == before["unrouted"] + 1
    shown = served("bus", "stats").stdout
    assert re.search(r"^endpoints +1$", shown, re.MULTILINE)
    assert re.search(r"^dead letters +0$", shown, re.MULTILINE)


# Watching.


def test_monitor_shows_the_run_of_another_process(
    served: Cli, write_workflow: Callable[..., Path]
) -> None:
    monitor = started(served, "run.>", "monitor", "run.>", "--json", "--count", "7")
    run = served("run", write_workflow(ECHO, "a -> b"), "--json").document["run_id"]
    outcome = end_of(monitor)
    assert outcome.code == 0
    heard = lines_of(outcome.stdout)
    assert [each["topic"] for each in heard] == [
        f"run.{run}.{kind}"
        for kind in (
            *("run.created", "run.started", "node.started", "node.finished"),
            *("node.started", "node.finished", "run.finished"),
        )
    ]
    assert [each["payload"]["seq"] for each in heard] == list(range(1, 8))
    assert heard[-1]["payload"]["event"] == {"kind": "run.finished", "state": "completed"}
    assert all(each["source"].startswith("runs.") for each in heard)
    assert "7 messages shown." in outcome.stderr


def test_monitor_shows_lines_for_people_and_only_what_is_said(served: Cli) -> None:
    monitor = started(served, ">", "monitor", "--count", "3")

    async def speak(bus: Endpoint) -> None:
        await bus.publish("orders.created", {"id": 7, "evil": "\x1b[2J\n"})
        async with bus.subscribe("bus.dead") as letters:
            await bus.publish("bus.mine")
            await anext(letters)
        await bus.publish_kept("kept.note", "for later")

    with_bus(served, speak)
    outcome = end_of(monitor)
    assert outcome.code == 0
    order, dead, kept = outcome.stdout.splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}  orders\.created +test +\d+ B  "
        r'\{id: 7, evil: "\\x1b\[2J\\n"\}',
        order,
    )
    assert "PUB bus.mine: 'test' may not publish 'bus.mine'." in dead
    assert re.search(r'kept\.note +test +\d+ B  #\d+ "for later"$', kept)


@pytest.mark.slow
def test_monitor_shows_a_message_once_and_ends_after_its_count(served: Cli) -> None:
    patterns = ("a.>", "*.b", "end")
    monitor = started(served, patterns[-1], "monitor", *patterns, "--count", "4", "--json")

    async def speak(bus: Endpoint) -> None:
        for topic in ("a.b", "a.c", "x.b", "x.c", "end"):
            await bus.publish(topic)

    with_bus(served, speak)
    outcome = end_of(monitor)
    topics = [each["topic"] for each in lines_of(outcome.stdout)]
    assert topics == ["a.b", "a.c", "x.b", "end"]
    assert outcome.code == 0


@pytest.mark.slow
def test_monitor_ends_by_itself_when_its_time_is_over(served: Cli) -> None:
    outcome = served("bus", "monitor", "--for", "0.05")
    assert (outcome.code, outcome.stdout) == (0, "")
    assert "0 messages shown." in outcome.stderr


@pytest.mark.slow
def test_monitor_that_nobody_reads_slows_nobody_and_says_what_it_dropped(served: Cli) -> None:
    monitor = started(served, "flood", "monitor", "flood", "--json")

    async def flood(bus: Endpoint) -> int:
        async with bus.subscribe("flood", lambda message: None):
            for number in range(5000):
                await bus.publish("flood", {"number": number, "filling": "x" * 500})
            return (await bus.stats()).delivered

    assert with_bus(served, flood) >= 5000  # the other subscriber has got all of them
    outcome = end(monitor, signal.SIGINT)
    shown = [each["payload"]["number"] for each in lines_of(outcome.stdout)]
    dropped = re.search(r"([\d,]+) messages shown, ([\d,]+) dropped", outcome.stderr)
    assert dropped is not None, outcome.stderr
    assert int(dropped[1].replace(",", "")) == len(shown)
    assert shown == sorted(set(shown))
    assert int(dropped[2].replace(",", "")) > 0
    assert outcome.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
def test_bus_that_ends_takes_its_watchers_along(symphony: Cli, as_json: bool) -> None:
    options = ("--json",) if as_json else ()
    with serving(symphony) as process:
        monitor = started(symphony, "b", "monitor", "a", "b", *options)
        subscriber = started(symphony, "c", "subscribe", "c", *options)
        assert end(process).code == 0
        for outcome in (end_of(monitor), end_of(subscriber)):
            assert outcome.code == 9
            assert "shutting down" in outcome.stderr
            assert "Traceback" not in outcome.stderr
            errors = [each["error"] for each in lines_of(outcome.stdout)]
            assert [each["category"] for each in errors] == ["unavailable"] * as_json


@pytest.mark.slow
def test_pipe_that_is_closed_ends_a_monitor_silently(served: Cli) -> None:
    script = f'set -o pipefail; "{sys.executable}" -m symphony bus monitor flood | head -n 1'
    piped = subprocess.Popen(
        ["bash", "-c", script],
        env=served.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    async def speak(bus: Endpoint) -> None:
        watcher = await subscribed(bus, "flood")
        async with bus.subscribe("bus.endpoint.left") as leaving:
            await bus.publish("flood", 1)
            while watcher.name in [each.name for each in await bus.endpoints()]:
                await bus.publish("flood", 2)
            await anext(leaving)

    with_bus(served, speak)
    outcome = end_of(piped)
    assert outcome.code == 141
    assert outcome.stderr == ""
    assert outcome.stdout.endswith("1\n")


def on_terminal(symphony: Cli, *arguments: str, until: bytes) -> bytes:
    """What a command writes to a terminal of 80 columns, up to and with `until`."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = subprocess.Popen(
        ["sh", "-c", 'stty columns 80; exec "$@"', "sh", *symphony.command(*arguments)],
        env=symphony.environment | {"TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        with_bus(symphony, speak_evil)
        while until not in shown:
            assert select.select([ours], [], [], 20)[0], shown
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert process.returncode == 0
    return shown


async def speak_evil(bus: Endpoint) -> None:
    await subscribed(bus, "evil.>")
    await bus.publish(
        "evil.\u0301text", {"x\x1b]0;title\x07": "\x1b[31m\x9b2J\r\u202e" + "界" * 99}
    )
    await bus.publish("evil.bytes", b"\x1b[2J\x07\x00")
    await bus.publish("evil.end", "over")


@pytest.mark.slow
@pytest.mark.parametrize("coloured", [True, False])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_nothing_on_the_bus_controls_the_terminal(
    served: Cli, coloured: bool, options: tuple[str, ...]
) -> None:
    if coloured:
        del served.environment["NO_COLOR"]
    shown = on_terminal(served, "bus", "monitor", "evil.>", *options, until=b"over").decode()
    painted = re.findall(r"\x1b\[[\d;]*m", shown)
    assert bool(painted) == (coloured and not options)
    rest = re.sub(r"\x1b\[[\d;]*m", "", shown).replace("\r\n", "")
    assert [each for each in rest if not each.isprintable() and each != "\n"] == []


@pytest.mark.slow
def test_lines_fit_the_terminal(served: Cli) -> None:
    shown = on_terminal(served, "bus", "monitor", "evil.>", until=b"over").decode()
    lines = [line for line in shown.split("\r\n") if "evil." in line and "Watching" not in line]
    cells = [sum(2 if each == "界" else each != "\u0301" for each in line) for line in lines]
    assert max(cells) <= 80
    assert "…" in lines[0]


def test_doctor_tells_whether_a_bus_is_served(symphony: Cli) -> None:
    def checks() -> dict[str, str]:
        found = symphony("doctor", "--json").document["checks"]
        return {each["name"]: each["detail"] for each in found}

    assert checks()["bus"].startswith("not served")
    with serving(symphony):
        during = checks()
    assert during["bus"] == f"served at {address_of(symphony)}"
    assert during["database bus.db"] == "ok"
    assert during["event loop"].startswith("uvloop ")
