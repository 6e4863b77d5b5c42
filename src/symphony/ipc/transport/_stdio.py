"""A program that speaks over its standard input and output, and the one that started it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from symphony.commons import files
from symphony.ipc.transport._errors import translated
from symphony.ipc.transport._identity import NOBODY, this_process
from symphony.ipc.transport._pipes import PipeTransport, adopt_pipes

P = TypeVar("P", bound=asyncio.Protocol)

#: How long a child whose input has ended may take to end by itself.
GRACE_S = 5.0


def adopt_stdio(protocol_factory: Callable[[], P]) -> tuple[PipeTransport, P]:
    """Speak over this process's standard input and output, which are the connection's from now on.

    Whatever else writes to the standard output, C code and children included, writes to the
    standard error instead, and whatever reads the standard input finds it empty. There is no way
    back: both end with the connection.
    """
    with translated("The standard input and output"):
        read_end, write_end = os.dup(0), os.dup(1)
    sys.stdout.flush()
    transport, protocol = adopt_pipes(read_end, write_end, protocol_factory, NOBODY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return transport, protocol


@asynccontextmanager
async def stdio(protocol_factory: Callable[[], P]) -> AsyncIterator[tuple[asyncio.Transport, P]]:
    """`adopt_stdio` for the length of the block; waits at its end until all that was written is
    with the other side, or the connection is lost. Cancelled there, it drops the rest."""
    transport, protocol = adopt_stdio(protocol_factory)
    try:
        yield transport, protocol
        transport.close()
        await transport.wait_closed()
    finally:
        transport.abort()


@dataclass(frozen=True, slots=True)
class Child(Generic[P]):
    """A program that we started, and the connection to it."""

    transport: asyncio.Transport
    protocol: P
    process: asyncio.subprocess.Process


@asynccontextmanager
async def open_child(
    argv: Sequence[str],
    protocol_factory: Callable[[], P],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    grace_s: float = GRACE_S,
) -> AsyncIterator[Child[P]]:
    """Run a program and speak with it over its standard input and output for the length of the
    block. Its standard error is ours. Raises the `files` errors for a program that cannot be run.

    After the block its input ends; if it has not ended itself `grace_s` seconds later it is killed,
    and at once if the block was left by an error or a cancel. No process is left.
    """
    process, read_end, write_end = await _start(argv, folder, environment)
    try:
        transport, protocol = adopt_pipes(
            read_end, write_end, protocol_factory, this_process("child", process.pid)
        )
        try:
            yield Child(transport, protocol, process)
            transport.close()
            await _wait(process, grace_s)
        finally:
            transport.abort()
    finally:
        await _end(process)
    await transport.wait_closed()


async def _start(
    argv: Sequence[str], folder: Path | None, environment: Mapping[str, str] | None
) -> tuple[asyncio.subprocess.Process, int, int]:
    """The process, and our ends of its output and its input."""
    with translated("A pipe"):
        from_child, child_output = os.pipe()
        child_input, to_child = os.pipe()
    try:
        with files.translated(Path(argv[0])):
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=child_input, stdout=child_output, cwd=folder, env=environment
            )
    except BaseException:
        os.close(from_child)
        os.close(to_child)
        raise
    finally:
        os.close(child_output)
        os.close(child_input)
    return process, from_child, to_child


async def _wait(process: asyncio.subprocess.Process, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what runs and wait for it, also when cancelled meanwhile: a kill does not take long."""
    if process.returncode is None:
        process.kill()
    ending = asyncio.ensure_future(process.wait())
    while not ending.done():
        await asyncio.wait([ending])
