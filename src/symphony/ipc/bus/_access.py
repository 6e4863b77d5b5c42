"""Who may do what on the bus: a question that the broker asks once, and whose yes it remembers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Action(StrEnum):
    """What an endpoint does with a topic, or with a pattern of topics."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    REQUEST = "request"
    SERVE = "serve"


#: (endpoint, action, topic or pattern) -> whether it may. A pattern is asked about as such.
Permit: TypeAlias = Callable[[str, Action, str], bool]


def allow_all(endpoint: str, action: Action, topic: str) -> bool:  # noqa: ARG001 - it is a Permit
    """What a bus without grants says: whoever could connect is trusted."""
    return True
