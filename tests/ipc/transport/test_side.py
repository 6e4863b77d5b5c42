from __future__ import annotations

import array
import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from symphony.ipc.transport import _side
from symphony.ipc.transport._address import UnixAddress
from symphony.ipc.transport._errors import (
    AddressInUse,
    BadHandle,
    ConnectionNotPermitted,
    TransportUnavailable,
    Unreachable,
)
from symphony.ipc.transport._shared import SHARED_MEMORY, map_block, share
from symphony.ipc.transport._side import (
    MAX_STRANGERS,
    MAX_UNTAKEN,
    PACKET,
    SideChannel,
    dial_side,
    listen_side,
)

pytestmark = pytest.mark.skipif(not SHARED_MEMORY, reason="no memory that can be sealed")

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


@contextmanager
def channels() -> Iterator[tuple[SideChannel, SideChannel]]:
    left, right = (SideChannel(end) for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
    yield left, right
    left.close()
    right.close()


@contextmanager
def hostile() -> Iterator[tuple[socket.socket, SideChannel]]:
    left, right = socket.socketpair(type=socket.SOCK_SEQPACKET)
    channel = SideChannel(right)
    with left:
        yield left, channel
    channel.close()


def packet(
    ticket: int, count: int, size: int = 1
) -> tuple[list[bytes], list[tuple[int, int, array.array[int]]]]:
    descriptors = array.array("i", [0] * count)
    return [PACKET.pack(ticket, size)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]


@pytest.mark.slow
def test_ten_thousand_blocks_leave_no_descriptor(count_descriptors: Callable[[], int]) -> None:
    before = count_descriptors()
    with channels() as (left, right):
        for ticket in range(10_000):
            with share(b"%d" % ticket) as block:
                assert left.send(ticket, block)
            with right.take(ticket) as taken:
                assert map_block(taken) == b"%d" % ticket
    assert count_descriptors() == before


def test_blocks_are_taken_in_any_order_and_are_not_inherited() -> None:
    with channels() as (left, right):
        for ticket in (3, 1, 2):
            with share(b"%d" % ticket) as block:
                left.send(ticket, block)
        for ticket in (1, 2, 3):
            with right.take(ticket) as taken:
                assert bytes(map_block(taken)) == b"%d" % ticket
                assert not os.get_inheritable(taken.fileno())


def test_a_block_can_be_passed_on(count_descriptors: Callable[[], int]) -> None:
    before = count_descriptors()
    with channels() as (sender, hop_in), channels() as (hop_out, receiver):
        with share(b"x" * 5000) as block:
            sender.send(1, block)
        with hop_in.take(1) as block:
            hop_out.send(9, block)
        with receiver.take(9) as block:
            assert block.size == 5000
            assert bytes(map_block(block)) == b"x" * 5000
    assert count_descriptors() == before


def test_what_did_not_come_is_said_and_the_channel_lives() -> None:
    with channels() as (left, right):
        with pytest.raises(BadHandle, match="ticket 7"):
            right.take(7)
        with share(b"x") as block:
            left.send(8, block)
        right.take(8).close()
        with pytest.raises(BadHandle, match="ticket 8"):
            right.take(8)


def test_a_sender_that_is_gone_leaves_what_it_sent(count_descriptors: Callable[[], int]) -> None:
    before = count_descriptors()
    with channels() as (left, right):
        for ticket in range(3):
            with share(b"x") as block:
                left.send(ticket, block)
        left.close()
        right.take(1).close()
        with pytest.raises(BadHandle, match="no descriptor came"):
            right.take(99)
    assert count_descriptors() == before


def test_a_receiver_that_is_gone_means_inline() -> None:
    with channels() as (left, right), share(b"x") as block:
        right.close()
        with pytest.raises(TransportUnavailable, match="broken pipe") as caught:
            left.send(1, block)
        assert "inline" in caught.value.hint


@pytest.mark.parametrize(
    ("packets", "fault"),
    [
        ([packet(1, 0)], "0 descriptors"),
        ([packet(1, 2)], "2 descriptors"),
        ([packet(1, 100)], "descriptors"),
        ([packet(1, 1), packet(1, 1)], "twice"),
        ([([b"short"], packet(1, 1)[1])], "5 bytes"),
        ([([b"x" * 100], packet(1, 1)[1])], "17 bytes"),
        ([packet(ticket, 1) for ticket in range(MAX_UNTAKEN + 1)], f"more than {MAX_UNTAKEN}"),
    ],
)
def test_hostile_packets_end_the_channel_and_leave_nothing(
    packets: list[tuple[list[bytes], list[tuple[int, int, array.array[int]]]]],
    fault: str,
    count_descriptors: Callable[[], int],
) -> None:
    before = count_descriptors()
    with hostile() as (enemy, channel):
        for data, ancillary in packets:
            enemy.sendmsg(data, ancillary)
        with pytest.raises(BadHandle, match=fault):
            channel.take(10**6)
        with pytest.raises(BrokenPipeError):
            enemy.sendmsg([b"x"])
        with pytest.raises(BadHandle, match="no descriptor came"):
            channel.take(1)
    assert count_descriptors() == before


def test_a_full_socket_is_said_and_so_is_room(
    run: Run, count_descriptors: Callable[[], int]
) -> None:
    async def main() -> None:
        room = asyncio.Event()
        before = count_descriptors()
        near, far = socket.socketpair(type=socket.SOCK_SEQPACKET)
        left, right = SideChannel(near, on_room=room.set), SideChannel(far)
        with share(b"x") as block:
            sent = 0
            while left.send(sent, block):
                sent += 1
            assert not left.send(sent, block)
            assert not room.is_set()
            for ticket in range(sent):
                right.take(ticket).close()
            await room.wait()
            assert left.send(sent, block)
            right.take(sent).close()
            while left.send(sent, block):
                sent += 1
        left.close()
        right.close()
        await asyncio.sleep(0)
        assert count_descriptors() == before

    run(main())


SENDER = """
import os, signal, socket, sys
from symphony.ipc.transport._shared import share
from symphony.ipc.transport._side import SideChannel
channel = SideChannel(socket.socket(fileno=int(sys.argv[1])))
channel.send(1, share(b"sent before the end"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sender_killed_half_way_takes_nothing_along(
    count_descriptors: Callable[[], int],
) -> None:
    before = count_descriptors()
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-c", SENDER, str(theirs.fileno())]
        result = subprocess.run(command, pass_fds=[theirs.fileno()], check=False)
        assert result.returncode == -signal.SIGKILL
    channel = SideChannel(ours)
    with channel.take(1) as block:
        view = map_block(block)
    with pytest.raises(BadHandle):
        channel.take(2)
    channel.close()
    assert bytes(view) == b"sent before the end"
    del view
    assert count_descriptors() == before


class Admission:
    """Takes each ticket that was given out once."""

    def __init__(self, *tickets: str) -> None:
        self.open = set(tickets)
        self.channels: dict[str, SideChannel] = {}

    def __call__(self, ticket: str, channel: SideChannel) -> bool:
        if ticket not in self.open:
            return False
        self.open.remove(ticket)
        self.channels[ticket] = channel
        return True

    def close(self) -> None:
        for channel in self.channels.values():
            channel.close()


@pytest.fixture
def address(tmp_path: Path) -> UnixAddress:
    return UnixAddress(tmp_path / "side.sock")


def test_a_ticket_admits_once(
    address: UnixAddress, run: Run, count_descriptors: Callable[[], int]
) -> None:
    async def main() -> None:
        admission = Admission("secret")
        async with listen_side(address, admission):
            before = count_descriptors()
            ours = await dial_side(address, "secret")
            for ticket in ("secret", "guess"):
                with pytest.raises(ConnectionNotPermitted, match="ticket"):
                    await dial_side(address, ticket)
            theirs = admission.channels["secret"]
            with share(b"there") as block:
                ours.send(1, block)
                theirs.send(2, block)
            theirs.take(1).close()
            ours.take(2).close()
            ours.close()
            admission.close()
            assert count_descriptors() == before
        with pytest.raises(Unreachable):
            await dial_side(address, "secret")

    run(main())
    assert not address.path.exists()


def test_what_says_no_ticket_is_cut_off(
    address: UnixAddress, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_side, "STRANGER_S", 0.01)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with listen_side(address, Admission()):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
                silent.setblocking(False)
                await loop.sock_connect(silent, str(address.path))
                assert await loop.sock_recv(silent, 1) == b""
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as garbled:
                garbled.setblocking(False)
                await loop.sock_connect(garbled, str(address.path))
                garbled.send(b"\xff\xfe")
                assert await loop.sock_recv(garbled, 1) == b""

    run(main())


def test_a_crowd_of_strangers_does_not_keep_the_known_out_for_ever(
    address: UnixAddress,
    run: Run,
    count_descriptors: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_side, "STRANGER_S", 1000.0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        admission = Admission("secret")
        before = count_descriptors()
        async with listen_side(address, admission):
            crowd = []
            for _ in range(MAX_STRANGERS + 1):
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                sock.setblocking(False)
                sock.connect(str(address.path))
                crowd.append(sock)
            with crowd.pop() as one_too_many, crowd.pop():
                assert await loop.sock_recv(one_too_many, 1) == b""
            (await dial_side(address, "secret")).close()
            admission.close()
        for sock in crowd:
            assert await loop.sock_recv(sock, 1) == b""
            sock.close()
        await asyncio.sleep(0)
        assert count_descriptors() <= before + 1  # what the loop keeps for itself

    run(main())


def test_a_cancelled_dial_leaves_nothing(
    address: UnixAddress, run: Run, count_descriptors: Callable[[], int]
) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.bind(str(address.path))
            silent.listen()
            before = count_descriptors()
            dialling = asyncio.create_task(dial_side(address, "secret"))
            for _ in range(5):
                await asyncio.sleep(0)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            assert count_descriptors() == before

    run(main())


def test_a_live_side_door_is_not_taken_over(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        async with listen_side(address, Admission("secret")):
            with pytest.raises(AddressInUse):
                async with listen_side(address, Admission()):
                    pass

    run(main())
