"""The score: what is to be done, in which order. Pure: no I/O but at the edge of `load`."""

from __future__ import annotations

from symphony.workflow._builder import WorkflowBuilder, builder_among
from symphony.workflow._compression import Compression
from symphony.workflow._define import DefinedWorkflow, define
from symphony.workflow._diff import Action, Change, Subject, diff
from symphony.workflow._edits import (
    with_changed_edge,
    with_changed_node,
    with_edge,
    with_node,
    with_params,
    with_position,
    with_renamed_node,
    without_edge,
    without_node,
)
from symphony.workflow._errors import (
    InputsInvalid,
    ParametersInvalid,
    Problem,
    ProblemCode,
    Severity,
    TemplateInvalid,
    WorkflowError,
    WorkflowInvalid,
)
from symphony.workflow._file import decode, dump, dumps, encode, load, loads
from symphony.workflow._fingerprint import fingerprint
from symphony.workflow._formats import Format, format_of
from symphony.workflow._forms import FORMAT
from symphony.workflow._graph import CriticalPath, Graph
from symphony.workflow._handles import Handle, NodeHandle
from symphony.workflow._inputs import assemble, bind_inputs, parse_input
from symphony.workflow._json import parse as parse_json
from symphony.workflow._model import (
    DEFAULT_PORT,
    INDEX,
    ITEM,
    ITEMS,
    NESTING,
    OTHERWISE,
    ROUND,
    ROUNDS,
    Case,
    Catalog,
    Edge,
    EdgeKind,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Signature,
    Transform,
    Workflow,
)
from symphony.workflow._patch import apply
from symphony.workflow._policy import Fallback, Policy, Resources, Retry, Skip
from symphony.workflow._ports import Scope, body_of, ports_of
from symphony.workflow._source import Source
from symphony.workflow._template import (
    Example,
    Parameter,
    ParameterType,
    Template,
    is_parameter_name,
    load_template,
    loads_template,
)
from symphony.workflow._template_use import check_template, instantiate, template_schema
from symphony.workflow._types import described
from symphony.workflow.validation import check, validate

__all__ = (
    "DEFAULT_PORT",
    "FORMAT",
    "INDEX",
    "ITEM",
    "ITEMS",
    "NESTING",
    "OTHERWISE",
    "ROUND",
    "ROUNDS",
    "Action",
    "Case",
    "Catalog",
    "Change",
    "Compression",
    "CriticalPath",
    "DefinedWorkflow",
    "Edge",
    "EdgeKind",
    "Example",
    "Fallback",
    "Format",
    "Graph",
    "Handle",
    "InputsInvalid",
    "Metadata",
    "Node",
    "NodeHandle",
    "NodeId",
    "NodeKind",
    "Parameter",
    "ParameterType",
    "ParametersInvalid",
    "Policy",
    "Port",
    "PortRef",
    "Problem",
    "ProblemCode",
    "Resources",
    "Retry",
    "Scope",
    "Severity",
    "Signature",
    "Skip",
    "Source",
    "Subject",
    "Template",
    "TemplateInvalid",
    "Transform",
    "Workflow",
    "WorkflowBuilder",
    "WorkflowError",
    "WorkflowInvalid",
    "apply",
    "assemble",
    "bind_inputs",
    "body_of",
    "builder_among",
    "check",
    "check_template",
    "decode",
    "define",
    "described",
    "diff",
    "dump",
    "dumps",
    "encode",
    "fingerprint",
    "format_of",
    "instantiate",
    "is_parameter_name",
    "load",
    "load_template",
    "loads",
    "loads_template",
    "parse_input",
    "parse_json",
    "ports_of",
    "template_schema",
    "validate",
    "with_changed_edge",
    "with_changed_node",
    "with_edge",
    "with_node",
    "with_params",
    "with_position",
    "with_renamed_node",
    "without_edge",
    "without_node",
)
