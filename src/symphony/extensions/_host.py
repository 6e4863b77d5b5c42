"""The extensions of one program: a process for each that is called, until the host is closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TypeAlias

from symphony.commons.logging import get_logger
from symphony.commons.secrets import lookup
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.extensions._call import SecretLookup
from symphony.extensions._config import HostConfig
from symphony.extensions._discovery import Found
from symphony.extensions._services import Services
from symphony.extensions._worker import Worker, open_worker
from symphony.sdk import BadValue, Manifest, check_value

log = get_logger("extensions")

_Call: TypeAlias = Callable[[Mapping[str, Value], Services], Awaitable[dict[str, Value]]]


class ExtensionHost:
    """Made by `open_host`. An extension's process is started by its first call, runs one call at a
    time, and is started anew by the first call after it has crashed or was killed."""

    def __init__(self, config: HostConfig, secrets: SecretLookup) -> None:
        self._config = config
        self._secrets = secrets
        self._seats: dict[Path, _Seat] = {}
        self._numbers = count(1)

    async def call(
        self, found: Found, inputs: Mapping[str, Value], services: Services
    ) -> dict[str, Value]:
        """Run the extension once; calls of one extension wait for each other.

        Cancel to stop it, also by a time limit: it is asked to give up and killed if it does not.
        Raises `found.error`, and `extensions.*`, `sdk.*`, `sandbox.*` and the services' errors.
        """
        values = _checked(found.require(), inputs)
        async with self.turn(found) as call:
            return await call(values, services)

    @asynccontextmanager
    async def turn(self, found: Found) -> AsyncIterator[_Call]:
        """Wait until no other call of the extension runs, and keep the others waiting for the
        length of the block. Gives what is `call`, without the wait. Raises `found.error`."""
        manifest = found.require()
        seat = self._seats.setdefault(found.folder, _Seat())

        async def call(inputs: Mapping[str, Value], services: Services) -> dict[str, Value]:
            values = _checked(manifest, inputs)
            worker = seat.worker
            if worker is None or not worker.usable:
                worker = await self._start(seat, manifest, found.folder, services)
            return await worker.run(values, services, self._secrets)

        async with seat.lock:
            yield call

    async def _start(
        self, seat: _Seat, manifest: Manifest, folder: Path, services: Services
    ) -> Worker:
        await seat.clear()
        async with AsyncExitStack() as stack:
            opening = open_worker(manifest, folder, next(self._numbers), self._config)
            worker = await stack.enter_async_context(opening)
            await worker.load(folder, services, self._secrets)
            log.debug("started", extension=manifest.id)
            seat.worker, seat.stack = worker, stack.pop_all()
        return worker

    async def close(self) -> None:
        """End every process: those at rest may unload, those in a call are killed."""
        async with task_scope() as tasks:
            for seat in self._seats.values():
                tasks.create_task(seat.close())


class _Seat:
    """Where an extension's process sits, if it has one; whoever calls holds the lock."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.worker: Worker | None = None
        self.stack = AsyncExitStack()

    async def clear(self) -> None:
        self.worker = None
        await self.stack.aclose()

    async def close(self) -> None:
        try:
            if self.worker is not None and self.worker.usable and not self.lock.locked():
                await self.worker.part()
        finally:
            await self.clear()


@asynccontextmanager
async def open_host(
    config: HostConfig | None = None, secrets: SecretLookup | None = None
) -> AsyncIterator[ExtensionHost]:
    """Run a host for the length of the block; none of its processes outlives it.

    `secrets` finds the secrets that extensions declare, by default where `commons.secrets` does.
    """
    host = ExtensionHost(config or HostConfig(), secrets or _lookup)
    try:
        yield host
    finally:
        await host.close()


def _lookup(name: str) -> str | None:
    return lookup(name, os.environ)


def _checked(manifest: Manifest, inputs: Mapping[str, Value]) -> dict[str, Value]:
    known = {port.name for port in manifest.inputs}
    for name in inputs:
        if name not in known:
            raise BadValue(manifest.id, name, "the manifest declares no such input")
    for port in manifest.inputs:
        if port.required and port.name not in inputs:
            raise BadValue(manifest.id, port.name, "it needs a value and was given none")
    return {name: check_value(manifest.id, name, value) for name, value in inputs.items()}
