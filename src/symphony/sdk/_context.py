"""What an extension's code may ask of the host during a call."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, TypeVar, get_args

from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.ipc import (
    PART_SIZE,
    LogLevel,
    LogLine,
    PartRead,
    Progress,
    ReadPart,
    SecretRequest,
    Topic,
    WritePart,
)
from symphony.sdk._errors import Cancelled

if TYPE_CHECKING:
    from pathlib import Path

    from symphony.sdk._link import Link

T = TypeVar("T")

LARGEST_COUNT = 1e18

_uploads = count(1)


class Context:
    """Handed to `load` and `run`, and of use until they return; from any thread.

    Every method raises `Cancelled` once the host has cancelled the call, so that a loop which
    reports its progress ends by itself.
    """

    def __init__(
        self,
        link: Link,
        call: int,
        extension: str,
        folder: str,
        *,
        run_id: str = "",
        node: str = "",
        attempt: int = 0,
    ) -> None:
        """`run_id` and `node` are empty in `load`."""
        self.run_id = run_id
        self.node = node
        self.attempt = attempt
        self._link = link
        self._call = call
        self._extension = extension
        self._folder = folder

    @property
    def folder(self) -> Path:
        """The extension's folder, where its manifest lies."""
        from pathlib import Path

        return Path(self._folder)

    @property
    def cancelled(self) -> bool:
        """Whether to stop. The process is killed some seconds after the cancel."""
        return self._link.cancelled == self._call

    def check(self) -> None:
        """Raise `Cancelled` if the call was cancelled; nothing else."""
        if self.cancelled:
            raise Cancelled(self._extension)

    def progress(self, done: float, total: float = 0, message: str = "") -> None:
        """Say how far the call is; `total` 0 means that it is not known."""
        self.check()
        if not (0 <= done <= LARGEST_COUNT and 0 <= total <= LARGEST_COUNT):
            raise ValueError(f"progress({done}, {total}): neither may be negative, NaN or infinite")
        self._link.publish(Topic.PROGRESS, self._call, Progress(done, total, message))

    def log(
        self,
        level: LogLevel,
        message: str,
        **facts: str | float | bool | None,
    ) -> None:
        """Write to the log of the run. What is printed gets into the log too, without a level."""
        self.check()
        if level not in get_args(LogLevel):
            raise ValueError(f"the level is {level!r}, not one of {get_args(LogLevel)}")
        self._link.publish(Topic.LOG, self._call, LogLine(level, message, facts))

    def read(self, artifact: ArtifactRef | Mapping[str, Value]) -> bytes:
        """The content of an artifact, given as a port carries it. Raises HostRefused."""
        ref = artifact if isinstance(artifact, ArtifactRef) else as_ref(dict(artifact))
        if ref is None:
            raise TypeError(f"not a reference to an artifact: {artifact!r}")
        content = bytearray()
        while True:
            part = self._ask(Topic.READ, ReadPart(ref, len(content)), PartRead)
            content += part.data
            if len(content) >= part.total:
                return bytes(content)

    def write(self, content: bytes, media_type: str, name: str = "") -> ArtifactRef:
        """Keep content as an artifact; put the reference into an output. Raises HostRefused."""
        upload = next(_uploads)
        last_at = max(len(content) - 1, 0) // PART_SIZE * PART_SIZE
        for at in range(0, last_at, PART_SIZE):
            part = WritePart(upload, content[at : at + PART_SIZE], last=False)
            self._ask(Topic.WRITE, part, type(None))
        last = WritePart(upload, content[last_at:], last=True, media_type=media_type, name=name)
        return self._ask(Topic.WRITE, last, ArtifactRef)

    def secret(self, name: str) -> str:
        """A secret that the manifest declares. Raises HostRefused if it is not declared or set."""
        return self._ask(Topic.SECRET, SecretRequest(name), str)

    def _ask(self, topic: Topic, message: object, type_: type[T]) -> T:
        self.check()
        return self._link.ask(topic, message, type_)
