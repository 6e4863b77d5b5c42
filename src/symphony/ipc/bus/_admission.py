"""How an endpoint is let in: what it must say, and what it is told."""

from __future__ import annotations

import re

from symphony.ipc._errors import BadFrame, WrongVersion
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.protocol._control import NEWEST_VERSION, Admission, Greeting

#: A name is a topic of its own: the endpoint can be found under it.
NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def check_greeting(greeting: Greeting, limit: int) -> None:
    """Raise WrongVersion or BadFrame unless the endpoint could be let in; `limit` is how large the
    frames are that all here must take."""
    if not greeting.oldest <= NEWEST_VERSION <= greeting.newest:
        raise WrongVersion(greeting.oldest, greeting.newest, NEWEST_VERSION)
    if not NAME.fullmatch(greeting.name) or greeting.name.split(".")[0] == "bus":
        raise BadFrame(f"{greeting.name!r} is no name for an endpoint")
    if greeting.max_frame < limit:
        raise BadFrame(f"it takes no frames of {limit:,} bytes, as all here must")


def welcome(config: BusConfig, number: int, epoch: str, side: tuple[str, str]) -> Admission:
    """`side` is where the endpoint can connect a side channel, and what to say there."""
    side_channel, ticket = side
    return Admission(
        version=NEWEST_VERSION,
        source=number,
        max_frame=config.max_frame_bytes,
        credit_frames=config.publish_frames,
        credit_bytes=config.publish_bytes,
        max_requests=config.max_requests,
        heartbeat_s=config.heartbeat_s,
        epoch=epoch,
        side_channel=side_channel,
        ticket=ticket,
        max_shared=config.max_shared_bytes if side_channel else 0,
    )
