"""From what a body returns to what the journal holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from symphony.commons.values import ArtifactRef, Value, refs_in
from symphony.execution import NodeFinished
from symphony.pit.artifacts import ArtifactStore
from symphony.pit.tracker._engine import NodeTask
from symphony.pit.tracker._errors import OutputInvalid
from symphony.pit.tracker._values import Held

#: A larger value, as JSON, goes into the artifact store, and a reference into the journal.
INLINE_LIMIT: Final = 4 * 1024
_encode = msgspec.json.Encoder().encode


def held(task: NodeTask, outputs: Mapping[str, Value]) -> dict[str, Held]:
    """The outputs of a node as JSON; raises OutputInvalid for a value that JSON cannot express."""
    return {port: _held(task, port, value) for port, value in outputs.items()}


def _held(task: NodeTask, port: str, value: Value) -> Held:
    try:
        json = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputInvalid(task.run_id, task.node.id, port, str(error)) from error
    # NaN and the infinities are written as null; only then is it worth looking for them.
    if b"null" in json and not _is_finite(msgspec.to_builtins(value)):
        raise OutputInvalid(task.run_id, task.node.id, port, "JSON has no NaN and no infinity")
    return Held(json)


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list | tuple | set | frozenset) or all(map(_is_finite, value))


async def keep(
    task: NodeTask, outputs: Mapping[str, Held], store: ArtifactStore
) -> tuple[NodeFinished, dict[str, Held]]:
    """Spill what is too large and note every artifact that is handed out, before the event that
    says so: a crash may leave an artifact without a user, never the reverse."""
    kept = {port: await _spilled(task, port, each, store) for port, each in outputs.items()}
    uses = [(port, ref) for port, each in kept.items() for ref in _artifacts(each)]
    if uses:
        await store.note_use(task.run_id, task.node.id, uses)
    event = NodeFinished(
        task.node.id,
        task.attempt,
        {
            port: each.copy() if each.spilled is None else each.spilled.as_value()
            for port, each in kept.items()
        },
        tuple(port for port, each in kept.items() if each.spilled is not None),
        tuple(dict.fromkeys(ref for _, ref in uses)),
    )
    return event, kept


async def _spilled(task: NodeTask, port: str, value: Held, store: ArtifactStore) -> Held:
    if len(value.json) <= INLINE_LIMIT or value.spilled is not None:
        return value
    name = f"{task.node.id}.{port}.json"
    return Held(value.json, await store.put(value.json, "application/json", name))


def _artifacts(value: Held) -> Iterator[ArtifactRef]:
    if value.spilled is not None:
        yield value.spilled
    if b'"$artifact"' in value.json:
        yield from refs_in(value.copy())
