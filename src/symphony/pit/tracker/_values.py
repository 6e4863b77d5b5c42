"""The values on the edges of a run, each for as long as a node that has not ended may need it.

They are held as the JSON that the journal holds, and every consumer gets a copy of its own: no
body can change what another one sees, and a run that is resumed sees what the first one saw.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from symphony.commons.values import ArtifactRef, Value
from symphony.workflow import Edge, PortRef, Workflow

_Place: TypeAlias = tuple[str, str]


class Held(NamedTuple):
    """A value as JSON, and the artifact that stands in its place where it is too large to go by
    itself."""

    json: bytes
    spilled: ArtifactRef | None = None

    def copy(self) -> Value:
        value: Value = msgspec.json.decode(self.json)
        return value


class Values:
    """Which port has which value. Pure."""

    def __init__(self, workflow: Workflow) -> None:
        self._feeding: defaultdict[str, list[Edge]] = defaultdict(list)
        for edge in workflow.edges:
            self._feeding[edge.target.node].append(edge)
        self._consumers = Counter(map(_place, workflow.edges))
        self._held: dict[_Place, Held] = {}

    def put(self, node: str, outputs: Mapping[str, Held]) -> None:
        for port, held in outputs.items():
            if (node, port) in self._consumers:
                self._held[node, port] = held

    def given_to(self, node: str) -> dict[PortRef, Held]:
        """What the edges into a node bring, by where. What feeds it must have completed."""
        return {edge.target: self._held[_place(edge)] for edge in self._feeding[node]}

    def release(self, node: str) -> None:
        """This node has ended: what it alone still needed can go."""
        for edge in self._feeding.pop(node, ()):
            place = _place(edge)
            self._consumers[place] -= 1
            if not self._consumers[place]:
                del self._consumers[place]
                self._held.pop(place, None)


def _place(edge: Edge) -> _Place:
    return edge.source.node, edge.source.port
