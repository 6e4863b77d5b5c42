"""What a builder hands out: a value that does not exist yet, and the node that will give it.

A handle is immutable; what is done with it makes another one. The node behind it is a draft until
the workflow is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

import msgspec

from symphony.commons.names import did_you_mean
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._model import (
    DEFAULT_PORT,
    Edge,
    EdgeKind,
    Node,
    NodeId,
    Port,
    PortRef,
    Signature,
    Transform,
)

if TYPE_CHECKING:
    from symphony.commons.values import Value
    from symphony.workflow._policy import Policy


class Owner(Protocol):
    """The builder that a draft belongs to."""

    id: str

    def rename(self, draft: Draft, name: str) -> None: ...

    def link_after(self, draft: Draft, others: Handle | Iterable[Handle]) -> None: ...


class Draft:
    """A node in the making, with the edges into it; `signature` is None if its ports are unknown.

    A name that nobody chose gives way to the same name when somebody chooses it.
    """

    __slots__ = ("builder", "links", "may_give_way", "node", "signature")

    def __init__(
        self, builder: Owner, node: Node, signature: Signature | None, *, chosen: bool
    ) -> None:
        self.builder = builder
        self.node = node
        self.signature = signature
        self.may_give_way = not chosen
        self.links: list[Link] = []

    def change(self, **fields: Any) -> None:  # as `replace` takes them
        self.node = msgspec.structs.replace(self.node, **fields)

    def check_port(self, port: str, side: str) -> None:
        if self.signature is not None:
            known = self.signature.inputs if side == "input" else self.signature.outputs
            if all(each.name != port for each in known):
                self._refuse_port(port, side, known)

    def _refuse_port(self, port: str, side: str, known: Iterable[Port]) -> NoReturn:
        message = f"Node {self.node.id!r} has no {side} port {port!r}."
        hint = did_you_mean(port, [each.name for each in known])
        fault(self.builder.id, ProblemCode.UNKNOWN_PORT, message, hint)


class Link(NamedTuple):
    """An edge into a draft."""

    source: Handle
    port: str
    member: str
    kind: EdgeKind

    def edge(self, target: NodeId) -> Edge:
        carried = self.source
        return Edge(
            PortRef(carried.draft.node.id, carried.port),
            PortRef(target, self.port, self.member),
            self.kind,
            carried.condition,
            carried.label,
            carried.importance,
            carried.steps,
        )


class Handle:
    """A value that will come out of a port, and what is to happen to it on its way.

    Conditions and transforms are CEL; see `Edge` and `Transform` for the names they may use.
    """

    __slots__ = ("condition", "draft", "importance", "label", "port", "steps")
    #: A handle is no sequence, though it has members.
    __iter__ = None

    def __init__(
        self,
        draft: Draft,
        port: str = DEFAULT_PORT,
        *,
        condition: str = "",
        label: str = "",
        importance: int = 0,
        steps: tuple[Transform, ...] = (),
    ) -> None:
        self.draft = draft
        self.port = port
        self.condition = condition
        self.label = label
        self.importance = importance
        self.steps = steps

    def when(self, condition: str, *, label: str = "") -> Handle:
        """Only if the condition over `value` holds; without it, what needs the value is skipped.

        Of several, all must hold. It looks at the value before it is transformed.
        """
        if self.steps:
            message = "A condition looks at a value before it is transformed."
            self._refuse(message, "Write `.when(...)` first.")
        both = f"({self.condition}) && ({condition})" if self.condition else condition
        return self._changed(condition=both, label=label or self.label)

    def labelled(self, label: str) -> Handle:
        """With a text for whoever draws the graph."""
        return self._changed(label=label)

    def prioritized(self, importance: int) -> Handle:
        """Of the nodes that an end makes ready, those over edges of higher priority start first."""
        return self._changed(importance=importance)

    def map(self, expression: str) -> Handle:
        """Each item of a list, by CEL over `item` and `index`."""
        return self._transformed(Transform(map=expression))

    def filter(self, expression: str) -> Handle:
        """The items of a list for which CEL over `item` and `index` holds."""
        return self._transformed(Transform(filter=expression))

    def reduce(self, expression: str, initial: object = msgspec.UNSET) -> Handle:
        """One value of a list, by CEL over `total` and `item`; from `initial`, else the first."""
        start = initial if initial is msgspec.UNSET else plain(self.draft.builder.id, initial)
        return self._transformed(Transform(reduce=expression, initial=start))

    def flatten(self, levels: int = 1) -> Handle:
        """Lists of lists as one list."""
        return self._transformed(Transform(flatten=levels))

    def expression(self, expression: str) -> Handle:
        """What CEL over `value` makes of it."""
        return self._transformed(Transform(expression=expression))

    def __bool__(self) -> NoReturn:
        message = "A handle has no value while a workflow is built, so Python cannot decide by it."
        self._refuse(message, "Use `.when(...)` or a branch.")

    def __repr__(self) -> str:
        return f"<{self.draft.builder.id}: {PortRef(self.draft.node.id, self.port)}>"

    def _transformed(self, step: Transform) -> Handle:
        return self._changed(steps=(*self.steps, step))

    def _changed(self, **changes: Any) -> Handle:  # as __init__ takes them
        given = {
            "condition": self.condition,
            "label": self.label,
            "importance": self.importance,
            "steps": self.steps,
        }
        return Handle(self.draft, self.port, **{**given, **changes})

    def _refuse(self, message: str, hint: str) -> NoReturn:
        fault(self.draft.builder.id, ProblemCode.BAD_VALUE, message, hint)


class NodeHandle(Handle):
    """A node: `handle["port"]` is what comes out of a port of it, the handle itself what comes out
    of the port `value`."""

    __slots__ = ()

    def __getitem__(self, port: str) -> Handle:
        self.draft.check_port(port, "output")
        return Handle(self.draft, port)

    @property
    def id(self) -> NodeId:
        """Once asked for, it stays."""
        self.draft.may_give_way = False
        return self.draft.node.id

    def options(
        self,
        *,
        id: str = "",  # noqa: A002 - what it is called everywhere
        title: str | None = None,
        description: str | None = None,
        after: Handle | Iterable[Handle] = (),
        policy: Policy | None = None,
        timeout_s: float | None = None,
        estimate_s: float | None = None,
        position: tuple[float, float] | None = None,
    ) -> NodeHandle:
        """Set what does not come in at a port; what is not given stays. Returns the handle."""
        draft = self.draft
        if id:
            draft.builder.rename(draft, id)
        given = {
            "title": title,
            "description": description,
            "policy": policy,
            "timeout_s": timeout_s,
            "estimate_s": estimate_s,
            "position": position,
        }
        draft.change(**{name: value for name, value in given.items() if value is not None})
        draft.builder.link_after(draft, after)
        return self


def fault(subject: str, code: ProblemCode, message: str, hint: str = "") -> NoReturn:
    raise WorkflowInvalid(f"Workflow {subject!r}", [Problem(code, message, hint=hint)])


def plain(subject: str, value: object) -> Value:
    """A constant as JSON has it; structs, dataclasses and enums become what they stand for."""
    if isinstance(value, Enum):
        return plain(subject, value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(subject, item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(subject, item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct) or _is_data(value):
        return plain(subject, msgspec.to_builtins(value))
    if isinstance(value, Handle):
        message = f"The handle {value!r} stands too deep inside a value."
        hint = "It may be the value of a port, or a member of an object there: use `join`."
    else:
        message, hint = f"{value!r} is not a value that JSON can hold.", ""
    fault(subject, ProblemCode.BAD_VALUE, message, hint)


def members_in(value: object) -> dict[str, Handle]:
    """The handles that are members of an object."""
    if not isinstance(value, Mapping):
        return {}
    return {key: each for key, each in value.items() if isinstance(each, Handle)}


def by_name(
    subject: str, signature: Signature, args: tuple[object, ...], inputs: Mapping[str, object]
) -> dict[str, object]:
    """What a call gives to ports, by position in their order and by name."""
    names = [port.name for port in signature.inputs]
    if len(args) > len(names):
        message = f"{len(args)} inputs are given by position, and there are {len(names)}."
        fault(subject, ProblemCode.UNKNOWN_PORT, message)
    by_place = dict(zip(names, args, strict=False))
    for name in inputs:
        if name.rstrip("_") in by_place:
            fault(subject, ProblemCode.PORT_TWICE, f"The port {name!r} is given twice.")
    return {**by_place, **inputs}


def _is_data(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
