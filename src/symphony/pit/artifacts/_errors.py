"""What can be wrong with stored content. Trouble with the disk comes as `commons.files` errors."""

from __future__ import annotations

from pathlib import Path

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


class Ambiguous(ArtifactError):
    """The beginning of several ids."""

    code = "artifacts.ambiguous"
    category = Category.VALIDATION

    def __init__(self, id: str, matches: int) -> None:  # noqa: A002
        self.matches = matches
        super().__init__(
            id, f"{matches} artifacts begin with {id}.", hint="Give more digits of the id."
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


class StoreError(SymphonyError):
    """Something about a whole store, or about a file of it: `path`."""

    def __init__(self, path: Path, message: str, *, hint: str = "") -> None:
        self.path = path
        super().__init__(message, hint=hint)


class StoreDamaged(StoreError):
    """The file that says what the store is, and holds its wrapped keys, cannot be used."""

    code = "artifacts.store_damaged"
    category = Category.SERIALIZATION

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(
            path,
            f"The file {path} cannot be read: {reason}.",
            hint="Restore it from a copy of the store; without it the store cannot be opened.",
        )


class StoreNewer(StoreError):
    code = "artifacts.store_newer"
    category = Category.CONFLICT

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            path,
            f"The store of {path} has format {found}, newer than {known}, the last known here.",
            hint="Update Symphony, or use another SYMPHONY_HOME.",
        )


class KeyWrong(StoreError):
    """The key is one, but not of this store."""

    code = "artifacts.key_wrong"
    category = Category.PERMISSION

    def __init__(self, path: Path, kind: str) -> None:
        self.kind = kind
        super().__init__(
            path,
            f"The store in {path} does not open with this {kind}.",
            hint="Give the key that it was made with, or that `rekey` has set since.",
        )


class KeyUnusable(SymphonyError):
    """There is no key where one was named, or an encrypted store was opened without one."""

    code = "artifacts.key_unusable"
    category = Category.PERMISSION

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"The store's key cannot be used: {reason}.",
            hint="Put the key back from your copy of it: without it nothing can be read.",
        )


class NamingError(SymphonyError):
    """Something about the name of versions `name`."""

    def __init__(self, name: str, message: str, *, hint: str = "") -> None:
        self.name = name
        super().__init__(message, hint=hint)


class NameInvalid(NamingError):
    code = "artifacts.name_invalid"
    category = Category.VALIDATION

    def __init__(self, name: str, reason: str) -> None:
        self.reason = reason
        super().__init__(name, f"{name!r} cannot be a name: {reason}.")


class NameUnknown(NamingError):
    """No such name, or no such version or alias of it."""

    code = "artifacts.name_unknown"
    category = Category.NOT_FOUND

    def __init__(self, name: str, version: str = "") -> None:
        self.version = version
        what = (
            f"version or alias {version!r} of {name!r}" if version else f"artifact named {name!r}"
        )
        super().__init__(
            name,
            f"The store has no {what}.",
            hint="`symphony artifacts versions` lists the names and their versions.",
        )


class VersionConflict(NamingError):
    """Somebody else has recorded a version since."""

    code = "artifacts.version_conflict"
    category = Category.CONFLICT

    def __init__(self, name: str, expected: int, newest: int) -> None:
        self.expected = expected
        self.newest = newest
        super().__init__(
            name,
            f"The newest version of {name!r} is {newest}, not {expected}.",
            hint="Look at what is new, and record yours after it.",
        )


class BundleInvalid(StoreError):
    """A file that is no set of exported artifacts, or a damaged one."""

    code = "artifacts.bundle_invalid"
    category = Category.SERIALIZATION

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(
            path,
            f"The file {path} cannot be imported: {reason}.",
            hint="Give a file that `symphony artifacts export` has written.",
        )
