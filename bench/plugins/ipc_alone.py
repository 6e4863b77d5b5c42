"""Our bus measured by itself, for checkouts without the harness of the peers.

    python bench/plugins/ipc_alone.py w1|w2|w3|w4|scale [--pin 0] [--window 4096] [--seconds 1]

Prints one JSON object as the harness does. Each role is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from symphony.commons.loops import run
from symphony.ipc import Endpoint, Message, connect, open_broker

ECHO, TOPIC = "bench.echo", "bench.topic"
OUTSTANDING, SUBSCRIBERS = 64, 16
ENDPOINTS, SUBSCRIPTIONS = 200, 10
WARM_UP_S = 0.3


async def broker(folder: str) -> None:
    async with open_broker([address(folder)]):
        ready()
        await asyncio.Event().wait()


async def echo(folder: str) -> None:
    async with (
        connect(address(folder)) as endpoint,
        endpoint.serve(ECHO, lambda request: request.body),
    ):
        ready()
        await asyncio.Event().wait()


async def crowd(folder: str) -> None:
    """Endpoints that do nothing but be there, with their subscriptions."""
    async with AsyncExitStack() as stack:
        for number in range(ENDPOINTS):
            endpoint = await stack.enter_async_context(connect(address(folder)))
            for topic in range(SUBSCRIPTIONS):
                pattern = f"crowd.{number}.{topic}" if topic % 2 else f"crowd.{number}.*.t{topic}.#"
                await stack.enter_async_context(endpoint.subscribe(pattern, _ignore))
        ready()
        await asyncio.Event().wait()


async def count(folder: str, seconds: float) -> None:
    """A subscriber: how many came, in the seconds after the first."""
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    received = 0

    def take(_: Message) -> None:
        nonlocal received
        received += 1
        if not first.done():
            first.set_result(None)

    async with connect(address(folder)) as endpoint, endpoint.subscribe("bench.*", take):
        ready()
        await first
        await asyncio.sleep(WARM_UP_S)
        before, begun = received, time.perf_counter()
        await asyncio.sleep(seconds)
        print(json.dumps((received - before) / (time.perf_counter() - begun)), flush=True)


async def publish(folder: str, payload: bytes) -> None:
    async with connect(address(folder)) as endpoint:
        while True:
            await endpoint.publish(TOPIC, payload)


async def round_trips(folder: str, seconds: float, payload: bytes) -> dict[str, float]:
    """One at a time."""
    async with connect(address(folder)) as endpoint:
        await _ask_for(endpoint, WARM_UP_S, payload)
        took = sorted(await _ask_for(endpoint, seconds, payload))
    return {"p50": statistics.median(took), "p99": took[int(len(took) * 0.99)], "n": len(took)}


async def _ask_for(endpoint: Endpoint, seconds: float, payload: bytes) -> list[float]:
    took = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        await endpoint.request(ECHO, payload)
        took.append((time.perf_counter() - begun) * 1e6)
    return took


async def many_at_a_time(folder: str, seconds: float, payload: bytes) -> float:
    answered = 0

    async def ask(endpoint: Endpoint) -> None:
        nonlocal answered
        while True:
            await endpoint.request(ECHO, payload)
            answered += 1

    async with connect(address(folder)) as endpoint:
        askers = [asyncio.ensure_future(ask(endpoint)) for _ in range(OUTSTANDING)]
        await asyncio.sleep(WARM_UP_S)
        before, begun = answered, time.perf_counter()
        await asyncio.sleep(seconds)
        rate = (answered - before) / (time.perf_counter() - begun)
        for asker in askers:
            asker.cancel()
        await asyncio.gather(*askers, return_exceptions=True)
    return rate


def _ignore(_: Message) -> None: ...


def address(folder: str) -> str:
    return f"unix:{folder}/bus.sock"


def ready() -> None:
    print("ready", flush=True)


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """One of the roles, once it is ready."""
    command = [sys.executable, __file__, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            yield child
        finally:
            child.kill()


def answers(options: argparse.Namespace, folder: str) -> dict[str, object]:
    payload = bytes(options.size)
    with process("broker", folder), process("echo", folder):
        if options.workload == "w1":
            return dict(run(round_trips(folder, options.seconds, payload)))
        return {"rate": run(many_at_a_time(folder, options.seconds, payload))}


def deliveries(options: argparse.Namespace, folder: str) -> dict[str, object]:
    """How far the publisher may run ahead is the bus's own credit, whatever `--window` says."""
    many = SUBSCRIBERS if options.workload == "w4" else 1
    with process("broker", folder), _processes(many, "count", folder, options.seconds) as counters:
        command = [sys.executable, __file__, "publish", folder, "--size", str(options.size)]
        with subprocess.Popen(command) as publisher:
            rates = [
                json.loads(str(counter.stdout and counter.stdout.readline()))
                for counter in counters
            ]
            publisher.kill()
    return {"rate": sum(rates)}


@contextmanager
def _processes(many: int, *arguments: object) -> Iterator[list[subprocess.Popen[str]]]:
    if not many:
        yield []
        return
    with process(*arguments) as first, _processes(many - 1, *arguments) as rest:
        yield [first, *rest]


def scale(options: argparse.Namespace, folder: str) -> dict[str, object]:
    payload = bytes(options.size)
    with process("broker", folder), process("echo", folder):
        empty = run(round_trips(folder, options.seconds, payload))
        with process("crowd", folder):
            crowded = run(round_trips(folder, options.seconds, payload))
    return {"empty": empty["p50"], "crowded": crowded["p50"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--pin", type=int)
    parser.add_argument("--window")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    if options.pin is not None:
        os.sched_setaffinity(0, {options.pin})
    roles = {"broker": broker, "echo": echo, "crowd": crowd}
    if options.workload in roles:
        run(roles[options.workload](*options.rest))
    elif options.workload == "count":
        run(count(options.rest[0], float(options.rest[1])))
    elif options.workload == "publish":
        run(publish(options.rest[0], bytes(options.size)))
    else:
        measures = {"scale": scale, "w3": deliveries, "w4": deliveries}
        with tempfile.TemporaryDirectory(prefix="bus-") as folder:
            found = measures.get(options.workload, answers)(options, str(Path(folder)))
        print(json.dumps({"peer": "ours", **found}))


if __name__ == "__main__":
    main()
