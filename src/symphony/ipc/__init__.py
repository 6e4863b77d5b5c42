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
    from symphony.ipc.bus._rpc import JsonRpcBridge
    from symphony.ipc.bus._subscription import Subscription
    from symphony.ipc.bus._topics import check_pattern, check_topic, matches
    from symphony.ipc.bus._trace import TRACE, next_trace
    from symphony.ipc.protocol._codecs import opened, seal
    from symphony.ipc.protocol._control import Policy
    from symphony.ipc.protocol._envelope import Codec, Envelope
    from symphony.ipc.protocol._errors import (
        MessageInvalid,
        SchemaMismatch,
        TypeRefused,
        TypeUnknown,
    )
    from symphony.ipc.protocol._jsonrpc import HeaderFraming, JsonRpcSession, LineFraming
    from symphony.ipc.protocol._pretty import pretty
    from symphony.ipc.protocol._types import MessageType, MessageTypes
    from symphony.ipc.transport._address import (
        Address,
        MemoryAddress,
        PipeAddress,
        StdioAddress,
        TcpAddress,
        UnixAddress,
        parse_address,
    )
    from symphony.ipc.transport._adopt import adopt_socket
    from symphony.ipc.transport._errors import (
        AddressInUse,
        BadAddress,
        BadHandle,
        ConnectionNotPermitted,
        PoolClosed,
        TransportFailed,
        TransportUnavailable,
        Unreachable,
    )
    from symphony.ipc.transport._identity import Peer, identify
    from symphony.ipc.transport._listen import dial, listen
    from symphony.ipc.transport._pipes import adopt_pipes
    from symphony.ipc.transport._pool import Pool
    from symphony.ipc.transport._shared import SharedBlock, map_block, share
    from symphony.ipc.transport._side import SideChannel, dial_side, listen_side
    from symphony.ipc.transport._stdio import Child, open_child, stdio
    from symphony.ipc.transport._streams import Channel, open_channel
    from symphony.ipc.transport._unix import Listener

#: Where the names are that are imported on first use.
_LATER = {
    "bus._access": (
        "Action",
        "Permit",
        "allow_all",
    ),
    "bus._broker": (
        "Broker",
        "open_broker",
    ),
    "bus._config": ("BusConfig",),
    "bus._endpoint": (
        "Endpoint",
        "connect",
    ),
    "bus._errors": (
        "BadFilter",
        "BadTopic",
        "ResumeGap",
    ),
    "bus._log": ("LogLimits",),
    "bus._message": (
        "Message",
        "Request",
    ),
    "bus._reports": (
        "BusStats",
        "DeadLetter",
        "EndpointInfo",
        "EndpointQuery",
        "ServingInfo",
        "SubscriptionInfo",
    ),
    "bus._rpc": ("JsonRpcBridge",),
    "bus._subscription": ("Subscription",),
    "bus._topics": (
        "check_pattern",
        "check_topic",
        "matches",
    ),
    "bus._trace": (
        "TRACE",
        "next_trace",
    ),
    "protocol._codecs": (
        "opened",
        "seal",
    ),
    "protocol._control": ("Policy",),
    "protocol._envelope": (
        "Codec",
        "Envelope",
    ),
    "protocol._errors": (
        "MessageInvalid",
        "SchemaMismatch",
        "TypeRefused",
        "TypeUnknown",
    ),
    "protocol._jsonrpc": (
        "HeaderFraming",
        "JsonRpcSession",
        "LineFraming",
    ),
    "protocol._pretty": ("pretty",),
    "protocol._types": (
        "MessageType",
        "MessageTypes",
    ),
    "transport._address": (
        "Address",
        "MemoryAddress",
        "PipeAddress",
        "StdioAddress",
        "TcpAddress",
        "UnixAddress",
        "parse_address",
    ),
    "transport._adopt": ("adopt_socket",),
    "transport._errors": (
        "AddressInUse",
        "BadAddress",
        "BadHandle",
        "ConnectionNotPermitted",
        "PoolClosed",
        "TransportFailed",
        "TransportUnavailable",
        "Unreachable",
    ),
    "transport._identity": (
        "Peer",
        "identify",
    ),
    "transport._listen": (
        "dial",
        "listen",
    ),
    "transport._pipes": ("adopt_pipes",),
    "transport._pool": ("Pool",),
    "transport._shared": (
        "SharedBlock",
        "map_block",
        "share",
    ),
    "transport._side": (
        "SideChannel",
        "dial_side",
        "listen_side",
    ),
    "transport._stdio": (
        "Child",
        "open_child",
        "stdio",
    ),
    "transport._streams": (
        "Channel",
        "open_channel",
    ),
    "transport._unix": ("Listener",),
}
_HOMES = {name: module for module, names in _LATER.items() for name in names}

__all__ = (
    "MAX_FRAME",
    "PART_SIZE",
    "PROTOCOL",
    "TRACE",
    "Action",
    "Address",
    "AddressInUse",
    "BadAddress",
    "BadFilter",
    "BadFrame",
    "BadHandle",
    "BadTopic",
    "BlockingChannel",
    "Broker",
    "BusClosing",
    "BusConfig",
    "BusStats",
    "Channel",
    "ChannelClosed",
    "Child",
    "Codec",
    "ConnectionLost",
    "ConnectionNotPermitted",
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
    "HeaderFraming",
    "Hello",
    "IpcError",
    "JsonRpcBridge",
    "JsonRpcSession",
    "Kind",
    "LimitReached",
    "LineFraming",
    "Listener",
    "Load",
    "LogLevel",
    "LogLimits",
    "LogLine",
    "MemoryAddress",
    "Message",
    "MessageInvalid",
    "MessageType",
    "MessageTypes",
    "NameTaken",
    "NoResponder",
    "NotKept",
    "NotPermitted",
    "PartRead",
    "Peer",
    "Permit",
    "PipeAddress",
    "Policy",
    "Pool",
    "PoolClosed",
    "Progress",
    "ReadPart",
    "Request",
    "RequestFailed",
    "RequestTimeout",
    "ResponderGone",
    "ResumeGap",
    "Run",
    "RunResult",
    "SchemaMismatch",
    "SecretRequest",
    "ServingInfo",
    "SharedBlock",
    "SideChannel",
    "Silent",
    "SlowReader",
    "StdioAddress",
    "Subscription",
    "SubscriptionInfo",
    "TcpAddress",
    "Topic",
    "TransportFailed",
    "TransportUnavailable",
    "TypeRefused",
    "TypeUnknown",
    "UnixAddress",
    "Unreachable",
    "Welcome",
    "WritePart",
    "WrongVersion",
    "adopt_pipes",
    "adopt_socket",
    "allow_all",
    "check_pattern",
    "check_topic",
    "connect",
    "decode_body",
    "dial",
    "dial_side",
    "encode",
    "encode_body",
    "identify",
    "listen",
    "listen_side",
    "map_block",
    "matches",
    "next_trace",
    "open_broker",
    "open_channel",
    "open_child",
    "opened",
    "parse_address",
    "pretty",
    "seal",
    "share",
    "stdio",
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(import_module(f"{__name__}.{_HOMES[name]}"))[name]
