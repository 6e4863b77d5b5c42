"""Filters: conditions of subscriptions, in CEL, that the broker evaluates for each message.

They run on the broker's loop, between everybody's messages, so what one evaluation may cost is
bounded more tightly than elsewhere: nothing that may take the square of a list's length, and the
longer the text the smaller the messages that it may look into. What costs most then, measured, is
handing a payload of many small values to the evaluator, and comparing it many times.
"""

from __future__ import annotations

import re
from typing import cast

from symphony.commons.expressions import (
    Expression,
    ExpressionError,
    ExpressionLimit,
    ExpressionSyntax,
)
from symphony.commons.values import Value
from symphony.ipc._errors import IpcError
from symphony.ipc.bus._errors import BadFilter
from symphony.ipc.protocol._codecs import opened
from symphony.ipc.protocol._frames import Frame

#: What a filter may use; `type` means something else in CEL.
_ROUTED = frozenset({"topic", "source"})
_DECODED = frozenset({"message_type", "version", "meta", "payload"})

#: Of the text; compiling holds up the loop as well.
MAX_CHARACTERS = 1024
#: Bytes of a body that is looked into, and times the characters of the text: 5 ms at worst.
_MAX_BODY = 16 * 1024
_MAX_WORK = 1024 * 1024
_ANY_SIZE = 2**32

_BLANK = r"(?:\s|//[^\n]*+)*+"
_LOOPS = "all|distinct|exists|exists_one|existsOne|filter|map|sortBy"
_LOOP = re.compile(rf"\.{_BLANK}({_LOOPS}){_BLANK}\(")


class FilterFacts(dict[str, Value]):
    """What filters may know of a publication: each part is decoded when one first asks for it."""

    __slots__ = ("_frame", "size")

    _frame: Frame
    size: int

    @classmethod
    def of(cls, frame: Frame, source: str) -> FilterFacts:
        """`source` is the name of the endpoint that published it, whatever its envelope says."""
        facts = cls(topic=frame.topic, source=source)
        facts._frame = frame
        facts.size = len(frame.body)
        return facts

    def __missing__(self, name: str) -> Value:
        """Raises MessageInvalid if the body is no envelope."""
        envelope = opened(self._frame.flags, self._frame.body)
        self["message_type"] = envelope.type
        self["version"] = envelope.version
        if name == "meta":
            self["meta"] = dict(envelope.metadata)
        elif name == "payload":
            self["payload"] = cast("Value", envelope.payload_as(object))
        return self[name]


class Filter:
    """A condition over `topic`, `source`, `message_type`, `version`, `meta` and `payload`.

    What cannot be decided counts in `failures` and is not accepted: a body without an envelope, or
    too large to look into, an evaluation that fails, a result that is neither true nor false.
    """

    __slots__ = ("_expression", "_largest", "failures")

    def __init__(self, expression: Expression) -> None:
        self._expression = expression
        allowed = min(_MAX_BODY, _MAX_WORK // len(expression.text))
        self._largest = allowed if expression.names & _DECODED else _ANY_SIZE
        self.failures = 0

    @classmethod
    def compile(cls, text: str) -> Filter:
        """Raises BadFilter. Costs about 0.5 ms, the first in a process more."""
        if len(text) > MAX_CHARACTERS:
            reason = f"it has {len(text):,} characters, {MAX_CHARACTERS:,} are allowed"
            raise BadFilter(text, reason)
        if loop := _LOOP.search(text):
            hint = "To look for a value in a list, write: value in list."
            raise BadFilter(text, f"{loop[1]} loops over a list, which no filter may", hint=hint)
        try:
            return cls(Expression.compile(text, _ROUTED | _DECODED))
        except (ExpressionSyntax, ExpressionLimit) as error:
            raise _rejected(text, error) from error

    def accepts(self, facts: FilterFacts) -> bool:
        if facts.size <= self._largest:
            try:
                verdict = self._expression.evaluate(facts)
            except (ExpressionError, IpcError):
                verdict = None
            if verdict is True or verdict is False:
                return verdict
        self.failures += 1
        return False


def _rejected(text: str, error: ExpressionSyntax | ExpressionLimit) -> BadFilter:
    if isinstance(error, ExpressionLimit):
        return BadFilter(text, error.reason)
    hint = error.hint
    if "type(type)" in error.reason:
        hint = "The type of a message is message_type; in CEL, type is a function."
    return BadFilter(text, f"at column {error.column}, {error.reason}", hint=hint)
