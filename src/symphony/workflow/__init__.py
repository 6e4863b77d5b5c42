"""The score: what is to be done, in which order. Pure: no I/O but at the edge of `load`."""

from __future__ import annotations

from symphony.workflow._errors import (
    InputsInvalid,
    Problem,
    ProblemCode,
    Severity,
    WorkflowError,
    WorkflowInvalid,
)
from symphony.workflow._file import FORMAT, dumps, fingerprint, load, loads
from symphony.workflow._graph import Graph
from symphony.workflow._inputs import assemble, bind_inputs, parse_input
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
from symphony.workflow._validation import check, validate

__all__ = (
    "DEFAULT_PORT",
    "FORMAT",
    "Catalog",
    "Edge",
    "Graph",
    "InputsInvalid",
    "Node",
    "NodeId",
    "NodeKind",
    "Port",
    "PortRef",
    "Problem",
    "ProblemCode",
    "Severity",
    "Signature",
    "Workflow",
    "WorkflowError",
    "WorkflowInvalid",
    "assemble",
    "bind_inputs",
    "check",
    "dumps",
    "fingerprint",
    "load",
    "loads",
    "parse_input",
    "ports_of",
    "validate",
)
