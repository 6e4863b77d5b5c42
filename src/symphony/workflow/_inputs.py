"""The values given to a run: each input gets one that fits, or all that is wrong is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from symphony.commons.names import did_you_mean
from symphony.commons.schemas import Schema
from symphony.workflow._errors import InputsInvalid, Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._json import parse
from symphony.workflow._model import Node, NodeId, NodeKind, PortRef, Workflow
from symphony.workflow._scanner import pointer_to
from symphony.workflow._source import Source
from symphony.workflow._types import described, types_of

if TYPE_CHECKING:
    from symphony.commons.values import Value


def bind_inputs(workflow: Workflow, given: Mapping[str, Value]) -> dict[str, Value]:
    """A value for every input of a valid workflow: the one given, else its default.

    Raises InputsInvalid with all that is missing, unknown or of the wrong type.
    """
    inputs = {node.id: node for node in workflow.of_kind(NodeKind.INPUT)}
    bound: dict[str, Value] = {}
    problems = list(_unknown(given, inputs))
    for name, node in inputs.items():
        if name in given:
            problems.extend(_misfits(node, given[name]))
            bound[name] = given[name]
        elif node.default is not msgspec.UNSET:
            bound[name] = node.default
        else:
            message = f"The input {name!r} is missing."
            hint = f"{_takes(node)} Give it with -i {name}=..."
            problems.append(Problem(ProblemCode.MISSING_INPUT, message, pointer_to("", name), hint))
    if problems:
        raise InputsInvalid(problems)
    return bound


def assemble(node: Node, arrived: Mapping[PortRef, Value]) -> dict[str, Value]:
    """The inputs of a node by port: its parameters, and what came over the edges into it.

    Ports that have neither are left out; their defaults are the business of whoever runs it.
    """
    inputs = dict(node.params)
    members: dict[str, dict[str, Value]] = {}
    for target, value in arrived.items():
        if target.member:
            members.setdefault(target.port, {})[target.member] = value
        else:
            inputs[target.port] = value
    for port, added in members.items():
        given = inputs.get(port)
        inputs[port] = {**given, **added} if isinstance(given, dict) else added
    return inputs


def parse_input(schema: Mapping[str, Value], text: str, name: str = "") -> Value:
    """The value that someone means who types `text` for the input `name` with this schema.

    Where only text is taken, the text as it is. Else the JSON that it spells; and if it spells
    none, the text as it is where text is taken too. Raises InputsInvalid.
    """
    types = types_of(dict(schema))
    if types == {"string"}:
        return text
    try:
        return parse(Source("", text))
    except WorkflowInvalid as error:
        if "string" in types:
            return text
        shown = text if len(text) <= 40 else f"{text[:39]}…"
        subject = f"The input {name!r}" if name else "The input"
        message = f"{subject} takes {described(dict(schema))}, which {shown!r} does not spell."
        problem = Problem(ProblemCode.INPUT_TYPE, message, pointer_to("", name))
        raise InputsInvalid([problem]) from error


def _unknown(given: Mapping[str, Value], inputs: Mapping[NodeId, Node]) -> Iterator[Problem]:
    for name in given:
        if name not in inputs:
            message = f"There is no input {name!r}."
            hint = did_you_mean(name, inputs) or ("" if inputs else "The workflow takes none.")
            yield Problem(ProblemCode.UNKNOWN_INPUT, message, pointer_to("", name), hint)


def _misfits(node: Node, value: Value) -> Iterator[Problem]:
    faults = Schema(node.schema).faults(value) if node.schema else []
    for fault in faults:
        message = f"The input {node.id!r} does not fit: {fault.message}."
        pointer = pointer_to("", node.id) + fault.pointer
        yield Problem(ProblemCode.INPUT_TYPE, message, pointer, _takes(node))


def _takes(node: Node) -> str:
    about = f" ({node.description.rstrip('.')})" if node.description else ""
    return f"It takes {described(node.schema)}{about}."
