"""What can go wrong on an extension's side. Most of these are raised in the extension's process,
sent to the host as a record, and raised again there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony.commons.errors import Category, ErrorRecord, SymphonyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SdkError(SymphonyError):
    """The root of the room's errors. Those that travel have one argument for each fact."""


class BadManifest(SdkError):
    """A `symphony.toml` cannot be used."""

    code = "sdk.bad_manifest"
    category = Category.VALIDATION

    def __init__(self, path: Path, reason: str, *, hint: str = "") -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is not a valid manifest: {reason}.", hint=hint)


class BadEntry(SdkError):
    """The manifest's `entry` does not lead to a class that can be used."""

    code = "sdk.bad_entry"
    category = Category.EXTENSION

    def __init__(self, extension: str, entry: str, reason: str) -> None:
        self.extension = extension
        self.entry = entry
        self.reason = reason
        super().__init__(f"The extension {extension!r} has no usable entry {entry!r}: {reason}.")


class BadValue(SdkError):
    """A value cannot travel between processes, or a port is missing or not declared."""

    code = "sdk.bad_value"
    category = Category.SERIALIZATION

    def __init__(self, extension: str, port: str, reason: str) -> None:
        self.extension = extension
        self.port = port
        self.reason = reason
        super().__init__(
            f"The port {port!r} of the extension {extension!r} has no usable value: {reason}.",
            hint="Ports carry what JSON can hold, and content as artifacts.",
        )


class ValueTooLarge(SdkError):
    """The values of a call, taken together, do not fit into one message."""

    code = "sdk.value_too_large"
    category = Category.LIMIT

    def __init__(self, extension: str, what: str, size: int, limit: int) -> None:
        self.extension = extension
        self.what = what
        self.size = size
        self.limit = limit
        super().__init__(
            f"The {what} of the extension {extension!r} take {size} bytes; {limit} are allowed.",
            hint="Pass large content as an artifact (Context.write and Context.read).",
        )


class Raised(SdkError):
    """The extension's own code raised an exception; its traceback is in the log."""

    code = "sdk.raised"
    category = Category.EXTENSION

    def __init__(self, extension: str, phase: str, exception: str, reason: str, place: str) -> None:
        self.extension = extension
        self.phase = phase
        self.exception = exception
        self.reason = reason
        self.place = place
        said = f"{exception}: {reason}" if reason else exception
        super().__init__(
            f"The extension {extension!r} failed in {phase} at {place}: {said}",
            hint="The extension's traceback is in logs/symphony.log in Symphony's home folder.",
        )


class Cancelled(SdkError):
    """The host has cancelled the call; let it pass through `run`."""

    code = "sdk.cancelled"
    category = Category.CANCELLED

    def __init__(self, extension: str) -> None:
        self.extension = extension
        super().__init__(f"The call of the extension {extension!r} was cancelled.")


class HostRefused(SdkError):
    """The host could not do what the extension asked for. `cause` is the code of the host's own
    error, such as `artifacts.missing`; if the extension does not catch this, that is raised."""

    code = "sdk.refused"
    category = Category.EXTENSION

    def __init__(self, request: int, cause: str, reason: str) -> None:
        self.request = request
        self.cause = cause
        self.reason = reason
        super().__init__(f"The host refused ({cause}): {reason}")


_TRAVELLING: dict[str, Callable[..., SdkError]] = {
    leaf.code: leaf for leaf in (BadEntry, BadValue, ValueTooLarge, Raised, Cancelled, HostRefused)
}


def error_of(record: ErrorRecord) -> SdkError | None:
    """The error that was sent as `record`; None if no extension could have raised it."""
    leaf = _TRAVELLING.get(record.code)
    if leaf is None:
        return None
    try:
        return leaf(**record.facts)
    except TypeError:
        return None
