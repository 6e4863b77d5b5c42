"""The values a workflow is made of. All are immutable; an edit makes a new value.

What flows is decided by three rules. An edge is *dead* if its source was skipped, if the branch
went another way, or if its `when` is false. A node whose edges have all been decided runs if none
of those into it is dead; otherwise it is skipped, and so are the edges out of it. A merge and a
join take what is alive, and are skipped only if nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Final, NewType, Protocol

import msgspec

from symphony.commons.values import Value
from symphony.workflow._policy import Policy
from symphony.workflow._source import Source

NodeId = NewType("NodeId", str)

#: The port meant when an edge names a node alone.
DEFAULT_PORT: Final = "value"
#: The output port of a branch when none of its cases holds.
OTHERWISE: Final = "otherwise"
#: The input of a map's workflow that gets an item, and the one that gets its number from 0.
ITEM: Final = "item"
INDEX: Final = "index"
#: The port of a map that takes the list.
ITEMS: Final = "items"
#: The input of a loop's workflow that gets the number of the round from 1; and the port of the
#: loop that gives how many there were.
ROUND: Final = "round"
ROUNDS: Final = "rounds"


class NodeKind(StrEnum):
    """What a node is, and so who runs it."""

    INPUT = "input"
    OUTPUT = "output"
    OPERATOR = "operator"
    INSTRUMENT = "instrument"
    #: Runs another workflow, with its inputs and outputs as ports.
    WORKFLOW = "workflow"
    #: Runs a workflow once for each item of a list.
    MAP = "map"
    #: Runs a workflow again and again, each round with what the one before gave.
    LOOP = "loop"
    #: Hands its value on at the port of the first case that holds.
    BRANCH = "branch"
    #: Hands on the first value that is alive, in the order of the edges.
    MERGE = "merge"
    #: Collects the values that are alive into one object.
    JOIN = "join"
    #: Waits until a person gives a value.
    WAIT = "wait"


#: The kinds whose `use` names a workflow.
NESTING: Final = frozenset({NodeKind.WORKFLOW, NodeKind.MAP, NodeKind.LOOP})
#: The kinds that take any input port that an edge leads to.
OPEN: Final = frozenset({NodeKind.BRANCH, NodeKind.MERGE, NodeKind.JOIN})


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
    """The ports of a node, as the author of what it uses declares them."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    description: str = ""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One way out of a branch: the port `name`, taken if `when` holds.

    `when` is CEL over the branch's input ports, `value` among them.
    """

    name: str
    when: str


class Node(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step of a workflow; which fields mean something depends on its kind.

    `use` names the operator, instrument or workflow that does the work; `params` are constants for
    input ports. `name` is what an output is called as a port of a node that runs the workflow, if
    that is not its id: a loop feeds it back to the input of that name. `schema` belongs to inputs,
    outputs and waits; `default` to inputs, and to waits whose `timeout_s` passes without an answer.
    `cases` belong to branches, tried in order. `until`, CEL over a loop's outputs and `rounds`,
    ends it; `limit` bounds the rounds of a loop and the items of a map, and `parallel` how many of
    these run at a time (0: as many as the run allows). `timeout_s` bounds one attempt, `estimate_s`
    is how long one is thought to take. `position` is for whoever draws the graph.
    """

    id: NodeId
    kind: NodeKind
    use: str = ""
    name: str = ""
    params: dict[str, Value] = {}
    schema: dict[str, Value] = {}
    default: Value | msgspec.UnsetType = msgspec.UNSET
    cases: tuple[Case, ...] = ()
    until: str = ""
    limit: int | None = None
    parallel: int = 0
    timeout_s: float | None = None
    estimate_s: float | None = None
    policy: Policy = Policy()
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


class EdgeKind(StrEnum):
    """What an edge does to the node it leads to."""

    #: Brings a value.
    DATA = "data"
    #: Makes it wait for the other's end, no more.
    CONTROL = "control"


class Transform(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change of a value on its way; exactly one of the five is set.

    `map` and `filter` are CEL over `item` and `index`, and take a list. `reduce` is CEL over
    `total` and `item`, from `initial` or else the first item. `flatten` is how many levels of lists
    become one. `expression` is CEL over `value`.
    """

    map: str = ""
    filter: str = ""
    reduce: str = ""
    initial: Value | msgspec.UnsetType = msgspec.UNSET
    flatten: int = 0
    expression: str = ""


class Edge(msgspec.Struct, frozen=True, gc=False):
    """Carries a value from an output port to an input port, or into a member of one; as a control
    edge, only order: its ports then mean nothing.

    `when` is CEL over `value`, what the edge carries (of a control edge: the object of all that its
    source gave); if it is false, the edge is dead. Then `transform` changes the value, step by
    step. Of the nodes that an end makes ready, those over edges of higher `priority` start first.
    """

    source: PortRef
    target: PortRef
    kind: EdgeKind = EdgeKind.DATA
    when: str = ""
    label: str = ""
    priority: int = 0
    transform: tuple[Transform, ...] = ()


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What people want to know of a workflow. `icon` is an emoji or the name of a picture,
    `colour` is `#rrggbb`; `custom` is anybody's."""

    author: str = ""
    tags: tuple[str, ...] = ()
    category: str = ""
    icon: str = ""
    colour: str = ""
    custom: dict[str, Value] = {}


class Workflow(msgspec.Struct, frozen=True, dict=True):
    """A graph of nodes with a name. `extensions` are folders, relative to the file it came from.

    `workflows` are those that its nodes may use, by name; one that has no entry of a name looks for
    it in the workflow around it. `file`, relative to the file around it, is where a nested one was
    read from and is written to. `source` is the text it was read from: what lets `validate` name
    lines. The methods that edit it set it to None.
    """

    id: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    name: str = ""
    version: str = "0.1.0"
    description: str = ""
    extensions: tuple[str, ...] = ()
    metadata: Metadata = Metadata()
    workflows: dict[str, Workflow] = {}
    file: str = ""
    source: Source | None = None

    @cached_property
    def numbers(self) -> MappingProxyType[NodeId, int]:
        """The place of each node in `nodes`; of nodes with one id, that of the first."""
        numbers: dict[NodeId, int] = {}
        for number, node in enumerate(self.nodes):
            numbers.setdefault(node.id, number)
        return MappingProxyType(numbers)

    def node(self, name: str) -> Node:
        """In constant time after the first call; raises KeyError."""
        return self.nodes[self.numbers[NodeId(name)]]

    def of_kind(self, kind: NodeKind) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.kind is kind)

    @cached_property
    def signature(self) -> Signature:
        """The ports of a node that runs this workflow: its inputs and outputs, made once."""
        inputs = tuple(
            Port(node.id, node.schema, description=node.description)
            if node.default is msgspec.UNSET
            else Port(node.id, node.schema, False, node.default, node.description)
            for node in self.of_kind(NodeKind.INPUT)
        )
        outputs = tuple(
            Port(node.name or node.id, node.schema, description=node.description)
            for node in self.of_kind(NodeKind.OUTPUT)
        )
        return Signature(inputs, outputs, self.description)

    @cached_property
    def map_signature(self) -> Signature:
        """The ports of a node that runs this workflow for each item of a list."""
        inner = self.signature
        schema = next((port.schema for port in inner.inputs if port.name == ITEM), {})
        others = tuple(port for port in inner.inputs if port.name not in (ITEM, INDEX))
        outputs = tuple(
            Port(port.name, _array_of(port.schema), description=port.description)
            for port in inner.outputs
        )
        return Signature((Port(ITEMS, _array_of(schema)), *others), outputs, inner.description)

    @cached_property
    def loop_signature(self) -> Signature:
        """The ports of a node that runs this workflow round after round."""
        inner = self.signature
        inputs = tuple(port for port in inner.inputs if port.name != ROUND)
        outputs = (*inner.outputs, Port(ROUNDS, {"type": "integer"}))
        return Signature(inputs, outputs, inner.description)


class Catalog(Protocol):
    """Who knows which operators and instruments exist."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None: ...

    def names(self, kind: NodeKind) -> Iterable[str]: ...


def _array_of(schema: dict[str, Value]) -> dict[str, Value]:
    """The schema of lists of what a schema admits."""
    if not schema:
        return {"type": "array"}
    # References into itself must still find it: with an id it is a root of its own.
    items = {"$id": "item", **schema} if _refers(schema) else schema
    return {"type": "array", "items": items}


def _refers(schema: Value) -> bool:
    """Whether there is a reference that leads to the root."""
    if isinstance(schema, list):
        return any(map(_refers, schema))
    if not isinstance(schema, dict) or "$id" in schema:
        return False
    return "$ref" in schema or any(map(_refers, schema.values()))
