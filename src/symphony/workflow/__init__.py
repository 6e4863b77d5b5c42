"""The score: what is to be done, in which order. Pure: no I/O but at the edge of `load`."""

from __future__ import annotations

from symphony.workflow._model import (
    DEFAULT_PORT,
    Catalog,
    Edge,
    Node,
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Signature,
    Workflow,
    ports_of,
)

__all__ = (
    "DEFAULT_PORT",
    "Catalog",
    "Edge",
    "Node",
    "NodeId",
    "NodeKind",
    "Port",
    "PortRef",
    "Signature",
    "Workflow",
    "ports_of",
)
