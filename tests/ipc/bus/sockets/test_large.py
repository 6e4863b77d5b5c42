"""Large payloads: over the side channel while it lives, inline when it does not, in the time that
they have."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from tests.ipc.bus.sockets.party import Run, count_descriptors, until

from symphony.ipc import (
    BusConfig,
    FrameTooLarge,
    Request,
    SharedBlock,
    SideChannel,
    TransportUnavailable,
    UnixAddress,
    connect,
    open_broker,
    share,
)
from symphony.ipc.transport._unix import connect_unix

#: A bus on which little may be shared, and less fits into a frame.
FRAME, SHARED = 300_000, 1_000_000
LITTLE = BusConfig(max_frame_bytes=FRAME, max_shared_bytes=SHARED)


@pytest.fixture
def side_sockets(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets of the side channels, in the order in which they are connected."""
    sockets: list[socket.socket] = []

    async def noted(
        address: UnixAddress, kind: socket.SocketKind, users: frozenset[int] | None
    ) -> socket.socket:
        sockets.append(await connect_unix(address, kind, users))
        return sockets[-1]

    monkeypatch.setattr("symphony.ipc.transport._side.connect_unix", noted)
    return sockets


@pytest.mark.parametrize("size", [1, 250_000, 800_000], ids=["inline", "either", "shared"])
def test_waiting_for_its_turn_is_part_of_the_time_that_a_request_has(
    size: int, address: str, run: Run
) -> None:
    async def main() -> None:
        release = asyncio.Event()
        left: list[float] = []

        async def answer(request: Request) -> bytes:
            left.append(request.deadline_s)
            await release.wait()
            return b""

        config = BusConfig(max_requests=1)
        async with (
            open_broker([address], config) as broker,
            connect(address, name="one") as one,
            connect(address, name="two") as two,
            one.serve("a", answer),
        ):
            first = asyncio.create_task(two.request("a", timeout_s=0))
            await until(lambda: broker.stats().requests == 1)
            begun = asyncio.get_running_loop().time()
            second = asyncio.create_task(two.request("a", bytes(size), timeout_s=30))
            await until(lambda: asyncio.get_running_loop().time() > begun + 0.002)
            release.set()
            await first
            await second
        assert left[0] == 0
        assert 0 < left[1] <= 30  # of a request that has not waited it says a millisecond more

    run(main())


def test_what_is_larger_than_may_be_shared_is_refused_at_its_sender(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address], LITTLE) as broker,
            connect(address, name="one") as one,
            connect(address, name="two", reconnect=None) as two,
            one.subscribe("news") as news,
            two.serve("size", lambda request: bytes(int(request.body))),
            one.serve("length", lambda request: str(len(request.view)).encode()),
        ):
            with pytest.raises(FrameTooLarge) as caught:
                await two.publish("news", bytes(SHARED + 1))
            assert caught.value.limit == SHARED
            with pytest.raises(FrameTooLarge):
                await two.request("length", bytes(SHARED + 1))
            with pytest.raises(FrameTooLarge) as caught:
                await one.request("size", str(SHARED + 1).encode())
            assert caught.value.limit == SHARED

            await two.publish("news", bytes(SHARED))
            assert len((await anext(news))[0].view) == SHARED
            assert (await two.request("length", bytes(SHARED))).body == str(SHARED).encode()
            assert len((await one.request("size", str(SHARED).encode())).view) == SHARED
            assert broker.stats().refused == 0

    run(main())


def test_what_fits_into_a_frame_goes_inline_if_it_may_not_be_shared(address: str, run: Run) -> None:
    async def main() -> None:
        config = BusConfig(max_shared_bytes=1000)
        async with (
            open_broker([address], config) as broker,
            connect(address, name="one") as one,
            connect(address, name="two", reconnect=None) as two,
            one.subscribe("news") as news,
            one.serve("echo", lambda request: request.body),
        ):
            large = bytes(3_000_000)
            await two.publish("news", large)
            assert (await anext(news))[0].body == large
            assert (await two.request("echo", large)).body == large
            assert broker.stats().refused == 0

    run(main())


def test_without_its_side_channel_an_endpoint_goes_on_inline(
    address: str, run: Run, side_sockets: list[socket.socket]
) -> None:
    async def main() -> None:
        async with (
            open_broker([address]) as broker,
            connect(address, name="one") as one,
            connect(address, name="two", reconnect=None) as two,
            one.subscribe("news") as news,
            one.serve("length", lambda request: str(len(request.view)).encode()),
            two.serve("size", lambda request: bytes(int(request.body))),
        ):
            side_sockets[1].shutdown(socket.SHUT_WR)
            async with asyncio.timeout(10):
                for size in (250_000, 3_000_000):
                    await two.publish("news", bytes(size))
                    assert len((await anext(news))[0].view) == size
                    answer = await two.request("length", bytes(size))
                    assert answer.body == str(size).encode()
                    assert len((await one.request("size", str(size).encode())).view) == size
                for _ in range(2):
                    with pytest.raises(FrameTooLarge):
                        await two.publish("news", bytes(5_000_000))
                    with pytest.raises(FrameTooLarge):
                        await two.request("length", bytes(5_000_000))
                # What comes over it still does.
                await one.publish("news", bytes(5_000_000))
                assert len((await anext(news))[0].view) == 5_000_000
            assert broker.stats().refused == 0

    run(main())


def test_what_cannot_be_handed_over_just_now_and_fits_nowhere_is_an_error(
    address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of descriptors that are on their way the system allows so many for a user."""

    def send(side: SideChannel, ticket: int, block: SharedBlock) -> bool:
        raise TransportUnavailable("The side channel", "too many references")

    async def main() -> None:
        async with (
            open_broker([address]),
            connect(address, name="one") as one,
            one.subscribe("news") as news,
        ):
            with monkeypatch.context() as patch:
                patch.setattr(SideChannel, "send", send)
                async with asyncio.timeout(10):
                    with pytest.raises(TransportUnavailable):
                        await one.publish("news", bytes(5_000_000))
                    with pytest.raises(TransportUnavailable):
                        await one.request("news", bytes(5_000_000))
            await one.publish("news", bytes(5_000_000))
            assert len((await anext(news))[0].view) == 5_000_000

    run(main())


def test_a_cancel_while_a_payload_is_copied_leaves_nothing_behind(
    address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_broker([address]), connect(address, name="one") as one:
            await one.publish("news", bytes(300_000))
            before = count_descriptors()
            for send in (one.publish, one.request):
                begun, release = threading.Event(), threading.Event()

                def held(
                    body: bytes, begun: threading.Event = begun, release: threading.Event = release
                ) -> SharedBlock:
                    block = share(body)
                    begun.set()
                    release.wait(timeout=10)
                    return block

                monkeypatch.setattr("symphony.ipc.bus._large.share", held)
                sending = asyncio.create_task(send("news", bytes(300_000)))
                await until(begun.is_set)
                sending.cancel()
                release.set()
                await asyncio.wait([sending])
                assert sending.cancelled()
            await until(lambda: count_descriptors() <= before)

    run(main())
