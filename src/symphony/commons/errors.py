"""The root of every error that Symphony raises on purpose.

    SymphonyError
    ├── one subtree a room (commons.ConfigError, workflow.WorkflowError, ipc.IpcError, ...)
    └── each leaf: a stable `code`, a `category`, its facts as attributes, a message it builds

A leaf's constructor takes facts and composes the message (what happened, to what); `hint` says
what to do about it. A caller acts on the class or the code, never on the message. The category
decides the exit code of a command that ends with the error.
"""

from __future__ import annotations

from enum import StrEnum
from os import PathLike
from typing import ClassVar

import msgspec


class Category(StrEnum):
    """What kind of trouble an error is, and so what a caller can do about it."""

    VALIDATION = "validation"
    NOT_FOUND = "not_found"
    IO = "io"
    SERIALIZATION = "serialization"
    PERMISSION = "permission"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    LIMIT = "limit"
    EXTENSION = "extension"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


EXIT_OK = 0
EXIT_RUN_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_CODES: dict[Category, int] = {
    Category.VALIDATION: 3,
    Category.SERIALIZATION: 3,
    Category.NOT_FOUND: 4,
    Category.IO: 5,
    Category.PERMISSION: 6,
    Category.TIMEOUT: 7,
    Category.CONFLICT: 8,
    Category.UNAVAILABLE: 9,
    Category.LIMIT: 10,
    Category.EXTENSION: 11,
    Category.CANCELLED: 130,
    Category.INTERNAL: EXIT_INTERNAL,
}


class ErrorRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as data: what the journal, `--json` and the wire between processes carry."""

    code: str
    message: str
    category: Category = Category.INTERNAL
    hint: str = ""
    facts: dict[str, str | int | float | bool | None] = {}


class SymphonyError(Exception):
    """The root; raise a leaf of your room instead.

    Attributes set by a leaf before or after `super().__init__` are its facts. Those that are
    plain values (text, numbers, booleans, paths) become `record().facts`.
    """

    code: ClassVar[str] = "symphony.error"
    category: ClassVar[Category] = Category.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.record().category]

    def record(self) -> ErrorRecord:
        facts = {
            name: value if isinstance(value, (int, float)) or value is None else _text(str(value))
            for name, value in vars(self).items()
            if name not in ("message", "hint")
            and not name.startswith("_")
            and (value is None or isinstance(value, (str, int, float, PathLike)))
        }
        return ErrorRecord(self.code, _text(self.message), self.category, _text(self.hint), facts)


def _text(text: str) -> str:
    """Undecodable bytes of a file's name become `\\udcff` and the like: a record is valid UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


class ExtraMissing(SymphonyError):
    """An optional package is needed and not installed."""

    code = "commons.extra_missing"
    category = Category.UNAVAILABLE

    def __init__(self, extra: str, package: str) -> None:
        self.extra = extra
        self.package = package
        super().__init__(
            f"The optional package {package!r} is not installed.",
            hint=f'Install it with: pip install "symphony[{extra}]"',
        )


def leaves(root: type[SymphonyError] = SymphonyError) -> list[type[SymphonyError]]:
    """Every error class below `root` that has been imported and defines a code of its own."""
    found: list[type[SymphonyError]] = []
    for child in root.__subclasses__():
        if "code" in vars(child):
            found.append(child)
        found.extend(leaves(child))
    return found
