"""What can go wrong on the wire."""

from __future__ import annotations

from symphony.commons.errors import Category, SymphonyError


class IpcError(SymphonyError):
    """The root of the room's errors. After `BadFrame` or `FrameTooLarge` was *received* the
    stream has lost its place: close the channel."""


class BadFrame(IpcError):
    """The other side sent what is no frame, or a body that is not what it should be."""

    code = "ipc.bad_frame"
    category = Category.SERIALIZATION

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Received something that is not a valid frame: {reason}.")


class FrameTooLarge(IpcError):
    """A frame is larger than the two sides agreed on."""

    code = "ipc.frame_too_large"
    category = Category.LIMIT

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"A frame of {size} bytes is larger than the {limit} bytes allowed.",
            hint="Pass large content as an artifact.",
        )


class ChannelClosed(IpcError):
    """The other side is gone, or this side has closed the channel."""

    code = "ipc.closed"
    category = Category.UNAVAILABLE

    def __init__(self, unfinished: int = 0) -> None:
        self.unfinished = unfinished
        where = f" in the middle of a frame, after {unfinished} of its bytes" if unfinished else ""
        super().__init__(f"The channel was closed{where}.")
