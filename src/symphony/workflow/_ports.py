"""Which ports a node has: what its kind, its catalog or the workflow that it uses says.

Schemas are shared: each call hands out the very same objects for the same workflow, so whoever
compiles schemas can keep them by identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from symphony.workflow._model import (
    DEFAULT_PORT,
    OTHERWISE,
    Catalog,
    Node,
    NodeKind,
    Port,
    Signature,
    Workflow,
)

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: The workflows around a node: the one that it stands in first, the outermost last.
Scope: TypeAlias = tuple[Workflow, ...]

_ANY: Final[dict[str, Value]] = {}
_TEXT: Final[dict[str, Value]] = {"type": "string"}
_OBJECT: Final[dict[str, Value]] = {"type": "object"}

_MERGE: Final = Signature(outputs=(Port(DEFAULT_PORT, _ANY), Port("port", _TEXT)))
_JOIN: Final = Signature(outputs=(Port(DEFAULT_PORT, _OBJECT),))
_WAIT_INPUTS: Final = (
    Port("prompt", _TEXT, required=False, default=""),
    Port("context", _ANY, required=False, default=None),
)


def ports_of(node: Node, catalog: Catalog, scope: Scope = ()) -> Signature | None:
    """The ports of a node of any kind; None if nobody provides what it uses.

    Kinds in OPEN take other input ports besides.
    """
    match node.kind:
        case NodeKind.INPUT:
            return Signature(outputs=(_value(node),))
        case NodeKind.OUTPUT:
            return Signature(inputs=(_value(node),))
        case NodeKind.WORKFLOW | NodeKind.MAP | NodeKind.LOOP:
            inside = body_of(node, scope)
            return None if inside is None else _around(node.kind, inside[0])
        case NodeKind.BRANCH:
            names = [*(case.name for case in node.cases), OTHERWISE]
            return Signature((Port(DEFAULT_PORT, _ANY),), tuple(Port(name, _ANY) for name in names))
        case NodeKind.MERGE:
            return _MERGE
        case NodeKind.JOIN:
            return _JOIN
        case NodeKind.WAIT:
            return Signature(_WAIT_INPUTS, (_value(node),))
        case NodeKind.OPERATOR | NodeKind.INSTRUMENT:
            return catalog.signature(node.kind, node.use)


def body_of(node: Node, scope: Scope) -> Scope | None:
    """The scope of the nodes of the workflow that a node uses, that workflow first; None if no
    workflow around the node has it."""
    for depth, around in enumerate(scope):
        body = around.workflows.get(node.use)
        if body is not None:
            return (body, *scope[depth:])
    return None


def _around(kind: NodeKind, body: Workflow) -> Signature:
    if kind is NodeKind.MAP:
        return body.map_signature
    return body.loop_signature if kind is NodeKind.LOOP else body.signature


def _value(node: Node) -> Port:
    return Port(DEFAULT_PORT, node.schema, description=node.description)
