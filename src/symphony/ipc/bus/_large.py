"""Large payloads on their way out: as shared memory if that can be, else inline.

Nothing is waited for between the packet on the side channel and the frame that names it, and
nothing there can fail.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from types import TracebackType
from typing import NamedTuple

from symphony.commons import blocking
from symphony.ipc._errors import FrameTooLarge, RequestTimeout
from symphony.ipc.bus._connection import Connection
from symphony.ipc.bus._link import Link
from symphony.ipc.bus._topics import check_topic
from symphony.ipc.protocol._frames import SHARED
from symphony.ipc.transport._errors import TransportUnavailable
from symphony.ipc.transport._shared import SHARED_FROM, SharedBlock, share


class Ready(NamedTuple):
    """A request that can be sent at once, and the seconds that are left for it; 0 is for ever."""

    link: Link
    flags: int
    body: bytes
    seconds: float


class _LargeBody(AbstractContextManager["_LargeBody"]):
    """What a frame says of it may be the body itself, or a handle on a copy of it."""

    def __init__(self, flags: int, body: bytes) -> None:
        self._flags = flags
        self._body = body
        self._block: SharedBlock | None = None
        self._copied = len(body) < SHARED_FROM

    def wants_copy(self, link: Link) -> bool:
        """Whether it would go over this connection as shared memory, and there is no copy yet.
        Raises FrameTooLarge if it cannot go over it at all."""
        size, most = len(self._body), max(link.max_frame, link.max_shared)
        if size > most:
            raise FrameTooLarge(size, most)
        return not self._copied and size <= link.max_shared

    async def copy(self) -> None:
        try:
            await blocking.run(self._copy)
        except TransportUnavailable:
            self._copied = True

    def _copy(self) -> None:
        # Kept here at once: of a call that is cancelled the result is dropped.
        self._block = share(self._body)
        self._copied = True

    def framed(self, link: Link) -> tuple[int, bytes] | None:
        """Flags and body of the frame that must be sent for it now; None if there is no room for
        its block yet. Raises TransportUnavailable if it can go neither way for now."""
        size = len(self._body)
        if self._block is None or size > link.max_shared:
            return self._flags, self._body
        try:
            handle = link.hand_over(self._block)
        except TransportUnavailable:
            if link.max_shared and size > link.max_frame:
                raise
            return self._flags, self._body
        if handle:
            return self._flags | SHARED, handle
        return (self._flags, self._body) if size < link.max_frame // 2 else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._block is not None:
            self._block.close()


async def publish_large(connection: Connection, topic: str, flags: int, body: bytes) -> None:
    """Publish once there is credit, and room for it."""
    check_topic(topic)
    with _LargeBody(flags, body) as large:
        while True:
            link = connection.link
            if link is not None and large.wants_copy(link):
                await large.copy()
            elif link is not None and link.frames > 0 and link.size > 0:
                framed = large.framed(link)
                if framed is not None:
                    link.publish(topic, *framed)
                    link.size -= len(body) if framed[0] & SHARED else 0
                    return
                await connection.room()
            else:
                await connection.room()


async def ready_to_ask(
    connection: Connection, topic: str, flags: int, body: bytes, seconds: float
) -> Ready:
    """Wait until a request can be sent; raises RequestTimeout, ConnectionLost."""
    with _LargeBody(flags, body) as large:
        try:
            async with asyncio.timeout(seconds or None) as limit:
                link, framed = await _framed(connection, large)
        except TimeoutError as error:
            raise RequestTimeout(topic) from error
    deadline = limit.when()
    if deadline is None:
        return Ready(link, *framed, 0.0)
    left = deadline - asyncio.get_running_loop().time()
    if left <= 0:
        raise RequestTimeout(topic)
    return Ready(link, *framed, left)


async def _framed(connection: Connection, large: _LargeBody) -> tuple[Link, tuple[int, bytes]]:
    while True:
        link = await connection.usable()
        if large.wants_copy(link):
            await large.copy()
        elif (framed := large.framed(link)) is not None:
            return link, framed
        else:
            await connection.room()


def handed_now(link: Link, flags: int, body: bytes) -> tuple[int, bytes]:
    """A reply's flags and body: a handle, or the body itself if that cannot be now."""
    if len(body) > link.max_shared:
        return flags, body
    try:
        with share(body) as block:
            handle = link.hand_over(block)
    except TransportUnavailable:
        return flags, body
    return (flags | SHARED, handle) if handle else (flags, body)
