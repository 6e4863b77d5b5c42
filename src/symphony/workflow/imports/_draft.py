"""A workflow in the making: names that are valid and single, ports that are fed once, no cycles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from symphony.commons.secrets import scrub_value
from symphony.workflow import (
    DEFAULT_PORT,
    Edge,
    Graph,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    Workflow,
)
from symphony.workflow.imports._foreign import shallow
from symphony.workflow.imports._imported import Imported, Note, Origin

if TYPE_CHECKING:
    from symphony.commons.values import Value

_LONGEST_ID: Final = 48
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z])")
_PORT: Final = re.compile(r"[^\w-]+")
#: Text that other programs calculate when they run: no secret, wherever it stands.
_CALCULATED: Final = re.compile(r"=\s*\{\{[^{}]*\}\}\s*")


def slug(text: str, otherwise: str = "node") -> str:
    """A name as ids are spelled: `HTTP Request` and `httpRequest` are `http-request`."""
    plain = unicodedata.normalize("NFKD", _WORDS.sub("-", text)).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_LONGEST_ID].strip("-")
    if not name:
        return otherwise
    return name if name[0].isalpha() else f"{otherwise}-{name}"[:_LONGEST_ID]


def port_name(text: str) -> str:
    """A name that an edge can spell."""
    return _PORT.sub("_", text).strip("_") or DEFAULT_PORT


class Draft:
    """Nodes and edges as they are found; `build` makes a workflow of them."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.nodes: dict[NodeId, Node] = {}
        self.edges: list[Edge] = []
        self.notes: list[Note] = []
        self.ids: dict[str, str] = {}
        self.workflows: dict[str, Workflow] = {}
        self.tags: tuple[str, ...] = ()
        self.custom: dict[str, Value] = {}
        self.loop_heads: set[NodeId] = set()
        self._originals: dict[str, Value] = {}
        self._fed: set[PortRef] = set()
        self._edges: set[tuple[PortRef, PortRef]] = set()

    def claim(self, wanted: str) -> NodeId:
        """An id that no node has yet."""
        name, number = wanted, 1
        while name in self.nodes:
            number += 1
            name = f"{wanted}-{number}"
        return NodeId(name)

    def add(self, node: Node, original: dict[str, Value] | None = None) -> NodeId:
        self.nodes[node.id] = node
        if original:
            self._originals[node.id] = shallow(original)
        return node.id

    def placeholder(self, name: NodeId, type_: str, params: dict[str, Value]) -> Node:
        """An operator that nobody has yet, named after where it came from."""
        use = f"{self.origin}.{slug(type_.rpartition('.')[2], 'node')}"
        return Node(name, NodeKind.OPERATOR, use=use, params=self.harmless(name, params))

    def harmless(self, name: str, params: dict[str, Value]) -> dict[str, Value]:
        """Parameters by port, without what may be a secret."""
        hidden: list[str] = []
        kept = {port_name(key): _kept(value, key, hidden) for key, value in params.items()}
        if hidden:
            where = ", ".join(dict.fromkeys(hidden))
            self.note(name, f"what may be a secret was left out: {where}.")
        return {key: shallow(value) for key, value in kept.items()}

    def note(self, node: str, text: str) -> None:
        self.notes.append(Note(node, text))

    def tie(self, source: PortRef, target: PortRef) -> None:
        """An edge; one into a port that is fed already gets a port of its own beside it."""
        if (source, target) in self._edges:
            return
        self._edges.add((source, target))
        wanted, number = target, 1
        while target in self._fed:
            number += 1
            target = PortRef(wanted.node, f"{wanted.port}-{number}")
        self._fed.add(target)
        self.edges.append(Edge(source, target))

    def build(self, id_: str, *, name: str = "", description: str = "") -> Workflow:
        self.edges = self.without_cycles(self.edges)
        self._drop_fed_params()
        custom: dict[str, Value] = {"imported_from": self.origin.value, **self.custom}
        if self._originals:
            custom["imported"] = self._originals
        return Workflow(
            id_,
            tuple(self.nodes.values()),
            tuple(self.edges),
            name=name,
            description=description,
            metadata=Metadata(tags=self.tags, custom=custom),
            workflows=self.workflows,
        )

    def imported(self, workflow: Workflow) -> Imported:
        return Imported(workflow, self.origin, tuple(self.notes), self.ids)

    def _drop_fed_params(self) -> None:
        """A port that an edge leads to takes nothing from the parameters."""
        fed = {edge.target for edge in self.edges}
        for name, node in self.nodes.items():
            left = {
                port: value for port, value in node.params.items() if PortRef(name, port) not in fed
            }
            if len(left) < len(node.params):
                self.nodes[name] = msgspec.structs.replace(node, params=left)

    def without_cycles(self, edges: Iterable[Edge]) -> list[Edge]:
        """The edges but the one that closes each cycle, preferably back to the head of a loop."""
        left = list(edges)
        places = {name: place for place, name in enumerate(self.nodes)}
        while cycles := self._cycles(left):
            for path in cycles:
                closing = min(
                    pairwise(path),
                    key=lambda step: (step[1] not in self.loop_heads, places[step[1]]),
                )
                left = [edge for edge in left if (edge.source.node, edge.target.node) != closing]
                self.note(
                    closing[1],
                    f"it was repeated: the edge back from {closing[0]!r} was cut."
                    " A loop or map node can repeat the nodes in between.",
                )
        return left

    def _cycles(self, edges: list[Edge]) -> list[list[NodeId]]:
        return Graph(Workflow("draft", tuple(self.nodes.values()), tuple(edges))).find_cycles()


def _kept(value: Value, key: str, hidden: list[str]) -> Value:
    """The value without secrets; a header as `{"name": ..., "value": ...}` counts by its name."""
    if isinstance(value, dict):
        label = value.get("name") or value.get("key")
        return {
            name: _kept(each, label if name == "value" and isinstance(label, str) else name, hidden)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_kept(each, key, hidden) for each in value]
    if not isinstance(value, str) or not value or _CALCULATED.fullmatch(value):
        return value
    scrubbed = scrub_value(value, "" if key.endswith("Type") else key)
    if scrubbed != value:
        hidden.append(key or "a text")
    return scrubbed
