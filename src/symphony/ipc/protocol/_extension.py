"""What a host and an extension's process say to each other.

    extension                          host
      HELLO Hello            ->
                             <-        WELCOME Welcome
                             <-        REQ load Load
      REP                    ->
                             <-        REQ run Run           (one at a time)
      PUB progress, log      ->                              (correlation of the run)
      REQ artifact.read ...  ->                              (any number, from any thread)
                             <-        REP, ERR
                             <-        CANCEL                (of the run)
      REP RunResult or ERR   ->
                             <-        BYE

ERR carries a `commons.errors.ErrorRecord`. Messages travel as maps, so that a field may be added;
a reader skips those that it does not know.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

import msgspec

from symphony.commons.values import ArtifactRef

#: The version of this conversation; the host refuses any other in HELLO.
PROTOCOL = 1

#: Content of an artifact travels in parts of at most this size.
PART_SIZE = 4 * 1024 * 1024


LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

#: Counts in reports of progress: whole or broken, never negative, NaN or infinite.
Count: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e18)]


class Topic(StrEnum):
    """What a request or publication is about."""

    LOAD = "load"
    RUN = "run"
    PROGRESS = "progress"
    LOG = "log"
    READ = "artifact.read"
    WRITE = "artifact.write"
    SECRET = "secret"  # noqa: S105 - a topic's name


class Hello(msgspec.Struct, frozen=True):
    """The first frame, from the extension's process."""

    protocol: int
    sdk: str


class Welcome(msgspec.Struct, frozen=True):
    """The host's answer: the sender's number, and the largest frame either side may send."""

    source: int
    max_frame: int


class Load(msgspec.Struct, frozen=True):
    """Import the extension's code and prepare it."""

    extension: str
    type: str
    folder: str
    entry: str
    outputs: list[str]


class Run(msgspec.Struct, frozen=True):
    """Perform once. The values are checked by the receiver (`sdk.check_value`)."""

    run_id: str
    node: str
    attempt: int
    inputs: dict[str, object]


class RunResult(msgspec.Struct, frozen=True):
    """A value for each output port, each encoded by itself."""

    outputs: dict[str, msgspec.Raw]


class Progress(msgspec.Struct, frozen=True):
    """How far the call is; `total` 0 means unknown."""

    done: Count
    total: Count
    message: str = ""


class LogLine(msgspec.Struct, frozen=True):
    """A message for the run's log."""

    level: LogLevel
    message: str
    facts: dict[str, str | int | float | bool | None] = {}


class ReadPart(msgspec.Struct, frozen=True):
    """Ask for a part of an artifact from `offset` on."""

    ref: ArtifactRef
    offset: int = 0


class PartRead(msgspec.Struct, frozen=True):
    """A part of an artifact, and the size of the whole."""

    data: bytes
    total: int


class WritePart(msgspec.Struct, frozen=True):
    """A part of a new artifact. `upload` ties the parts together; each is acknowledged before the
    next is sent, the last with the artifact's reference."""

    upload: int
    data: bytes
    last: bool
    media_type: str = "application/octet-stream"
    name: str = ""


class SecretRequest(msgspec.Struct, frozen=True):
    """Ask for a secret that the manifest declares."""

    name: str
