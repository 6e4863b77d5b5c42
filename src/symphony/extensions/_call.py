"""What one call asks of the host while it runs: artifacts, secrets, a place for its reports."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from symphony.commons import blocking
from symphony.commons.errors import SymphonyError
from symphony.commons.files import translated
from symphony.commons.secrets import redact, scrub
from symphony.commons.values import ArtifactRef
from symphony.extensions._errors import SecretDenied, SecretMissing
from symphony.extensions._services import Services
from symphony.ipc import (
    PART_SIZE,
    Frame,
    Kind,
    LogLine,
    PartRead,
    Progress,
    ReadPart,
    SecretRequest,
    WritePart,
    encode_body,
)
from symphony.sdk import Manifest

SecretLookup: TypeAlias = Callable[[str], str | None]
Request: TypeAlias = ReadPart | WritePart | SecretRequest


class Call:
    """`refusals` keeps the host's own errors: the extension learns the code and the message only,
    and if it gives up because of one, that one is what the caller gets."""

    def __init__(self, manifest: Manifest, services: Services, secrets: SecretLookup) -> None:
        self.refusals: dict[int, SymphonyError] = {}
        self._manifest = manifest
        self._services = services
        self._secrets = secrets
        self._reading: dict[str, bytes] = {}
        self._uploads: dict[int, Path] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def report(self, message: Progress | LogLine) -> None:
        text = scrub(message.message)
        if isinstance(message, Progress):
            self._services.progress(message.done, message.total, text)
        else:
            facts = {
                scrub(name): scrub(fact) if isinstance(fact, str) else fact
                for name, fact in message.facts.items()
            }
            self._services.log(message.level, text, **facts)

    async def answer(self, frame: Frame, request: Request) -> Frame:
        """The frame to send back, whether or not the host could do it."""
        try:
            reply = await self._perform(request)
        except SymphonyError as error:
            self.refusals[frame.correlation] = error
            kind, body = Kind.ERR, encode_body(error.record())
        else:
            kind, body = Kind.REP, encode_body(reply)
        return Frame(kind, frame.correlation, frame.topic, body, frame.source)

    async def _perform(self, request: Request) -> PartRead | ArtifactRef | str | None:
        match request:
            case ReadPart():
                return await self._read(request)
            case WritePart():
                return await self._write(request)
            case SecretRequest():
                return await self._secret(request.name)

    async def _read(self, request: ReadPart) -> PartRead:
        """The whole is kept from the first part to the last: the store verifies wholes only."""
        content = self._reading.get(request.ref.id)
        if content is None:
            content = await self._services.read_artifact(request.ref)
            self._reading[request.ref.id] = content
        end = request.offset + PART_SIZE
        if end >= len(content):
            del self._reading[request.ref.id]
        return PartRead(content[request.offset : end], len(content))

    async def _write(self, part: WritePart) -> ArtifactRef | None:
        """Content of one part goes straight to the store, more is gathered in a file."""
        if part.last and part.upload not in self._uploads:
            return await self._services.write_artifact(part.data, part.media_type, part.name)
        await blocking.run(self._append, part)
        if not part.last:
            return None
        path = self._uploads.pop(part.upload)
        return await self._services.write_artifact(path, part.media_type, part.name)

    def _append(self, part: WritePart) -> None:
        if self._folder is None:
            with translated(Path(tempfile.gettempdir())):
                self._folder = tempfile.TemporaryDirectory(prefix="symphony-upload-")
        path = self._uploads.setdefault(part.upload, Path(self._folder.name) / str(part.upload))
        with translated(path), path.open("ab") as file:
            file.write(part.data)

    async def _secret(self, name: str) -> str:
        if name not in self._manifest.secrets:
            raise SecretDenied(self._manifest.id, name)
        # A keyring may wait for its owner to type a password.
        value = await blocking.run_abandonable(self._secrets, name)
        if value is None:
            raise SecretMissing(self._manifest.id, name)
        return redact(value)

    async def close(self) -> None:
        """Remove what was uploaded."""
        if self._folder is not None:
            await blocking.run(self._folder.cleanup)
