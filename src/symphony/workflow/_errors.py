"""What can be wrong with a workflow, and with the values given to it.

A fault is a `Problem`: data with a place in the text. The errors carry all problems found, so
that a user mends a file in one go.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from symphony.commons.errors import Category, ErrorRecord, SymphonyError


class ProblemCode(StrEnum):
    """Every kind of fault; stable, as the codes of errors are."""

    SYNTAX = "workflow.syntax"
    DUPLICATE_KEY = "workflow.duplicate_key"
    LIMIT = "workflow.limit"
    VERSION = "workflow.version"
    UNKNOWN_FIELD = "workflow.unknown_field"
    MISSING_FIELD = "workflow.missing_field"
    BAD_VALUE = "workflow.bad_value"
    UNKNOWN_KIND = "workflow.unknown_kind"
    BAD_SCHEMA = "workflow.bad_schema"
    DUPLICATE_ID = "workflow.duplicate_id"
    UNKNOWN_USE = "workflow.unknown_use"
    UNKNOWN_NODE = "workflow.unknown_node"
    UNKNOWN_PORT = "workflow.unknown_port"
    UNKNOWN_EDGE = "workflow.unknown_edge"
    PORT_TWICE = "workflow.port_twice"
    FOREIGN_HANDLE = "workflow.foreign_handle"
    MISSING_VALUE = "workflow.missing_value"
    TYPE_MISMATCH = "workflow.type_mismatch"
    ONLY_EMPTY = "workflow.only_empty"
    CYCLE = "workflow.cycle"
    NEVER_RUNS = "workflow.never_runs"
    UNREACHABLE_OUTPUT = "workflow.unreachable_output"
    BAD_EXPRESSION = "workflow.bad_expression"
    BAD_TEMPLATE = "workflow.bad_template"
    BAD_FALLBACK = "workflow.bad_fallback"
    BAD_COMPENSATION = "workflow.bad_compensation"
    CONTRADICTION = "workflow.contradiction"
    UNKNOWN_WORKFLOW = "workflow.unknown_workflow"
    UNRESOLVED = "workflow.unresolved"
    RECURSION = "workflow.recursion"
    NO_ITEM = "workflow.no_item"
    NO_UNTIL = "workflow.no_until"
    NOTHING_FED_BACK = "workflow.nothing_fed_back"
    UNUSED_INPUT = "workflow.unused_input"
    UNUSED_WAY = "workflow.unused_way"
    UNUSED_WORKFLOW = "workflow.unused_workflow"
    UNNEEDED_NODE = "workflow.unneeded_node"
    NO_EFFECT = "workflow.no_effect"
    BAD_PLACEHOLDER = "workflow.bad_placeholder"
    BAD_PARAMETER = "workflow.bad_parameter"
    UNKNOWN_PARAMETER = "workflow.unknown_parameter"
    MISSING_PARAMETER = "workflow.missing_parameter"
    PARAMETER_TYPE = "workflow.parameter_type"
    MISSING_INPUT = "workflow.missing_input"
    UNKNOWN_INPUT = "workflow.unknown_input"
    INPUT_TYPE = "workflow.input_type"


class Severity(StrEnum):
    """A warning does not keep a workflow from running."""

    ERROR = "error"
    WARNING = "warning"


class Problem(msgspec.Struct, frozen=True):
    """One fault. `pointer` is a JSON pointer into the file; `line` and `column` count from 1, in
    characters, and are 0 where there is no text. They belong to `file` if the fault lies in a
    workflow that was read from a file of its own."""

    code: ProblemCode
    message: str
    pointer: str = ""
    hint: str = ""
    severity: Severity = Severity.ERROR
    line: int = 0
    column: int = 0
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        place = f"{self.file}:{place or ' '}" if self.file else place
        return f"{place}{self.message}{f' {self.hint}' if self.hint else ''}"


class WorkflowError(SymphonyError):
    """Something about a workflow or its inputs; `problems` says what, all of it.

    `subject` is what they are found in, such as a file.
    """

    category = Category.VALIDATION

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            (lone,) = self.problems
            place = f":{lone.line}:{lone.column}" if lone.line else ""
            start = f"{subject}{place}: " if subject else ""
            super().__init__(f"{start}{lone.message}", hint=lone.hint)
        else:
            lines = "".join(f"\n  {problem} [{problem.code}]" for problem in self.problems)
            super().__init__(f"{subject or 'Inputs'}: {len(self.problems)} problems{lines}")

    def record(self) -> ErrorRecord:
        """Under the code of its problems if they have one in common."""
        record = super().record()
        codes = {problem.code.value for problem in self.problems}
        return msgspec.structs.replace(record, code=codes.pop()) if len(codes) == 1 else record


class WorkflowInvalid(WorkflowError):
    """A text is not a workflow, or a workflow cannot run. `source` names the file."""

    code = "workflow.invalid"

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        super().__init__(source, problems)


class InputsInvalid(WorkflowError):
    """The values given to a workflow are not those that it takes."""

    code = "workflow.inputs_invalid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__("", problems)


class TemplateInvalid(WorkflowError):
    """A text is not a template, or no workflow can be made of it. `source` names the file."""

    code = "workflow.template_invalid"

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        super().__init__(source, problems)


class ParametersInvalid(WorkflowError):
    """The values given to a template are not those that it takes. `template` is its id."""

    code = "workflow.parameters_invalid"

    def __init__(self, template: str, problems: Iterable[Problem]) -> None:
        self.template = template
        super().__init__(f"Template {template!r}", problems)
