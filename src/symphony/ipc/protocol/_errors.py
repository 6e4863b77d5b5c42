"""What can be wrong with a message, though the frame that carried it was sound.

The stream goes on after any of these: answer with the error's record, or drop the message.
"""

from __future__ import annotations

from collections.abc import Sequence

from symphony.commons.errors import Category
from symphony.ipc._errors import IpcError


class MessageInvalid(IpcError):
    """A body is no envelope, or a payload is not what its type says."""

    code = "ipc.message_invalid"
    category = Category.VALIDATION

    def __init__(self, expected: str, reason: str) -> None:
        self.expected = expected
        self.reason = reason
        super().__init__(f"A message is not {expected}: {reason}.")


class TypeUnknown(IpcError):
    """No message type of this name, or none of this version, is registered."""

    code = "ipc.type_unknown"
    category = Category.NOT_FOUND

    def __init__(self, name: str, version: int, hint: str = "") -> None:
        self.name = name
        self.version = version
        which = f"version {version} of the message type {name!r}" if version else f"{name!r}"
        super().__init__(f"Unknown message type: {which}.", hint=hint)


class TypeRefused(IpcError):
    """A struct cannot be a message type, or cannot follow the version before it."""

    code = "ipc.type_refused"
    category = Category.CONFLICT

    def __init__(self, name: str, version: int, reasons: Sequence[str]) -> None:
        self.name = name
        self.version = version
        self.reasons = tuple(reasons)
        super().__init__(
            f"Version {version} of the message type {name!r} is refused: {'; '.join(reasons)}.",
            hint="Add fields with defaults at the end, or give an upgrade function.",
        )


class SchemaMismatch(IpcError):
    """A compact payload was written with a schema that ours cannot have grown from or into."""

    code = "ipc.schema_mismatch"
    category = Category.CONFLICT

    def __init__(self, type_name: str, written: str, known: str) -> None:
        self.type_name = type_name
        self.written = written
        self.known = known
        super().__init__(
            f"A compact payload has the schema {written}, {type_name} has {known}.",
            hint="Bring both sides to one version, or send MessagePack, which names its fields.",
        )
