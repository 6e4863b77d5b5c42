"""What there is to know of a workflow at a glance, as data."""

from __future__ import annotations

from collections import Counter

import msgspec

from symphony.commons.values import Value
from symphony.workflow import Node, NodeKind, Workflow, described
from symphony.workflow.pictures._skeleton import MAX_NESTING, Skeleton


class InputFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input: `type` in words, and the default if there is one."""

    name: str
    type: str
    default: Value | msgspec.UnsetType = msgspec.UNSET
    description: str = ""


class OutputFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    type: str
    description: str = ""


class Facts(msgspec.Struct, frozen=True):
    """`depth` is the number of levels, `levels` the nodes on each; `estimate_s` is that of the
    critical path. `uses` are the operators and instruments, with how many nodes use each."""

    id: str
    name: str
    version: str
    description: str
    nodes: int
    edges: int
    kinds: dict[NodeKind, int]
    uses: dict[str, int]
    inputs: list[InputFacts]
    outputs: list[OutputFacts]
    depth: int
    levels: list[list[str]]
    critical_path: list[str]
    estimate_s: float
    workflows: dict[str, Facts]


def facts(workflow: Workflow) -> Facts:
    return _facts(workflow, MAX_NESTING)


def _facts(workflow: Workflow, nesting_left: int) -> Facts:
    skeleton = Skeleton(workflow)
    nodes = skeleton.nodes
    levels: list[list[str]] = [[] for _ in range(max(skeleton.levels, default=-1) + 1)]
    for node, level in zip(nodes, skeleton.levels, strict=True):
        levels[level].append(node.id)
    path = skeleton.critical_path()
    bodies = (NodeKind.OPERATOR, NodeKind.INSTRUMENT)
    inner = workflow.workflows if nesting_left else {}
    return Facts(
        id=workflow.id,
        name=workflow.name,
        version=workflow.version,
        description=workflow.description,
        nodes=len(workflow.nodes),
        edges=len(workflow.edges),
        kinds=dict(Counter(node.kind for node in workflow.nodes)),
        uses=dict(sorted(Counter(node.use for node in nodes if node.kind in bodies).items())),
        inputs=[_input(node) for node in nodes if node.kind is NodeKind.INPUT],
        outputs=[_output(node) for node in nodes if node.kind is NodeKind.OUTPUT],
        depth=len(levels),
        levels=levels,
        critical_path=[nodes[number].id for number in path],
        estimate_s=sum(nodes[number].estimate_s or 0.0 for number in path),
        workflows={name: _facts(each, nesting_left - 1) for name, each in inner.items()},
    )


def _input(node: Node) -> InputFacts:
    return InputFacts(node.id, described(node.schema), node.default, node.description)


def _output(node: Node) -> OutputFacts:
    return OutputFacts(node.id, described(node.schema), node.description)
