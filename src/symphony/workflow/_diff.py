"""What has changed between two workflows, in the terms of workflows: nodes, parameters, edges.

Changes are in the order in which they can be made: renamed nodes come first, so that all that
follows speaks of the names in the second workflow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Final, TypeAlias

import msgspec

from symphony.commons.values import Value
from symphony.workflow._forms import canonical_nodes
from symphony.workflow._layout import in_one_line
from symphony.workflow._model import Node, NodeId, Workflow
from symphony.workflow._parts import (
    document_of,
    header_of,
    keyed_edges,
    keyed_nodes,
    renamed,
    whole_of,
)

_Document: TypeAlias = dict[str, Value]
_Items: TypeAlias = Mapping[str, msgspec.Struct]
_Leaf: TypeAlias = tuple[tuple[str, ...], Value | msgspec.UnsetType, Value | msgspec.UnsetType]

#: Characters of a value in a line of text.
_MOST_SHOWN: Final = 60
#: An object of whose members we speak also where one side has none.
_ALWAYS_THERE: Final = ("params",)


class Action(StrEnum):
    """`moved`: the same things in another order."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"
    MOVED = "moved"


class Subject(StrEnum):
    """`header`: a field of the workflow itself; `workflow`: one that stands in it."""

    HEADER = "header"
    NODE = "node"
    EDGE = "edge"
    WORKFLOW = "workflow"


class Change(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One change of a thing: `name` is a node's id, an edge's ends (`a.port -> b.port`) or a
    workflow's name, with `#2` behind it for the second of one name.

    `inside` is the way to the nested workflow where it is, by names. `field` leads to what was
    changed in it: a field, and on from there by keys; without `old` it was not there, without `new`
    it no longer is. What was renamed has its new name in `new`; of what was moved, `new` lists the
    names in order. `place` is the number, among its like, of what was added.
    """

    action: Action
    subject: Subject
    inside: tuple[str, ...] = ()
    name: str = ""
    field: tuple[str, ...] = ()
    old: Value | msgspec.UnsetType = msgspec.UNSET
    new: Value | msgspec.UnsetType = msgspec.UNSET
    place: int = 0

    def __str__(self) -> str:
        where = "".join(f"{name} / " for name in self.inside)
        subject = where if self.subject is Subject.HEADER else f"{where}{self.subject} {self.name}"
        match self.action:
            case Action.RENAMED:
                return f"> {subject} is now called {self.new}"
            case Action.MOVED:
                return f"^ {where}{self.subject}s are in another order"
            case Action.CHANGED:
                values = f"{_shown(self.old)} -> {_shown(self.new)}"
                gap = " " if self.name else ""
                return f"~ {subject}{gap}{'.'.join(self.field)}: {values}"
            case Action.ADDED:
                return f"+ {subject}{_kind_of(self.new)}"
            case Action.REMOVED:
                return f"- {subject}{_kind_of(self.old)}"


def diff(old: Workflow, new: Workflow) -> list[Change]:
    """What turns `old` into `new`; empty exactly if they are equal."""
    return list(_changes(old, new, ()))


def _changes(old: Workflow, new: Workflow, inside: tuple[str, ...]) -> Iterator[Change]:
    header = partial(Change, subject=Subject.HEADER, inside=inside)
    yield from _field_changes(header, document_of(header_of(old)), document_of(header_of(new)))
    renames = _renames(old.nodes, new.nodes)
    for before, after in renames.items():
        yield Change(
            action=Action.RENAMED, subject=Subject.NODE, inside=inside, name=before, new=after
        )
    old = renamed(old, renames)
    node = partial(Change, subject=Subject.NODE, inside=inside)
    edge = partial(Change, subject=Subject.EDGE, inside=inside)
    yield from _item_changes(node, keyed_nodes(old.nodes), keyed_nodes(new.nodes))
    yield from _item_changes(edge, keyed_edges(old.edges), keyed_edges(new.edges))
    nested = partial(Change, subject=Subject.WORKFLOW, inside=inside)
    for name, each in old.workflows.items():
        if name in new.workflows:
            yield from _changes(each, new.workflows[name], (*inside, name))
        else:
            yield nested(action=Action.REMOVED, name=name, old=document_of(whole_of(each)))
    for name, each in new.workflows.items():
        if name not in old.workflows:
            yield nested(action=Action.ADDED, name=name, new=document_of(whole_of(each)))


def _item_changes(change: Callable[..., Change], old: _Items, new: _Items) -> Iterator[Change]:
    """Of nodes or edges, by their names."""
    kept = [name for name in old if name in new]
    for name, item in old.items():
        if name not in new:
            yield change(action=Action.REMOVED, name=name, old=document_of(item))
    for name in kept:
        if msgspec.json.encode(old[name]) != msgspec.json.encode(new[name]):
            one = partial(change, name=name)
            yield from _field_changes(one, document_of(old[name]), document_of(new[name]))
    for place, (name, item) in enumerate(new.items()):
        if name not in old:
            yield change(action=Action.ADDED, name=name, new=document_of(item), place=place)
    if kept != [name for name in new if name in old]:
        yield change(action=Action.MOVED, new=list(new))


def _field_changes(
    change: Callable[..., Change], old: _Document, new: _Document
) -> Iterator[Change]:
    for path, before, after in _leaves(old, new, ()):
        yield change(action=Action.CHANGED, field=path, old=before, new=after)


def _leaves(old: _Document, new: _Document, path: tuple[str, ...]) -> Iterator[_Leaf]:
    """Where two objects differ, as deep as both are objects."""
    for name in {**old, **new}:
        here = (*path, name)
        absent: Value | msgspec.UnsetType = {} if here == _ALWAYS_THERE else msgspec.UNSET
        before, after = old.get(name, absent), new.get(name, absent)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _leaves(before, after, here)
        elif _exactly(before) != _exactly(after):
            yield here, before, after


def _exactly(value: Value | msgspec.UnsetType) -> bytes:
    """Tells 1 from 1.0 and true, which Python does not."""
    return b"" if value is msgspec.UNSET else msgspec.json.encode(value, order="deterministic")


def _renames(old: Sequence[Node], new: Sequence[Node]) -> dict[NodeId, NodeId]:
    """Nodes that are there no longer, and new ones that are the same but for their id."""
    gone, come = _only_in(old, new), _only_in(new, old)
    twins: dict[bytes, list[NodeId]] = {}
    for node in come:
        twins.setdefault(_but_for_id(node), []).append(node.id)
    renames: dict[NodeId, NodeId] = {}
    for node in gone:
        if others := twins.get(_but_for_id(node)):
            renames[node.id] = others.pop(0)
    return renames


def _only_in(some: Sequence[Node], others: Sequence[Node]) -> list[Node]:
    counts = Counter(node.id for node in some)
    known = {node.id for node in others}
    return [node for node in some if node.id not in known and counts[node.id] == 1]


def _but_for_id(node: Node) -> bytes:
    (nameless,) = canonical_nodes([msgspec.structs.replace(node, id=NodeId(""))])
    return msgspec.json.encode(nameless, order="deterministic")


def _shown(value: Value | msgspec.UnsetType) -> str:
    if value is msgspec.UNSET:
        return "(none)"
    text = in_one_line(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _kind_of(value: Value | msgspec.UnsetType) -> str:
    """Of a node: what it is."""
    if not isinstance(value, dict) or "id" not in value or "kind" not in value:
        return ""
    return f" ({value['kind']} {value['use']})" if value.get("use") else f" ({value['kind']})"
