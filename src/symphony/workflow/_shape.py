"""Everything that keeps a document from being a workflow: slow, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import msgspec

from symphony.commons.names import did_you_mean
from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._forms import FORMAT, EdgeForm, FileForm, NestedForm, is_ref
from symphony.workflow._model import Node, NodeKind
from symphony.workflow._scanner import pointer_to

KINDS = tuple(kind.value for kind in NodeKind)

#: What each field must be, in the words of the messages.
EXPECTED = {
    "symphony": f"the number of the format, {FORMAT}",
    "id": "text",
    "name": "text",
    "version": 'text such as "1.0.0"',
    "description": "text",
    "extensions": "a list of folders",
    "metadata": "an object of author, tags, category, icon, colour and custom",
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
    "cases": "a list of objects with a name and a condition, when",
    "until": "a condition",
    "limit": "a whole number",
    "parallel": "a whole number",
    "estimate_s": "a number of seconds",
    "policy": "an object of retry, fallback, skip, resources, priority, cache, once, compensate",
    "when": "a condition",
    "label": "text",
    "priority": "a whole number",
    "transform": "a list of steps, each with one of map, filter, reduce, flatten, expression",
    "workflows": "an object of workflows by name",
    "file": "the path of a workflow file",
}


def shape_problems(document: Value) -> Iterator[Problem]:
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
    yield from _content_problems(document, "")


def _content_problems(document: dict[str, Value], pointer: str) -> Iterator[Problem]:
    yield from _list_problems(document.get("nodes"), Node, f"{pointer}/nodes", "Node")
    yield from _list_problems(document.get("edges"), EdgeForm, f"{pointer}/edges", "Edge")
    nested = document.get("workflows")
    for name, each in nested.items() if isinstance(nested, dict) else ():
        here, subject = pointer_to(f"{pointer}/workflows", name), f"Workflow {name!r}"
        if isinstance(each, dict):
            yield from _field_problems(each, NestedForm, here, subject)
            yield from _content_problems(each, here)
        else:
            message = f"{subject} must be an object, not {_shown(each)}."
            yield Problem(ProblemCode.BAD_VALUE, message, here)


def _list_problems(
    items: Value, form: type[msgspec.Struct], pointer: str, noun: str
) -> Iterator[Problem]:
    if not isinstance(items, list):
        return
    for number, item in enumerate(items):
        if _is_sound(item, form):
            continue
        here = f"{pointer}/{number}"
        if not isinstance(item, dict):
            message = f"{noun} {number + 1} must be an object, not {_shown(item)}."
            yield Problem(ProblemCode.BAD_VALUE, message, here)
            continue
        name = item.get("id")
        subject = f"{noun} {name!r}" if isinstance(name, str) else f"{noun} {number + 1}"
        yield from _field_problems(item, form, here, subject)


def _is_sound(item: Value, form: type[msgspec.Struct]) -> bool:
    """Whether nothing is wrong with a node or an edge: most are sound, and this is fast."""
    try:
        found = msgspec.convert(item, form)
    except msgspec.ValidationError:
        return False
    return not isinstance(found, EdgeForm) or (is_ref(found.source, 2) and is_ref(found.target, 3))


@cache
def _fields_of(form: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """By their names in files; msgspec takes a quarter of a millisecond to find them out."""
    return {field.encode_name: field for field in msgspec.structs.fields(form)}


def _field_problems(
    item: dict[str, Value], form: type[msgspec.Struct], pointer: str, subject: str
) -> Iterator[Problem]:
    fields = _fields_of(form)
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
    """The items of the two lists, and nested workflows, are looked at one by one."""
    if name in ("nodes", "edges"):
        return isinstance(value, list)
    if name == "workflows":
        return isinstance(value, dict)
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError:
        return False
    if name in ("from", "to"):
        return isinstance(value, str) and is_ref(value, 2 if name == "from" else 3)
    return True


def _shown(value: Value) -> str:
    """A value in a message: as JSON, or what it is if that is long."""
    text = msgspec.json.encode(value).decode()
    if len(text) <= 40 or not isinstance(value, (dict, list)):
        return text if len(text) <= 40 else f"{text[:39]}…"
    return "an object" if isinstance(value, dict) else "a list"
