"""What can go wrong on the wire."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from symphony.commons.errors import Category, ErrorRecord, SymphonyError, leaves


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


class NoResponder(IpcError):
    """Nobody serves the topic; known at once, nothing was waited for."""

    code = "ipc.no_responder"
    category = Category.UNAVAILABLE

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(
            f"Nobody answers requests for {topic!r}.",
            hint="`symphony bus endpoints` lists who serves what.",
        )


class ResponderGone(IpcError):
    """Who was to answer has disconnected; the request may have been carried out or not."""

    code = "ipc.responder_gone"
    category = Category.UNAVAILABLE

    def __init__(self, responder: str) -> None:
        self.responder = responder
        super().__init__(f"{responder!r} disconnected before it answered.")


class ConnectionLost(IpcError):
    """The connection to the broker broke; what was asked may have been carried out or not."""

    code = "ipc.connection_lost"
    category = Category.UNAVAILABLE

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(f"The connection to the bus at {address} was lost: {reason}.")


class RequestTimeout(IpcError):
    """No answer came in time; the responder was told to give up."""

    code = "ipc.timeout"
    category = Category.TIMEOUT

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(f"No answer to {topic!r} came in time.")


class RequestFailed(IpcError):
    """The responder answered with an error of its own, whose code and facts are in `error`."""

    code = "ipc.request_failed"
    category = Category.EXTENSION

    def __init__(self, error: ErrorRecord) -> None:
        self.error = error
        self.failure = error.code
        super().__init__(f"The request failed: {error.message}", hint=error.hint)


class HandlerFailed(IpcError):
    """A responder's own code raised something else than an error of Symphony's."""

    code = "ipc.handler_failed"
    category = Category.EXTENSION

    def __init__(self, topic: str, type_: str, reason: str) -> None:
        self.topic = topic
        self.type = type_
        self.reason = reason
        super().__init__(f"What answers {topic!r} raised {type_}: {reason}.")


class NotPermitted(IpcError):
    """An endpoint tried what it has no grant for."""

    code = "ipc.not_permitted"
    category = Category.PERMISSION

    def __init__(self, endpoint: str, action: str, topic: str) -> None:
        self.endpoint = endpoint
        self.action = action
        self.topic = topic
        super().__init__(f"{endpoint!r} may not {action} {topic!r}.")


class NameTaken(IpcError):
    """Another endpoint of this name is connected."""

    code = "ipc.name_taken"
    category = Category.CONFLICT

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The name {name!r} is taken on this bus.", hint="Choose another name.")


class LimitReached(IpcError):
    """The broker allows no more of something."""

    code = "ipc.limit"
    category = Category.LIMIT

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"The bus allows no more than {limit:,} {what}.")


class SlowReader(IpcError):
    """An endpoint was cut off since too much waited for it."""

    code = "ipc.slow_reader"
    category = Category.LIMIT

    def __init__(self, endpoint: str, what: str, waiting: int) -> None:
        self.endpoint = endpoint
        self.what = what
        self.waiting = waiting
        super().__init__(f"{endpoint!r} did not read: {waiting:,} {what} were waiting for it.")


class Silent(IpcError):
    """An endpoint, or the broker, gave no sign of life in time."""

    code = "ipc.silent"
    category = Category.TIMEOUT

    def __init__(self, who: str, seconds: float) -> None:
        self.who = who
        self.seconds = seconds
        super().__init__(f"{who!r} gave no sign of life for {seconds:.1f} s.")


class NotKept(IpcError):
    """A message was to be kept, or resumed from, by a broker that keeps nothing."""

    code = "ipc.not_kept"
    category = Category.UNAVAILABLE

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(
            f"{topic!r} cannot be kept: this bus has no log.",
            hint="Open the broker with a path for its log.",
        )


class BusClosing(IpcError):
    """The broker is shutting down."""

    code = "ipc.closing"
    category = Category.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The bus is shutting down.")


class WrongVersion(IpcError):
    """The two sides have no version of the protocol in common."""

    code = "ipc.wrong_version"
    category = Category.VALIDATION

    def __init__(self, oldest: int, newest: int, ours: int) -> None:
        self.oldest = oldest
        self.newest = newest
        self.ours = ours
        super().__init__(
            f"The endpoint speaks versions {oldest} to {newest} of the protocol, the bus {ours}.",
            hint="Update the older of the two.",
        )


def error_from(record: ErrorRecord) -> IpcError:
    """The error that another process recorded: one of the bus's own as itself, any other as
    RequestFailed."""
    for class_ in leaves(IpcError):
        make: Callable[..., SymphonyError] = class_  # a leaf's facts are what it was made of
        if record.code == class_.code:
            with suppress(TypeError, ValueError):  # of another version, or of somebody's invention
                error = make(**record.facts)
                if isinstance(error, IpcError):
                    return error
    return RequestFailed(record)
