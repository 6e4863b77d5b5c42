"""What travels along the edges of a workflow: JSON-compatible values, and references to artifacts.

Files, images and large results never travel as bytes; they go into the artifact store and an
`ArtifactRef` travels in their place. In JSON a reference is an object with the key `$artifact`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
else:
    # msgspec reads annotations when it decodes, and knows no recursive alias.
    Value = Any

#: JSON Schema of a port that carries a reference to an artifact.
ARTIFACT_SCHEMA: dict[str, Value] = {
    "type": "object",
    "required": ["$artifact"],
    "properties": {"$artifact": {"type": "string"}},
}


class ArtifactRef(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Names stored content by its hash: `id` is self-describing, as in `blake3:<64 hex digits>`."""

    id: str = msgspec.field(name="$artifact")
    media_type: str = "application/octet-stream"
    size: int = 0
    name: str = ""

    def as_value(self) -> dict[str, Value]:
        value: dict[str, Value] = msgspec.to_builtins(self)
        return value


def as_ref(value: Value) -> ArtifactRef | None:
    """The reference that `value` spells, or None if it is an ordinary value."""
    if not isinstance(value, dict) or "$artifact" not in value:
        return None
    try:
        return msgspec.convert(value, ArtifactRef)
    except msgspec.ValidationError:
        return None


def refs_in(value: Value | Mapping[str, Value]) -> Iterator[ArtifactRef]:
    """Every reference inside `value`, at any depth, in reading order."""
    pending: list[Value] = [dict(value) if isinstance(value, Mapping) else value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            ref = as_ref(item)
            if ref is not None:
                yield ref
            else:
                pending.extend(reversed(item.values()))
        elif isinstance(item, list):
            pending.extend(reversed(item))
