"""Rules: names, fields, numbers, and the workflows inside a workflow."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from typing import Final

from symphony.commons.versions import Version, VersionInvalid
from symphony.workflow._errors import Problem, ProblemCode
from symphony.workflow._model import NESTING, Node, NodeId, NodeKind
from symphony.workflow._scanner import pointer_to
from symphony.workflow.validation._context import MAX_DEPTH, MAX_WORKFLOWS, Context

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
NAME_RULE: Final = "Use 1 to 64 of a-z, 0-9, '-' and '_', a letter first."

#: What the uses of placeholders begin with: see `workflow.imports`.
_IMPORTED: Final = ("comfyui.", "n8n.")
_RUNNING: Final = ("use", "params", "timeout_s", "estimate_s", "policy")

#: Which of the fields that not every node has belong to which kind.
FIELDS: Final[dict[NodeKind, tuple[str, ...]]] = {
    NodeKind.INPUT: ("schema", "default"),
    NodeKind.OUTPUT: ("name", "schema", "params"),
    NodeKind.OPERATOR: _RUNNING,
    NodeKind.INSTRUMENT: _RUNNING,
    NodeKind.WORKFLOW: _RUNNING,
    NodeKind.MAP: (*_RUNNING, "limit", "parallel"),
    NodeKind.LOOP: (*_RUNNING, "limit", "until"),
    NodeKind.BRANCH: ("params", "cases"),
    NodeKind.MERGE: ("params",),
    NodeKind.JOIN: ("params",),
    NodeKind.WAIT: ("schema", "default", "params", "timeout_s", "estimate_s", "policy"),
}
_EVERY: Final = sorted({name for fields in FIELDS.values() for name in fields})
_BLANK: Final = Node(NodeId(""), NodeKind.INPUT)
#: By kind, the fields that mean nothing on it, with the value that they have if they are not given.
_MEANINGLESS: Final = {
    kind: tuple((name, getattr(_BLANK, name)) for name in _EVERY if name not in fields)
    for kind, fields in FIELDS.items()
}


def header(context: Context) -> Iterator[Problem]:
    """The workflow has a name and a version."""
    workflow = context.workflow
    if not NAME.fullmatch(workflow.id):
        message = f"The workflow's id {workflow.id!r} is not a name."
        pointer = "/id" if context.around is None else ""
        yield context.problem(ProblemCode.BAD_VALUE, message, pointer, NAME_RULE)
    try:
        Version.parse(workflow.version)
    except VersionInvalid as error:
        yield context.problem(ProblemCode.BAD_VALUE, error.message, "/version", error.hint)


def node_names(context: Context) -> Iterator[Problem]:
    """The ids of nodes are names, and each is there once."""
    numbers = context.numbers
    for number, node in enumerate(context.nodes):
        if not NAME.fullmatch(node.id):
            message = f"The node's id {node.id!r} is not a name."
            yield context.problem(ProblemCode.BAD_VALUE, message, f"/nodes/{number}/id", NAME_RULE)
        if numbers[node.id] != number:
            first = numbers[node.id] + 1
            message = f"Node {number + 1} has the id {node.id!r}, as has node {first}."
            yield context.problem(ProblemCode.DUPLICATE_ID, message, f"/nodes/{number}/id")


def output_names(context: Context) -> Iterator[Problem]:
    """Each output is called by a name of its own where the workflow is a node."""
    seen: dict[str, str] = {}
    for number in context.by_kind[NodeKind.OUTPUT]:
        node = context.nodes[number]
        where = f"/nodes/{number}/{'name' if node.name else 'id'}"
        if node.name and not NAME.fullmatch(node.name):
            message = f"Output {node.id!r} has the name {node.name!r}, which is none."
            yield context.problem(ProblemCode.BAD_VALUE, message, where, NAME_RULE)
        name = node.name or node.id
        if seen.setdefault(name, node.id) != node.id:
            message = f"Output {node.id!r} is called {name!r}, as is output {seen[name]!r}."
            yield context.problem(ProblemCode.DUPLICATE_ID, message, where)


def fields(context: Context) -> Iterator[Problem]:
    """No node has a field that means nothing on its kind: whoever wrote it expects something."""
    for number, node in enumerate(context.nodes):
        for name, empty in _MEANINGLESS[node.kind]:
            if getattr(node, name) != empty:
                message = f"Node {node.id!r} has {name!r}, which means nothing on {a(node.kind)}."
                pointer = f"/nodes/{number}/{name}"
                yield context.problem(ProblemCode.UNKNOWN_FIELD, message, pointer)


def times(context: Context) -> Iterator[Problem]:
    """Times are times."""
    for number, node in enumerate(context.nodes):
        if node.timeout_s is None and node.estimate_s is None:
            continue
        for name, seconds in (("timeout_s", node.timeout_s), ("estimate_s", node.estimate_s)):
            if seconds is not None and not 0 < seconds < math.inf:
                message = f"Node {node.id!r}: {name!r} must be above 0, not {seconds:g}."
                pointer = f"/nodes/{number}/{name}"
                yield context.problem(ProblemCode.BAD_VALUE, message, pointer)


def uses(context: Context) -> Iterator[Problem]:
    """What a node uses is named, and is there."""
    for number, node in enumerate(context.nodes):
        if "use" not in FIELDS[node.kind]:
            continue
        here = f"/nodes/{number}"
        if not node.use:
            message = f"Node {node.id!r} lacks 'use', the name of its {_used(node)}."
            yield context.problem(ProblemCode.MISSING_FIELD, message, here)
        elif context.ports[number] is None:
            yield _unknown_use(context, node, f"{here}/use")


def _unknown_use(context: Context, node: Node, pointer: str) -> Problem:
    if node.kind in NESTING:
        names = {name for around in context.scope for name in around.workflows}
        hint = context.hint(node.use, names) or "Add it to 'workflows'."
        message = f"Node {node.id!r} uses the unknown workflow {node.use!r}."
        return context.problem(ProblemCode.UNKNOWN_WORKFLOW, message, pointer, hint)
    catalog = context.shared.catalog
    other = NodeKind.INSTRUMENT if node.kind is NodeKind.OPERATOR else NodeKind.OPERATOR
    if catalog.signature(other, node.use) is not None:
        hint = f'It is an {other}: write "kind": "{other}".'
    elif node.use.startswith(_IMPORTED):
        hint = "It stands for a node of another program: put one of ours in its place."
    else:
        hint = context.hint(node.use, catalog.names(node.kind))
    message = f"Node {node.id!r} uses the unknown {node.kind} {node.use!r}."
    return context.problem(ProblemCode.UNKNOWN_USE, message, pointer, hint)


def _used(node: Node) -> str:
    return "workflow" if node.kind in NESTING else node.kind


def workflows(context: Context) -> Iterator[Problem]:
    """Each workflow inside is there, is used, and is not too deep."""
    used = _used_names(context)
    for name, nested in context.workflow.workflows.items():
        here = pointer_to("/workflows", name)
        if nested.file and not nested.nodes:
            message = f"The workflow {name!r} stands in {nested.file!r}, which was not read."
            hint = "Load the file that refers to it by its path."
            yield context.problem(ProblemCode.UNRESOLVED, message, f"{here}/file", hint)
        if name not in context.nested:
            message = (
                f"Workflows stand inside each other more than {MAX_DEPTH} deep, or there are more"
                f" than {MAX_WORKFLOWS:,}: {name!r} is not looked at."
            )
            yield context.problem(ProblemCode.LIMIT, message, here)
        elif name not in used:
            message = f"No node uses the workflow {name!r}."
            yield context.warning(ProblemCode.UNUSED_WORKFLOW, message, here)


def _used_names(context: Context) -> set[str]:
    """The names that nodes here and inside use, hidden ones among them."""
    names: set[str] = set()
    pending = [context]
    while pending:
        each = pending.pop()
        for kind in NESTING:
            names.update(each.nodes[number].use for number in each.by_kind[kind])
        pending.extend(each.nested.values())
    return names


def recursion(context: Context) -> Iterator[Problem]:
    """No workflow runs itself, directly or through others, or others too many deep."""
    for number, body in context.uses():
        node = context.nodes[number]
        here = f"/nodes/{number}/use"
        way = _way(body, context)
        if way:
            names = " -> ".join(each.name for each in (context, *way))
            message = f"Node {node.id!r} makes a workflow run itself: {names}."
            yield context.problem(ProblemCode.RECURSION, message, here)
        elif context.around is None and _is_too_deep(body):
            message = f"Node {node.id!r} runs workflows inside each other, over {MAX_DEPTH} deep."
            yield context.problem(ProblemCode.LIMIT, message, here)


def _way(start: Context, goal: Context) -> list[Context]:
    """The shortest way from one workflow to another over what their nodes use."""
    before: dict[Context, Context | None] = {start: None}
    pending = deque([start])
    while pending and goal not in before:
        each = pending.popleft()
        for _, body in each.uses():
            if body not in before:
                before[body] = each
                pending.append(body)
    way: list[Context] = []
    step: Context | None = goal if goal in before else None
    while step is not None:
        way.append(step)
        step = before[step]
    return way[::-1]


def _is_too_deep(start: Context) -> bool:
    """Whether workflows run too deep inside each other, though none runs itself."""
    seen = level = {start}
    for _ in range(MAX_DEPTH):
        level = {body for each in level for _, body in each.uses()}
        seen |= level
    return bool(level) and not any(_way(body, each) for each in seen for _, body in each.uses())


def a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
