"""What a transport promises to whoever writes an `asyncio.Protocol` for it, as checks to run.

    class MyWire(ListeningWire[str]):
        def listen(self, protocol_factory): ...
        async def dial(self, address, protocol_factory): ...

    @pytest.mark.parametrize("check", [*CONNECTION_CHECKS, *LISTENER_CHECKS])
    def test_my_transport(check):
        asyncio.run(check(MyWire()))

A check raises Nonconformant, which says what was broken, or TimeoutError if nothing happened any
more. A transport that connects but has no address keeps the CONNECTION_CHECKS: give it `pair`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from struct import Struct as Layout
from typing import Any, TypeVar

from symphony.commons.errors import Category, SymphonyError
from symphony.testing._wires import CHUNK, ListeningWire, ProtocolFactory, Recorder, Wire

A = TypeVar("A")

TIME_LIMIT_S = 50
SMALL_WRITES = 100_000
LARGE = 16 * 1024 * 1024
#: A writer that was not told to pause by then has a buffer without bounds.
MORE_THAN_SYSTEMS_HOLD = 64 * 1024 * 1024
MANY = 100
NUMBER = Layout("<I")
PERIOD = 65_537


class Nonconformant(AssertionError):
    """A promise that the transport under test did not keep."""


def _require(truth: object, promise: str) -> None:
    if not truth:
        raise Nonconformant(promise)


@asynccontextmanager
async def _met(
    wire: Wire, *, left_keeps_open: bool = False, right_keeps_open: bool = False
) -> AsyncIterator[tuple[Recorder, Recorder]]:
    """Two recorders that are connected; at the end, whatever happened, each has heard one end."""
    left = Recorder(keep_open=left_keeps_open)
    right = Recorder(keep_open=right_keeps_open)
    async with asyncio.timeout(TIME_LIMIT_S), _reported() as reported:
        async with wire.pair(lambda: left, lambda: right), _ended(left, right):
            _require(left.made and right.made, "connected ends have heard connection_made")
            yield left, right
        await _turns(3)
        for end in (left, right):
            _require(len(end.losses) == 1, f"connection_lost comes once, not {len(end.losses)}x")
            _require(not end.faults, f"the order of calls: {', '.join(end.faults)}")
    _require(not reported, f"nothing goes wrong unseen: {reported}")


@asynccontextmanager
async def _reported() -> AsyncIterator[list[object]]:
    """The errors that nobody but the event loop has heard of."""
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: errors.append(context.get("exception")))
    try:
        yield errors
    finally:
        loop.set_exception_handler(before)


@asynccontextmanager
async def _ended(*ends: Recorder) -> AsyncIterator[None]:
    """Abort after the block what has not ended by itself, which asyncio's own could not bear."""
    try:
        yield
    finally:
        for end in ends:
            if not end.losses:
                end.transport.abort()
    for end in ends:
        await end.until_lost()


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _pattern(size: int) -> bytes:
    """Bytes that show it if a part is lost, doubled or moved: no buffer has a period's size."""
    period = Random(0).randbytes(PERIOD)  # noqa: S311 - a pattern, no secret
    return (period * (size // PERIOD + 1))[:size]


async def check_small_writes_arrive_in_order(wire: Wire) -> None:
    async with _met(wire) as (left, right):
        data = b"".join(NUMBER.pack(number) for number in range(SMALL_WRITES))
        for at in range(0, len(data), NUMBER.size):
            left.transport.write(data[at : at + NUMBER.size])
            if left.paused:
                await left.until(lambda end: not end.paused)
        await right.until(lambda end: len(end.received) >= len(data))
        _require(right.received == data, "small writes arrive once each, in order")


async def check_large_writes_arrive_whole_both_ways(wire: Wire) -> None:
    """Each in one call, from all kinds of buffers, while the reader takes breaks."""
    async with _met(wire) as (left, right):
        data = _pattern(LARGE)
        left.transport.write(data)
        right.transport.write(bytearray(data[: LARGE // 2]))
        right.transport.write(memoryview(data)[LARGE // 2 :])
        for mark in (LARGE // 4, LARGE // 2):
            await right.until(lambda end, mark=mark: len(end.received) >= mark)  # type: ignore[misc]  # a default in a lambda
            right.transport.pause_reading()
            await _turns(5)
            right.transport.resume_reading()
        for end in (left, right):
            await end.until(lambda end: len(end.received) >= LARGE)
            _require(end.received == data, "large writes arrive whole and in order")


async def check_lines_are_joined_in_order(wire: Wire) -> None:
    async with _met(wire) as (left, right):
        left.transport.write(b"a")
        left.transport.writelines([b"b", bytearray(b"c"), memoryview(b"d")])
        left.transport.write(b"e")
        await right.until(lambda end: len(end.received) >= 5)
        _require(right.received == b"abcde", "writelines keeps the order")


async def check_half_close(wire: Wire) -> None:
    async with _met(wire, right_keeps_open=True) as (left, right):
        _require(left.transport.can_write_eof(), "write_eof is possible")
        question = _pattern(LARGE // 8)
        left.transport.write(question)
        left.transport.write_eof()
        await right.until(lambda end: end.ended)
        _require(right.received == question, "all data comes before eof_received")
        _require(not right.losses, "eof_received that returns True keeps the other way open")
        await right.send(_pattern(4 * CHUNK))
        right.transport.close()
        await left.until_lost()
        _require(left.received == _pattern(4 * CHUNK), "the answer to a half-closed end arrives")


async def check_close_sends_what_was_written(wire: Wire) -> None:
    """More than buffers hold, in the middle of what would be a message."""
    async with _met(wire) as (left, right):
        data = _pattern(LARGE // 8)
        left.transport.write(data)
        left.transport.close()
        _require(left.transport.is_closing(), "is_closing at once")
        await right.until_lost()
        await left.until_lost()
        _require(right.received == data, "close sends what was written before")
        _require(right.ended, "a close is heard as eof_received, behind the data")
        _require(left.losses == [None], "a close of one's own is no error")


async def check_abort_ends_at_once(wire: Wire) -> None:
    async with _met(wire) as (left, right):
        right.transport.pause_reading()
        data = _pattern(LARGE)
        left.transport.write(data)
        left.transport.abort()
        _require(not left.losses, "connection_lost does not come from within abort")
        await left.until_lost()
        _require(left.losses == [None], "an abort of one's own is no error")
        if not right.losses:
            right.transport.resume_reading()
        await right.until_lost()
        _require(data.startswith(right.received), "what arrives of an abort is a beginning")
        _require(len(right.received) < LARGE, "abort drops what was not sent")


async def check_repeated_ends_are_one(wire: Wire) -> None:
    async with _met(wire) as (left, right):
        for _ in range(2):
            left.transport.close()
            left.transport.abort()
            right.transport.abort()
            right.transport.close()


async def check_back_pressure(wire: Wire) -> None:
    async with _met(wire) as (left, right):
        right.transport.pause_reading()
        limit = 8 * CHUNK
        left.transport.set_write_buffer_limits(high=limit, low=CHUNK)
        written = 0
        while not left.paused:
            left.transport.write(bytes(CHUNK))
            written += CHUNK
            _require(written < MORE_THAN_SYSTEMS_HOLD, "pause_writing when nobody reads")
            await _turns(1)
        size = left.transport.get_write_buffer_size()
        _require(limit < size <= limit + CHUNK, f"pause_writing above the limit, not at {size}")
        _require(not right.received, "pause_reading holds back what comes")
        right.transport.resume_reading()
        await left.until(lambda end: not end.paused)
        _require(left.transport.get_write_buffer_size() <= CHUNK, "resume_writing at the low mark")
        await right.until(lambda end: len(end.received) >= written)
        _require(len(right.received) == written, "nothing is lost by a pause")


class _Echo(Recorder):
    """Answers each byte, and complains if it is called while anybody writes."""

    def __init__(self, stage: set[str]) -> None:
        super().__init__()
        self._stage = stage

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._stage:
            self.faults.append(f"data_received from within {', '.join(self._stage)}")
        self._stage.add("write")
        if len(self.received) < 1000:
            self.transport.write(data)
        self._stage.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._stage:
            self.faults.append(f"connection_lost from within {', '.join(self._stage)}")


async def check_nothing_runs_inside_a_call(wire: Wire) -> None:
    async with asyncio.timeout(TIME_LIMIT_S):
        stage: set[str] = set()
        left, right = _Echo(stage), _Echo(stage)
        async with wire.pair(lambda: left, lambda: right), _ended(left, right):
            stage.add("write")
            left.transport.write(b"x")
            stage.clear()
            await left.until(lambda end: len(end.received) >= 999)
            stage.add("close")
            left.transport.close()
            right.transport.abort()
            stage.clear()
        for end in (left, right):
            _require(not end.faults, f"later, not at once: {', '.join(end.faults)}")


async def check_a_failing_protocol_loses_its_connection(wire: Wire) -> None:
    """And the event loop is told why."""

    class Failing(Recorder):
        def data_received(self, data: bytes) -> None:
            raise RuntimeError("a bug in the protocol")

    left, right = Recorder(), Failing()
    async with (
        asyncio.timeout(TIME_LIMIT_S),
        _reported() as reported,
        wire.pair(lambda: left, lambda: right),
        _ended(left, right),
    ):
        left.transport.write(b"x")
        await right.until_lost()
    _require(
        any(isinstance(error, RuntimeError) for error in reported), "a failing protocol is reported"
    )


async def check_nobody_listens(wire: ListeningWire[A]) -> None:
    async with asyncio.timeout(TIME_LIMIT_S):
        async with wire.listen(Recorder) as address:
            pass
        try:
            await wire.dial(address, Recorder)
        except SymphonyError as error:
            _require(error.category is Category.UNAVAILABLE, f"{error!r} is not `unavailable`")
        else:
            raise Nonconformant("dialling where nobody listens raises an error")


async def check_connections_outlive_the_listener(wire: ListeningWire[A]) -> None:
    accepted: list[Recorder] = []
    async with asyncio.timeout(TIME_LIMIT_S), AsyncExitStack() as stack:
        async with wire.listen(_noting(accepted)) as address:
            left = await _dialled(wire, address, stack)
            left.transport.write(b"x")
            await _until_accepted(accepted, 1)
        await _turns(5)
        left.transport.write(b"y")
        await accepted[0].until(lambda end: end.received == b"xy")


async def check_many_connections(wire: ListeningWire[A]) -> None:
    """All at once, each with its own data, and their ends in any order."""
    accepted: list[Recorder] = []
    async with asyncio.timeout(TIME_LIMIT_S), AsyncExitStack() as stack:
        async with wire.listen(_noting(accepted)) as address:
            dialling = (_dialled(wire, address, stack) for _ in range(MANY))
            dialled = await asyncio.gather(*dialling)
            for number, end in enumerate(dialled):
                end.transport.write(NUMBER.pack(number))
                end.transport.close()
            await _until_accepted(accepted, MANY)
            for end in (*accepted, *dialled):
                await end.until_lost()
        numbers = sorted(bytes(end.received) for end in accepted)
        expected = sorted(NUMBER.pack(number) for number in range(MANY))
        _require(numbers == expected, "each connection carries its own data")


async def check_cancelled_dial_leaves_nothing(wire: ListeningWire[A]) -> None:
    """Cancelled after each number of turns of the loop, until it is too quick for that."""
    accepted: list[Recorder] = []
    async with asyncio.timeout(TIME_LIMIT_S), wire.listen(_noting(accepted)) as address:
        await _cancel_dial(wire, address, 1000)
        await _until_quiet(accepted)
        before, turns, done = _descriptors(), 0, False
        while not done:
            done = await _cancel_dial(wire, address, turns)
            turns += 1
            await _until_quiet(accepted)
        _require(turns > 1, "there is a moment at which a dial can be cancelled")
        after = _descriptors()
        _require(before == after, f"a cancelled dial leaves {after - before} descriptors")


async def _cancel_dial(wire: ListeningWire[A], address: A, turns: int) -> bool:
    """Whether it was done before it could be cancelled."""
    ours = Recorder()
    dialling = asyncio.ensure_future(wire.dial(address, lambda: ours))
    await _turns(turns)
    done = not dialling.cancel()
    await asyncio.wait([dialling])
    if not dialling.cancelled():
        dialling.result()[0].abort()
    if ours.made:
        await ours.until_lost()
    return done


async def _until_quiet(accepted: list[Recorder]) -> None:
    """Until all that was accepted has ended, also what is about to be accepted."""
    seen = -1
    while seen != len(accepted):
        seen = len(accepted)
        for end in accepted:
            await end.until_lost()
        await _turns(10)


async def _until_accepted(accepted: list[Recorder], count: int) -> None:
    while len(accepted) < count or not all(end.made for end in accepted):  # noqa: ASYNC110 - theirs
        await asyncio.sleep(0)


def _noting(accepted: list[Recorder]) -> ProtocolFactory:
    def make() -> Recorder:
        accepted.append(Recorder())
        return accepted[-1]

    return make


async def _dialled(wire: ListeningWire[A], address: A, stack: AsyncExitStack) -> Recorder:
    """A recorder that is connected, until the stack is unwound."""
    end = Recorder()
    await wire.dial(address, lambda: end)
    await stack.enter_async_context(_ended(end))
    return end


def _descriptors() -> int:
    """How many are open; 0 where the system does not tell."""
    folder = Path("/dev/fd")
    return len(os.listdir(folder)) if folder.is_dir() else 0  # noqa: PTH208 - names, not paths


CONNECTION_CHECKS: tuple[Callable[[Wire], Coroutine[Any, Any, None]], ...] = (
    check_small_writes_arrive_in_order,
    check_large_writes_arrive_whole_both_ways,
    check_lines_are_joined_in_order,
    check_half_close,
    check_close_sends_what_was_written,
    check_abort_ends_at_once,
    check_repeated_ends_are_one,
    check_back_pressure,
    check_nothing_runs_inside_a_call,
    check_a_failing_protocol_loses_its_connection,
)
LISTENER_CHECKS: tuple[Callable[[ListeningWire[Any]], Coroutine[Any, Any, None]], ...] = (
    check_nobody_listens,
    check_connections_outlive_the_listener,
    check_many_connections,
    check_cancelled_dial_leaves_nothing,
)
