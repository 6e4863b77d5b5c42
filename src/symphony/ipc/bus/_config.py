"""The broker's settings."""

from __future__ import annotations

from typing import Annotated

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class BusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the broker allows each endpoint, and how long it waits for a silent one."""

    #: The largest frame either side may send; what is larger travels as shared memory.
    max_frame_bytes: Annotated[int, msgspec.Meta(ge=4096, le=16 * 1024 * 1024)] = 4 * 1024 * 1024
    #: The largest content of such shared memory.
    max_shared_bytes: Positive = 1024 * 1024 * 1024
    #: How far an endpoint may publish ahead of its slowest `block` subscriber.
    publish_frames: Positive = 2048
    publish_bytes: Positive = 4 * 1024 * 1024
    #: Requests that an endpoint may have open at once.
    max_requests: Positive = 4096
    max_endpoints: Positive = 1024
    #: Subscriptions, and served patterns, of one endpoint.
    max_registrations: Positive = 4096
    #: Bytes that may wait for an endpoint that does not read, before it is cut off.
    max_backlog_bytes: Positive = 64 * 1024 * 1024
    #: Every endpoint is asked for a sign of life this often.
    heartbeat_s: Seconds = 5.0
    #: One that has owed an answer for so long is degraded, unhealthy, cut off.
    degraded_s: Seconds = 2.0
    unhealthy_s: Seconds = 10.0
    dead_s: Seconds = 30.0
    #: How long a new connection may take to say who it is, and a closing broker to end requests.
    greeting_s: Seconds = 10.0
    drain_s: Seconds = 5.0
