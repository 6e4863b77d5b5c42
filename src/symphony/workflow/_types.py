"""Which JSON types a schema lets through: enough to refuse an edge that can never work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from symphony.commons.values import Value

#: Integers count as numbers, since a number may well be whole.
EVERY_TYPE: Final = frozenset({"string", "number", "boolean", "object", "array", "null"})

_PYTHON_TYPES: Final = {str: "string", bool: "boolean", int: "number", float: "number"}
_DEEPEST = 64  # schemas inside schemas that are looked into


def types_of(schema: Value, root: Value = None) -> frozenset[str]:
    """The types of the values that may pass; too many rather than too few.

    Reads `type`, `enum`, `const`, `anyOf`, `oneOf`, `allOf` and references into the schema.
    """
    return _Types(schema if root is None else root).of(schema, 0)


class _Types:
    """The types of the parts of one document, each part read once: references may go in circles,
    and ten that lead back to where ten stand would take for ever."""

    def __init__(self, root: Value) -> None:
        self._root = root
        self._known: dict[int, frozenset[str]] = {}

    def of(self, schema: Value, depth: int) -> frozenset[str]:
        if not isinstance(schema, dict) or depth == _DEEPEST:
            return frozenset() if schema is False else EVERY_TYPE
        known = self._known.get(id(schema))
        if known is None:
            self._known[id(schema)] = EVERY_TYPE  # what is met again on the way is not known yet
            known = self._known[id(schema)] = self._read(schema, depth + 1)
        return known

    def _read(self, schema: dict[str, Value], depth: int) -> frozenset[str]:
        types = EVERY_TYPE
        if "type" in schema:
            types &= _named(schema["type"])
        if "const" in schema:
            types &= {type_of(schema["const"])}
        if isinstance(literals := schema.get("enum"), list):
            types &= {type_of(literal) for literal in literals}
        if isinstance(reference := schema.get("$ref"), str):
            types &= self.of(resolved(reference, self._root), depth)
        for choice in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(choice), list):
                types &= _union(self.of(branch, depth) for branch in branches)
        if isinstance(branches := schema.get("allOf"), list):
            for branch in branches:
                types &= self.of(branch, depth)
        return types


def member_schema(schema: dict[str, Value], member: str) -> Value:
    """What a member of the objects that a schema lets through may be: False if it may not be.

    What is not said in `properties` and `additionalProperties` is free.
    """
    plain = _dereferenced(schema)
    properties = plain.get("properties")
    if isinstance(properties, dict) and member in properties:
        return properties[member]
    return {} if "patternProperties" in plain else plain.get("additionalProperties", {})


def members_of(schema: dict[str, Value]) -> tuple[str, ...]:
    """The members that a schema names."""
    properties = _dereferenced(schema).get("properties")
    return tuple(properties) if isinstance(properties, dict) else ()


def _dereferenced(schema: dict[str, Value]) -> dict[str, Value]:
    reference = schema.get("$ref")
    found = resolved(reference, schema) if isinstance(reference, str) else schema
    return found if isinstance(found, dict) else {}


def described(schema: Value, root: Value = None) -> str:
    """The types in words: `an array or null`; `anything` if the schema does not say."""
    types = types_of(schema, root)
    if types == EVERY_TYPE:
        return "anything"
    whole = isinstance(schema, dict) and schema.get("type") == "integer"
    return "an integer" if whole else words_of(types)


_WITH_ARTICLE: Final = {
    "array": "an array",
    "boolean": "true or false",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "text",
}


def words_of(types: frozenset[str]) -> str:
    """Types in words: `an array or null`."""
    names = sorted(types, key=lambda name: (name == "null", name))
    return " or ".join(_WITH_ARTICLE[name] for name in names)


def _named(names: Value) -> frozenset[str]:
    """Of a `type`; one that JSON Schema does not know is reported elsewhere, and hides nothing."""
    listed = [names] if isinstance(names, str) else names if isinstance(names, list) else [None]
    types = frozenset("number" if name == "integer" else str(name) for name in listed)
    return EVERY_TYPE if not types or types - EVERY_TYPE else types


def _union(types: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*types)


def type_of(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "array"
    return _PYTHON_TYPES.get(type(value), "object")


def resolved(reference: str, root: Value) -> Value:
    """What a reference into the same document names, or a schema for anything."""
    if reference == "#":
        return root
    found = root if reference.startswith("#/") else {}
    for step in reference.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or key not in found:
            return {}
        if found is not root and "$id" in found:  # a document of its own
            return {}
        found = found[key]
    return found
