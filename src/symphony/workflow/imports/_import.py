"""The door of the room: which program a document comes from, and what it gives."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from symphony.workflow import Problem, ProblemCode, Source, WorkflowInvalid, parse_json
from symphony.workflow.imports._comfyui import import_prompt
from symphony.workflow.imports._comfyui_graph import import_graph
from symphony.workflow.imports._foreign import MAX_NODES, Faults, object_of
from symphony.workflow.imports._imported import Imported, Origin
from symphony.workflow.imports._n8n import import_n8n

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: Programs in Python write these, which are no JSON.
_NOT_JSON: Final = re.compile(r"\b(?:NaN|Infinity)\b")
#: Members under which programs wrap a workflow.
_WRAPPERS: Final = ("workflow", "prompt", "output", "data")


def import_document(
    document: str | Value, source: str = "<document>", origin: Origin | None = None
) -> Imported:
    """The workflow that a document of ComfyUI or n8n spells, and what was lost on the way.

    Text is taken for JSON. Without `origin`, the document is asked where it comes from. Raises
    WorkflowInvalid with all that is wrong with it, located if it is a text.
    """
    text = Source(source, document.removeprefix("\ufeff")) if isinstance(document, str) else None
    value = _parsed(text) if text is not None else document
    faults = Faults()
    imported = _imported(_unwrapped(value), origin, faults)
    if imported is None and not faults.problems:
        wanted = {
            Origin.COMFYUI: "one of ComfyUI",
            Origin.N8N: "one of n8n",
            None: "one that is known",
        }
        faults.add(f"This is no workflow, or not {wanted[origin]}.", "")
    if faults.problems or imported is None:
        problems = faults.problems
        raise WorkflowInvalid(source, text.located(problems) if text else problems)
    return imported


def _parsed(text: Source) -> Value:
    try:
        return parse_json(text)
    except WorkflowInvalid:
        if not _NOT_JSON.search(text.text):
            raise
        try:
            value = json.loads(text.text, parse_constant=lambda _: None)
            return parse_json(Source(text.name, json.dumps(value)))
        except (ValueError, RecursionError):
            pass
        raise


def _unwrapped(value: Value) -> Value:
    """The workflow in a list of one, or in what an API gives."""
    for _ in range(3):
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        elif isinstance(value, dict) and "nodes" not in value:
            inner = [value[name] for name in _WRAPPERS if isinstance(value.get(name), dict)]
            inner = [each for each in inner if _is_workflow(each)]
            if not inner or _is_prompt(value):
                return value
            value = inner[0]
        else:
            return value
    return value


def _is_workflow(value: Value) -> bool:
    return (
        "nodes" in object_of(value)
        or _is_prompt(value)
        or any(isinstance(object_of(value).get(name), dict) for name in _WRAPPERS)
    )


def _is_prompt(value: Value) -> bool:
    nodes = [each for each in object_of(value).values() if isinstance(each, dict)]
    return any("class_type" in each for each in nodes)


def _imported(value: Value, origin: Origin | None, faults: Faults) -> Imported | None:
    if not isinstance(value, dict):
        return None
    if "nodes" not in value:
        if not _is_prompt(value) or origin is Origin.N8N:
            return None
        if len(value) > MAX_NODES:
            message = f"{len(value):,} nodes are more than the {MAX_NODES:,} that are read."
            faults.problems.append(Problem(ProblemCode.LIMIT, message))
            return None
        return import_prompt(value, faults)
    if (origin or _origin_of(value)) is Origin.N8N:
        return import_n8n(value, faults)
    return import_graph(value, faults)


def _origin_of(value: dict[str, Value]) -> Origin:
    """Connections by name are n8n's, links in a list are ComfyUI's."""
    if "connections" in value:
        return Origin.N8N
    if "links" in value:
        return Origin.COMFYUI
    nodes = value["nodes"]
    first = object_of(nodes[0]) if isinstance(nodes, list) and nodes else {}
    return Origin.N8N if "parameters" in first or "typeVersion" in first else Origin.COMFYUI
