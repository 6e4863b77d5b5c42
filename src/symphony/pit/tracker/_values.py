"""The values that nodes gave, and what of them reaches a node.

No body can change what another one sees: whoever gets a list or an object gets a copy. Values that
are too large for the journal are in the artifact store, and the last few of them in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.pit.artifacts import ArtifactStore
from symphony.pit.tracker._board import Board
from symphony.pit.tracker._conditions import holds, transformed
from symphony.pit.tracker._plan import Feed
from symphony.workflow import PortRef, assemble

#: Nobody can change these.
_ATOMS: Final = frozenset({int, str, bool, float, type(None)})
_KEPT_BYTES: Final = 1024 * 1024


class Spilled(NamedTuple):
    """Stands for a value that is in the store, as JSON."""

    ref: ArtifactRef


Held: TypeAlias = "Value | Spilled"


class Values:
    def __init__(self, board: Board, store: ArtifactStore) -> None:
        self._board = board
        self._store = store
        self._outputs: dict[int, Mapping[str, Held]] = {}
        self._loaded: OrderedDict[str, bytes] = OrderedDict()

    def put(self, number: int, outputs: Mapping[str, Value], spilled: tuple[str, ...]) -> None:
        """The outputs of a node, as its event has them."""
        if spilled:
            self._outputs[number] = {
                port: Spilled(ref) if port in spilled and (ref := as_ref(value)) else value
                for port, value in outputs.items()
            }
        else:
            self._outputs[number] = outputs

    def of(self, number: int) -> Mapping[str, Held]:
        return self._outputs.get(number, {})

    def remember(self, ref: ArtifactRef, json: bytes) -> None:
        """It will be needed soon."""
        self._loaded[ref.id] = json
        while len(self._loaded) > 1 and sum(map(len, self._loaded.values())) > _KEPT_BYTES:
            self._loaded.popitem(last=False)

    async def whole(self, held: Held) -> Value:
        """The value itself, a copy of one's own."""
        if not isinstance(held, Spilled):
            return copied(held)
        json = self._loaded.get(held.ref.id)
        if json is None:
            json = await self._store.get(held.ref)
            self.remember(held.ref, json)
        value: Value = msgspec.json.decode(json)
        return value

    def straight(self, number: int) -> dict[str, Value] | None:
        """The inputs of a node that gets values as they came; None if one has to be loaded."""
        board = self._board
        instance = board.instances[number]
        base = instance.base
        inputs: dict[str, Value] = {}
        for source, from_port, port, _, _ in instance.plan.feeds[number - base]:
            value = self._outputs[base + source][from_port]
            if type(value) not in _ATOMS:
                if type(value) is Spilled:
                    return None
                value = copied(value)  # type: ignore[arg-type]  # the line above
            inputs[port] = value  # type: ignore[assignment]  # as above
        return inputs

    async def alive(self, number: int) -> list[tuple[Feed, Held]]:
        """The edges into a node that bring something, with what they bring, in their order."""
        base = self._board.instances[number].base
        plan = self._board.instances[number].plan
        found: list[tuple[Feed, Held]] = []
        for feed in plan.feeds[number - base]:
            outputs = self._outputs.get(base + feed.source)
            if outputs is None or (feed.is_data and feed.from_port not in outputs):
                continue
            brought = await self._brought(feed, outputs)
            if brought is not None:
                found.append((feed, brought[0]))
        return found

    async def _brought(self, feed: Feed, outputs: Mapping[str, Held]) -> tuple[Held] | None:
        """What an edge carries; None if its condition says nothing."""
        edge = feed.edge
        held = outputs[feed.from_port] if feed.is_data else None
        if edge.when:
            value: Value = (
                await self.whole(held)
                if feed.is_data
                else {port: await self.whole(each) for port, each in outputs.items()}
            )
            if not holds(edge.when, {"value": value}):
                return None
        if edge.transform and feed.is_data:
            held = transformed(await self.whole(held), edge.transform)
        return (held,)

    async def inputs(self, number: int) -> dict[str, Value]:
        """What a node is given by port: by its parameters and the edges that are alive."""
        instance = self._board.instances[number]
        node = instance.plan.nodes[number - instance.base]
        arrived = {
            PortRef(node.id, feed.port, feed.member): await self.whole(held)
            for feed, held in await self.alive(number)
            if feed.is_data
        }
        if node.params:
            node = msgspec.structs.replace(node, params=_object(copied(node.params)))
        return assemble(node, arrived)


def copied(value: Value) -> Value:
    if type(value) in _ATOMS:
        return value
    fresh: Value = msgspec.json.decode(msgspec.json.encode(value))
    return fresh


def _object(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}
