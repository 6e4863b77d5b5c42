from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import pytest

from symphony.ipc.transport._errors import TransportFailed, TransportUnavailable
from symphony.ipc.transport._identity import NOBODY, identify
from symphony.ipc.transport._pipes import PipeTransport, adopt_pipes
from symphony.testing._wires import Recorder

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


def adopted(recorder: Recorder) -> tuple[PipeTransport, int, int]:
    """A transport, and the descriptors at its other end: to write to it, to read from it."""
    read_end, to_it = os.pipe()
    from_it, write_end = os.pipe()
    transport, _ = adopt_pipes(read_end, write_end, lambda: recorder)
    return transport, to_it, from_it


def test_a_reader_that_is_gone_shows_when_something_is_written(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        transport, to_it, from_it = adopted(recorder)
        os.close(from_it)
        os.write(to_it, b"still speaking")
        await recorder.until(lambda end: bool(end.received))
        assert recorder.losses == []
        transport.write(b"x")
        assert recorder.losses == []
        await transport.wait_closed()
        assert [type(error) for error in recorder.losses] == [BrokenPipeError]
        os.close(to_it)

    run(main())


def test_a_reader_that_goes_while_we_write_loses_us_the_connection(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        transport, to_it, from_it = adopted(recorder)
        transport.write(bytes(1024 * 1024))
        assert recorder.paused
        os.close(from_it)
        await transport.wait_closed()
        assert [type(error) for error in recorder.losses] == [BrokenPipeError]
        os.close(to_it)

    run(main())


def test_the_descriptors_are_closed_with_it(run: Run, count_descriptors: Callable[[], int]) -> None:
    async def main() -> None:
        before = count_descriptors()
        transport, to_it, from_it = adopted(Recorder())
        assert identify(transport) == NOBODY
        transport.write_eof()
        assert os.read(from_it, 1) == b""
        transport.close()
        await transport.wait_closed()
        os.close(to_it)
        os.close(from_it)
        assert count_descriptors() == before

    run(main())


def test_what_cannot_be_waited_for_is_refused_and_closed(
    count_descriptors: Callable[[], int],
) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        with tempfile.TemporaryFile() as file:
            before = count_descriptors()
            with pytest.raises(TransportUnavailable, match="a file") as caught:
                adopt_pipes(os.dup(file.fileno()), os.dup(write_end), Recorder)
            assert caught.value.hint
            assert count_descriptors() == before
        os.close(read_end)
        os.close(write_end)

    asyncio.run(main())


def test_a_descriptor_that_is_none_is_refused() -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        with pytest.raises(TransportFailed, match="bad file descriptor"):
            adopt_pipes(read_end, write_end, Recorder)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(write_end)

    asyncio.run(main())


def test_a_failing_factory_closes_both(count_descriptors: Callable[[], int]) -> None:
    class Failing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise LookupError("no protocol today")

    def fail() -> Recorder:
        raise LookupError("no protocol today")

    async def main() -> None:
        before = count_descriptors()
        for factory in (fail, Failing):
            (read_end, to_it), (from_it, write_end) = os.pipe(), os.pipe()
            with pytest.raises(LookupError):
                adopt_pipes(read_end, write_end, factory)
            await asyncio.sleep(0)
            os.close(to_it)
            os.close(from_it)
        assert count_descriptors() == before

    asyncio.run(main())


def test_another_protocol_can_take_over(run: Run) -> None:
    async def main() -> None:
        first, second = Recorder(), Recorder()
        transport, to_it, from_it = adopted(first)
        transport.set_protocol(second)
        second.connection_made(transport)
        assert transport.get_protocol() is second
        os.write(to_it, b"x")
        await second.until(lambda end: end.received == b"x")
        os.close(to_it)
        await second.until_lost()
        assert not first.received
        assert not first.losses
        os.close(from_it)

    run(main())
