"""A template out of a workflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from symphony.commons.values import Value
from symphony.templates._errors import NoSuchConstant

if TYPE_CHECKING:
    from symphony.workflow import Workflow

#: Types of parameters, by those of JSON Schema.
_TYPES: Final = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "object",
}
_FORMATS: Final = {"file": "file", "folder": "folder"}
_OF_VALUES: Final = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "list",
    dict: "object",
}


def template_from(workflow: Workflow, constants: Mapping[str, str]) -> str:
    """The text of a template that makes this workflow by its defaults.

    The default of each input of a plain type becomes a parameter of its name; `constants` adds
    others: for each name the constant, as `node.port`, that it stands for. Raises NoSuchConstant,
    or what `dumps` raises.
    """
    from symphony.workflow import NodeKind, dumps

    document = cast("dict[str, Value]", _escaped(msgspec.json.decode(dumps(workflow))))
    forms = cast("list[dict[str, Value]]", document["nodes"])
    parameters: list[Value] = []
    taken = set(constants)
    for node, form in zip(workflow.nodes, forms, strict=True):
        name = _name_of(node.name or str(node.id))
        parameter = _of_input(name, node.schema, node.default, node.description)
        if node.kind is NodeKind.INPUT and parameter and name not in taken:
            taken.add(name)
            form["default"] = f"${{{name}}}"
            parameters.append(parameter)
    places = {f"{node.id}.{port}": port for node in workflow.nodes for port in node.params}
    for name, place in constants.items():
        if place not in places:
            raise NoSuchConstant(place, list(places))
        number = workflow.numbers[workflow.node(place.removesuffix(f".{places[place]}")).id]
        value = workflow.nodes[number].params[places[place]]
        escaped = cast("dict[str, Value]", forms[number]["params"])
        parameters.append(_of_constant(name, value, escaped[_key(places[place])]))
        escaped[_key(places[place])] = f"${{{name}}}"
    nodes = document.pop("nodes")
    edges = document.pop("edges", [])
    section: Value = {"parameters": parameters, "examples": [{"name": "As it was"}]}
    made = {**document, "template": section, "nodes": nodes, "edges": edges}
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n"


def _name_of(name: str) -> str:
    """A parameter's name for an input's."""
    from symphony.workflow import is_parameter_name

    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:50]
    return plain if is_parameter_name(plain) else f"input_{plain}"


def _of_input(
    name: str, schema: Mapping[str, Value], default: object, description: str
) -> dict[str, Value]:
    """Empty for an input that has to be given, or of no type that a parameter has."""
    if default is msgspec.UNSET:
        return {}
    rest = {key: value for key, value in schema.items() if key not in ("type", "format", "enum")}
    type_ = _FORMATS.get(str(schema.get("format"))) or _TYPES.get(str(schema.get("type")))
    if "enum" in schema:
        type_ = "choice"
    if type_ is None:
        return {}
    return {
        "name": name,
        "type": type_,
        **({"description": description} if description else {}),
        **({"schema": rest} if rest else {}),
        **({"choices": schema["enum"]} if "enum" in schema else {}),
        "default": _escaped(cast("Value", default)),
    }


def _of_constant(name: str, value: Value, escaped: Value) -> dict[str, Value]:
    if value is None:
        return {"name": name, "required": False}
    return {"name": name, "type": _OF_VALUES[type(value)], "default": escaped}


def _escaped(value: Value) -> Value:
    """The value, written so that no part of it is taken for a template's own word."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): _escaped(item) for key, item in value.items()}
    return value


def _key(name: str) -> str:
    if "${" in name:
        return name.replace("${", "$${")
    return f"${name}" if name.startswith("$$") or name in ("$if", "$each") else name
