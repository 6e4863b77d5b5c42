"""Whether a workflow can run with what a catalog offers: everything that is wrong, in one go."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from symphony.commons.names import did_you_mean
from symphony.commons.schemas import Schema, SchemaInvalid
from symphony.commons.versions import Version, VersionInvalid
from symphony.workflow._errors import Problem, ProblemCode, Severity, WorkflowInvalid
from symphony.workflow._graph import Graph
from symphony.workflow._model import (
    Catalog,
    Edge,
    Node,
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Signature,
    Workflow,
    ports_of,
)
from symphony.workflow._scanner import pointer_to
from symphony.workflow._types import described, member_schema, members_of, types_of

if TYPE_CHECKING:
    from symphony.commons.values import Value

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
NAME_RULE: Final = "Use 1 to 64 of a-z, 0-9, '-' and '_', a letter first."

#: Which of the fields that not every node has belong to which kind.
FIELDS: Final[dict[NodeKind, tuple[str, ...]]] = {
    NodeKind.INPUT: ("schema", "default"),
    NodeKind.OUTPUT: ("schema", "params"),
    NodeKind.OPERATOR: ("use", "params", "timeout_s"),
    NodeKind.INSTRUMENT: ("use", "params", "timeout_s"),
}
#: Names that are compared for hints, in all: among 10,000 one hint takes a quarter of a second.
MOST_COMPARED: Final = 20_000


def validate(workflow: Workflow, catalog: Catalog) -> list[Problem]:
    """Every fault and warning, in the order of the text if the workflow was read from one."""
    problems = list(_Validation(workflow, catalog).problems())
    return problems if workflow.source is None else workflow.source.located(problems)


def check(workflow: Workflow, catalog: Catalog) -> None:
    """Raise WorkflowInvalid, with all faults, unless the workflow can run."""
    errors = [
        problem for problem in validate(workflow, catalog) if problem.severity is Severity.ERROR
    ]
    if errors:
        name = workflow.source.name if workflow.source else f"Workflow {workflow.id!r}"
        raise WorkflowInvalid(name, errors)


class _Ports:
    """The ports of a node, by name."""

    __slots__ = ("inputs", "outputs", "required")

    def __init__(self, signature: Signature) -> None:
        self.inputs = {port.name: port for port in signature.inputs}
        self.outputs = {port.name: port for port in signature.outputs}
        self.required = [port.name for port in signature.inputs if port.required]


class _Validation:
    """One validation: what several of its questions need is worked out once."""

    def __init__(self, workflow: Workflow, catalog: Catalog) -> None:
        self.workflow = workflow
        self.catalog = catalog
        self.numbers: dict[NodeId, int] = {}
        for number, node in enumerate(workflow.nodes):
            self.numbers.setdefault(node.id, number)
        self.schemas: dict[int, Schema] = {}
        self.types: dict[int, frozenset[str]] = {}
        self.compared = 0

    def problems(self) -> Iterator[Problem]:
        yield from self._header()
        for number, node in enumerate(self.workflow.nodes):
            yield from self._node(number, node)
        for number, edge in enumerate(self.workflow.edges):
            yield from self._edge(number, edge)
        yield from self._cycles()

    @cached_property
    def ports(self) -> Mapping[NodeId, _Ports]:
        """Of every node whose operator or instrument is known."""
        shared: dict[tuple[NodeKind, str], _Ports | None] = {}
        found: dict[NodeId, _Ports] = {}
        for name, number in self.numbers.items():
            node = self.workflow.nodes[number]
            key = (node.kind, node.use)
            if "use" not in FIELDS[node.kind]:
                ports = self._ports_of(node)
            elif key in shared:
                ports = shared[key]
            else:
                ports = shared[key] = self._ports_of(node)
            if ports is not None:
                found[name] = ports
        return found

    def _ports_of(self, node: Node) -> _Ports | None:
        signature = ports_of(node, self.catalog)
        return None if signature is None else _Ports(signature)

    @cached_property
    def fed(self) -> Mapping[NodeId, Mapping[str, Mapping[str, int]]]:
        """By node, port and member (empty for the whole port), the first edge into it."""
        fed: dict[NodeId, dict[str, dict[str, int]]] = {}
        for number, edge in enumerate(self.workflow.edges):
            target = edge.target
            members = fed.setdefault(target.node, {}).setdefault(target.port, {})
            members.setdefault(target.member, number)
        return fed

    @cached_property
    def read(self) -> set[NodeId]:
        return {edge.source.node for edge in self.workflow.edges}

    def _header(self) -> Iterator[Problem]:
        workflow = self.workflow
        if not NAME.fullmatch(workflow.id):
            message = f"The workflow's id {workflow.id!r} is not a name."
            yield Problem(ProblemCode.BAD_VALUE, message, "/id", NAME_RULE)
        try:
            Version.parse(workflow.version)
        except VersionInvalid as error:
            yield Problem(ProblemCode.BAD_VALUE, error.message, "/version", error.hint)

    def _node(self, number: int, node: Node) -> Iterator[Problem]:
        here = f"/nodes/{number}"
        if not NAME.fullmatch(node.id):
            message = f"The node's id {node.id!r} is not a name."
            yield Problem(ProblemCode.BAD_VALUE, message, f"{here}/id", NAME_RULE)
        if (first := self.numbers[node.id]) != number:
            message = f"Node {number + 1} has the id {node.id!r}, as has node {first + 1}."
            yield Problem(ProblemCode.DUPLICATE_ID, message, f"{here}/id")
        yield from self._fields(here, node)
        if node.kind is NodeKind.INPUT:
            yield from self._input(here, node)
        elif node.schema:
            yield from self._schema_problems(f"{here}/schema", node.schema)
        ports = self.ports.get(node.id)
        if ports is None:
            yield from self._use(here, node)
        elif first == number:
            yield from self._params(here, node, ports)
            yield from self._missing(here, node, ports)

    def _fields(self, here: str, node: Node) -> Iterator[Problem]:
        """Fields that mean nothing on this kind of node: whoever wrote them expects something."""
        given = {
            "use": bool(node.use),
            "params": bool(node.params),
            "schema": bool(node.schema),
            "default": node.default is not msgspec.UNSET,
            "timeout_s": node.timeout_s is not None,
        }
        for name, is_given in given.items():
            if is_given and name not in FIELDS[node.kind]:
                message = f"Node {node.id!r} has {name!r}, which means nothing on an {node.kind}."
                yield Problem(ProblemCode.UNKNOWN_FIELD, message, f"{here}/{name}")
        if node.timeout_s is not None and not 0 < node.timeout_s < math.inf:
            message = f"Node {node.id!r}: 'timeout_s' must be above 0, not {node.timeout_s:g}."
            yield Problem(ProblemCode.BAD_VALUE, message, f"{here}/timeout_s")

    def _input(self, here: str, node: Node) -> Iterator[Problem]:
        faults = list(self._schema_problems(f"{here}/schema", node.schema))
        yield from faults
        if node.default is not msgspec.UNSET and not faults:
            what = f"The default of input {node.id!r}"
            yield from self._misfits(what, node.schema, node.default, f"{here}/default")
        if node.id not in self.read:
            message = f"Nothing reads the input {node.id!r}."
            hint = "Draw an edge from it, or remove it."
            yield Problem(ProblemCode.UNUSED_INPUT, message, here, hint, Severity.WARNING)

    def _use(self, here: str, node: Node) -> Iterator[Problem]:
        if not node.use:
            message = f"Node {node.id!r} lacks 'use', the name of its {node.kind}."
            yield Problem(ProblemCode.MISSING_FIELD, message, here)
            return
        other = NodeKind.INSTRUMENT if node.kind is NodeKind.OPERATOR else NodeKind.OPERATOR
        if self.catalog.signature(other, node.use) is not None:
            hint = f'It is an {other}: write "kind": "{other}".'
        else:
            hint = self._hint(node.use, self.catalog.names(node.kind))
        message = f"Node {node.id!r} uses the unknown {node.kind} {node.use!r}."
        yield Problem(ProblemCode.UNKNOWN_USE, message, f"{here}/use", hint)

    def _params(self, here: str, node: Node, ports: _Ports) -> Iterator[Problem]:
        """What edges add to is not looked at: it is not yet what the port will get."""
        fed = self.fed.get(node.id, {})
        for name, value in node.params.items():
            pointer = pointer_to(f"{here}/params", name)
            port = ports.inputs.get(name)
            if port is None:
                yield self._unknown_port(node, "input", name, ports.inputs, pointer)
            elif name not in fed:
                what = f"Parameter {name!r} of node {node.id!r}"
                yield from self._misfits(what, port.schema, value, pointer)

    def _missing(self, here: str, node: Node, ports: _Ports) -> Iterator[Problem]:
        fed = self.fed.get(node.id, {})
        for name in ports.required:
            if name not in fed and name not in node.params:
                message = f"Port {name!r} of node {node.id!r} gets no value."
                hint = f"Draw an edge to \"{PortRef(node.id, name)}\", or give it in 'params'."
                yield Problem(ProblemCode.MISSING_VALUE, message, here, hint)

    def _edge(self, number: int, edge: Edge) -> Iterator[Problem]:
        here = f"/edges/{number}"
        source = yield from self._end(f"{here}/from", edge.source, "output")
        target = yield from self._end(f"{here}/to", edge.target, "input")
        if target is not None:
            yield from self._twice(f"{here}/to", number, edge.target)
        if source is not None and target is not None:
            yield from self._mismatch(here, edge, source, target)

    def _mismatch(self, here: str, edge: Edge, source: Port, target: Port) -> Iterator[Problem]:
        """What can never work, by the JSON types of both sides; the rest shows at run time."""
        gives, takes = self._types(source.schema), self._types(target.schema)
        member, schema = edge.target.member, target.schema
        part = member_schema(schema, member) if member else schema
        if member and "object" not in takes:
            port = PortRef(edge.target.node, edge.target.port)
            message = f'"{port}" takes {described(schema)}, which has no members.'
            yield Problem(ProblemCode.TYPE_MISMATCH, message, f"{here}/to")
        elif part is False:
            message = f"Port {edge.target.port!r} of node {edge.target.node!r} takes no {member!r}."
            hint = self._hint(member, members_of(schema))
            yield Problem(ProblemCode.UNKNOWN_PORT, message, f"{here}/to", hint)
        elif not gives & (types_of(part, schema) if member else takes):
            message = (
                f'"{edge.source}" gives {described(source.schema)},'
                f' "{edge.target}" takes {described(part, schema)}.'
            )
            yield Problem(ProblemCode.TYPE_MISMATCH, message, here)

    def _types(self, schema: dict[str, Value]) -> frozenset[str]:
        types = self.types.get(id(schema))
        if types is None:
            types = self.types[id(schema)] = types_of(schema)
        return types

    def _end(
        self, pointer: str, ref: PortRef, side: Literal["input", "output"]
    ) -> Generator[Problem, None, Port | None]:
        """The port that an edge names, if it is there and known."""
        number = self.numbers.get(ref.node)
        if number is None:
            message = f"There is no node {ref.node!r}."
            hint = self._hint(ref.node, self.numbers)
            yield Problem(ProblemCode.UNKNOWN_NODE, message, pointer, hint)
            return None
        ports = self.ports.get(ref.node)
        if ports is None:
            return None
        known = ports.inputs if side == "input" else ports.outputs
        port = known.get(ref.port)
        if port is None:
            node = self.workflow.nodes[number]
            yield self._unknown_port(node, side, ref.port, known, pointer)
        return port

    def _twice(self, pointer: str, number: int, target: PortRef) -> Iterator[Problem]:
        """A port gets one value; members add up, with each other and with an object in `params`."""
        edges_in = self.fed[target.node][target.port]
        other = edges_in[target.member]
        if other == number:
            other = edges_in.get("", number)
        params = self.workflow.nodes[self.numbers[target.node]].params
        if other != number:
            source = self.workflow.edges[other].source
            message = f'"{target}" gets its value from "{source}" already.'
        elif target.port in params and not _leaves_room(params[target.port], target.member):
            message = f"\"{target}\" gets a value from this edge and another from 'params'."
        else:
            return
        yield Problem(ProblemCode.PORT_TWICE, message, pointer)

    def _cycles(self) -> Iterator[Problem]:
        edges = self.workflow.edges
        sound = msgspec.structs.replace(
            self.workflow,
            nodes=tuple(self.workflow.nodes[number] for number in self.numbers.values()),
            edges=tuple(
                edge
                for edge in edges
                if edge.source.node in self.numbers and edge.target.node in self.numbers
            ),
        )
        for path in Graph(sound).find_cycles():
            last = (path[-2], path[-1])
            number = next(
                number
                for number, edge in enumerate(edges)
                if (edge.source.node, edge.target.node) == last
            )
            message = f"The nodes wait for each other: {' -> '.join(path)}."
            yield Problem(ProblemCode.CYCLE, message, f"/edges/{number}", "Remove an edge of it.")

    def _unknown_port(
        self, node: Node, side: str, name: str, known: Iterable[str], pointer: str
    ) -> Problem:
        hint = self._hint(name, known) or f"The {node.kind} has no {side} ports."
        message = f"Node {node.id!r} has no {side} port {name!r}."
        return Problem(ProblemCode.UNKNOWN_PORT, message, pointer, hint)

    def _hint(self, name: str, candidates: Iterable[str]) -> str:
        """The nearest name; nothing for the last faults of a large file with many."""
        if self.compared >= MOST_COMPARED:
            return ""
        names = list(candidates)
        self.compared += len(names)
        return did_you_mean(name, names)

    def _schema_problems(self, pointer: str, document: dict[str, Value]) -> Iterator[Problem]:
        try:
            self._schema(document)
        except SchemaInvalid as error:
            where = f"{pointer}{error.pointer}"
            yield Problem(ProblemCode.BAD_SCHEMA, error.message, where)

    def _schema(self, document: dict[str, Value]) -> Schema:
        schema = self.schemas.get(id(document))
        if schema is None:
            schema = self.schemas[id(document)] = Schema(document)
        return schema

    def _misfits(
        self, what: str, document: dict[str, Value], value: Value, pointer: str
    ) -> Iterator[Problem]:
        """How a value differs from what its port takes."""
        if not document:
            return
        try:
            schema = self._schema(document)
        except SchemaInvalid as error:
            yield Problem(ProblemCode.BAD_SCHEMA, f"{what}: {error.message}", pointer)
            return
        for fault in schema.faults(value):
            message = f"{what} does not fit: {fault.message}."
            yield Problem(ProblemCode.TYPE_MISMATCH, message, pointer + fault.pointer)


def _leaves_room(param: Value, member: str) -> bool:
    """Whether an edge may add the member to a parameter."""
    return bool(member) and isinstance(param, dict) and member not in param
