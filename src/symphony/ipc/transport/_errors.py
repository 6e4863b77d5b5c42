"""What can go wrong between two processes before a byte of the conversation is read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from symphony.commons.errors import Category
from symphony.ipc._errors import IpcError

_NOBODY = {
    errno.ENOENT: "there is no such socket",
    errno.ENOTDIR: "there is no such socket",
    errno.ECONNREFUSED: "no process listens there",
    errno.EPROTOTYPE: "what listens there speaks another kind of socket",
}


class BadAddress(IpcError):
    """What was given is no address, or one that may not be used."""

    code = "ipc.bad_address"
    category = Category.VALIDATION

    def __init__(self, address: str, reason: str, *, hint: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(f"{address!r} is not an address to meet at: {reason}.", hint=hint)


class Unreachable(IpcError):
    """Nobody answers at an address; somebody may later."""

    code = "ipc.unreachable"
    category = Category.UNAVAILABLE

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(
            f"Nobody can be reached at {address}: {reason}.",
            hint="Check that what should listen there is running, and the address.",
        )


class AddressInUse(IpcError):
    """A live server has the address; `holder` is its process, if known."""

    code = "ipc.address_in_use"
    category = Category.CONFLICT

    def __init__(self, address: str, holder: int | None = None) -> None:
        self.address = address
        self.holder = holder
        who = "another process" if holder is None else f"process {holder}"
        super().__init__(
            f"{address} is in use by {who}.", hint="Use the one that runs, or end it first."
        )


class ConnectionNotPermitted(IpcError):
    """The system, or our own care, forbids it: another user's socket, folder or process."""

    code = "ipc.connection_not_permitted"
    category = Category.PERMISSION

    def __init__(self, address: str, reason: str, *, hint: str = "") -> None:
        self.address = address
        self.reason = reason
        super().__init__(
            f"{address} may not be used: {reason}.",
            hint=hint or "Check who owns it and its permissions.",
        )


class TransportUnavailable(IpcError):
    """This way of getting there does not exist on this system, or not for this process."""

    code = "ipc.unavailable"
    category = Category.UNAVAILABLE

    def __init__(self, what: str, reason: str, *, hint: str = "") -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what} cannot be used here: {reason}.", hint=hint)


class TransportFailed(IpcError):
    """Any other answer of the operating system: too many open files, no memory."""

    code = "ipc.failed"
    category = Category.IO

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(f"{address} could not be used: {reason}.")


class BadHandle(IpcError):
    """What was handed over is not memory that can be mapped without danger, or did not come."""

    code = "ipc.bad_handle"
    category = Category.VALIDATION

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Received a handle on shared memory that cannot be used: {reason}.")


class PoolClosed(IpcError):
    """Whoever owned the pool has left it."""

    code = "ipc.pool_closed"
    category = Category.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The pool was closed: it hands out no more connections.")


@contextmanager
def translated(address: object) -> Iterator[None]:
    """Raise the `OSError`s of the block as errors about `address`."""
    try:
        yield
    except OSError as error:
        raise _translate(str(address), error) from error


def _translate(address: str, error: OSError) -> IpcError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in _NOBODY:
        return Unreachable(address, _NOBODY[error.errno])
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ConnectionNotPermitted(address, reason)
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(address)
    return TransportFailed(address, reason)
