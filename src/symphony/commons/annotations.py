"""Python types as JSON Schemas: what an annotation promises, told to those who know only JSON."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from symphony.commons.values import ArtifactRef, Value


def schema_of(annotation: object) -> dict[str, Value]:
    """The schema of the values of a type, as msgspec knows it, the constraints of `Annotated`
    included; `Any` admits anything. Raises TypeError or NameError for what JSON cannot hold."""
    schema: dict[str, Value] = msgspec.json.schema(annotation)
    return _inlined(schema)


def fields_of(annotation: object) -> dict[str, Any] | None:
    """The fields of a struct or dataclass with their types; None for what is a value itself."""
    if not isinstance(annotation, type) or annotation is ArtifactRef:
        return None
    if issubclass(annotation, msgspec.Struct):
        names = list(annotation.__struct_fields__)
    elif dataclasses.is_dataclass(annotation):
        names = [field.name for field in dataclasses.fields(annotation)]
    else:
        return None
    hints = get_type_hints(annotation, include_extras=True)
    return {name: hints[name] for name in names}


def summary_of(function: Callable[..., Any]) -> str:
    """The first paragraph of a docstring, as one line."""
    return (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")


def _inlined(schema: dict[str, Value]) -> dict[str, Value]:
    """A schema that only points at its own first definition is that definition."""
    reference, definitions = schema.get("$ref"), schema.get("$defs")
    if not isinstance(reference, str) or not isinstance(definitions, dict):
        return schema
    target = definitions[reference.removeprefix("#/$defs/")]
    others = {key: each for key, each in definitions.items() if each is not target}
    if not isinstance(target, dict) or f'"{reference}"' in msgspec.json.encode(target).decode():
        return schema
    return {**target, "$defs": others} if others else dict(target)
