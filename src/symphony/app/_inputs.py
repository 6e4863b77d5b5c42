"""Looks at the folders and files that inputs name before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from symphony.commons.folders import user_path
from symphony.commons.precheck import Rule, all_of, file_readable, folder_readable, on, require
from symphony.commons.values import Value
from symphony.workflow import NodeKind, Workflow, bind_inputs

#: By the `format` of an input's schema: what the path that it is given must be.
PATHS: dict[str, Rule[Path]] = {"folder": folder_readable(), "file": file_readable()}


def checked_inputs(workflow: Workflow, given: Mapping[str, Value]) -> dict[str, Value]:
    """A value for every input. Paths become absolute: extensions have other current folders.

    Raises InputsInvalid, or PrecheckFailed with every path that cannot be read.
    """
    bound = bind_inputs(workflow, given)
    inputs = workflow.of_kind(NodeKind.INPUT)
    formats = {str(node.id): str(node.schema.get("format")) for node in inputs}
    paths: dict[str, Path] = {}
    rules: list[Rule[Mapping[str, Path]]] = []
    for name, value in bound.items():
        rule = PATHS.get(formats[name])
        if rule is not None and isinstance(value, str):
            paths[name] = user_path(value)
            rules.append(on(f"input {name!r}:", _at(name), rule))
    require(all_of(*rules), paths, subject="The workflow cannot start")
    return {**bound, **{name: str(path) for name, path in paths.items()}}


def _at(name: str) -> Callable[[Mapping[str, Path]], Path]:
    return lambda paths: paths[name]
