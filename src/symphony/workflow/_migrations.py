"""From one format to another: functions over plain documents, put together on the shortest way.

A migration says everything that the other format can say, or refuses. It never changes the
document that it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._model import Metadata
from symphony.workflow._plain import Inexpressible
from symphony.workflow._scanner import pointer_to

Document: TypeAlias = dict[str, Value]


class Migration(NamedTuple):
    """`change` gives a document of format `target` for one of format `source`, whose problems it
    raises as Inexpressible."""

    source: int
    target: int
    change: Callable[[Document], Document]


def migrated(document: Document, target: int, known: Sequence[Migration]) -> Document | None:
    """The document in format `target`, on the way of the fewest migrations, or None if there is
    no way. Raises Inexpressible."""
    source = document.get("symphony")
    path = _way(source, target, known) if isinstance(source, int) else None
    if path is None:
        return None
    for migration in path:
        document = migration.change(document)
    return document


def _way(source: int, target: int, known: Sequence[Migration]) -> list[Migration] | None:
    ways: dict[int, list[Migration]] = {source: []}
    pending = deque([source])
    while pending and target not in ways:
        here = pending.popleft()
        for migration in known:
            if migration.source == here and migration.target not in ways:
                ways[migration.target] = [*ways[here], migration]
                pending.append(migration.target)
    return ways.get(target)


_NAMED: Final[Mapping[str, object]] = {
    field.name: field.type for field in msgspec.structs.fields(Metadata) if field.name != "custom"
}
_NEW_IN_2: Final[Mapping[str, frozenset[str]]] = {
    "nodes": frozenset({"name", "cases", "until", "limit", "parallel", "estimate_s", "policy"}),
    "edges": frozenset({"kind", "when", "label", "priority", "transform"}),
}
_KINDS_OF_1: Final = frozenset({"input", "output", "operator", "instrument"})


def _from_1_to_2(document: Document) -> Document:
    """Metadata was any object: what has no field of that meaning now is `custom`."""
    changed: Document = {**document, "symphony": 2}
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and metadata:
        named = {name: value for name, value in metadata.items() if _is_named(name, value)}
        custom = {name: value for name, value in metadata.items() if name not in named}
        changed["metadata"] = named | ({"custom": custom} if custom else {})
    return changed


def _from_2_to_1(document: Document) -> Document:
    if problems := list(_unknown_to_1(document)):
        raise Inexpressible(problems)
    changed: Document = {**document, "symphony": 1}
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        custom = metadata.get("custom", {})
        named = {name: value for name, value in metadata.items() if name != "custom"}
        changed["metadata"] = named | (custom if isinstance(custom, dict) else {})
    return changed


def _is_named(name: str, value: Value) -> bool:
    if name not in _NAMED:
        return False
    try:
        msgspec.convert(value, _NAMED[name])
    except msgspec.ValidationError:
        return False
    return True


def _unknown_to_1(document: Document) -> Iterator[Problem]:
    if document.get("workflows"):
        yield _refused("workflows in a workflow", "/workflows")
    for name, fields in _NEW_IN_2.items():
        items = document.get(name)
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                here = f"/{name}/{number}"
                yield from _unknown_fields(item, fields, here)
                if name == "nodes" and item.get("kind") not in _KINDS_OF_1:
                    yield _refused(f"nodes of kind {item.get('kind')!r}", f"{here}/kind")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return
    custom = metadata.get("custom")
    for name, value in custom.items() if isinstance(custom, dict) else ():
        if name in _NAMED and (_is_named(name, value) or name in metadata):
            here = pointer_to("/metadata/custom", name)
            yield _refused(f"{name!r} beside the metadata of that name", here)


def _unknown_fields(item: Document, fields: frozenset[str], here: str) -> Iterator[Problem]:
    for field in item:
        if field in fields:
            yield _refused(f"{field!r}", pointer_to(here, field))


def _refused(what: str, pointer: str) -> Problem:
    message = f"Format 1 has no {what}, which stands at {pointer}."
    return Problem(ProblemCode.VERSION, message, pointer, "Remove it, or stay with format 2.")


MIGRATIONS: Final = (Migration(1, 2, _from_1_to_2), Migration(2, 1, _from_2_to_1))
