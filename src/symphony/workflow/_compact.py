"""The compact form: the smallest file, for programs.

A frame of 10 bytes (a mark that no text begins with, the number of the format, a checksum), then
MessagePack. Names stand once, in a table that begins with those of the nodes; an edge is four
numbers into it, and has an entry of its own only if it is more than its two ends. Structs are
arrays. The checksum lets no damage pass for another workflow.
"""

from __future__ import annotations

import datetime as dt
import struct
import zlib
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

import msgspec

from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._forms import (
    FIRST_VERSION,
    FORMAT,
    canonical,
    canonical_nodes,
)
from symphony.workflow._model import (
    Case,
    Edge,
    EdgeKind,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    Transform,
    Workflow,
)
from symphony.workflow._plain import is_plain
from symphony.workflow._policy import Policy
from symphony.workflow._source import Source, placeless

MARK: Final = b"\xf5SWF"
_frame: Final = struct.Struct(">4sHI")
#: Whole numbers from which on a float cannot tell neighbours apart.
_EXACT: Final = 2.0**53

_Index: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class _Rest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The fields that few nodes have."""

    name: str = ""
    schema: dict[str, Value] = {}
    default: Value | msgspec.UnsetType = msgspec.UNSET
    cases: tuple[Case, ...] = ()
    until: str = ""
    limit: int | None = None
    parallel: int = 0
    estimate_s: float | None = None
    policy: Policy = Policy()
    description: str = ""


class _Node(msgspec.Struct, frozen=True, array_like=True):
    kind: _Index
    use: _Index
    params: dict[str, Value]
    timeout_s: float | None
    title: str
    position: tuple[float, float] | None
    rest: _Rest | None


class _EdgeRest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    member: str = ""
    kind: EdgeKind = EdgeKind.DATA
    when: str = ""
    label: str = ""
    priority: int = 0
    transform: tuple[Transform, ...] = ()


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """A workflow but for its id and extensions; of one with a `file`, that is all."""

    name: str
    version: str
    description: str
    file: str
    metadata: Metadata
    names: tuple[str, ...]
    nodes: tuple[_Node, ...]
    ends: tuple[_Index, ...]
    edges: dict[int, _EdgeRest]
    workflows: dict[str, _Body]


class _File(msgspec.Struct, frozen=True, array_like=True):
    id: str
    extensions: tuple[str, ...]
    body: _Body


_PLAIN_EDGE: Final = _EdgeRest()
_NO_REST: Final = _Rest()
_decoder: Final = msgspec.msgpack.Decoder(_File)


def write_compact(workflow: Workflow) -> bytes:
    """Raises OverflowError for whole numbers of more than 64 bits, ValueError for text that is
    none."""
    file = _File(workflow.id, workflow.extensions, _packed(workflow))
    payload = msgspec.msgpack.encode(file)
    return _frame.pack(MARK, FORMAT, zlib.crc32(payload)) + payload


def read_compact(data: bytes, name: str) -> Workflow:
    """Raises WorkflowInvalid for whatever write_compact did not write."""
    if len(data) < _frame.size:
        raise _damaged(name)
    _, version, checksum = _frame.unpack_from(data)
    if version != FORMAT:
        message = f"This file has format {version}; this Symphony reads compact files of {FORMAT}."
        raise WorkflowInvalid(
            name, [Problem(ProblemCode.VERSION, message, hint="Update Symphony.")]
        )
    payload = memoryview(data)[_frame.size :]
    if zlib.crc32(payload) != checksum:
        raise _damaged(name)
    try:
        file = _decoder.decode(payload)
        workflow = _unpacked(file.body, file.id)
        workflow = msgspec.structs.replace(
            workflow, extensions=file.extensions, source=Source(name, "", placeless)
        )
        values = msgspec.to_builtins(_values(workflow), builtin_types=(bytes, dt.datetime))
        plain = is_plain(values)
    except (msgspec.DecodeError, RecursionError, IndexError, ValueError, TypeError) as error:
        raise _damaged(name) from error
    if not plain:
        raise _damaged(name)
    return workflow


def _values(workflow: Workflow) -> dict[str, object]:
    """All that may hold what JSON cannot say, as deep as it would stand there."""
    return {
        "metadata": workflow.metadata,
        "nodes": workflow.nodes,
        "edges": [{"transform": edge.transform} for edge in workflow.edges if edge.transform],
        "workflows": {name: _values(each) for name, each in workflow.workflows.items()},
    }


def _packed(workflow: Workflow) -> _Body:
    if workflow.file:
        return _Body("", "", "", workflow.file, Metadata(), (), (), (), {}, {})
    names = _Names(workflow)
    nodes = tuple(_packed_node(node, names) for node in canonical_nodes(workflow.nodes))
    ends: list[int] = []
    rests: dict[int, _EdgeRest] = {}
    for number, edge in enumerate(workflow.edges):
        source, target = edge.source, edge.target
        ends += (names[source.node], names[source.port], names[target.node], names[target.port])
        rest = _EdgeRest(
            target.member, edge.kind, edge.when, edge.label, edge.priority, edge.transform
        )
        if rest != _PLAIN_EDGE:
            rests[number] = rest
    return _Body(
        workflow.name,
        workflow.version,
        workflow.description,
        "",
        canonical(workflow.metadata),
        tuple(names.listed),
        nodes,
        tuple(ends),
        rests,
        {name: _packed(each) for name, each in workflow.workflows.items()},
    )


class _Names(dict[str, int]):
    """The number of each name; one that is asked for gets one."""

    def __init__(self, workflow: Workflow) -> None:
        self.listed: list[str] = [node.id for node in workflow.nodes]
        super().__init__({name: number for number, name in enumerate(self.listed)})

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self.listed)
        self.listed.append(name)
        return number


def _packed_node(node: Node, names: _Names) -> _Node:
    rest = _Rest(
        name=node.name,
        schema=node.schema,
        default=node.default,
        cases=node.cases,
        until=node.until,
        limit=node.limit,
        parallel=node.parallel,
        estimate_s=node.estimate_s,
        policy=node.policy,
        description=node.description,
    )
    return _Node(
        names[node.kind.value],
        names[node.use],
        node.params,
        node.timeout_s,
        node.title,
        None if node.position is None else (_short(node.position[0]), _short(node.position[1])),
        None if rest == _NO_REST else rest,
    )


def _short(number: float) -> float:
    """The same number, as an int if that is exact and shorter."""
    return int(number) if number and abs(number) < _EXACT and number == int(number) else number


def _unpacked(body: _Body, name: str) -> Workflow:
    names = body.names
    kinds = {number: NodeKind(names[number]) for number in {node.kind for node in body.nodes}}
    return Workflow(
        id=name,
        nodes=tuple(
            [
                _unpacked_node(node, NodeId(names[number]), kinds[node.kind], names[node.use])
                for number, node in enumerate(body.nodes)
            ]
        ),
        edges=tuple(_unpacked_edges(body)),
        name=body.name,
        version=body.version or FIRST_VERSION,
        description=body.description,
        metadata=body.metadata,
        workflows={inner: _unpacked(each, inner) for inner, each in body.workflows.items()},
        file=body.file,
    )


def _unpacked_node(node: _Node, name: NodeId, kind: NodeKind, use: str) -> Node:
    rest = node.rest or _NO_REST
    return Node(
        id=name,
        kind=kind,
        use=use,
        name=rest.name,
        params=node.params,
        schema=rest.schema,
        default=rest.default,
        cases=rest.cases,
        until=rest.until,
        limit=rest.limit,
        parallel=rest.parallel,
        timeout_s=node.timeout_s,
        estimate_s=rest.estimate_s,
        policy=rest.policy,
        title=node.title,
        description=rest.description,
        position=node.position,
    )


def _unpacked_edges(body: _Body) -> Iterable[Edge]:
    sayable = [bool(name) and "." not in name for name in body.names]
    refs: dict[tuple[int, int, str], PortRef] = {}

    def ref(node: int, port: int, member: str = "") -> PortRef:
        key = (node, port, member)
        found = refs.get(key)
        if found is None:
            if not (sayable[node] and sayable[port]) or "." in member:
                raise ValueError("an edge leads to no port")
            refs[key] = found = PortRef(NodeId(body.names[node]), body.names[port], member)
        return found

    numbers = iter(body.ends)
    if len(body.ends) % 4 or not all(number * 4 < len(body.ends) for number in body.edges):
        raise ValueError("ends without an edge")
    for number, (a, b, c, d) in enumerate(zip(numbers, numbers, numbers, numbers, strict=True)):
        rest = body.edges.get(number, _PLAIN_EDGE)
        yield Edge(
            ref(a, b),
            ref(c, d, rest.member),
            rest.kind,
            rest.when,
            rest.label,
            rest.priority,
            rest.transform,
        )


def _damaged(name: str) -> WorkflowInvalid:
    message = "The compact file is damaged or cut off."
    return WorkflowInvalid(name, [Problem(ProblemCode.SYNTAX, message)])
