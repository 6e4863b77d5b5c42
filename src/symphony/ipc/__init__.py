"""The wire between Symphony's processes: frames, the messages of an extension, channels.

The asynchronous channel is imported on first use: an extension's process needs only the blocking
one, and asyncio would be most of its start-up time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony.ipc._blocking import BlockingChannel
from symphony.ipc._errors import BadFrame, ChannelClosed, FrameTooLarge, IpcError
from symphony.ipc._messages import (
    PART_SIZE,
    PROTOCOL,
    Hello,
    Load,
    LogLevel,
    LogLine,
    PartRead,
    Progress,
    ReadPart,
    Run,
    RunResult,
    SecretRequest,
    Topic,
    Welcome,
    WritePart,
)
from symphony.ipc._protocol import (
    MAX_FRAME,
    Frame,
    FrameParser,
    Kind,
    decode_body,
    encode,
    encode_body,
)

if TYPE_CHECKING:
    from symphony.ipc._streams import Channel, open_channel

__all__ = (
    "MAX_FRAME",
    "PART_SIZE",
    "PROTOCOL",
    "BadFrame",
    "BlockingChannel",
    "Channel",
    "ChannelClosed",
    "Frame",
    "FrameParser",
    "FrameTooLarge",
    "Hello",
    "IpcError",
    "Kind",
    "Load",
    "LogLevel",
    "LogLine",
    "PartRead",
    "Progress",
    "ReadPart",
    "Run",
    "RunResult",
    "SecretRequest",
    "Topic",
    "Welcome",
    "WritePart",
    "decode_body",
    "encode",
    "encode_body",
    "open_channel",
)


def __getattr__(name: str) -> object:
    if name not in ("Channel", "open_channel"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from symphony.ipc import _streams

    return vars(_streams)[name]
