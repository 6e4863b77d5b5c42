"""What can be wrong with stored content. Trouble with the disk comes as `commons.files` errors."""

from __future__ import annotations

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import format_size


class ArtifactError(SymphonyError):
    """Something about the one artifact `id`."""

    def __init__(self, id: str, message: str, *, hint: str = "") -> None:  # noqa: A002
        self.id = id
        super().__init__(message, hint=hint)


class ArtifactMissing(ArtifactError):
    code = "artifacts.missing"
    category = Category.NOT_FOUND

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(
            id,
            f"The store has no artifact {id}.",
            hint="Check the id, and whether it was stored under another SYMPHONY_HOME.",
        )


class ArtifactCorrupt(ArtifactError):
    """What lies on the disk is not what was stored. It is never handed out."""

    code = "artifacts.corrupt"
    category = Category.IO

    def __init__(self, id: str, reason: str) -> None:  # noqa: A002
        self.reason = reason
        super().__init__(
            id,
            f"The stored content of {id} is damaged: {reason}.",
            hint="Run again what made it: storing the same content repairs it. Check the disk.",
        )


class ArtifactTooLarge(ArtifactError):
    """The content is whole, but larger than the reader wants in memory."""

    code = "artifacts.too_large"
    category = Category.LIMIT

    def __init__(self, id: str, size: int, limit: int) -> None:  # noqa: A002
        self.size = size
        self.limit = limit
        super().__init__(
            id,
            f"The artifact {id} is too large to read: {format_size(size)},"
            f" the limit is {format_size(limit)}.",
            hint="Raise the limit, or export it to a file.",
        )
