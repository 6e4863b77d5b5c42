"""Where artifacts come from and what became of them: a graph of artifacts and the steps between."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable
from html import escape
from typing import Literal

import msgspec

from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._ids import id_of
from symphony.pit.artifacts._types import ArtifactInfo, Step

Direction = Literal["ancestors", "descendants", "both"]

_MAKERS = """
    SELECT step FROM objects WHERE number = ?1 AND step IS NOT NULL
    UNION SELECT step FROM uses WHERE object = ?1 AND output = 1
"""
_CONSUMERS = "SELECT step FROM uses WHERE object = ?1 AND output = 0"
_INPUTS = "SELECT object FROM uses WHERE step = ?1 AND output = 0"
_OUTPUTS = """
    SELECT number FROM objects WHERE step = ?1
    UNION SELECT object FROM uses WHERE step = ?1 AND output = 1
"""
_OUTPUTS_OF_RUN = """
    SELECT step, object, uses.sealed FROM uses JOIN steps ON steps.number = step
    WHERE steps.run = ?1 AND output = 1
    UNION ALL
    SELECT step, objects.number, x'' FROM objects JOIN steps ON steps.number = step
    WHERE steps.run = ?1
"""


class Output(msgspec.Struct, frozen=True):
    """What a node of a run handed out, at which port, and how it called it."""

    node: str
    port: str
    name: str
    id: str


class Lineage(msgspec.Struct, frozen=True):
    """Edges point the way that things went. `distance` is in steps from the artifact asked about:
    negative before it, positive after it."""

    artifacts: dict[str, ArtifactInfo]
    steps: list[Step]
    #: (id, index of a step): the step was given the artifact.
    inputs: list[tuple[str, int]]
    #: (index of a step, id): the step made the artifact.
    outputs: list[tuple[int, str]]
    distance: dict[str, int]


def lineage(
    store: BlockingStore,
    artifact: ArtifactRef | str,
    direction: Direction = "both",
    limit: int = 1000,
    depth: int | None = None,
) -> Lineage:
    """All that an artifact was made of, and all that was made of it, up to `limit` artifacts, the
    nearest first, and up to `depth` steps away. Raises ArtifactMissing."""

    def walk(db: sqlite3.Connection) -> Lineage:
        db.execute("BEGIN")  # one moment of the database
        try:
            walker = _Walker(db, limit, depth)
            start = store.catalog.number_of(db, id_of(artifact))
            if direction != "descendants":
                walker.walk(start, _MAKERS, _INPUTS, -1)
            if direction != "ancestors":
                walker.walk(start, _CONSUMERS, _OUTPUTS, 1)
            return walker.result(store)
        finally:
            db.execute("COMMIT")

    return store.database.query(walk)


class _Walker:
    def __init__(self, db: sqlite3.Connection, limit: int, depth: int | None) -> None:
        self._db = db
        self._limit = limit
        self._depth = sys.maxsize if depth is None else depth
        self._distance: dict[int, int] = {}
        self._inputs: set[tuple[int, int]] = set()
        self._outputs: set[tuple[int, int]] = set()

    def walk(self, start: int, steps_of: str, objects_of: str, way: Literal[-1, 1]) -> None:
        front, distance = [start], 0
        self._distance[start] = 0
        while front and abs(distance) < self._depth:
            distance += way
            front = [
                new
                for each in front
                for new in self._beyond(each, steps_of, objects_of, distance, way)
            ]

    def _beyond(
        self, object_: int, steps_of: str, objects_of: str, distance: int, way: int
    ) -> Iterable[int]:
        near, far = (self._outputs, self._inputs) if way < 0 else (self._inputs, self._outputs)
        for step in self._numbers(steps_of, object_):
            near.add((step, object_))
            for other in self._numbers(objects_of, step):
                known = other in self._distance
                if known or len(self._distance) < self._limit:
                    far.add((step, other))
                if not known and len(self._distance) < self._limit:
                    self._distance[other] = distance
                    yield other

    def _numbers(self, query: str, number: int) -> list[int]:
        return [row[0] for row in self._db.execute(query, (number,))]

    def result(self, store: BlockingStore) -> Lineage:
        infos = {number: store.catalog.info(self._db, number) for number in self._distance}
        numbers = sorted({step for step, _ in self._inputs | self._outputs})
        index = {number: at for at, number in enumerate(numbers)}
        return Lineage(
            {info.id: info for info in infos.values()},
            [store.catalog.steps.step(self._db, number) for number in numbers],
            sorted((infos[object_].id, index[step]) for step, object_ in self._inputs),
            sorted((index[step], infos[object_].id) for step, object_ in self._outputs),
            {infos[number].id: distance for number, distance in self._distance.items()},
        )


def outputs_of(store: BlockingStore, run: str) -> list[Output]:
    """Every artifact that nodes of a run handed out, by node and port."""

    def select(db: sqlite3.Connection) -> list[Output]:
        rows = db.execute(_OUTPUTS_OF_RUN, (store.catalog.steps.run_key(run),)).fetchall()
        found = []
        for step, object_, sealed in rows:
            use = store.catalog.steps.use(sealed)
            node = store.catalog.steps.step(db, step).node
            found.append(Output(node, use.port, use.name, store.catalog.info(db, object_).id))
        return sorted(found, key=lambda each: (each.node, each.port, each.id))

    return store.database.query(select)


_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 200, 44, 60, 16, 20
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.small{font-size:10px;fill:#666}"
    ".artifact{fill:#eef5ff;stroke:#4a7dbd}.step{fill:#fff6e5;stroke:#c08a2b}"
    "path{fill:none;stroke:#999}"
)


def as_svg(found: Lineage) -> str:
    """A drawing: time goes from left to right, artifacts are blue, steps are yellow."""
    columns: dict[int, list[str]] = {}
    for id_, distance in found.distance.items():
        columns.setdefault(2 * distance, []).append(id_)
    for at in range(len(found.steps)):
        columns.setdefault(_step_column(found, at), []).append(_step_name(at))
    places = {
        name: (
            _MARGIN + (column - min(columns)) * (_WIDTH + _GAP_X),
            _MARGIN + row * (_HEIGHT + _GAP_Y),
        )
        for column, names in columns.items()
        for row, name in enumerate(names)
    }
    edges = [(id_, _step_name(at)) for id_, at in found.inputs]
    edges += [(_step_name(at), id_) for at, id_ in found.outputs]
    drawn = [_edge(places[one], places[other]) for one, other in edges]
    drawn += [_artifact(places[id_], found.artifacts[id_]) for id_ in found.artifacts]
    drawn += [_step(places[_step_name(at)], step) for at, step in enumerate(found.steps)]
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f"<style>{_STYLE}</style>{''.join(drawn)}</svg>\n"
    )


def _step_column(found: Lineage, step: int) -> int:
    made = [2 * found.distance[id_] - 1 for at, id_ in found.outputs if at == step]
    given = [2 * found.distance[id_] + 1 for id_, at in found.inputs if at == step]
    return min(made) if made else max(given)


def _step_name(at: int) -> str:
    return f"step {at}"


def _edge(one: tuple[int, int], other: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = (
        (one[0] + _WIDTH, one[1] + _HEIGHT // 2),
        (
            other[0],
            other[1] + _HEIGHT // 2,
        ),
    )
    middle = (x1 + x2) // 2
    return f'<path d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"/>'


def _artifact(place: tuple[int, int], info: ArtifactInfo) -> str:
    return _box(place, "artifact", info.id[:23] + "…", f"{info.media_type}, {info.size} bytes")


def _step(place: tuple[int, int], step: Step) -> str:
    return _box(place, "step", step.node, " ".join(filter(None, (step.run, step.model, step.code))))


def _box(place: tuple[int, int], kind: str, title: str, below: str) -> str:
    x, y = place
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x + 8}" y="{y + 18}">{escape(title[:28])}</text>'
        f'<text class="small" x="{x + 8}" y="{y + 34}">{escape(below[:34])}</text>'
    )
