from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.schemas import Schema
from symphony.commons.values import ARTIFACT_SCHEMA, ArtifactRef, Value, as_ref, refs_in

REFS = st.builds(
    ArtifactRef,
    id=st.text("abc:0", min_size=1, max_size=8),
    media_type=st.sampled_from(["application/octet-stream", "text/html"]),
    size=st.integers(0, 2**53),
    name=st.text(max_size=5),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


def _values(leaves: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text("abc$", max_size=3), inner, max_size=4)
        ),
        max_leaves=8,
    )


@given(REFS)
def test_reference_survives_its_spelling_in_json(ref: ArtifactRef) -> None:
    spelled = json.loads(json.dumps(ref.as_value()))
    assert as_ref(spelled) == ref
    assert list(refs_in(spelled)) == [ref]


@given(_values(SCALARS))
def test_ordinary_value_holds_no_reference(value: Value) -> None:
    assert as_ref(value) is None
    assert list(refs_in(value)) == []


@settings(max_examples=40)
@given(_values(SCALARS | REFS.map(ArtifactRef.as_value)))
def test_references_are_found_at_any_depth_in_reading_order(value: Value) -> None:
    text = json.dumps(value)
    ids = [part.split('"')[0] for part in text.split('{"$artifact": "')[1:]]
    assert [ref.id for ref in refs_in(value)] == ids


@given(st.lists(REFS, max_size=4))
def test_mapping_of_ports_is_searched_like_a_value(refs: list[ArtifactRef]) -> None:
    ports: dict[str, Value] = {f"p{n}": [ref.as_value()] for n, ref in enumerate(refs)}
    assert list(refs_in(ports)) == refs


@pytest.mark.parametrize(
    "value",
    [
        {"$artifact": 5},
        {"$artifact": "id", "size": "large"},
        {"$artifact": "id", "other": 1},
        {"artifact": "id"},
        "$artifact",
        ["$artifact"],
    ],
)
def test_what_only_resembles_a_reference_is_an_ordinary_value(value: Value) -> None:
    assert as_ref(value) is None
    assert list(refs_in(value)) == []


def test_reference_inside_what_resembles_one_is_found() -> None:
    inner = ArtifactRef("blake3:00")
    assert list(refs_in({"$artifact": 5, "inside": inner.as_value()})) == [inner]


def test_defaults_are_left_out_of_the_spelling() -> None:
    assert ArtifactRef("blake3:00").as_value() == {"$artifact": "blake3:00"}


def test_nesting_as_deep_as_memory_allows_is_searched() -> None:
    value: Value = ArtifactRef("blake3:00").as_value()
    for _ in range(50_000):
        value = [value]
    assert list(refs_in(value)) == [ArtifactRef("blake3:00")]


@given(REFS)
def test_schema_of_a_port_accepts_references_and_nothing_else(ref: ArtifactRef) -> None:
    schema = Schema(ARTIFACT_SCHEMA)
    assert schema.faults(ref.as_value()) == []
    assert schema.faults(ref.id) != []
    assert schema.faults({"artifact": ref.id}) != []
