"""The wire between Symphony's processes: frames, the bus and its endpoints, and the conversation
with an extension.

    async with open_broker(["unix:/run/user/1000/bus.sock"]):
        async with connect("unix:/run/user/1000/bus.sock", name="clock") as endpoint:
            await endpoint.publish("time.now", {"hour": 12})

What an extension's process needs is imported at once; the rest on first use, since asyncio alone
would be most of that process's start-up time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from symphony.ipc._errors import (
    BadFrame,
    BusClosing,
    ChannelClosed,
    ConnectionLost,
    FrameTooLarge,
    HandlerFailed,
    IpcError,
    LimitReached,
    NameTaken,
    NoResponder,
    NotKept,
    NotPermitted,
    RequestFailed,
    RequestTimeout,
    ResponderGone,
    Silent,
    SlowReader,
    WrongVersion,
)
from symphony.ipc.protocol._extension import (
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
from symphony.ipc.protocol._frames import (
    MAX_FRAME,
    Flag,
    Frame,
    FrameParser,
    Kind,
    decode_body,
    encode,
    encode_body,
)
from symphony.ipc.transport._blocking import BlockingChannel

if TYPE_CHECKING:
    from symphony.ipc.bus._access import Action, Permit, allow_all
    from symphony.ipc.bus._broker import Broker, open_broker
    from symphony.ipc.bus._config import BusConfig
    from symphony.ipc.bus._endpoint import Endpoint, connect
    from symphony.ipc.bus._errors import BadFilter, BadTopic, ResumeGap
    from symphony.ipc.bus._log import LogLimits
    from symphony.ipc.bus._message import Message, Request
    from symphony.ipc.bus._reports import (
        BusStats,
        DeadLetter,
        EndpointInfo,
        EndpointQuery,
        ServingInfo,
        SubscriptionInfo,
    )
    from symphony.ipc.bus._subscription import Subscription
    from symphony.ipc.bus._topics import check_pattern, check_topic, matches
    from symphony.ipc.protocol._codecs import opened, seal
    from symphony.ipc.protocol._control import Policy
    from symphony.ipc.protocol._envelope import Codec, Envelope
    from symphony.ipc.protocol._errors import MessageInvalid
    from symphony.ipc.protocol._pretty import pretty
    from symphony.ipc.transport._listen import dial, listen
    from symphony.ipc.transport._streams import Channel, open_channel

#: Where the names are that are imported on first use.
_LATER = {
    "bus._access": ("Action", "Permit", "allow_all"),
    "bus._broker": ("Broker", "open_broker"),
    "bus._config": ("BusConfig",),
    "bus._endpoint": ("Endpoint", "connect"),
    "bus._errors": ("BadFilter", "BadTopic", "ResumeGap"),
    "bus._log": ("LogLimits",),
    "bus._message": ("Message", "Request"),
    "bus._reports": (
        "BusStats",
        "DeadLetter",
        "EndpointInfo",
        "EndpointQuery",
        "ServingInfo",
        "SubscriptionInfo",
    ),
    "bus._subscription": ("Subscription",),
    "bus._topics": ("check_pattern", "check_topic", "matches"),
    "protocol._codecs": ("opened", "seal"),
    "protocol._control": ("Policy",),
    "protocol._envelope": ("Codec", "Envelope"),
    "protocol._errors": ("MessageInvalid",),
    "protocol._pretty": ("pretty",),
    "transport._listen": ("dial", "listen"),
    "transport._streams": ("Channel", "open_channel"),
}
_HOMES = {name: module for module, names in _LATER.items() for name in names}

__all__ = (
    "MAX_FRAME",
    "PART_SIZE",
    "PROTOCOL",
    "Action",
    "BadFilter",
    "BadFrame",
    "BadTopic",
    "BlockingChannel",
    "Broker",
    "BusClosing",
    "BusConfig",
    "BusStats",
    "Channel",
    "ChannelClosed",
    "Codec",
    "ConnectionLost",
    "DeadLetter",
    "Endpoint",
    "EndpointInfo",
    "EndpointQuery",
    "Envelope",
    "Flag",
    "Frame",
    "FrameParser",
    "FrameTooLarge",
    "HandlerFailed",
    "Hello",
    "IpcError",
    "Kind",
    "LimitReached",
    "Load",
    "LogLevel",
    "LogLimits",
    "LogLine",
    "Message",
    "MessageInvalid",
    "NameTaken",
    "NoResponder",
    "NotKept",
    "NotPermitted",
    "PartRead",
    "Permit",
    "Policy",
    "Progress",
    "ReadPart",
    "Request",
    "RequestFailed",
    "RequestTimeout",
    "ResponderGone",
    "ResumeGap",
    "Run",
    "RunResult",
    "SecretRequest",
    "ServingInfo",
    "Silent",
    "SlowReader",
    "Subscription",
    "SubscriptionInfo",
    "Topic",
    "Welcome",
    "WritePart",
    "WrongVersion",
    "allow_all",
    "check_pattern",
    "check_topic",
    "connect",
    "decode_body",
    "dial",
    "encode",
    "encode_body",
    "listen",
    "matches",
    "open_broker",
    "open_channel",
    "opened",
    "pretty",
    "seal",
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(import_module(f"{__name__}.{_HOMES[name]}"))[name]
