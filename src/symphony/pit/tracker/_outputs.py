"""From what a body returns to what the journal holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from symphony.commons.values import ArtifactRef, Value, refs_in
from symphony.execution import NodeFinished
from symphony.pit.artifacts import ArtifactStore
from symphony.pit.tracker._errors import OutputInvalid
from symphony.pit.tracker._values import Held, Spilled, Values

#: A larger value, as JSON, goes into the artifact store, and a reference into the journal.
INLINE_LIMIT: Final = 4 * 1024
_LARGEST_INT: Final = 1 << 63
_encode = msgspec.json.Encoder().encode


def is_plain(value: object) -> bool:
    """Whether a value can stand in the journal as it is, seen at a glance."""
    kind = type(value)
    if kind is int:
        return -_LARGEST_INT <= value < _LARGEST_INT  # type: ignore[operator]  # the line above
    if kind is str:
        return len(value) < INLINE_LIMIT // 2 and value.isascii()  # type: ignore[arg-type,attr-defined]
    return kind is bool or value is None


class Keeper:
    """Brings the outputs of the nodes of one run into the journal and the store."""

    def __init__(self, run_id: str, store: ArtifactStore, values: Values) -> None:
        self._run_id = run_id
        self._store = store
        self._values = values

    async def keep(self, node: str, attempt: int, outputs: Mapping[str, Held]) -> NodeFinished:
        """Spill what is too large and note every artifact that is handed out, before the event
        that says so: a crash may leave an artifact without a user, never the reverse. Raises
        OutputInvalid for a value that JSON cannot express."""
        for value in outputs.values():
            if not is_plain(value):
                return await self._keep(node, attempt, outputs)
        return NodeFinished(node, attempt, dict(outputs))  # type: ignore[arg-type]  # all are plain

    async def _keep(self, node: str, attempt: int, outputs: Mapping[str, Held]) -> NodeFinished:
        # All are looked at before any is stored.
        json = {
            port: None if isinstance(value, Spilled) else self._json(node, port, value)
            for port, value in outputs.items()
        }
        kept: dict[str, Value] = {}
        spilled: list[str] = []
        uses: list[tuple[str, ArtifactRef]] = []
        for port, text in json.items():
            held = outputs[port]
            if text is None or len(text) > INLINE_LIMIT:
                ref = held.ref if isinstance(held, Spilled) else await self._spill(node, port, text)
                spilled.append(port)
                kept[port] = ref.as_value()
                uses.append((port, ref))
            else:
                kept[port] = msgspec.json.decode(text)
            uses.extend((port, ref) for ref in _refs(text))
        if uses:
            await self._store.note_use(self._run_id, node, uses)
        artifacts = tuple(dict.fromkeys(ref for _, ref in uses))
        return NodeFinished(node, attempt, kept, tuple(spilled), artifacts)

    def _json(self, node: str, port: str, value: Value) -> bytes:
        try:
            json = _encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise OutputInvalid(self._run_id, node, port, str(error)) from error
        # NaN and the infinities are written as null; only then is it worth looking for them.
        if b"null" in json and not _is_finite(msgspec.to_builtins(value)):
            raise OutputInvalid(self._run_id, node, port, "JSON has no NaN and no infinity")
        return json

    async def _spill(self, node: str, port: str, json: bytes | None) -> ArtifactRef:
        assert json is not None  # noqa: S101 - only what is in the store already has none
        ref = await self._store.put(json, "application/json", f"{node}.{port}.json")
        self._values.remember(ref, json)
        return ref


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list | tuple | set | frozenset) or all(map(_is_finite, value))


def _refs(json: bytes | None) -> Iterator[ArtifactRef]:
    if json is not None and b'"$artifact"' in json:
        yield from refs_in(msgspec.json.decode(json))
