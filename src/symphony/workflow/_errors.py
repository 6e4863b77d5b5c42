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
    PORT_TWICE = "workflow.port_twice"
    MISSING_VALUE = "workflow.missing_value"
    TYPE_MISMATCH = "workflow.type_mismatch"
    CYCLE = "workflow.cycle"
    UNUSED_INPUT = "workflow.unused_input"
    MISSING_INPUT = "workflow.missing_input"
    UNKNOWN_INPUT = "workflow.unknown_input"
    INPUT_TYPE = "workflow.input_type"


class Severity(StrEnum):
    """A warning does not keep a workflow from running."""

    ERROR = "error"
    WARNING = "warning"


class Problem(msgspec.Struct, frozen=True):
    """One fault. `pointer` is a JSON pointer into the file; `line` and `column` count from 1, in
    characters, and are 0 where there is no text."""

    code: ProblemCode
    message: str
    pointer: str = ""
    hint: str = ""
    severity: Severity = Severity.ERROR
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
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
