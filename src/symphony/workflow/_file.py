"""The file format: what a workflow looks like as JSON, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from symphony.commons.files import read_text
from symphony.commons.names import did_you_mean
from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._json import MAX_BYTES, layout, parse
from symphony.workflow._model import Edge, Node, NodeKind, PortRef, Workflow
from symphony.workflow._scanner import pointer_to
from symphony.workflow._source import Source

#: The format that is written, and the newest that is read.
FORMAT: Final = 1


class EdgeForm(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={"source": "from", "target": "to"},
):
    """An edge as it stands in a file."""

    source: str
    target: str


class FileForm(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A whole file, its fields in the order in which they are written."""

    symphony: Literal[1]
    id: str
    name: str = ""
    version: str = "0.1.0"
    description: str = ""
    extensions: tuple[str, ...] = ()
    metadata: dict[str, Value] = {}
    nodes: tuple[Node, ...]
    edges: tuple[EdgeForm, ...] = ()


KINDS = tuple(kind.value for kind in NodeKind)

#: What each field must be, in the words of the messages.
EXPECTED = {
    "symphony": "the number of the format, 1",
    "id": "text",
    "name": "text",
    "version": 'text such as "1.0.0"',
    "description": "text",
    "extensions": "a list of folders",
    "metadata": "an object",
    "nodes": "a list of nodes",
    "edges": "a list of edges",
    "kind": f"one of {', '.join(KINDS)}",
    "use": "the name of an operator or instrument",
    "params": "an object of values by port",
    "schema": "a JSON Schema as an object",
    "default": "a value",
    "timeout_s": "a number of seconds",
    "title": "text",
    "position": "two numbers, [x, y]",
    "from": 'an output port, "node.port" or "node"',
    "to": 'an input port, "node.port", "node" or "node.port.member"',
}


def load(path: str | Path) -> Workflow:
    """Read a workflow file of at most 64 MiB; raises WorkflowInvalid, or a FileError."""
    path = Path(path)
    return loads(read_text(path, MAX_BYTES), str(path))


def loads(text: str, source: str = "<text>") -> Workflow:
    """The workflow that `text` spells, in the right shape but not yet validated against a catalog.

    Raises WorkflowInvalid with everything that is wrong with the shape.
    """
    origin = Source(source, text.removeprefix("\ufeff"))
    document = parse(origin)
    try:
        form = msgspec.convert(document, FileForm)
        sources, targets = _Refs(2), _Refs(3)
        edges = tuple(Edge(sources[edge.source], targets[edge.target]) for edge in form.edges)
    except msgspec.ValidationError as error:
        problems = list(_shape_problems(document))
        problems = problems or [Problem(ProblemCode.BAD_VALUE, f"{error}.")]
        raise WorkflowInvalid(source, origin.located(problems)) from error
    return Workflow(
        id=form.id,
        nodes=form.nodes,
        edges=edges,
        name=form.name,
        version=form.version,
        description=form.description,
        extensions=form.extensions,
        metadata=form.metadata,
        source=origin,
    )


def dumps(workflow: Workflow) -> str:
    """The text of a file: readable, and the same for equal workflows but for the order inside
    parameters. Raises WorkflowInvalid for a value that JSON cannot write."""
    try:
        return layout(msgspec.to_builtins(_form(workflow))) + "\n"
    except (TypeError, ValueError) as error:
        problem = Problem(ProblemCode.BAD_VALUE, f"It cannot be written as JSON: {error}.")
        raise WorkflowInvalid(workflow.id, [problem]) from error


def fingerprint(workflow: Workflow) -> str:
    """A hash, in hex, of what decides what a run does.

    The order of nodes and edges, names, versions, texts for people and positions do not count.
    """
    form = _form(workflow)
    nodes = [
        msgspec.structs.replace(node, title="", description="", position=None)
        for node in sorted(form.nodes, key=lambda node: node.id)
    ]
    edges = sorted(form.edges, key=lambda edge: (edge.source, edge.target))
    canonical = msgspec.json.encode([FORMAT, form.extensions, nodes, edges], order="sorted")
    return hashlib.sha256(canonical).hexdigest()


def _form(workflow: Workflow) -> FileForm:
    return FileForm(
        symphony=FORMAT,
        id=workflow.id,
        name=workflow.name,
        version=workflow.version,
        description=workflow.description,
        extensions=workflow.extensions,
        metadata=workflow.metadata,
        nodes=workflow.nodes,
        edges=tuple(EdgeForm(str(edge.source), str(edge.target)) for edge in workflow.edges),
    )


class _Refs(dict[str, PortRef]):
    """The ports that edges name in at most so many parts, each parsed once."""

    def __init__(self, most_parts: int) -> None:
        self.most_parts = most_parts

    def __missing__(self, text: str) -> PortRef:
        if not _is_ref(text, self.most_parts):
            raise msgspec.ValidationError(f"{text!r} is not a port")
        self[text] = ref = PortRef.parse(text)
        return ref


def _is_ref(text: str, most_parts: int) -> bool:
    parts = text.split(".")
    return len(parts) <= most_parts and all(parts)


def _shape_problems(document: Value) -> Iterator[Problem]:
    """Everything that keeps a document from being a workflow; slow, and only then."""
    if not isinstance(document, dict):
        message = f"A workflow is an object, not {_shown(document)}."
        yield Problem(ProblemCode.BAD_VALUE, message)
        return
    version = document.get("symphony")
    if isinstance(version, int) and version > FORMAT:
        message = f"This file has format {version}; this Symphony reads up to format {FORMAT}."
        yield Problem(ProblemCode.VERSION, message, "/symphony", "Update Symphony.")
        return
    yield from _field_problems(document, FileForm, "", "The workflow")
    yield from _list_problems(document.get("nodes"), Node, "/nodes", "Node")
    yield from _list_problems(document.get("edges"), EdgeForm, "/edges", "Edge")


def _list_problems(
    items: Value, form: type[msgspec.Struct], pointer: str, noun: str
) -> Iterator[Problem]:
    if not isinstance(items, list):
        return
    for number, item in enumerate(items):
        here = f"{pointer}/{number}"
        if not isinstance(item, dict):
            message = f"{noun} {number + 1} must be an object, not {_shown(item)}."
            yield Problem(ProblemCode.BAD_VALUE, message, here)
            continue
        name = item.get("id")
        subject = f"{noun} {name!r}" if isinstance(name, str) else f"{noun} {number + 1}"
        yield from _field_problems(item, form, here, subject)


def _field_problems(
    item: dict[str, Value], form: type[msgspec.Struct], pointer: str, subject: str
) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(form)}
    for name in item.keys() - fields.keys():
        hint = did_you_mean(name, fields)
        message = f"{subject} has an unknown field {name!r}."
        yield Problem(ProblemCode.UNKNOWN_FIELD, message, pointer_to(pointer, name), hint)
    for name, field in fields.items():
        if name in item:
            yield from _value_problems(name, item[name], field.type, pointer, subject)
        elif field.required:
            hint = f"It must be {EXPECTED[name]}."
            yield Problem(ProblemCode.MISSING_FIELD, f"{subject} lacks {name!r}.", pointer, hint)


def _value_problems(
    name: str, value: Value, expected: object, pointer: str, subject: str
) -> Iterator[Problem]:
    here = pointer_to(pointer, name)
    if name == "kind" and isinstance(value, str) and value not in KINDS:
        message = f"{subject} has the unknown kind {value!r}."
        yield Problem(ProblemCode.UNKNOWN_KIND, message, here, did_you_mean(value, KINDS))
    elif not _fits(name, value, expected):
        message = f"{subject}: {name!r} must be {EXPECTED[name]}, not {_shown(value)}."
        yield Problem(ProblemCode.BAD_VALUE, message, here)


def _fits(name: str, value: Value, expected: object) -> bool:
    """The items of the two lists are looked at one by one."""
    if name in ("nodes", "edges"):
        return isinstance(value, list)
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError:
        return False
    if name in ("from", "to"):
        return isinstance(value, str) and _is_ref(value, 2 if name == "from" else 3)
    return True


def _shown(value: Value) -> str:
    """A value in a message: as JSON, or what it is if that is long."""
    text = msgspec.json.encode(value).decode()
    if len(text) <= 40 or not isinstance(value, (dict, list)):
        return text if len(text) <= 40 else f"{text[:39]}…"
    return "an object" if isinstance(value, dict) else "a list"
