"""What a workflow looks like in a file, as structs, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeVar

import msgspec

from symphony.workflow._model import (
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
from symphony.workflow._source import Source

#: The format that is written, and the newest that is read.
FORMAT: Final = 2

FIRST_VERSION: Final = "0.1.0"
_NO_METADATA: Final = Metadata()
_NO_POLICY: Final = Node(NodeId(""), NodeKind.JOIN).policy
Struct = TypeVar("Struct", bound=msgspec.Struct)


class EdgeForm(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"source": "from", "target": "to"},
):
    """An edge as it stands in a file."""

    source: str
    target: str
    kind: EdgeKind = EdgeKind.DATA
    when: str = ""
    label: str = ""
    priority: int = 0
    transform: tuple[Transform, ...] = ()


class NestedForm(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A workflow as it stands in another; of one with a `file`, that is all that is written."""

    name: str = ""
    version: str = FIRST_VERSION
    description: str = ""
    file: str = ""
    metadata: Metadata = _NO_METADATA
    nodes: tuple[Node, ...] = ()
    edges: tuple[EdgeForm, ...] = ()
    workflows: dict[str, NestedForm] = {}


class FileForm(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A whole file, its fields in the order in which they are written."""

    symphony: Literal[2]
    id: str
    name: str = ""
    version: str = FIRST_VERSION
    description: str = ""
    extensions: tuple[str, ...] = ()
    metadata: Metadata = _NO_METADATA
    nodes: tuple[Node, ...]
    edges: tuple[EdgeForm, ...] = ()
    workflows: dict[str, NestedForm] = {}


def workflow_of(form: FileForm, source: Source | None) -> Workflow:
    """Raises msgspec.ValidationError for an end of an edge that names no port."""
    return Workflow(
        id=form.id,
        nodes=form.nodes,
        edges=edges_of(form.edges),
        name=form.name,
        version=form.version,
        description=form.description,
        extensions=form.extensions,
        metadata=form.metadata,
        workflows={name: _nested(name, each) for name, each in form.workflows.items()},
        source=source,
    )


def form_of(workflow: Workflow) -> FileForm:
    return FileForm(
        symphony=FORMAT,
        id=workflow.id,
        name=workflow.name,
        version=_version(workflow),
        description=workflow.description,
        extensions=workflow.extensions,
        metadata=canonical(workflow.metadata, _NO_METADATA),
        nodes=canonical_nodes(workflow.nodes),
        edges=edge_forms(workflow.edges),
        workflows={name: _nested_form(each) for name, each in workflow.workflows.items()},
    )


def canonical_nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The same nodes, such that equal ones are written alike; see `canonical`."""
    return tuple(
        [
            node
            if node.policy is _NO_POLICY
            else msgspec.structs.replace(node, policy=canonical(node.policy, _NO_POLICY))
            for node in nodes
        ]
    )


def canonical(value: Struct, default: Struct | None = None) -> Struct:
    """An equal struct, with the very objects that its fields have as defaults: msgspec leaves
    out what *is* the default, and writes what only equals it, such as another 60.0."""
    if value == default:
        return default
    changes: dict[str, object] = {}
    for field in msgspec.structs.fields(value):
        given = getattr(value, field.name)
        if isinstance(given, msgspec.Struct):
            inner = field.default if isinstance(field.default, msgspec.Struct) else None
            changes[field.name] = canonical(given, inner)
        elif given == field.default and type(given) is type(field.default):
            changes[field.name] = field.default
    return msgspec.structs.replace(value, **changes)


def edges_of(forms: Iterable[EdgeForm]) -> tuple[Edge, ...]:
    """Raises msgspec.ValidationError for an end that names no port."""
    sources, targets = _Refs(2), _Refs(3)
    return tuple(
        [
            Edge(
                sources[form.source],
                targets[form.target],
                form.kind,
                form.when,
                form.label,
                form.priority,
                form.transform,
            )
            for form in forms
        ]
    )


def edge_forms(edges: Iterable[Edge]) -> tuple[EdgeForm, ...]:
    return tuple(
        [
            EdgeForm(
                str(edge.source),
                str(edge.target),
                edge.kind,
                edge.when,
                edge.label,
                edge.priority,
                edge.transform,
            )
            for edge in edges
        ]
    )


def is_ref(text: str, most_parts: int) -> bool:
    """Whether a text names a port in at most so many parts."""
    parts = text.split(".")
    return len(parts) <= most_parts and all(parts)


class _Refs(dict[str, PortRef]):
    """The ports that edges name in at most so many parts, each parsed once."""

    def __init__(self, most_parts: int) -> None:
        super().__init__()
        self.most_parts = most_parts

    def __missing__(self, text: str) -> PortRef:
        if not is_ref(text, self.most_parts):
            raise msgspec.ValidationError(f"{text!r} is not a port")
        self[text] = ref = PortRef(*text.split("."))  # type: ignore[arg-type]  # a NodeId is a str
        return ref


def _nested(name: str, form: NestedForm) -> Workflow:
    return Workflow(
        id=name,
        nodes=form.nodes,
        edges=edges_of(form.edges),
        name=form.name,
        version=form.version,
        description=form.description,
        metadata=form.metadata,
        workflows={inner: _nested(inner, each) for inner, each in form.workflows.items()},
        file=form.file,
    )


def _version(workflow: Workflow) -> str:
    return FIRST_VERSION if workflow.version == FIRST_VERSION else workflow.version


def _nested_form(workflow: Workflow) -> NestedForm:
    if workflow.file:
        return NestedForm(file=workflow.file)
    return NestedForm(
        name=workflow.name,
        version=_version(workflow),
        description=workflow.description,
        metadata=canonical(workflow.metadata, _NO_METADATA),
        nodes=canonical_nodes(workflow.nodes),
        edges=edge_forms(workflow.edges),
        workflows={name: _nested_form(each) for name, each in workflow.workflows.items()},
    )
