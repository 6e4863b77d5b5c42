"""What a user of the bus can get wrong, and what the bus can no longer do for him."""

from __future__ import annotations

from typing import Literal

from symphony.commons.errors import Category
from symphony.ipc._errors import IpcError

#: Of a text that came from the other side, in a message.
_SHOWN = 80


class BadTopic(IpcError):
    """A topic, or a pattern of topics, that can be none. `position` counts characters from 1."""

    code = "ipc.bad_topic"
    category = Category.VALIDATION

    def __init__(
        self, what: Literal["topic", "pattern"], text: str, position: int, reason: str
    ) -> None:
        self.what = what
        self.text = _shown(text)
        self.position = position
        self.reason = reason
        hint = "Write names with dots between them, such as 'orders.created'"
        signs = {
            "topic": "; '*', '>' and '#' are for patterns.",
            "pattern": "; '*' stands for one name, '#' for any number of names, and '>' at the end "
            "for one or more.",
        }
        super().__init__(
            f"The {what} {self.text!r} is wrong at character {position}: {reason}.",
            hint=hint + signs[what],
        )


class BadFilter(IpcError):
    """The condition of a subscription that can be none."""

    code = "ipc.bad_filter"
    category = Category.VALIDATION

    def __init__(self, text: str, reason: str, *, hint: str = "") -> None:
        self.text = _shown(text)
        self.reason = reason
        super().__init__(f"The filter {self.text!r} cannot be used: {reason}.", hint=hint)


class ResumeGap(IpcError):
    """Not all of the kept messages behind position `asked` are there: `oldest` is the first."""

    code = "ipc.resume_gap"
    category = Category.NOT_FOUND

    def __init__(self, asked: int, oldest: int, reason: str) -> None:
        self.asked = asked
        self.oldest = oldest
        self.reason = reason
        super().__init__(
            f"Cannot go on behind position {asked}: {reason}.",
            hint=f"Count messages as lost, and go on behind position {oldest - 1}, or with new "
            "messages alone.",
        )


def _shown(text: str) -> str:
    """Short, and valid Unicode whatever it was."""
    valid = text.encode("utf-8", "backslashreplace").decode()
    return valid if len(valid) <= _SHOWN else f"{valid[: _SHOWN - 3]}..."
