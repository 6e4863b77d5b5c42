"""The reference of the file format says what is true, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from symphony.operators import BUILTIN
from symphony.workflow import (
    FORMAT,
    Node,
    NodeKind,
    Signature,
    dumps,
    loads,
    validate,
)
from symphony.workflow._forms import EdgeForm, FileForm
from symphony.workflow._json import MAX_BYTES
from symphony.workflow._model import Transform
from symphony.workflow._policy import Policy
from symphony.workflow._scanner import MAX_DEPTH
from symphony.workflow.validation import MAX_DEPTH as MOST_INSIDE
from symphony.workflow.validation import MAX_WORKFLOWS
from symphony.workflow.validation._structure import FIELDS


class BuiltIn:
    """The operators that come with Symphony, as a catalog."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        return BUILTIN[use].signature if use in BUILTIN else None

    def names(self, kind: NodeKind) -> list[str]:
        return list(BUILTIN)


REFERENCE = (Path(__file__).parents[2] / "docs" / "workflow-format.md").read_text()


def table_after(heading: str) -> dict[str, str]:
    """First column to the rest of the line, of the first table below a heading."""
    below = REFERENCE.split(f"## {heading}\n")[1]
    rows = re.findall(r"^\| `(\w+)` \| (.*)$", below.split("\n## ")[0], re.MULTILINE)
    return dict(rows)


def test_the_example_is_a_workflow_laid_out_as_we_write_it() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", REFERENCE, re.DOTALL)
    workflow = loads(example)
    assert dumps(workflow) == example.replace('"timeout_s": 10\n', '"timeout_s": 10.0\n')
    assert [str(problem) for problem in validate(workflow, BuiltIn())] == []


def test_every_field_is_described() -> None:
    for heading, form in (("The file", FileForm), ("Nodes", Node), ("Edges and ports", EdgeForm)):
        fields = {field.encode_name: field for field in msgspec.structs.fields(form)}
        rows = table_after(heading)
        assert rows.keys() == fields.keys()
        needed = {name for name, row in rows.items() if "needed" in row.split("|")[0]}
        required = {name for name, field in fields.items() if field.required}
        assert needed - {"use"} == required


def test_the_fields_of_each_kind_are_as_described() -> None:
    rows = table_after("Nodes")
    for name in {name for fields in FIELDS.values() for name in fields}:
        kinds = [kind for kind in NodeKind if name in FIELDS[kind]]
        assert {str(kind) for kind in kinds} == set(
            re.findall(r"[a-z]{3,}", rows[name].split("|")[0])
        ) - {"needed"}


def test_the_limits_are_as_described() -> None:
    assert f"It may be {MAX_BYTES >> 20} MiB long" in REFERENCE
    assert f"nested {MAX_DEPTH} levels deep" in REFERENCE
    assert f"describes format {FORMAT}" in REFERENCE
    assert f"At most {MOST_INSIDE} stand inside each other, at most {MOST_INSIDE} run" in REFERENCE
    assert f"a file has at most {MAX_WORKFLOWS:,}." in REFERENCE


def test_every_kind_is_described_with_its_ports() -> None:
    assert table_after("Kinds and their ports").keys() == set(NodeKind)


def test_every_policy_is_described() -> None:
    assert table_after("Policies").keys() == set(Policy.__struct_fields__)


def test_every_step_of_a_transform_is_described() -> None:
    steps = set(Transform.__struct_fields__) - {"initial"}
    assert table_after("Transforms").keys() == steps
