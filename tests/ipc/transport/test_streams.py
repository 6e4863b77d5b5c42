from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from symphony.ipc import (
    BadFrame,
    Channel,
    ChannelClosed,
    Frame,
    FrameTooLarge,
    Kind,
    encode,
    open_channel,
)

BIG = Frame(Kind.REQ, 1, "artifact.write", b"x" * (5 * 1024 * 1024))


@asynccontextmanager
async def pair(max_frame: int = 16 * 1024 * 1024) -> AsyncIterator[tuple[Channel, Channel]]:
    left, right = socket.socketpair()
    async with open_channel(left, max_frame) as ours, open_channel(right, max_frame) as theirs:
        yield ours, theirs


def with_raw_end(check: Callable[[Channel, socket.socket], Awaitable[None]]) -> None:
    """Run `check` with a channel and the bare socket at its other end."""

    async def main() -> None:
        left, right = socket.socketpair()
        right.setblocking(False)
        with right:
            async with open_channel(left) as channel:
                await check(channel, right)

    asyncio.run(main())


def test_frames_arrive_in_order_both_ways() -> None:
    async def main() -> None:
        sent = [Frame(Kind.PUB, number, "log", b"x" * number) for number in range(200)]
        async with pair() as (ours, theirs):
            for frame in sent:
                await ours.send(frame)
                await theirs.send(frame)
            assert [await ours.receive() for _ in sent] == sent
            assert [await theirs.receive() for _ in sent] == sent

    asyncio.run(main())


def test_a_large_frame_arrives_whole() -> None:
    async def main() -> None:
        async with pair() as (ours, theirs):
            sending = asyncio.create_task(ours.send(BIG))
            assert await theirs.receive() == BIG
            await sending

    asyncio.run(main())


def test_a_cancelled_receive_loses_nothing() -> None:
    async def check(channel: Channel, other: socket.socket) -> None:
        data = encode(Frame(Kind.REP, 7, body=b"whole"))
        loop = asyncio.get_running_loop()
        for part in (data[:10], data[10:22]):
            receiving = asyncio.create_task(channel.receive())
            await asyncio.sleep(0)
            await loop.sock_sendall(other, part)
            receiving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await receiving
        await loop.sock_sendall(other, data[22:])
        assert await channel.receive() == Frame(Kind.REP, 7, body=b"whole")

    with_raw_end(check)


def test_a_cancelled_send_still_sends_the_whole_frame() -> None:
    async def main() -> None:
        async with pair() as (ours, theirs):
            sending = asyncio.create_task(ours.send(BIG))
            await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            following = asyncio.create_task(ours.send(Frame(Kind.CANCEL, 1)))
            assert await theirs.receive() == BIG
            assert await theirs.receive() == Frame(Kind.CANCEL, 1)
            await following

    asyncio.run(main())


def test_a_sender_is_held_back_while_nobody_receives() -> None:
    async def check(channel: Channel, other: socket.socket) -> None:
        frame = encode(Frame(Kind.PUB, body=b"x" * 1000))
        flood = asyncio.get_running_loop().sock_sendall(other, frame * 5000)
        flooding = asyncio.ensure_future(flood)
        await asyncio.wait([flooding], timeout=0.1)
        assert not flooding.done()
        for _ in range(5000):
            assert (await channel.receive()).body == b"x" * 1000
        await flooding

    with_raw_end(check)


def test_the_end_of_the_stream_closes_the_channel() -> None:
    async def check(channel: Channel, other: socket.socket) -> None:
        other.send(b"\x20\0\0\0")
        other.close()
        with pytest.raises(ChannelClosed) as caught:
            await channel.receive()
        assert caught.value.unfinished == 4
        with pytest.raises(ChannelClosed):
            await channel.send(BIG)

    with_raw_end(check)


def test_garbage_is_refused() -> None:
    async def check(channel: Channel, other: socket.socket) -> None:
        other.send(b"\x40\0\0\0 this is no frame at all")
        with pytest.raises(BadFrame):
            await channel.receive()

    with_raw_end(check)


def test_a_frame_over_the_limit_is_refused_with_nothing_sent() -> None:
    async def main() -> None:
        async with pair(max_frame=100) as (ours, theirs):
            with pytest.raises(FrameTooLarge):
                await ours.send(Frame(Kind.PUB, body=b"x" * 81))
            await ours.send(Frame(Kind.BYE))
            assert await theirs.receive() == Frame(Kind.BYE)

    asyncio.run(main())


def test_leaving_the_block_closes_the_socket_though_data_is_unsent() -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        with right:
            async with open_channel(left) as channel:
                sending = asyncio.create_task(channel.send(BIG))
                await asyncio.sleep(0)
            await sending
            assert left.fileno() == -1

    asyncio.run(main())


def test_the_room_is_imported_without_asyncio() -> None:
    program = "import sys, symphony.ipc, symphony.sdk; print('asyncio' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
