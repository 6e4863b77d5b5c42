from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import NAMES, VALUES, workflows

from symphony.commons.values import Value
from symphony.workflow import (
    FORMAT,
    Compression,
    Format,
    Metadata,
    Workflow,
    WorkflowInvalid,
    decode,
    dumps,
    encode,
    loads,
)
from symphony.workflow._migrations import MIGRATIONS, Migration, migrated
from symphony.workflow._plain import Inexpressible

Document = dict[str, Value]
FIELDS = st.sampled_from(["author", "tags", "category", "icon", "colour", "custom", "x"])
METADATA = st.dictionaries(FIELDS | NAMES, VALUES | st.lists(NAMES) | NAMES, max_size=4)


def first_format(metadata: Value) -> Document:
    return {
        "symphony": 1,
        "id": "t",
        "metadata": metadata,
        "nodes": [{"id": "a", "kind": "input"}, {"id": "b", "kind": "output"}],
        "edges": [{"from": "a", "to": "b"}],
    }


def there_and_back(metadata: Document) -> None:
    old = first_format(metadata)
    kept = copy.deepcopy(old)
    new = migrated(old, 2, MIGRATIONS)
    assert new is not None
    assert migrated(new, 1, MIGRATIONS) == old == kept
    assert loads(dumps(loads(text_of(old)))) == loads(text_of(old))


def text_of(document: Document) -> str:
    import msgspec

    return msgspec.json.encode(document).decode()


@settings(max_examples=40, deadline=None)
@given(METADATA)
def test_format_1_comes_back_from_format_2(metadata: Document) -> None:
    there_and_back(metadata)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(METADATA)
def test_a_thousand_of_format_1_come_back_from_format_2(metadata: Document) -> None:
    there_and_back(metadata)


def back_or_refused(workflow: Workflow, form: Format) -> bool:
    """Whether format 1 could say it; then it comes back the same."""
    try:
        data = encode(workflow, form, version=1)
    except WorkflowInvalid as error:
        codes = {problem.code.value for problem in error.problems}
    else:
        assert decode(data) == workflow
        return True
    assert codes == {"workflow.version"}
    return False


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(workflows(), st.sampled_from([Format.JSON, Format.YAML, Format.MSGPACK]))
def test_format_2_comes_back_from_format_1_or_is_refused(workflow: Workflow, form: Format) -> None:
    back_or_refused(workflow, form)


@settings(max_examples=30, deadline=None)
@given(st.builds(Metadata, NAMES, st.lists(NAMES).map(tuple), custom=METADATA))
def test_metadata_of_format_2_comes_back_or_is_refused(metadata: Metadata) -> None:
    named = {"author", "tags", "category", "icon", "colour"}
    workflow = Workflow("t", (), metadata=metadata)
    assert back_or_refused(workflow, Format.JSON) or named & metadata.custom.keys()


def test_metadata_without_a_field_of_its_own_is_custom() -> None:
    workflow = loads(text_of(first_format({"author": "Ada", "tags": "one", "team": {"x": 1}})))
    assert workflow.metadata == Metadata(author="Ada", custom={"tags": "one", "team": {"x": 1}})
    assert f'"symphony": {FORMAT}' in dumps(workflow)


def test_all_that_format_1_cannot_say_is_named() -> None:
    text = """{"symphony": 2, "id": "t", "metadata": {"author": "A", "custom": {"author": "B"}},
      "nodes": [{"id": "a", "kind": "merge"},
                {"id": "b", "kind": "input", "policy": {"once": true}}],
      "edges": [{"from": "a", "to": "b", "when": "value"}],
      "workflows": {"w": {"file": "./w.json"}}}"""
    with pytest.raises(WorkflowInvalid) as caught:
        encode(loads(text), version=1)
    assert [problem.message for problem in caught.value.problems] == [
        "Format 1 has no workflows in a workflow, which stands at /workflows.",
        "Format 1 has no nodes of kind 'merge', which stands at /nodes/0/kind.",
        "Format 1 has no 'policy', which stands at /nodes/1/policy.",
        "Format 1 has no 'when', which stands at /edges/0/when.",
        (
            "Format 1 has no 'author' beside the metadata of that name, which stands at "
            "/metadata/custom/author."
        ),
    ]


@pytest.mark.parametrize("version", [0, 3, -1])
def test_a_format_that_is_not_known_is_not_written(version: int) -> None:
    with pytest.raises(WorkflowInvalid, match=f"no way from format 2 to format {version}"):
        encode(Workflow("t", ()), version=version)


def test_the_compact_form_has_one_format() -> None:
    with pytest.raises(WorkflowInvalid, match="the compact form has format 2 only"):
        encode(Workflow("t", ()), Format.COMPACT, Compression.NONE, version=1)


@pytest.mark.parametrize("form", [Format.JSON, Format.YAML, Format.TOML, Format.MSGPACK])
def test_a_format_of_the_future_is_refused_with_its_number(form: Format) -> None:
    data = encode(Workflow("t", ()), form).replace(b"symphony = 2", b"symphony = 77")
    data = data.replace(b'"symphony": 2', b'"symphony": 77').replace(
        b"symphony: 2", b"symphony: 77"
    )
    data = data.replace(b"\xa8symphony\x02", b"\xa8symphony\x4d")
    with pytest.raises(WorkflowInvalid, match="has format 77; this Symphony reads up to format 2"):
        decode(data)


def test_a_fault_in_an_old_file_is_told_where_it_stands_there() -> None:
    text = '{\n"symphony": 1,\n"id": "t",\n"nodes": [\n{"id": "a", "kid": "input"}]}'
    with pytest.raises(WorkflowInvalid) as caught:
        loads(text)
    assert {problem.line for problem in caught.value.problems} == {5}


def step(source: int, target: int) -> Migration:
    def change(document: Document) -> Document:
        way = document["way"]
        assert isinstance(way, list)
        return {**document, "symphony": target, "way": [*way, target]}

    return Migration(source, target, change)


def test_the_way_is_the_shortest_there_is() -> None:
    known = [step(*each) for each in [(1, 2), (2, 3), (3, 4), (1, 3), (4, 3), (3, 2)]]
    start: Document = {"symphony": 1, "way": []}
    assert migrated(start, 4, known) == {"symphony": 4, "way": [3, 4]}
    assert migrated({"symphony": 4, "way": []}, 2, known) == {"symphony": 2, "way": [3, 2]}
    assert migrated(start, 1, known) == start
    assert migrated(start, 9, known) is None
    assert migrated({"way": []}, 2, known) is None
    assert start == {"symphony": 1, "way": []}


def test_a_migration_says_no_by_problems() -> None:
    with pytest.raises(Inexpressible) as caught:
        migrated({"symphony": 2, "workflows": {"w": {}}}, 1, MIGRATIONS)
    assert [problem.pointer for problem in caught.value.problems] == ["/workflows"]
