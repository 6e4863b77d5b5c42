"""Every workflow comes back from every format in every compression."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import Values, workflows

from symphony.workflow import (
    Compression,
    Format,
    Node,
    NodeId,
    NodeKind,
    Workflow,
    WorkflowInvalid,
    decode,
    dump,
    dumps,
    encode,
    format_of,
    load,
    loads,
)
from symphony.workflow._compact import _Node, _Rest


def values_of(scalars: Values) -> Values:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=6,
    )


TEXT = st.text(max_size=8) | st.sampled_from(
    ["yes", "null", "~", "1e5", "0x1F", "1_000", "2001-01-01", "<<", "=", "a: b", "# c", "\ufeffx"]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
NO_NULL = values_of(TEXT | NUMBERS | st.integers())
ANYTHING = values_of(TEXT | NUMBERS | st.integers() | st.none())
SMALL = values_of(TEXT | NUMBERS | st.integers(-(2**63), 2**64 - 1) | st.none())
#: Formats by what they can say of values.
GROUPS = [
    (ANYTHING, (Format.JSON, Format.YAML)),
    (NO_NULL, (Format.TOML,)),
    (SMALL, (Format.MSGPACK, Format.COMPACT)),
]


def comes_back(workflow: Workflow, form: Format) -> None:
    text = dumps(workflow)
    for compression in Compression:
        data = encode(workflow, form, compression)
        again = decode(data)
        assert again == workflow
        # `==` takes 1 for true and for 1.0. TOML writes plain members before tables.
        assert dumps(again) == text or form is Format.TOML
        assert encode(again, form, compression) == data


@pytest.mark.parametrize(("values", "formats"), GROUPS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_a_workflow_comes_back_from_any_file(
    values: Values, formats: tuple[Format, ...], data: st.DataObject
) -> None:
    workflow = data.draw(workflows(values))
    for form in formats:
        comes_back(workflow, form)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("values", "formats"), GROUPS)
@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_a_thousand_workflows_come_back_from_any_file(
    values: Values, formats: tuple[Format, ...], data: st.DataObject
) -> None:
    workflow = data.draw(workflows(values))
    for form in formats:
        comes_back(workflow, form)


def with_param(value: object) -> Workflow:
    return Workflow("t", (Node(NodeId("a"), NodeKind.OPERATOR, use="x", params={"p": value}),))  # type: ignore[dict-item]  # also what is no value


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"deep": float("-inf")}]])
def test_numbers_that_are_none_are_never_written(form: Format, value: object) -> None:
    with pytest.raises(WorkflowInvalid, match="no value that a workflow can hold"):
        encode(with_param(value), form)


@pytest.mark.parametrize("form", Format)
def test_half_a_surrogate_pair_is_never_written(form: Format) -> None:
    with pytest.raises(WorkflowInvalid, match=f"cannot be written as {form.value}"):
        encode(with_param("\ud800"), form)


def test_toml_says_where_the_nulls_are_that_it_does_not_have() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        encode(with_param([1, {"a": None}, None]), Format.TOML)
    assert [problem.message for problem in caught.value.problems] == [
        "TOML has no null, and one stands at /nodes/0/params/p/1/a.",
        "TOML has no null, and one stands at /nodes/0/params/p/2.",
    ]


@pytest.mark.parametrize("form", [Format.MSGPACK, Format.COMPACT])
@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_whole_numbers_of_more_than_64_bits_are_for_texts(form: Format, value: int) -> None:
    with pytest.raises(WorkflowInvalid, match="It cannot be written as "):
        encode(with_param(value), form)
    assert decode(encode(with_param(value))) == with_param(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.workflow.json", (Format.JSON, Compression.NONE)),
        ("a.YAML", (Format.YAML, Compression.NONE)),
        ("a.yml.zst", (Format.YAML, Compression.ZSTD)),
        ("a.toml.lz4", (Format.TOML, Compression.LZ4)),
        ("a.msgpack", (Format.MSGPACK, Compression.NONE)),
        ("a.swf.zst", (Format.COMPACT, Compression.ZSTD)),
        ("a.zst", (None, Compression.ZSTD)),
        ("a", (None, Compression.NONE)),
    ],
)
def test_the_name_of_a_file_says_its_format(
    name: str, expected: tuple[Format | None, Compression], tmp_path: Path
) -> None:
    assert format_of(Path(name)) == expected
    workflow = with_param("x")
    dump(workflow, tmp_path / name)
    assert load(tmp_path / name) == workflow
    content = encode(workflow, expected[0] or Format.JSON, expected[1])
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("compression", Compression)
def test_what_a_file_is_shows_in_its_content(
    form: Format, compression: Compression, tmp_path: Path
) -> None:
    path = tmp_path / "without-a-suffix"
    path.write_bytes(encode(with_param("x"), form, compression))
    assert load(path) == with_param("x")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("# by hand\n\nsymphony: 2\nid: t\nnodes: []\n", Format.YAML),
        ("---\nsymphony: 2\nid: t\nnodes: []\n", Format.YAML),
        ('\r\n# by hand\r\n"symphony" = 2\r\nid = "t"\r\nnodes = []\r\n', Format.TOML),
        ('\ufeff {"symphony": 2, "id": "t", "nodes": []}', Format.JSON),
        ('{"symphony": 2, "id": "t", "nodes": []}', Format.YAML),
    ],
)
def test_a_text_is_read_as_what_it_begins_as(text: str, form: Format) -> None:
    assert loads(text, format=form) == Workflow("t", ())
    assert loads(text) == Workflow("t", ())


@pytest.mark.parametrize("text", ["", "nonsense", '"a": 1', "[1]", "{"])
def test_what_is_nothing_in_particular_is_bad_json(text: str) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        loads(text)
    assert "YAML" not in str(caught.value)


def test_the_compact_form_holds_every_field_of_a_node() -> None:
    packed = {field.name for form in (_Node, _Rest) for field in msgspec.structs.fields(form)}
    named = {field.name for field in msgspec.structs.fields(Node)}
    assert named - {"id"} == packed - {"rest"}
