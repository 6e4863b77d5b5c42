"""Workflows in Python: each call adds a node and returns a handle of what will come out of it.

    flow = WorkflowBuilder("word-count", name="Word count")
    folder = flow.input("folder", str, default=".")
    files = flow.operator("files.walk", folder=folder, pattern="*.md")
    texts = flow.operator("files.read_texts", folder=folder, files=files["files"])
    flow.output("texts", texts["texts"])
    workflow = flow.build()

What is given to a port is a handle, a constant, or an object with handles as members. Ports are
checked at once where they are known: of operators given as objects, of nested workflows, and of all
if the builder has a catalog; the rest is found by `check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from symphony.commons.annotations import schema_of
from symphony.commons.names import did_you_mean
from symphony.workflow._errors import ProblemCode
from symphony.workflow._handles import (
    Draft,
    Handle,
    Link,
    NodeHandle,
    by_name,
    fault,
    members_in,
    plain,
)
from symphony.workflow._model import (
    DEFAULT_PORT,
    ITEMS,
    OPEN,
    Case,
    Catalog,
    EdgeKind,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    Signature,
    Workflow,
)
from symphony.workflow._policy import Policy
from symphony.workflow._ports import ports_of

if TYPE_CHECKING:
    from symphony.commons.values import Value

_NOTHING: Final[Mapping[str, object]] = {}


class Usable(Protocol):
    """An operator as an object, such as `@symphony.operator` makes."""

    @property
    def name(self) -> str: ...

    @property
    def signature(self) -> Signature: ...


class Defined(Protocol):
    """What stands for a workflow, such as `define` makes."""

    @property
    def workflow(self) -> Workflow: ...


#: One node or several, to be waited for.
After: TypeAlias = "Handle | Iterable[Handle]"
Body: TypeAlias = "Workflow | WorkflowBuilder | Defined"


class WorkflowBuilder:
    """A workflow in the making. Raises WorkflowInvalid for what can be seen to be wrong at once.

    In the methods that add a node, a port may be named as a keyword, with a trailing underscore if
    it needs one; one whose name is not a keyword, or that of another parameter, is given in the
    object `inputs`. `id` is the node's id; without it, the node gets one after what it uses.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - what it is called everywhere
        *,
        name: str = "",
        version: str = "0.1.0",
        description: str = "",
        extensions: Iterable[str] = (),
        metadata: Metadata = Metadata(),  # noqa: B008 - it cannot change
        catalog: Catalog | None = None,
    ) -> None:
        self.id = id
        self._name = name
        self._version = version
        self._description = description
        self._extensions = dict.fromkeys(extensions)
        self._metadata = metadata
        self._catalog = catalog
        self._drafts: list[Draft] = []
        self._names: dict[str, Draft] = {}
        self._numbers: dict[str, int] = {}
        self._workflows: dict[str, Workflow] = {}

    def build(self) -> Workflow:
        """The workflow so far; the builder can go on."""
        return Workflow(
            self.id,
            tuple(draft.node for draft in self._drafts),
            tuple(link.edge(draft.node.id) for draft in self._drafts for link in draft.links),
            name=self._name,
            version=self._version,
            description=self._description,
            extensions=tuple(self._extensions),
            metadata=self._metadata,
            workflows=dict(self._workflows),
        )

    def input(
        self,
        id: str,  # noqa: A002
        type: object = Any,  # noqa: A002
        default: object = msgspec.UNSET,
        *,
        description: str = "",
    ) -> NodeHandle:
        """An input of the workflow. `type` is a Python type or, as a dict, a JSON Schema."""
        given = default if default is msgspec.UNSET else plain(self.id, default)
        schema = self._schema(id, type)
        node = Node(
            NodeId(id), NodeKind.INPUT, schema=schema, default=given, description=description
        )
        return self._add(node, id, _NOTHING)

    def output(
        self,
        name: str,
        value: object,
        type: object = Any,  # noqa: A002
        *,
        description: str = "",
    ) -> NodeHandle:
        """An output of the workflow. It may have the name of an input: a loop feeds it back there;
        the id of its node is another one then."""
        schema = self._schema(name, type)
        taken = self._names.get(name)
        if taken is not None and taken.node.kind is NodeKind.INPUT:
            node = Node(NodeId(f"{name}-out"), NodeKind.OUTPUT, name=name)
        else:
            node = Node(NodeId(name), NodeKind.OUTPUT)
        node = msgspec.structs.replace(node, schema=schema, description=description)
        return self._add(node, node.id, {DEFAULT_PORT: value})

    def operator(
        self,
        use: str | Usable,
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        id: str = "",  # noqa: A002
        after: After = (),
        policy: Policy = Policy(),  # noqa: B008
        timeout_s: float | None = None,
        **named: object,
    ) -> NodeHandle:
        """A node that runs an operator, given by its name or as an object."""
        name = use if isinstance(use, str) else use.name
        node = _running(NodeKind.OPERATOR, name, policy, timeout_s)
        signature = None if isinstance(use, str) else use.signature
        return self._add(node, id, self._inputs(inputs, named), after, signature)

    def instrument(
        self,
        use: str,
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        id: str = "",  # noqa: A002
        after: After = (),
        policy: Policy = Policy(),  # noqa: B008
        timeout_s: float | None = None,
        **named: object,
    ) -> NodeHandle:
        """A node that runs an instrument, a model in an extension."""
        node = _running(NodeKind.INSTRUMENT, use, policy, timeout_s)
        return self._add(node, id, self._inputs(inputs, named), after)

    def workflow(
        self,
        body: Body,
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        id: str = "",  # noqa: A002
        after: After = (),
        policy: Policy = Policy(),  # noqa: B008
        timeout_s: float | None = None,
        **named: object,
    ) -> NodeHandle:
        """A node that runs another workflow, whose inputs and outputs are its ports."""
        node = _running(NodeKind.WORKFLOW, self._nested(body), policy, timeout_s)
        return self._add(node, id, self._inputs(inputs, named), after)

    def map(
        self,
        body: Body,
        items: object,
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        id: str = "",  # noqa: A002
        after: After = (),
        policy: Policy = Policy(),  # noqa: B008
        timeout_s: float | None = None,
        limit: int | None = None,
        parallel: int = 0,
        **named: object,
    ) -> NodeHandle:
        """A node that runs a workflow for each of `items`, which it gets as its input `item`."""
        node = msgspec.structs.replace(
            _running(NodeKind.MAP, self._nested(body), policy, timeout_s),
            limit=limit,
            parallel=parallel,
        )
        return self._add(node, id, {ITEMS: items, **self._inputs(inputs, named)}, after)

    def loop(
        self,
        body: Body,
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        until: str,
        limit: int,
        id: str = "",  # noqa: A002
        after: After = (),
        policy: Policy = Policy(),  # noqa: B008
        timeout_s: float | None = None,
        **named: object,
    ) -> NodeHandle:
        """A node that runs a workflow again until CEL over its outputs and `rounds` holds, or
        `limit` rounds are over. An output with the name of an input is that input in the next."""
        node = msgspec.structs.replace(
            _running(NodeKind.LOOP, self._nested(body), policy, timeout_s), until=until, limit=limit
        )
        return self._add(node, id, self._inputs(inputs, named), after)

    def branch(
        self,
        value: object,
        cases: Mapping[str, str],
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        id: str = "",  # noqa: A002
        after: After = (),
        **named: object,
    ) -> NodeHandle:
        """A node that hands `value` on at the port of the first case that holds, a CEL expression
        over its inputs by name, else at `otherwise`."""
        ways = tuple(Case(name, when) for name, when in cases.items())
        node = Node(NodeId(""), NodeKind.BRANCH, cases=ways)
        return self._add(node, id, {DEFAULT_PORT: value, **self._inputs(inputs, named)}, after)

    def merge(
        self,
        *values: Handle,
        id: str = "",  # noqa: A002
        after: After = (),
        **named: object,
    ) -> NodeHandle:
        """A node that hands on the first value that is alive, at `value`, and at `port` the name
        of the port it came in at: those that are not named are `in1`, `in2` and so on."""
        numbered = {f"in{number}": value for number, value in enumerate(values, 1)}
        node = Node(NodeId(""), NodeKind.MERGE)
        return self._add(node, id, {**numbered, **self._inputs(_NOTHING, named)}, after)

    def join(
        self,
        inputs: Mapping[str, object] = _NOTHING,
        /,
        *,
        id: str = "",  # noqa: A002
        after: After = (),
        **named: object,
    ) -> NodeHandle:
        """A node that collects what is alive into one object, by the names of its ports."""
        node = Node(NodeId(""), NodeKind.JOIN)
        return self._add(node, id, self._inputs(inputs, named), after)

    def wait(
        self,
        prompt: object = "",
        type: object = Any,  # noqa: A002
        *,
        context: object = None,
        default: object = msgspec.UNSET,
        timeout_s: float | None = None,
        id: str = "",  # noqa: A002
        after: After = (),
    ) -> NodeHandle:
        """A node that waits until a person gives a value of a type, as in `input`. `default` is
        taken when nobody answers for `timeout_s`."""
        node = Node(
            NodeId(""),
            NodeKind.WAIT,
            schema=self._schema(id or "wait", type),
            default=default if default is msgspec.UNSET else plain(self.id, default),
            timeout_s=timeout_s,
        )
        given = {"prompt": prompt, "context": context}
        inputs = {name: value for name, value in given.items() if value not in ("", None)}
        return self._add(node, id, inputs, after)

    def call(self, use: Usable, /, *args: object, **inputs: object) -> NodeHandle:
        """The node of a call of an operator as if it were a function: inputs by position too."""
        return self.operator(use, by_name(use.name, use.signature, args, inputs))

    def rename(self, draft: Draft, name: str) -> None:
        """Edges follow."""
        if draft.node.id != name:
            self._make_way(name)
            del self._names[draft.node.id]
            self._names[name] = draft
            draft.change(id=NodeId(name))
        draft.may_give_way = False

    def link_after(self, draft: Draft, others: After) -> None:
        for other in [others] if isinstance(others, Handle) else others:
            self._link(draft, Link(other, DEFAULT_PORT, "", EdgeKind.CONTROL))

    def _add(
        self,
        node: Node,
        name: str,
        inputs: Mapping[str, object],
        after: After = (),
        signature: Signature | None = None,
    ) -> NodeHandle:
        if name:
            self._make_way(name)
        chosen = name or self._fresh(node.use.rpartition(".")[2] or node.kind.value)
        node = msgspec.structs.replace(node, id=NodeId(chosen))
        draft = Draft(self, node, signature or self._ports(node), chosen=bool(name))
        for port, value in inputs.items():
            self._feed(draft, port, value)
        self.link_after(draft, after)
        self._names[chosen] = draft
        self._drafts.append(draft)
        return NodeHandle(draft)

    def _ports(self, node: Node) -> Signature | None:
        scope = (Workflow(self.id, (), workflows=self._workflows),)
        if self._catalog is not None:
            signature = ports_of(node, self._catalog, scope)
            if signature is None:
                message = f"There is no {node.kind} {node.use!r}."
                hint = did_you_mean(node.use, self._catalog.names(node.kind))
                fault(self.id, ProblemCode.UNKNOWN_USE, message, hint)
            return signature
        return ports_of(node, _NO_CATALOG, scope)

    def _make_way(self, name: str) -> None:
        """For a name that somebody chose."""
        holder = self._names.get(name)
        if holder is None:
            return
        if not holder.may_give_way:
            message = f"There is a node {name!r} already, of kind {holder.node.kind}."
            fault(self.id, ProblemCode.DUPLICATE_ID, message, "Choose another id.")
        fresh = self._fresh(name)
        del self._names[name]
        self._names[fresh] = holder
        holder.change(id=NodeId(fresh))

    def _fresh(self, wish: str) -> str:
        """The wish, or the next number behind it: it is not looked for from 2 on each time."""
        if wish not in self._names:
            return wish
        number = self._numbers.get(wish, 2)
        while (name := f"{wish}-{number}") in self._names:
            number += 1
        self._numbers[wish] = number
        return name

    def _inputs(
        self, inputs: Mapping[str, object], named: Mapping[str, object]
    ) -> dict[str, object]:
        given: dict[str, object] = {}
        for name, value in (*inputs.items(), *named.items()):
            port = name.rstrip("_")
            if port in given:
                message = f"The port {port!r} is given twice."
                fault(self.id, ProblemCode.PORT_TWICE, message)
            given[port] = value
        return given

    def _feed(self, draft: Draft, port: str, value: object) -> None:
        if draft.node.kind not in OPEN:
            draft.check_port(port, "input")
        if isinstance(value, Handle):
            self._link(draft, Link(value, port, "", EdgeKind.DATA))
            return
        members = members_in(value)
        for member, handle in members.items():
            self._link(draft, Link(handle, port, member, EdgeKind.DATA))
        if isinstance(value, Mapping) and members:
            value = {key: each for key, each in value.items() if key not in members}
        if value or not members:
            draft.change(params={**draft.node.params, port: plain(self.id, value)})

    def _link(self, draft: Draft, link: Link) -> None:
        source = link.source.draft
        if source.builder is not self:
            message = f"The handle {link.source!r} is of another workflow."
            hint = "Give its value to this one by an input."
            fault(self.id, ProblemCode.FOREIGN_HANDLE, message, hint)
        if link.kind is EdgeKind.DATA:
            source.check_port(link.source.port, "output")
        draft.links.append(link)

    def _nested(self, body: Body) -> str:
        """The name under which the workflow is known in this one."""
        whole = _workflow(body)
        self._extensions.update(dict.fromkeys(whole.extensions))
        workflow = msgspec.structs.replace(whole, extensions=()) if whole.extensions else whole
        for name, known in self._workflows.items():
            if known == workflow:
                return name
        name, number = workflow.id, 1
        while name in self._workflows:
            number += 1
            name = f"{workflow.id}-{number}"
        self._workflows[name] = workflow
        return name

    def _schema(self, name: str, type_: object) -> dict[str, Value]:
        if isinstance(type_, dict):
            return type_
        try:
            schema = schema_of(type_)
        except (TypeError, NameError) as error:
            fault(self.id, ProblemCode.BAD_SCHEMA, f"The type of {name!r}: {error}.")
        schema.pop("description", None)
        return schema


class _NoCatalog:
    """Knows nothing."""

    def signature(self, kind: NodeKind, use: str) -> None:
        return None

    def names(self, kind: NodeKind) -> tuple[str, ...]:
        return ()


_NO_CATALOG: Final = _NoCatalog()

#: The workflow that is being defined by a function, if one is.
CURRENT: Final[ContextVar[WorkflowBuilder | None]] = ContextVar("builder", default=None)


def builder_among(values: Iterable[object]) -> WorkflowBuilder | None:
    """Where a call with these arguments adds a node: the workflow that is being defined, else that
    of a handle among them; None if it is a call like any other."""
    current = CURRENT.get()
    if current is not None:
        return current
    for value in values:
        for handle in (value, *members_in(value).values()):
            if isinstance(handle, Handle) and isinstance(handle.draft.builder, WorkflowBuilder):
                return handle.draft.builder
    return None


def _running(kind: NodeKind, use: str, policy: Policy, timeout_s: float | None) -> Node:
    return Node(NodeId(""), kind, use=use, policy=policy, timeout_s=timeout_s)


def _workflow(body: Body) -> Workflow:
    if isinstance(body, Workflow):
        return body
    return body.build() if isinstance(body, WorkflowBuilder) else body.workflow
