"""Who may do what on the bus: a question that the broker asks once, and whose yes it remembers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from symphony.commons.logging import get_logger
from symphony.ipc._errors import NotPermitted
from symphony.ipc.bus._topics import check_topic
from symphony.ipc.protocol._frames import topic_text

if TYPE_CHECKING:
    from symphony.ipc.bus._members import Member

#: What begins so is the broker's own.
RESERVED = "bus."

#: Topics whose permission is remembered, by endpoint and action.
MAX_REMEMBERED = 10_000

log = get_logger("ipc.bus")


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


class Grants:
    """Asks, and counts what was refused."""

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self.refused = 0

    def require(self, member: Member, action: Action, topic: str) -> None:
        """Raises NotPermitted, which is logged."""
        reserved = action is not Action.SUBSCRIBE and topic.startswith(RESERVED)
        if reserved or not self._permit(member.name, action, topic):
            log.warning("not permitted", endpoint=member.name, action=action, topic=topic)
            self.refused += 1
            raise NotPermitted(member.name, action, topic)

    def require_topic(
        self, member: Member, action: Action, topic: bytes, known: set[bytes]
    ) -> None:
        """Raises NotPermitted, BadTopic, BadFrame; else the topic is among the known from now
        on."""
        text = topic_text(topic)
        check_topic(text)
        self.require(member, action, text)
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        known.add(topic)
