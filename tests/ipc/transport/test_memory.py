from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from threading import Thread
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.ipc.transport._address import MemoryAddress
from symphony.ipc.transport._errors import AddressInUse, Unreachable
from symphony.ipc.transport._identity import identify
from symphony.ipc.transport._listen import dial, listen
from symphony.ipc.transport._memory import CAPACITY, READ_SIZE, memory_pair
from symphony.testing._wires import Recorder

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]

ADDRESS = MemoryAddress("test")


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def pair(*, keep_open: bool = False) -> AsyncIterator[tuple[Recorder, Recorder]]:
    ends = memory_pair(asyncio.get_running_loop())
    recorders = Recorder(keep_open=keep_open), Recorder(keep_open=keep_open)
    for end, recorder in zip(ends, recorders, strict=True):
        end.begin(lambda recorder=recorder: recorder)  # type: ignore[misc]  # bound at once
    yield recorders
    for end in ends:
        end.abort()
    await turns()
    for recorder in recorders:
        assert len(recorder.losses) == 1
        assert recorder.faults == []


def test_a_name_is_served_once_and_on_one_loop(run: Run) -> None:
    async def elsewhere() -> None:
        with pytest.raises(Unreachable, match="event loop"):
            await dial(ADDRESS, asyncio.Protocol)
        with pytest.raises(AddressInUse):
            async with listen(ADDRESS, asyncio.Protocol):
                pass

    async def main() -> None:
        async with listen(ADDRESS, asyncio.Protocol) as listener:
            assert listener.present()
            with pytest.raises(AddressInUse) as caught:
                async with listen(ADDRESS, asyncio.Protocol):
                    pass
            assert caught.value.holder == os.getpid()
            thread = Thread(target=asyncio.run, args=[elsewhere()])
            thread.start()
            thread.join()
            transport, _ = await dial(ADDRESS, asyncio.Protocol)
            assert identify(transport).pid == os.getpid()
        with pytest.raises(Unreachable):
            await dial(ADDRESS, asyncio.Protocol)

    run(main())


def test_a_server_whose_factory_fails_drops_the_connection(run: Run) -> None:
    def fail() -> asyncio.Protocol:
        raise LookupError("no protocol today")

    async def main() -> None:
        reported: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["exception"])
        )
        async with listen(ADDRESS, fail):
            _, recorder = await dial(ADDRESS, Recorder)
            await recorder.until_lost()
        assert [type(error) for error in reported] == [LookupError]

    run(main())


def test_a_large_buffer_is_passed_on_as_it_is() -> None:
    async def main() -> None:
        got: list[bytes] = []

        class Keep(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                got.append(data)

        left, right = memory_pair(asyncio.get_running_loop())
        left.begin(asyncio.Protocol)
        right.begin(Keep)
        data = bytes(READ_SIZE)
        left.write(data)
        await turns()
        assert got[0] is data

    asyncio.run(main())


def test_a_close_waits_for_no_more_than_a_kernel_would() -> None:
    async def main() -> None:
        async with pair() as (left, right):
            right.transport.pause_reading()
            left.transport.write(bytes(CAPACITY))
            left.transport.close()
            await turns()
            assert left.losses == [None]
            right.transport.resume_reading()
            await turns()
            assert len(right.received) == CAPACITY

    asyncio.run(main())


def test_a_close_waits_until_the_rest_is_taken() -> None:
    async def main() -> None:
        async with pair() as (left, right):
            right.transport.pause_reading()
            left.transport.write(bytes(CAPACITY + 1))
            left.transport.close()
            await turns()
            assert left.losses == []
            right.transport.resume_reading()
            await turns()
            assert left.losses == [None]

    asyncio.run(main())


def test_two_that_close_at_once_wait_for_nobody() -> None:
    async def main() -> None:
        async with pair() as (left, right):
            for end in (left, right):
                end.transport.pause_reading()
                end.transport.write(bytes(2 * CAPACITY))
            for end in (left, right):
                end.transport.close()
            await turns()
            assert left.losses == right.losses == [None]

    asyncio.run(main())


def test_of_a_connection_that_is_closed_before_it_begins_nobody_hears() -> None:
    async def main() -> None:
        left, _ = memory_pair(asyncio.get_running_loop())
        recorder = Recorder()
        left.abort()
        left.begin(lambda: recorder)
        await turns()
        assert (recorder.made, recorder.losses) == (0, [])

    asyncio.run(main())


def test_writing_to_who_has_closed_breaks_the_pipe_after_the_farewell() -> None:
    async def main() -> None:
        async with pair(keep_open=True) as (left, right):
            right.transport.write(b"farewell")
            right.transport.close()
            left.transport.write(b"lost, as on a socket")
            await turns()
            assert left.received == b"farewell"
            assert left.ended
            assert left.losses == []
            left.transport.write(b"to nobody")
            await turns()
            assert [type(error) for error in left.losses] == [BrokenPipeError]

    asyncio.run(main())


def test_an_abort_that_loses_data_is_a_reset_for_the_other() -> None:
    async def main() -> None:
        async with pair() as (left, right):
            left.transport.write(b"x")
            left.transport.abort()
            await turns()
            assert [type(error) for error in right.losses] == [ConnectionResetError]
        async with pair() as (left, right):
            left.transport.abort()
            await turns()
            assert right.losses == [None]

    asyncio.run(main())


def test_write_after_write_eof_is_a_mistake() -> None:
    async def main() -> None:
        async with pair() as (left, _):
            left.transport.write_eof()
            with pytest.raises(RuntimeError, match="write_eof"):
                left.transport.write(b"x")

    asyncio.run(main())


def test_limits_are_as_asyncio_has_them() -> None:
    async def main() -> None:
        left, _ = memory_pair(asyncio.get_running_loop())
        for high, low, expected in [
            (None, None, (16384, 65536)),
            (100, None, (25, 100)),
            (None, 10, (10, 40)),
            (0, None, (0, 0)),
        ]:
            left.set_write_buffer_limits(high, low)
            assert left.get_write_buffer_limits() == expected
        with pytest.raises(ValueError, match="must be >="):
            left.set_write_buffer_limits(1, 2)

    asyncio.run(main())


def test_only_plain_protocols_are_served() -> None:
    async def main() -> None:
        left, _ = memory_pair(asyncio.get_running_loop())
        with pytest.raises(TypeError, match="BufferedProtocol"):
            left.set_protocol(asyncio.BufferedProtocol())

    asyncio.run(main())


Step = Callable[[Recorder], None]
STEPS: dict[str, Step] = {
    "write": lambda end: (
        None if end.transport.is_closing() else end.transport.write(b"ab" * 30_000)
    ),
    "pause": lambda end: end.transport.pause_reading(),
    "resume": lambda end: end.transport.resume_reading(),
    "close": lambda end: end.transport.close(),
    "abort": lambda end: end.transport.abort(),
}


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.booleans(), st.integers(0, 3))))
def test_whatever_the_two_do_each_hears_one_end(steps: list[tuple[str, bool, int]]) -> None:
    """`pair` checks that; and that nothing is heard before or after."""

    async def main() -> None:
        async with pair() as ends:
            for name, side, pause in steps:
                STEPS[name](ends[side])
                for _ in range(pause):
                    await asyncio.sleep(0)

    asyncio.run(main())


def test_a_cancelled_dial_is_heard_of_to_its_end() -> None:
    async def main() -> None:
        served: list[Recorder] = []

        def accept() -> Recorder:
            served.append(Recorder())
            return served[-1]

        async with listen(ADDRESS, accept):
            dialling = asyncio.create_task(dial(ADDRESS, Recorder))
            await asyncio.sleep(0)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            for each in served:
                await each.until_lost()

    asyncio.run(main())
