from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import VALUES

from symphony.commons.schemas import Schema
from symphony.commons.values import ARTIFACT_SCHEMA, ArtifactRef, Value
from symphony.workflow._types import EVERY_TYPE, described, member_schema, members_of, types_of

SCHEMAS: st.SearchStrategy[Value] = st.recursive(
    st.sampled_from(
        [
            {},
            True,
            False,
            {"type": "integer"},
            {"type": ["string", "null"]},
            {"enum": [1, "a", None]},
            {"const": {"a": 1}},
            {"const": True},
            {"type": "array", "items": {"type": "string"}},
            {"minimum": 3},
            {"not": {"type": "string"}},
        ]
    ),
    lambda inner: st.builds(
        lambda key, branches: {key: branches},
        st.sampled_from(["anyOf", "oneOf", "allOf"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
JSON_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array"}


def type_of(value: Value) -> str:
    return "null" if value is None else JSON_TYPES.get(type(value), "object")


@settings(max_examples=50, deadline=None)
@given(SCHEMAS, VALUES)
def test_a_value_that_fits_is_never_of_a_type_left_out(schema: Value, value: Value) -> None:
    if Schema(schema if isinstance(schema, bool) else {"allOf": [schema]}).accepts(value):
        assert type_of(value) in types_of(schema)


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({}, EVERY_TYPE),
        ({"type": "integer"}, {"number"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"type": "unheard-of"}, EVERY_TYPE),
        ({"type": []}, EVERY_TYPE),
        ({"type": 7}, EVERY_TYPE),
        ({"enum": ["a", 1, 1.5, [], {}]}, {"string", "number", "array", "object"}),
        ({"const": False}, {"boolean"}),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, {"string", "array"}),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["null", "array"]}]}, {"null"}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "array"}}}, {"array"}),
        ({"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"type": "null"}}}, {"null"}),
        ({"$ref": "#/$defs/gone"}, EVERY_TYPE),
        ({"$ref": "https://example.org/schema"}, EVERY_TYPE),
        ({"$ref": "#"}, EVERY_TYPE),
        (ARTIFACT_SCHEMA, {"object"}),
    ],
)
def test_types_are_those_that_the_schema_names(schema: Value, types: set[str]) -> None:
    assert types_of(schema) == types


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "string"}, "text"),
        ({"type": "integer"}, "an integer"),
        ({"type": ["null", "array"]}, "an array or null"),
        ({"enum": [True, 2]}, "true or false or a number"),
    ],
)
def test_types_in_words(schema: Value, words: str) -> None:
    assert described(schema) == words


def test_an_artifact_may_go_where_objects_go_and_nowhere_else() -> None:
    assert Schema(ARTIFACT_SCHEMA).accepts(ArtifactRef("blake3:0").as_value())
    assert types_of(ARTIFACT_SCHEMA) & types_of({"type": "object"})
    assert not types_of(ARTIFACT_SCHEMA) & types_of({"type": "string"})


def test_the_schema_of_a_member() -> None:
    style: dict[str, Value] = {
        "$ref": "#/$defs/Style",
        "$defs": {"Style": {"properties": {"width": {"type": "integer"}}}},
    }
    assert member_schema(style, "width") == {"type": "integer"}
    assert member_schema(style, "height") == {}
    assert members_of(style) == ("width",)
    assert member_schema({"additionalProperties": False}, "any") is False
    assert member_schema({"additionalProperties": {"type": "null"}}, "any") == {"type": "null"}
    assert member_schema({"additionalProperties": False, "patternProperties": {}}, "any") == {}
    assert members_of({"type": "object"}) == ()
    assert member_schema({"$ref": "#/$defs/gone"}, "any") == {}
