from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest

from symphony.ipc import BlockingChannel, ChannelClosed, Frame, FrameTooLarge, Kind, encode


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        left, right = socket.socketpair()
        yield stack.enter_context(left), stack.enter_context(right)


Ends = tuple[socket.socket, socket.socket]


def test_frames_arrive_in_order(ends: Ends) -> None:
    ours, theirs = (BlockingChannel(end.fileno()) for end in ends)
    sent = [Frame(Kind.PUB, number, "log", b"x" * number) for number in range(100)]
    for frame in sent:
        ours.send(frame)
    assert [theirs.receive() for _ in sent] == sent


def test_threads_that_send_at_once_do_not_mix_their_frames(ends: Ends) -> None:
    ours, theirs = (BlockingChannel(end.fileno()) for end in ends)

    def send_many(number: int) -> None:
        for _ in range(20):
            ours.send(Frame(Kind.PUB, number, body=bytes([number]) * 50_000))

    threads = [Thread(target=send_many, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    received = [theirs.receive() for _ in range(80)]
    for thread in threads:
        thread.join()
    assert Counter(frame.correlation for frame in received) == dict.fromkeys(range(4), 20)
    assert all(frame.body == bytes([frame.correlation]) * 50_000 for frame in received)


def test_a_frame_over_the_limit_is_refused_with_nothing_written(ends: Ends) -> None:
    ours, theirs = BlockingChannel(ends[0].fileno(), max_frame=100), ends[1]
    with pytest.raises(FrameTooLarge):
        ours.send(Frame(Kind.PUB, body=b"x" * 81))
    ours.send(Frame(Kind.PUB, body=b"x" * 80))
    assert len(theirs.recv(1000)) == 100


def test_the_end_of_the_stream_closes_the_channel(ends: Ends) -> None:
    ours, theirs = BlockingChannel(ends[0].fileno()), ends[1]
    theirs.sendall(encode(Frame(Kind.REP, 1)) + b"\x20\0\0")
    theirs.close()
    assert ours.receive() == Frame(Kind.REP, 1)
    with pytest.raises(ChannelClosed) as caught:
        ours.receive()
    assert caught.value.unfinished == 3
    assert "in the middle of a frame" in caught.value.message


def test_sending_to_nobody_closes_the_channel(ends: Ends) -> None:
    ours = BlockingChannel(ends[0].fileno())
    ends[1].close()
    with pytest.raises(ChannelClosed):
        ours.send(Frame(Kind.PUB))


def test_receiving_from_a_closed_descriptor_closes_the_channel() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(ChannelClosed):
        BlockingChannel(reading).receive()


def test_an_abandoned_channel_sends_nothing_more() -> None:
    ours, theirs = socket.socketpair()
    channel = BlockingChannel(ours.detach())
    channel.abandon()
    with pytest.raises(ChannelClosed):
        channel.send(Frame(Kind.PUB))
    assert theirs.recv(10) == b""
    theirs.close()
