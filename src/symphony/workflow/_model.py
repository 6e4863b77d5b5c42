"""The values a workflow is made of. All are immutable; an edit makes a new value."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NewType, Protocol

import msgspec

from symphony.commons.values import Value
from symphony.workflow._source import Source

NodeId = NewType("NodeId", str)

#: The port meant when an edge names a node alone.
DEFAULT_PORT = "value"


class NodeKind(StrEnum):
    """What a node is, and so who runs it."""

    INPUT = "input"
    OUTPUT = "output"
    OPERATOR = "operator"
    INSTRUMENT = "instrument"


class Port(msgspec.Struct, frozen=True):
    """One named value that goes into a node or comes out of it.

    `schema` is a JSON Schema; the empty one admits anything. A port with `required` false takes
    `default` when neither an edge nor a parameter gives it a value.
    """

    name: str
    schema: dict[str, Value] = {}
    required: bool = True
    default: Value = None
    description: str = ""


class Signature(msgspec.Struct, frozen=True):
    """The ports of an operator or instrument, as its author declares them."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    description: str = ""


class Node(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step of a workflow.

    `use` names the operator or instrument that does the work; `params` are constants for its
    input ports. `schema` belongs to inputs and outputs, `default` to inputs alone. `timeout_s`
    bounds one attempt. `position` is for whoever draws the graph.
    """

    id: NodeId
    kind: NodeKind
    use: str = ""
    params: dict[str, Value] = {}
    schema: dict[str, Value] = {}
    default: Value | msgspec.UnsetType = msgspec.UNSET
    timeout_s: float | None = None
    title: str = ""
    description: str = ""
    position: tuple[float, float] | None = None


class PortRef(msgspec.Struct, frozen=True, gc=False):
    """A port of a node, spelled `node.port`, or `node` for the default port.

    With a member, spelled `node.port.member`: that member of the object which the port takes.
    """

    node: NodeId
    port: str = DEFAULT_PORT
    member: str = ""

    def __str__(self) -> str:
        if self.member:
            return f"{self.node}.{self.port}.{self.member}"
        return self.node if self.port == DEFAULT_PORT else f"{self.node}.{self.port}"

    @classmethod
    def parse(cls, text: str) -> PortRef:
        node, _, rest = text.partition(".")
        port, _, member = rest.partition(".")
        return cls(NodeId(node), port or DEFAULT_PORT, member)


class Edge(msgspec.Struct, frozen=True, gc=False):
    """Carries a value from an output port to an input port, or into a member of one."""

    source: PortRef
    target: PortRef


class Workflow(msgspec.Struct, frozen=True):
    """A graph of nodes with a name. `extensions` are folders, relative to the file it came from.

    `source` is the text it was read from: what lets `validate` name lines. An edit that adds,
    removes or moves nodes or edges should set it to None.
    """

    id: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    name: str = ""
    version: str = "0.1.0"
    description: str = ""
    extensions: tuple[str, ...] = ()
    metadata: dict[str, Value] = {}
    source: Source | None = None

    def of_kind(self, kind: NodeKind) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.kind is kind)


class Catalog(Protocol):
    """Who knows which operators and instruments exist."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None: ...

    def names(self, kind: NodeKind) -> Iterable[str]: ...


def ports_of(node: Node, catalog: Catalog) -> Signature | None:
    """The ports of a node of any kind; None if nobody provides what it uses."""
    if node.kind is NodeKind.INPUT:
        return Signature(outputs=(Port(DEFAULT_PORT, node.schema, description=node.description),))
    if node.kind is NodeKind.OUTPUT:
        return Signature(inputs=(Port(DEFAULT_PORT, node.schema, description=node.description),))
    return catalog.signature(node.kind, node.use)
