"""What the rules look at: one workflow of those in a file, and what is shared by all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from symphony.commons.names import LONGEST, did_you_mean
from symphony.commons.schemas import Schema
from symphony.workflow._errors import Problem, ProblemCode, Severity
from symphony.workflow._graph import Graph
from symphony.workflow._model import (
    NESTING,
    OPEN,
    Catalog,
    Edge,
    EdgeKind,
    Node,
    NodeId,
    NodeKind,
    Port,
    Signature,
    Workflow,
)
from symphony.workflow._policy import Policy
from symphony.workflow._ports import Scope, body_of, ports_of
from symphony.workflow._scanner import pointer_to
from symphony.workflow.validation._compatibility import Clash, Compatibility

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: Workflows inside workflows, and nodes that run one that runs one: as deep as the engine goes.
MAX_DEPTH: Final = 16
#: Workflows in one file, those inside others counted.
MAX_WORKFLOWS: Final = 1_000
#: Names that are compared for hints: in all, and for one.
MOST_COMPARED: Final = 20_000
MOST_COMPARED_AT_ONCE: Final = 1_000

#: What `format` is in the schema of a port that takes an expression, or a template.
EXPRESSION_FORMAT: Final = "cel"
TEMPLATE_FORMAT: Final = "jinja"
FORMULA_FORMATS: Final = (EXPRESSION_FORMAT, TEMPLATE_FORMAT)

#: The kinds whose ports an author declares, so that nodes of one name share them.
_DECLARED: Final = NESTING | {NodeKind.OPERATOR, NodeKind.INSTRUMENT}


_NO_POLICY: Final = Policy()


class Ports:
    """The ports of a node, by name. `takes_any`: an edge may lead to any other input port too."""

    __slots__ = ("formulas", "inputs", "outputs", "plain", "required", "takes_any")

    def __init__(self, signature: Signature, *, takes_any: bool) -> None:
        self.inputs = {port.name: port for port in signature.inputs}
        self.outputs = {port.name: port for port in signature.outputs}
        self.required = [port.name for port in signature.inputs if port.required]
        self.takes_any = takes_any
        #: The types of the input ports whose schemas ask for no more.
        self.plain = {port.name: _plain_type(port.schema) for port in signature.inputs}
        #: The ports that take expressions or templates, be it inside of a value.
        self.formulas = [port.name for port in signature.inputs if _has_formulas(port.schema)]

    def input(self, name: str) -> Port | None:
        port = self.inputs.get(name)
        return Port(name) if port is None and self.takes_any else port


#: Keywords by which no value fails.
_SAYING: Final = frozenset(
    {"type", "format", "title", "description", "examples", "default", "variables", "variablesFrom"}
)
_TYPES: Final = {"string": str, "boolean": bool, "array": list, "object": dict}


def _plain_type(schema: dict[str, Value]) -> type | None:
    kind = schema.get("type")
    return _TYPES.get(kind) if isinstance(kind, str) and schema.keys() <= _SAYING else None


def _has_formulas(schema: dict[str, Value]) -> bool:
    text = msgspec.json.encode(schema)
    return any(f'"format":"{name}"'.encode() in text for name in FORMULA_FORMATS)


class Shared:
    """What is worked out once for all workflows of a file."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.types = Compatibility()
        #: What becomes of values on edges with transforms, by both schemas and the steps.
        self.transformed: dict[object, Clash | tuple[int, str] | None] = {}
        #: Formulas that are right: the schema that says what they are, the text, and what is named.
        self.sound: set[object] = set()
        #: Of members of ports by schema and name: whether there are any, and that one.
        self.members: dict[tuple[int, str], tuple[bool, bool]] = {}
        #: What the formulas of a port may always name, by its schema.
        self.variables: dict[int, frozenset[str]] = {}
        self._schemas: dict[int, Schema] = {}
        self._compared = 0

    def schema(self, document: dict[str, Value]) -> Schema:
        """Compiled; raises SchemaInvalid."""
        schema = self._schemas.get(id(document))
        if schema is None:
            schema = self._schemas[id(document)] = Schema(document)
        return schema

    def hint(self, name: str, candidates: Iterable[str]) -> str:
        """The nearest name. Of very many, those that look alike at first sight are compared; for
        the last faults of a large file with many there is no hint."""
        if self._compared >= MOST_COMPARED:
            return ""
        names = list(candidates)
        if len(names) > MOST_COMPARED_AT_ONCE:
            alike = [
                each
                for each in names
                if each[:1] == name[:1] and abs(len(each) - len(name)) <= 1 and len(each) < LONGEST
            ]
            self._compared += len(names) // 4
            names = alike[:MOST_COMPARED_AT_ONCE] or names[:0]
        self._compared += len(names)
        return did_you_mean(name, names)


class Context:
    """One workflow: the whole, or the one that is called `name` in `workflows`. `at` is where it
    stands in the file.

    Nodes and edges go by their numbers in the workflow. Of nodes with one id, the first counts.
    """

    def __init__(
        self, scope: Scope, at: str, shared: Shared, around: Context | None, name: str = ""
    ) -> None:
        self.scope = scope
        self.workflow: Workflow = scope[0]
        self.at = at
        self.shared = shared
        self.around = around
        self.name = self.workflow.id if around is None else name
        self.nested: dict[str, Context] = {}
        self.nodes = self.workflow.nodes
        self.edges = self.workflow.edges
        self.numbers: dict[NodeId, int] = dict(self.workflow.numbers)

    @cached_property
    def by_kind(self) -> Mapping[NodeKind, list[int]]:
        found: defaultdict[NodeKind, list[int]] = defaultdict(list)
        for number, node in enumerate(self.nodes):
            found[node.kind].append(number)
        return found

    @cached_property
    def ports(self) -> list[Ports | None]:
        """Of each node, None if nobody provides what it uses."""
        shared: dict[tuple[NodeKind, str], Ports | None] = {}
        found: list[Ports | None] = []
        for node in self.nodes:
            kind = node.kind
            if kind not in _DECLARED:
                found.append(self._ports_of(node))
                continue
            key = (kind, node.use)
            if key not in shared:
                shared[key] = self._ports_of(node)
            found.append(shared[key])
        return found

    def _ports_of(self, node: Node) -> Ports | None:
        signature = ports_of(node, self.shared.catalog, self.scope)
        return None if signature is None else Ports(signature, takes_any=node.kind in OPEN)

    @cached_property
    def sources(self) -> list[int]:
        """The node that each edge leaves; -1 if it is not there."""
        get = self.numbers.get
        return [get(edge.source.node, -1) for edge in self.edges]

    @cached_property
    def targets(self) -> list[int]:
        """The node that each edge leads to; -1 if it is not there."""
        get = self.numbers.get
        return [get(edge.target.node, -1) for edge in self.edges]

    @cached_property
    def drawn(self) -> tuple[Edge, ...]:
        """The edges with two ends."""
        if -1 not in self.sources and -1 not in self.targets:
            return self.edges
        ends = zip(self.edges, self.sources, self.targets, strict=True)
        return tuple(edge for edge, source, target in ends if source >= 0 and target >= 0)

    @property
    def fed(self) -> list[dict[str, int]]:
        """By node and port, the first edge that brings a value to the whole port."""
        return self._arriving[0]

    @property
    def parts(self) -> dict[int, dict[str, dict[str, int]]]:
        """By node, port and member, the first edge that brings a value there. Most nodes have
        none."""
        return self._arriving[1]

    @cached_property
    def _arriving(self) -> tuple[list[dict[str, int]], dict[int, dict[str, dict[str, int]]]]:
        fed: list[dict[str, int]] = [{} for _ in self.nodes]
        parts: dict[int, dict[str, dict[str, int]]] = {}
        for number, (edge, target) in enumerate(zip(self.edges, self.targets, strict=True)):
            if target < 0 or edge.kind is not EdgeKind.DATA:
                continue
            place = edge.target
            if place.member:
                ports = parts.setdefault(target, {})
                ports.setdefault(place.port, {}).setdefault(place.member, number)
            else:
                fed[target].setdefault(place.port, number)
        return fed, parts

    def is_fed(self, number: int, port: str) -> bool:
        """Whether an edge brings a value to a port, or to a member of it."""
        return port in self.fed[number] or port in self.parts.get(number, ())

    @cached_property
    def into(self) -> list[list[int]]:
        """The edges into each node, of both kinds, that come from somewhere."""
        into: list[list[int]] = [[] for _ in self.nodes]
        sources = self.sources
        for number, target in enumerate(self.targets):
            if target >= 0 and sources[number] >= 0:
                into[target].append(number)
        return into

    def read(self, number: int) -> set[str]:
        """The output ports that edges leave from, of a branch, a node with a policy, or one that
        helps another; empty text for control edges."""
        return self._read.get(number, set())

    @cached_property
    def _read(self) -> dict[int, set[str]]:
        helpers = {self.numbers[name] for *_, name in self.helpers() if name in self.numbers}
        asked = helpers.union(self.with_policy, self.by_kind[NodeKind.BRANCH])
        read: dict[int, set[str]] = {number: set() for number in asked}
        for edge, source in zip(self.edges, self.sources, strict=True):
            if source in read:
                read[source].add(edge.source.port if edge.kind is EdgeKind.DATA else "")
        return read

    @cached_property
    def with_policy(self) -> list[int]:
        """The nodes whose policy says anything."""
        return [
            number
            for number, node in enumerate(self.nodes)
            if node.policy is not _NO_POLICY and node.policy != _NO_POLICY
        ]

    @cached_property
    def graph(self) -> Graph:
        """Of what is there: the first node of each id, the edges with two ends."""
        if len(self.numbers) == len(self.nodes) and self.drawn is self.edges:
            return Graph(self.workflow)
        nodes = tuple(self.nodes[number] for number in self.numbers.values())
        return Graph(msgspec.structs.replace(self.workflow, nodes=nodes, edges=self.drawn))

    def body(self, node: Node) -> Context | None:
        """The workflow that a node of a nesting kind uses."""
        scope = body_of(node, self.scope)
        around: Context | None = self
        while scope is not None and around is not None:
            if len(around.scope) == len(scope) - 1:
                return around.nested.get(node.use)
            around = around.around
        return None

    def helpers(self) -> Iterator[tuple[int, str, NodeId]]:
        """The nodes that run only if another does not succeed: whose, the field, the name."""
        for number in self.with_policy:
            policy = self.nodes[number].policy
            if policy.fallback is not None and policy.fallback.node:
                yield number, "fallback", NodeId(policy.fallback.node)
            if policy.compensate:
                yield number, "compensate", NodeId(policy.compensate)

    def problem(self, code: ProblemCode, message: str, pointer: str, hint: str = "") -> Problem:
        return Problem(code, message, f"{self.at}{pointer}", hint)

    def warning(self, code: ProblemCode, message: str, pointer: str, hint: str = "") -> Problem:
        return Problem(code, message, f"{self.at}{pointer}", hint, Severity.WARNING)

    def hint(self, name: str, candidates: Iterable[str]) -> str:
        return self.shared.hint(name, candidates)

    def uses(self) -> Iterator[tuple[int, Context]]:
        """The nodes that run a workflow which is there, and that workflow."""
        for kind in sorted(NESTING):
            for number in self.by_kind[kind]:
                body = self.body(self.nodes[number])
                if body is not None:
                    yield number, body


def contexts_of(workflow: Workflow, catalog: Catalog) -> list[Context]:
    """The workflow and those inside it, each before those inside it; at most `MAX_WORKFLOWS`, and
    `MAX_DEPTH` deep."""
    found = [Context((workflow,), "", Shared(catalog), None)]
    for context in found:  # grows while it is read
        if len(context.scope) > MAX_DEPTH:
            continue
        for name, nested in context.workflow.workflows.items():
            if len(found) == MAX_WORKFLOWS:
                return found
            at = pointer_to(f"{context.at}/workflows", name)
            inner = Context((nested, *context.scope), at, context.shared, context, name)
            context.nested[name] = inner
            found.append(inner)
    return found
