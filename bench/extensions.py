"""An extension's process: how long until it says hello, what a call costs, how soon it is gone.

    python bench/extensions.py [--json] [--passes 15] [--calls 500]

Every figure is the median over the passes, in which ours and the peer take turns; times are in
milliseconds. The peers are the least that each could be: a bare `python -I -c pass` from start to
exit, a bare ping-pong of two blocking processes over a socket pair with as many bytes, a bare kill
and wait. Unpinned, so that on more than one core the round trips include wake-ups across cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from symphony.commons.values import ArtifactRef, Value
from symphony.extensions import ExtensionHost, Found, discover, open_host
from symphony.extensions._worker import PROGRAM
from symphony.ipc import Kind, open_channel
from symphony.sandbox import Policy, spawn

Row = dict[str, str | float | bool | None]

MANIFEST = """
[extension]
id = "ping"
type = "operator"
version = "0.1.0"
entry = "ping:Ping"

[inputs.value]

[outputs.value]
"""
CODE = """
from symphony.sdk import Operator

class Ping(Operator):
    def run(self, context, *, value):
        return value
"""
BARE_PONG = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
size = int(sys.argv[2])
while True:
    data = bytearray()
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            sys.exit()
        data += part
    channel.sendall(data)
"""
#: What a small call weighs on the wire, header and names included.
SMALL_BYTES = 80
LARGE_BYTES = 1024 * 1024


class Desk:
    """Services that a ping never asks for."""

    run_id = "bench"
    node = "ping"
    attempt = 1

    def progress(self, done: float, total: float, message: str = "") -> None: ...

    def log(self, level: str, message: str, **facts: Value) -> None: ...

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        raise NotImplementedError

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        raise NotImplementedError


def discard(_line: str) -> None: ...


def ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


async def hello_and_kill() -> tuple[float, float]:
    """From the request to the first frame; from the kill until all is gone."""
    start = time.perf_counter()
    async with (
        spawn(Policy(PROGRAM, Path("/")), discard) as process,
        open_channel(process.channel) as channel,
    ):
        frame = await channel.receive()
        hello = ms_since(start)
        if frame.kind is not Kind.HELLO:
            raise SystemExit(f"expected HELLO, got {frame}")
        start = time.perf_counter()
        await process.end()
        return hello, ms_since(start)


def bare_start() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
    return ms_since(start)


def bare_kill() -> float:
    program = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        if process.stdout is None or not process.stdout.readline():
            raise SystemExit("the bare process did not start")
        start = time.perf_counter()
        process.kill()
        process.wait()
        return ms_since(start)


@contextmanager
def bare_pong(size: int) -> Iterator[Callable[[int], float]]:
    """A function that plays so many rounds and tells how long one took."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-c", BARE_PONG, str(theirs.fileno()), str(size)]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours:
        theirs.close()
        message = b"x" * size

        def play(rounds: int) -> float:
            start = time.perf_counter()
            for _ in range(rounds):
                ours.sendall(message)
                missing = size
                while missing:
                    missing -= len(ours.recv(missing))
            return ms_since(start) / rounds

        play(1)
        yield play
        ours.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def ping_host() -> AsyncIterator[tuple[ExtensionHost, Found]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "symphony.toml").write_text(MANIFEST)
        (Path(folder) / "ping.py").write_text(CODE)
        (found,) = discover([Path(folder)])
        async with open_host() as host:
            yield host, found


async def first_call() -> float:
    async with ping_host() as (host, found):
        start = time.perf_counter()
        await host.call(found, {"value": 1}, Desk())
        return ms_since(start)


async def calls(host: ExtensionHost, found: Found, value: Value, rounds: int) -> float:
    desk = Desk()
    start = time.perf_counter()
    for _ in range(rounds):
        outputs = await host.call(found, {"value": value}, desk)
        if outputs["value"] != value:
            raise SystemExit("another value came back")
    return ms_since(start) / rounds


def row(
    measure: str, pairs: list[tuple[float, float]], peer_name: str, goal: float | None = None
) -> Row:
    ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {
        "measure": measure,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "peer_name": peer_name,
        "ratio": round(ours / peer, 3),
        "goal": None if goal is None else f"< {goal:g} ms",
        "met": None if goal is None else ours < goal,
    }


async def start_rows(passes: int) -> list[Row]:
    hellos, kills, firsts = [], [], []
    for _ in range(passes):
        hello, kill = await hello_and_kill()
        hellos.append((hello, bare_start()))
        kills.append((kill, bare_kill()))
        firsts.append((await first_call(), bare_start()))
    start_peer = "python -I -c pass, start to exit"
    return [
        row("spawn to hello, ms", hellos, start_peer, 100),
        row("first call (spawn, load, run), ms", firsts, start_peer),
        row("kill to gone, ms", kills, "kill and wait", 20),
    ]


async def call_rows(passes: int, rounds: int) -> list[Row]:
    small, large = [], []
    text = "x" * LARGE_BYTES
    async with ping_host() as (host, found):
        with bare_pong(SMALL_BYTES) as bare_small, bare_pong(LARGE_BYTES) as bare_large:
            await calls(host, found, 1, rounds)
            for _ in range(passes):
                small.append((await calls(host, found, 1, rounds), bare_small(rounds)))
                large.append((await calls(host, found, text, 5), bare_large(5)))
    peer = "bare socket pair, blocking"
    return [
        row("call round trip, small value, ms", small, peer, 0.3),
        row("call round trip, 1 MiB of text, ms", large, peer),
    ]


async def measure(passes: int, rounds: int) -> list[Row]:
    return [*await start_rows(passes), *await call_rows(passes, rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--calls", type=int, default=500, help="round trips a pass")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.passes, options.calls))
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for each in rows:
        goal = f"{each['goal']}: {'met' if each['met'] else 'NOT MET'}" if each["goal"] else ""
        print(
            f"{each['measure']:36} {each['ours']:>9} {each['peer']:>9} ({each['peer_name']})"
            f"  x{each['ratio']}  {goal}"
        )


if __name__ == "__main__":
    main()
