"""Large payloads on the bus: a frame that carries a handle, and the block that it stands for.

    ticket u64 | size u64          little-endian: the body of a frame with the flag SHARED

The block itself goes over the side channel, before the frame. The broker takes it from the sender
and passes it on under a ticket of its own to each receiver; one that has no side channel gets the
content inline, if that is not larger than its frames may be.
"""

from __future__ import annotations

from struct import Struct as Layout

from symphony.ipc._errors import BadFrame, FrameTooLarge
from symphony.ipc.protocol._frames import SHARED
from symphony.ipc.transport._shared import SharedBlock, map_block

HANDLE = Layout("<QQ")
_LENGTH = Layout("<I")
_FLAGS_AT = 5


class SharedRun(bytes):
    """One frame, and a hold on its block until nobody is to get it any more."""

    block: SharedBlock

    @classmethod
    def of(cls, frame: bytes, block: SharedBlock) -> SharedRun:
        run = cls(frame)
        run.block = block
        return run

    def __del__(self) -> None:
        self.block.close()

    def under(self, ticket: int) -> bytes:
        """The frame with another ticket."""
        return self[: -HANDLE.size] + HANDLE.pack(ticket, self.block.size)

    def inline(self, limit: int) -> bytes:
        """The frame with the content itself; raises FrameTooLarge, BadHandle."""
        head = len(self) - HANDLE.size
        size = head + self.block.size
        if size > limit:
            raise FrameTooLarge(size, limit)
        flags = self[_FLAGS_AT] & ~SHARED
        start = _LENGTH.pack(size) + self[4:_FLAGS_AT] + bytes((flags,)) + self[6:head]
        with map_block(self.block) as content:
            return b"".join((start, content))


def weight(run: bytes) -> int:
    """What a run takes of a credit in bytes: with a handle, its block too."""
    return len(run) + run.block.size if type(run) is SharedRun else len(run)


def handle_of(body: bytes) -> tuple[int, int]:
    """The ticket and the size in the body of a frame; raises BadFrame."""
    if len(body) != HANDLE.size:
        raise BadFrame(f"a handle has {HANDLE.size} bytes, not {len(body)}")
    ticket, size = HANDLE.unpack(body)
    return ticket, size
