"""What decides what a run does, as a hash."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from symphony.workflow._forms import EdgeForm, canonical_nodes, edge_forms
from symphony.workflow._model import Node, NodeKind, Workflow

#: The first entry of what is hashed. Runs are pinned to fingerprints: it stays, whatever the
#: format of files, as long as workflows that could be said before keep their meaning.
_SCHEME: Final = 1


def fingerprint(workflow: Workflow) -> str:
    """A hash, in hex, of what decides what a run does.

    The order of nodes and edges (but for the edges into a merge, where the first wins), names,
    versions, texts for people, labels, positions, priorities, estimates, resources, and how much
    may run at a time do not count.
    """
    canonical = msgspec.json.encode(
        [_SCHEME, workflow.extensions, *_contents(workflow)], order="sorted"
    )
    return hashlib.sha256(canonical).hexdigest()


def _contents(workflow: Workflow) -> list[object]:
    nodes = canonical_nodes(_stripped(node) for node in workflow.nodes)
    merges = {node.id for node in workflow.nodes if node.kind is NodeKind.MERGE}
    forms = [
        (edge.target.node in merges, msgspec.structs.replace(form, label="", priority=0))
        for edge, form in zip(workflow.edges, edge_forms(workflow.edges), strict=True)
    ]
    contents: list[object] = [
        sorted(nodes, key=lambda node: node.id),
        [form for _, form in sorted(forms, key=_place)],
    ]
    if workflow.workflows:
        contents.append({name: _nested(each) for name, each in workflow.workflows.items()})
    return contents


def _nested(workflow: Workflow) -> list[object]:
    """One in a file is what the file holds, and its path only as long as it was not read."""
    return _contents(workflow) if workflow.nodes else [workflow.file, *_contents(workflow)]


def _stripped(node: Node) -> Node:
    unset = msgspec.structs.replace
    policy = unset(node.policy, priority=0, resources=type(node.policy)().resources)
    return unset(
        node, title="", description="", position=None, estimate_s=None, parallel=0, policy=policy
    )


def _place(entry: tuple[bool, EdgeForm]) -> tuple[str, ...]:
    into_merge, form = entry
    if into_merge:  # sorting is stable: these stay in the order of the file
        return ("merge", form.target.partition(".")[0])
    return ("", form.source, form.target, form.kind, form.when)
