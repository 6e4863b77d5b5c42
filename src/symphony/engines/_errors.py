"""What can go wrong around a body. What a body raises on purpose, a SymphonyError, stays itself."""

from __future__ import annotations

import traceback
from typing import ClassVar

from symphony.commons.errors import Category, SymphonyError


class EngineError(SymphonyError):
    """Something about one attempt at the node `node`."""

    def __init__(self, node: str, message: str, *, hint: str = "") -> None:
        self.node = node
        super().__init__(message, hint=hint)


class BodyUnknown(EngineError):
    """Nobody provides what the node uses; `symphony validate` says so before a run."""

    code = "engines.unknown_body"
    category = Category.NOT_FOUND

    def __init__(self, node: str, use: str) -> None:
        self.use = use
        super().__init__(
            node,
            f"Nobody provides {use!r}, which node {node!r} uses.",
            hint="Install the extension that does, or list its folder in the workflow.",
        )


class _PortError(EngineError):
    category = Category.VALIDATION
    direction: ClassVar[str]

    def __init__(self, node: str, port: str, reason: str, *, hint: str = "") -> None:
        self.port = port
        self.reason = reason
        super().__init__(node, f"Node {node!r}, {self.direction} {port!r}: {reason}.", hint=hint)


class BadInput(_PortError):
    """What the node was given does not fit its port."""

    code = "engines.bad_input"
    direction = "input"


class BadOutput(_PortError):
    """What the body returned does not fit what it declares: a fault of its author."""

    code = "engines.bad_output"
    category = Category.EXTENSION
    direction = "output"


class BodyTimeout(EngineError):
    code = "engines.timeout"
    category = Category.TIMEOUT

    def __init__(self, node: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            node,
            f"Node {node!r} was stopped: it ran longer than {seconds:g} s.",
            hint="Give it less to do, or raise its timeout_s.",
        )


class BodyFailed(EngineError):
    """A body raised what it should not. `type` and `place` tell its author where to look."""

    code = "engines.body_failed"
    category = Category.EXTENSION

    def __init__(self, node: str, use: str, error: BaseException) -> None:
        self.use = use
        self.type = type(error).__name__
        self.reason = _text(error)
        self.place = _place(error)
        what = f"{self.type}: {self.reason}" if self.reason else self.type
        super().__init__(
            node,
            f"Node {node!r} failed: {use} raised {what}.",
            hint=f"It was raised in {self.place}." if self.place else "",
        )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # noqa: BLE001 - the author's code, here too
        return f"(it cannot be shown: its __str__ raised {type(fault).__name__})"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f"{frames[-1].filename}:{frames[-1].lineno} ({frames[-1].name})"
