"""A soak of the bus: ten minutes at half of what it can do, run by hand.

    python bench/soak/bus.py [--minutes 10] [--share 0.5]

First measures how many messages a second one publisher gets to one subscriber, unpinned; then keeps
to the share of it, beside one request at a time. Prints, for each half minute, the rate, the time
from `publish` to the callback and the round trip (p50, p99, in milliseconds), and the resident
memory of each process (MiB).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from struct import Struct

from symphony.commons.loops import run
from symphony.ipc import Endpoint, Message, connect, open_broker

MEASURE_S = 3.0
WINDOW_S = 30.0
TICK_S = 0.002
STAMP = Struct("<d120x")
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def address(folder: str) -> str:
    return f"unix:{folder}/bus.sock"


async def broker(folder: str) -> None:
    async with open_broker([address(folder)]):
        print("ready", flush=True)
        await asyncio.Event().wait()


async def responder(folder: str) -> None:
    async with connect(address(folder)) as opened, opened.serve("echo", lambda call: call.body):
        await asyncio.Event().wait()


async def publisher(folder: str, rate: float) -> None:
    """As many as there is credit for, or `rate` a second if that is not 0."""
    async with connect(address(folder)) as opened:
        begun, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - begun) * rate) - sent if rate else 1000
            for _ in range(due):
                await opened.publish("soak.message", STAMP.pack(time.monotonic()))
            sent += due
            await asyncio.sleep(TICK_S if rate else 0)


class Figures:
    """What has come since the figures were taken last."""

    def __init__(self) -> None:
        self.messages = 0
        self.delays: list[float] = []
        self.trips: list[float] = []

    def clear(self) -> None:
        self.messages = 0
        self.delays.clear()
        self.trips.clear()

    def take(self, message: Message) -> None:
        self.messages += 1
        if self.messages % 64 == 0:
            self.delays.append(time.monotonic() - STAMP.unpack(message.body)[0])

    async def ask(self, opened: Endpoint) -> None:
        while True:
            begun = time.monotonic()
            await opened.request("echo", bytes(128))
            self.trips.append(time.monotonic() - begun)
            await asyncio.sleep(TICK_S)

    def __str__(self) -> str:
        return f"deliver {_quantiles(self.delays)}  request {_quantiles(self.trips)}"


def _quantiles(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    return f"p50 {p50:.2f} p99 {p99:.2f}"


def start(role: str, folder: str, *more: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, role, folder, *map(str, more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def measured_rate(folder: str) -> float:
    figures = Figures()
    async with connect(address(folder)) as opened, opened.subscribe("soak.*", figures.take):
        process = start("publisher", folder, 0)
        await asyncio.sleep(1.0)
        before = figures.messages
        await asyncio.sleep(MEASURE_S)
        rate = (figures.messages - before) / MEASURE_S
        process.kill()
        process.wait()
    return rate


async def soak(folder: str, minutes: float, rate: float, pids: dict[str, int]) -> None:
    process = start("publisher", folder, rate)
    pids |= {"publisher": process.pid, "subscriber": os.getpid()}
    figures = Figures()
    async with connect(address(folder)) as opened, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(figures.ask(opened))
        async with opened.subscribe("soak.*", figures.take):
            for _ in range(max(1, int(minutes * 60 / WINDOW_S))):
                await asyncio.sleep(WINDOW_S)
                print(
                    f"{figures.messages / WINDOW_S:,.0f}/s  {figures}  {_memory(pids)}", flush=True
                )
                figures.clear()
        asking.cancel()
    process.kill()
    process.wait()


def _memory(pids: dict[str, int]) -> str:
    resident = {
        name: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MIB
        for name, pid in pids.items()
    }
    return "  ".join(f"{name} {size:.1f}" for name, size in resident.items())


def main(minutes: float, share: float) -> None:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        brokering = start("broker", folder)
        assert brokering.stdout is not None
        brokering.stdout.readline()
        answering = start("responder", folder)
        try:
            rate = run(measured_rate(folder))
            print(f"{rate:,.0f} messages/s; keeping to {rate * share:,.0f}", flush=True)
            pids = {"broker": brokering.pid, "responder": answering.pid}
            run(soak(folder, minutes, rate * share, pids))
        finally:
            answering.kill()
            brokering.kill()


if __name__ == "__main__":
    roles = {"broker": broker, "responder": responder}
    if sys.argv[1:2] and sys.argv[1] in roles:
        run(roles[sys.argv[1]](sys.argv[2]))
    elif sys.argv[1:2] == ["publisher"]:
        run(publisher(sys.argv[2], float(sys.argv[3])))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--minutes", type=float, default=10.0)
        parser.add_argument("--share", type=float, default=0.5)
        options = parser.parse_args()
        main(options.minutes, options.share)
