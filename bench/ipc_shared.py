"""From which size on a payload is quicker handed over as shared memory than sent inline.

    python bench/ipc_shared.py [--json] [--passes 7] [--rounds 60]

Three processes, as with the bus: a sender, a hop in the middle that passes on what it gets without
looking into it, a receiver that answers with a byte once it has the whole payload as one
bytes-like object. Inline, the payload goes through two socket pairs; shared, a sealed copy is made
for every message, and a descriptor of it goes through two side channels, beside a frame as small
as a handle's. Times are milliseconds a message, one at a time, medians over the passes, in which
the two ways take turns. With uvloop where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import time
from collections.abc import Callable, Coroutine
from struct import Struct as Layout
from typing import cast

from symphony.ipc.transport._adopt import adopt_socket
from symphony.ipc.transport._shared import map_block, share
from symphony.ipc.transport._side import SideChannel

Row = dict[str, str | float | bool | None]
Handler = Callable[[int, bytes], None]

SIZES = [
    kib * 1024 for kib in (4, 16, 32, 64, 128, 160, 192, 208, 224, 256, 512, 1024, 4096, 16 * 1024)
]
#: Length of the whole, ticket (0: the payload is inline); as many bytes as a frame's header.
HEADER = Layout("<QQI")


class Frames(asyncio.Protocol):
    """Cuts the stream into messages, as the bus does."""

    def __init__(self, end: End, handle: Handler) -> None:
        self._end = end
        self._handle = handle
        self._parts: list[bytes] = []
        self._missing = 0
        self._ticket = 0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._end.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._missing, self._ticket, _ = HEADER.unpack_from(data)
        self._parts.append(data)
        self._missing -= len(data)
        if not self._missing:
            whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._handle(self._ticket, whole)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


class End:
    """A connection and its side channel."""

    transport: asyncio.Transport

    def __init__(self, stream: socket.socket, packets: socket.socket) -> None:
        self._stream = stream
        self.side = SideChannel(packets)

    async def open(self, handle: Handler) -> None:
        _, self.frames = await adopt_socket(self._stream, lambda: Frames(self, handle))


Pair = tuple[tuple[socket.socket, socket.socket], tuple[socket.socket, socket.socket]]


def pair() -> Pair:
    streams = socket.socketpair()
    packets = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return (streams[0], packets[0]), (streams[1], packets[1])


async def hop(left: End, right: End) -> None:
    def pass_on(ticket: int, message: bytes) -> None:
        if ticket:
            with left.side.take(ticket) as block:
                right.side.send(ticket, block)
        right.transport.write(message)

    await right.open(lambda _, message: left.transport.write(message))
    await left.open(pass_on)
    await left.frames.ended


async def receiver(end: End) -> None:
    answer = HEADER.pack(HEADER.size, 0, 0)

    def take(ticket: int, message: bytes) -> None:
        if ticket:
            with end.side.take(ticket) as block:
                payload = map_block(block)
        else:
            payload = memoryview(message)[HEADER.size :]
        if payload[-1] != 1:
            raise SystemExit("the payload did not arrive whole")
        end.transport.write(answer)

    await end.open(take)
    await end.frames.ended


class Sender:
    def __init__(self, end: End) -> None:
        self._end = end
        self._answered = asyncio.Event()
        self._ticket = 0

    async def open(self) -> None:
        await self._end.open(lambda _ticket, _message: self._answered.set())

    async def inline(self, payload: bytes) -> None:
        header = HEADER.pack(HEADER.size + len(payload), 0, 0)
        self._answered.clear()
        self._end.transport.write(b"".join((header, payload)))
        await self._answered.wait()

    async def shared(self, payload: bytes) -> None:
        self._ticket += 1
        self._answered.clear()
        with share(payload) as block:
            self._end.side.send(self._ticket, block)
        self._end.transport.write(HEADER.pack(HEADER.size, self._ticket, 0))
        await self._answered.wait()

    def close(self) -> None:
        self._end.transport.close()


async def timed(
    send: Callable[[bytes], Coroutine[None, None, None]], payload: bytes, rounds: int
) -> float:
    await send(payload)
    start = time.perf_counter()
    for _ in range(rounds):
        await send(payload)
    return (time.perf_counter() - start) * 1000 / rounds


async def measure(end: End, passes: int, rounds: int) -> dict[int, tuple[float, float]]:
    """Shared and inline, by size."""
    sender = Sender(end)
    await sender.open()
    medians = {}
    for size in SIZES:
        payload = b"\x01" * size
        turns = max(4, min(rounds, rounds * 1024 * 1024 // size))
        shared, inline = [], []
        for _ in range(passes):
            shared.append(await timed(sender.shared, payload, turns))
            inline.append(await timed(sender.inline, payload, turns))
        medians[size] = statistics.median(shared), statistics.median(inline)
    sender.close()
    return medians


def run(main: Coroutine[None, None, object]) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def in_child(main: Callable[[], Coroutine[None, None, object]], keep: set[socket.socket]) -> int:
    """Fork a process that keeps the sockets of its own alone: the others' ends must end."""
    child = os.fork()
    if child == 0:
        for sock in ALL - keep:
            sock.close()
        run(main())
        os._exit(0)
    return child


ALL: set[socket.socket] = set()


def measured(passes: int, rounds: int) -> dict[int, tuple[float, float]]:
    (ours, near), (far, theirs) = pair(), pair()
    ALL.update(ours, near, far, theirs)
    children = [
        in_child(lambda: hop(End(*near), End(*far)), {*near, *far}),
        in_child(lambda: receiver(End(*theirs)), set(theirs)),
    ]
    for sock in ALL - set(ours):
        sock.close()
    medians: dict[int, tuple[float, float]] = {}

    async def main() -> None:
        medians.update(await measure(End(*ours), passes, rounds))

    run(main())
    for child in children:
        os.waitpid(child, 0)
    return medians


def rows(passes: int = 7, rounds: int = 60) -> list[Row]:
    medians = measured(passes, rounds)
    slower = [size for size, (shared, inline) in medians.items() if shared > inline]
    crossover = next((size for size in SIZES if size > max(slower, default=0)), None)
    found: list[Row] = [
        {
            "measure": f"{size // 1024} KiB through one hop, shared, ms",
            "ours": round(shared, 4),
            "peer": round(inline, 4),
            "peer_name": "inline",
            "ratio": round(shared / inline, 3),
            "goal": None,
            "met": None,
        }
        for size, (shared, inline) in medians.items()
    ]
    found.append(
        {
            "measure": "shared is quicker from, KiB",
            "ours": None if crossover is None else crossover // 1024,
            "peer": None,
            "peer_name": None,
            "ratio": None,
            "goal": None,
            "met": None,
        }
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=60, help="messages a pass")
    options = parser.parse_args()
    found = rows(options.passes, options.rounds)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for each in found:
        print(f"{each['measure']:44} {each['ours']!s:>9} {each['peer']!s:>9}  x{each['ratio']}")


if __name__ == "__main__":
    main()
