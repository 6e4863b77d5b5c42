"""JSON Schema: one compiled validator for everything that checks values against a declaration.

Draft 2020-12 unless the document names another. References lead into the document itself, never
to a file or the network: a workflow from elsewhere must not make this machine fetch things.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple, NoReturn, TypeAlias, cast

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.values import Value

SchemaDocument: TypeAlias = "Mapping[str, Value] | bool"

#: How much of a message is kept: it quotes the value, which may be long.
LONGEST_MESSAGE = 300


class SchemaInvalid(SymphonyError):
    """A document is not a JSON Schema that can be used."""

    code = "schemas.invalid"
    category = Category.VALIDATION

    def __init__(self, reason: str, pointer: str) -> None:
        self.reason = reason
        self.pointer = pointer
        where = f" at {pointer}" if pointer else ""
        super().__init__(f"The JSON Schema is not valid{where}: {reason}.")


class Fault(NamedTuple):
    """Where in a value (a JSON pointer, empty for the whole) and what is wrong there."""

    pointer: str
    message: str


class Schema:
    """A JSON Schema, compiled once. Safe to use from several threads."""

    __slots__ = ("_validator", "document")

    def __init__(self, document: SchemaDocument) -> None:
        """Raises SchemaInvalid."""
        import jsonschema_rs

        self.document = document
        plain = document if isinstance(document, bool) else dict(document)
        try:
            self._validator = jsonschema_rs.validator_for(plain, retriever=_refuse)
        except jsonschema_rs.ValidationError as error:
            raise SchemaInvalid(_shortened(error.message), _pointer(error.instance_path)) from error
        except ValueError as error:
            raise SchemaInvalid(_shortened(str(error)), "") from error

    def accepts(self, value: Value) -> bool:
        """Faster than `faults` where it does not matter what is wrong."""
        try:
            return self._validator.is_valid(value)
        except ValueError:
            return False

    def faults(self, value: Value, *, limit: int = 20) -> list[Fault]:
        """What is wrong with `value`, at most `limit` faults; empty if it is valid."""
        try:
            errors = list(islice(self._validator.iter_errors(value), limit))
        except ValueError as error:
            return [Fault("", f"the value cannot be written as JSON: {_shortened(str(error))}")]
        return [Fault(_pointer(each.instance_path), _shortened(each.message)) for each in errors]


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"references to other documents are not followed ({uri})")


def _shortened(message: str) -> str:
    """Cut in the middle: a message quotes the value first, and says last what is wrong with it."""
    message = message.rstrip(".")
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2
    return f"{message[:half]} … {message[-half:]}"


def _pointer(path: object) -> str:
    """RFC 6901."""
    steps = cast("list[str | int]", path)
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
