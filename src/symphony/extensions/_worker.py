"""One extension's process, and the conversation with it: one call at a time.

Whatever goes wrong in the conversation itself (the process is gone, sends nonsense, does not stop
when it is told to) ends the process; a call that merely failed does not.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

import msgspec

from symphony.commons.errors import ErrorRecord, SymphonyError
from symphony.commons.logging import get_logger
from symphony.commons.secrets import scrub
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.extensions._call import Call, SecretLookup
from symphony.extensions._config import HostConfig
from symphony.extensions._errors import ExtensionCrashed, ExtensionTimeout, ProtocolBroken
from symphony.extensions._services import Services
from symphony.ipc import (
    PROTOCOL,
    BadFrame,
    Channel,
    ChannelClosed,
    Frame,
    FrameTooLarge,
    Hello,
    Kind,
    Load,
    LogLine,
    Progress,
    ReadPart,
    Run,
    RunResult,
    SecretRequest,
    Topic,
    Welcome,
    WritePart,
    decode_body,
    encode_body,
    open_channel,
)
from symphony.sandbox import Policy, SandboxedProcess, spawn
from symphony.sdk import (
    Cancelled,
    HostRefused,
    Manifest,
    ValueTooLarge,
    check_value,
    error_of,
)

#: Isolated from the user's Python settings and from the folder; the extension's own folder is put
#: on the path when its code is loaded.
PROGRAM = (sys.executable, "-I", "-X", "utf8", "-m", "symphony.sdk")

#: How long a process that has closed its channel may take to exit.
EXIT_GRACE_S = 1.0

#: How many of the last lines that it printed an error shows, and how much of each.
SHOWN_LINES = 20
SHOWN_WIDTH = 300
LOGGED_WIDTH = 4096

REPORTS: dict[str, type[Progress | LogLine]] = {Topic.PROGRESS: Progress, Topic.LOG: LogLine}
REQUESTS: dict[str, type[ReadPart | WritePart | SecretRequest]] = {
    Topic.READ: ReadPart,
    Topic.WRITE: WritePart,
    Topic.SECRET: SecretRequest,
}

T = TypeVar("T")

log = get_logger("extensions")


class Worker:
    """Made by `open_worker`. After an error other than the extension's own it is not `usable`."""

    def __init__(
        self,
        manifest: Manifest,
        config: HostConfig,
        process: SandboxedProcess,
        channel: Channel,
        number: int,
        printed: deque[str],
    ) -> None:
        self._manifest = manifest
        self._config = config
        self._process = process
        self._channel = channel
        self._number = number
        self._printed = printed
        self._spoiled = False
        self._calls = count(1)
        self._asked: dict[int, Frame] = {}

    @property
    def usable(self) -> bool:
        return not (self._spoiled or self._process.exited)

    async def greet(self) -> None:
        """Raises ExtensionTimeout, ExtensionCrashed, ProtocolBroken."""
        async with self._limit("start", self._config.start_s):
            frame = await self._receive("start")
            if frame.kind is not Kind.HELLO:
                raise self._broken(f"it began with {frame.kind.name}")
            hello = self._decoded(frame.body, Hello)
            if hello.protocol != PROTOCOL:
                raise self._broken(f"it speaks version {hello.protocol}, not {PROTOCOL}")
            welcome = Welcome(self._number, self._config.max_message_bytes)
            await self._send(Frame(Kind.WELCOME, body=encode_body(welcome)))

    async def load(self, folder: Path, services: Services, secrets: SecretLookup) -> None:
        """Import the extension's code and prepare it; raises `sdk.*` errors besides ours."""
        about = self._manifest
        outputs = [port.name for port in about.outputs]
        message = Load(about.id, about.type, str(folder), about.entry, outputs)
        async with self._limit("load", self._config.load_s):
            await self._perform(Topic.LOAD, message, Call(about, services, secrets))

    async def run(
        self, inputs: Mapping[str, Value], services: Services, secrets: SecretLookup
    ) -> dict[str, Value]:
        """On cancel the extension is told, and killed if it has not given up in time."""
        about = self._manifest
        message = Run(services.run_id, services.node, services.attempt, dict(inputs))
        frame = await self._perform(Topic.RUN, message, Call(about, services, secrets))
        outputs = self._decoded(frame.body, RunResult).outputs
        if outputs.keys() != {port.name for port in about.outputs}:
            raise self._broken("it answered with other outputs than its manifest declares")
        return {
            port: check_value(about.id, port, self._decoded(raw, object))
            for port, raw in outputs.items()
        }

    async def part(self) -> None:
        """Say goodbye and give it time to end by itself."""
        with suppress(TimeoutError, ChannelClosed):
            async with asyncio.timeout(self._config.close_s):
                await self._channel.send(Frame(Kind.BYE))
                await self._process.wait()

    async def _perform(self, topic: Topic, message: Load | Run, call: Call) -> Frame:
        number = next(self._calls)
        self._printed.clear()
        try:
            await self._send(Frame(Kind.REQ, number, topic, encode_body(message)))
            frame = await self._converse(number, topic, call)
        except FrameTooLarge as error:
            raise ValueTooLarge(self._manifest.id, "inputs", error.size, error.limit) from error
        except asyncio.CancelledError:
            await self._withdraw(number)
            raise
        except BaseException:
            self._stop()
            raise
        finally:
            await call.close()
        if frame.kind is Kind.ERR:
            raise self._failure(frame, call)
        return frame

    async def _converse(self, number: int, phase: str, call: Call) -> Frame:
        """Serve the extension until it answers."""
        serving: set[asyncio.Task[None]] = set()
        async with task_scope() as tasks:
            while (frame := await self._receive(phase)).kind not in (Kind.REP, Kind.ERR):
                match frame.kind:
                    case Kind.REQ:
                        request = self._decoded(frame.body, self._expected(REQUESTS, frame))
                        self._asked[frame.correlation] = frame
                        task = tasks.create_task(self._serve(call, frame, request))
                        serving.add(task)
                        task.add_done_callback(serving.discard)
                    case Kind.PUB:
                        report = self._decoded(frame.body, self._expected(REPORTS, frame))
                        # A late one is from a thread that has outlived its call.
                        if frame.correlation == number:
                            call.report(report)
                    case _:
                        raise self._broken(f"it sent {frame.kind.name} during a call")
            if frame.correlation != number:
                raise self._broken(f"it answered call {frame.correlation}, not {number}")
            for task in serving:
                task.cancel()
        await self._refuse_asked()
        return frame

    async def _serve(
        self, call: Call, frame: Frame, request: ReadPart | WritePart | SecretRequest
    ) -> None:
        answer = await call.answer(frame, request)
        self._asked.pop(frame.correlation, None)
        await self._send(answer)

    async def _refuse_asked(self) -> None:
        """What was asked for a call that is over; a thread may be waiting for the answer."""
        refusal = encode_body(Cancelled(self._manifest.id).record())
        while self._asked:
            number, frame = self._asked.popitem()
            await self._send(Frame(Kind.ERR, number, frame.topic, refusal, frame.source))

    async def _withdraw(self, number: int) -> None:
        """Tell the extension to give up the call, and see that it does."""
        settled = False
        try:
            with suppress(TimeoutError, SymphonyError):
                async with asyncio.timeout(self._config.cancel_s):
                    await self._send(Frame(Kind.CANCEL, number))
                    await self._refuse_asked()
                    await self._drain(number)
                settled = True
        finally:
            if not settled:
                self._stop()

    async def _drain(self, number: int) -> None:
        """Skip what comes before the answer to a call that is no longer wanted."""
        while True:
            frame = await self._receive("cancel")
            if frame.kind is Kind.REQ:
                self._asked[frame.correlation] = frame
                await self._refuse_asked()
            elif frame.kind in (Kind.REP, Kind.ERR) and frame.correlation == number:
                return

    async def _send(self, frame: Frame) -> None:
        """That nobody is there to read it, the next `_receive` will tell, and why."""
        with suppress(ChannelClosed):
            await self._channel.send(frame)

    async def _receive(self, phase: str) -> Frame:
        try:
            frame = await self._channel.receive()
        except ChannelClosed as error:
            raise await self._crash(phase) from error
        except (BadFrame, FrameTooLarge) as error:
            raise self._broken(error.message) from error
        stamped = self._number if frame.kind in (Kind.REQ, Kind.PUB) else 0
        if frame.source != stamped:
            raise self._broken(f"it gave itself the number {frame.source}")
        return frame

    def _expected(self, types: Mapping[str, type[T]], frame: Frame) -> type[T]:
        if frame.topic not in types:
            raise self._broken(f"it sent {frame.kind.name} about {frame.topic!r}")
        return types[frame.topic]

    def _decoded(self, body: bytes | msgspec.Raw, type_: type[T]) -> T:
        try:
            return decode_body(body, type_)
        except BadFrame as error:
            raise self._broken(error.message) from error

    def _failure(self, frame: Frame, call: Call) -> SymphonyError:
        """The extension's error, without secrets; the host's own, if it gave up because of that."""
        record = self._decoded(frame.body, ErrorRecord)
        facts = {
            name: scrub(fact) if isinstance(fact, str) else fact
            for name, fact in record.facts.items()
        }
        error = error_of(msgspec.structs.replace(record, facts=facts))
        if error is None:
            return self._broken(f"it answered with the error {record.code!r}")
        if isinstance(error, HostRefused):
            return call.refusals.get(error.request, error)
        return error

    async def _crash(self, phase: str) -> ExtensionCrashed:
        code: int | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(EXIT_GRACE_S):
                code = await self._process.wait()
        self._stop()
        return ExtensionCrashed(self._manifest.id, phase, code, tuple(self._printed))

    def _broken(self, reason: str) -> ProtocolBroken:
        self._stop()
        return ProtocolBroken(self._manifest.id, scrub(reason))

    def _stop(self) -> None:
        self._spoiled = True
        self._process.kill()

    @asynccontextmanager
    async def _limit(self, phase: str, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds) as limit:
                yield
        except TimeoutError as error:
            if limit.expired():
                raise ExtensionTimeout(self._manifest.id, phase, seconds) from error
            raise


@asynccontextmanager
async def open_worker(
    manifest: Manifest, folder: Path, number: int, config: HostConfig
) -> AsyncIterator[Worker]:
    """Start the extension's process, which has loaded nothing yet, and end it with the block."""
    printed: deque[str] = deque(maxlen=SHOWN_LINES)

    def take(line: str) -> None:
        line = scrub(line)
        printed.append(line[:SHOWN_WIDTH])
        for at in range(0, max(len(line), 1), LOGGED_WIDTH):  # cut when nothing secret is left
            log.info("printed", extension=manifest.id, line=line[at : at + LOGGED_WIDTH])

    async with (
        spawn(Policy(PROGRAM, folder), take) as process,
        open_channel(process.channel, config.max_message_bytes) as channel,
    ):
        worker = Worker(manifest, config, process, channel, number, printed)
        await worker.greet()
        yield worker
