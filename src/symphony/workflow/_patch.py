"""Making the changes of a diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from symphony.workflow._diff import Action, Change, Subject
from symphony.workflow._forms import EdgeForm
from symphony.workflow._model import Node, NodeId, Workflow
from symphony.workflow._parts import (
    Whole,
    document_of,
    header_of,
    keyed_edges,
    keyed_nodes,
    renamed,
    workflow_of_whole,
)

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def apply(changes: Iterable[Change], workflow: Workflow) -> Workflow:
    """The workflow with all the changes: `apply(diff(a, b), a) == b`.

    Changes that do not come from a diff of an equal workflow raise KeyError or
    msgspec.ValidationError.
    """
    own: dict[Subject, list[Change]] = {subject: [] for subject in Subject}
    deeper: dict[str, list[Change]] = {}
    for change in changes:
        if change.inside:
            inner = msgspec.structs.replace(change, inside=change.inside[1:])
            deeper.setdefault(change.inside[0], []).append(inner)
        else:
            own[change.subject].append(change)
    called = renamed(workflow, _new_names(own[Subject.NODE]))
    whole = msgspec.structs.replace(
        _patched(header_of(workflow), own[Subject.HEADER], Whole),
        nodes=_rebuilt(own[Subject.NODE], keyed_nodes(called.nodes), Node),
        edges=_rebuilt(own[Subject.EDGE], keyed_edges(called.edges), EdgeForm),
    )
    nested = _nested(own[Subject.WORKFLOW], workflow.workflows)
    nested |= {name: apply(some, nested[name]) for name, some in deeper.items()}
    return msgspec.structs.replace(workflow_of_whole(whole), workflows=nested)


def _new_names(changes: Iterable[Change]) -> dict[NodeId, NodeId]:
    return {
        NodeId(change.name): NodeId(str(change.new))
        for change in changes
        if change.action is Action.RENAMED
    }


def _nested(changes: Iterable[Change], workflows: Mapping[str, Workflow]) -> dict[str, Workflow]:
    changed = dict(workflows)
    for change in changes:
        if change.action is Action.REMOVED:
            del changed[change.name]
        else:
            changed[change.name] = workflow_of_whole(msgspec.convert(change.new, Whole))
    return changed


def _rebuilt(
    changes: Sequence[Change], items: Mapping[str, _Struct], form: type[_Struct]
) -> tuple[_Struct, ...]:
    """Nodes or edges after the changes, in their order."""
    current = dict(items)
    fields: dict[str, list[Change]] = {}
    for change in changes:
        if change.action is Action.REMOVED:
            del current[change.name]
        elif change.action is Action.CHANGED:
            fields.setdefault(change.name, []).append(change)
    current |= {name: _patched(current[name], some, form) for name, some in fields.items()}
    order = list(current)
    for change in changes:
        if change.action is Action.ADDED:
            current[change.name] = msgspec.convert(change.new, form)
            order.insert(change.place, change.name)
        elif change.action is Action.MOVED:
            order = msgspec.convert(change.new, list[str])
    return tuple(current[name] for name in order)


def _patched(part: _Struct, changes: Iterable[Change], form: type[_Struct]) -> _Struct:
    """A part with other values in its fields, or in the objects there."""
    document = document_of(part)
    for change in changes:
        *path, last = change.field
        place = document
        for name in path:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise KeyError(name)
            place = inner
        if change.new is msgspec.UNSET:
            del place[last]
        else:
            place[last] = change.new
    return msgspec.convert(document, form)
