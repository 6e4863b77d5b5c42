from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symphony.commons.schemas import Schema
from symphony.commons.values import ARTIFACT_SCHEMA, Value
from symphony.workflow.validation._compatibility import Compatibility

Document = dict[str, Any]

NAMES = st.sampled_from(["a", "b", "c"])
SMALL = st.integers(-3, 3) | st.sampled_from([-1.5, 0.5, 1.0, 2.5])
SIZES = st.integers(0, 3)
LITERALS: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.booleans() | SMALL | st.text("xy", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)


def some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=keywords)


PLAIN: st.SearchStrategy[Document] = st.one_of(
    some(minimum=SMALL, maximum=SMALL, exclusiveMinimum=SMALL, exclusiveMaximum=SMALL),
    some(minLength=SIZES, maxLength=SIZES, pattern=st.just("x")),
    some(enum=st.lists(LITERALS, min_size=1, max_size=3), const=LITERALS),
    st.just({"$ref": "#/$defs/named"}),
)
TYPES = st.sampled_from(
    [
        *("string", "number", "integer", "boolean", "object", "array", "null"),
        *(["string", "null"], ["integer", "array"], ["object", "number"]),
    ]
)
INNER: st.SearchStrategy[Any] = st.deferred(lambda: st.booleans() | SCHEMAS)
COMPOUND: st.SearchStrategy[Document] = st.one_of(
    some(
        items=INNER,
        minItems=SIZES,
        maxItems=SIZES,
        prefixItems=st.lists(INNER, min_size=1, max_size=2),
    ),
    some(
        properties=st.dictionaries(NAMES, INNER, max_size=2),
        required=st.lists(NAMES, max_size=2, unique=True),
        additionalProperties=INNER,
        patternProperties=st.just({"^c": {"type": "null"}}),
    ),
    some(anyOf=st.lists(INNER, min_size=1, max_size=2), **{"not": INNER}),
    some(oneOf=st.lists(INNER, min_size=1, max_size=2)),
    some(allOf=st.lists(INNER, min_size=1, max_size=2), **{"if": INNER, "then": INNER}),
)
SCHEMAS: st.SearchStrategy[Document] = st.builds(
    lambda kind, plain, compound: {**({"type": kind} if kind else {}), **plain, **compound},
    st.none() | TYPES,
    st.just({}) | PLAIN,
    st.just({}) | st.deferred(lambda: COMPOUND),
)
WHOLE = st.builds(lambda schema, named: {**schema, "$defs": {"named": named}}, SCHEMAS, SCHEMAS)


@st.composite
def instances(draw: st.DrawFn, schema: Any, root: Document, depth: int = 0) -> Any:
    """Mostly values that fit: what the keywords suggest, with a surprise now and then."""
    if not isinstance(schema, dict) or depth > 4 or draw(st.integers(0, 9)) == 0:
        return draw(LITERALS)
    if "$ref" in schema and draw(st.booleans()):
        return draw(instances(root["$defs"]["named"], root, depth + 1))
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema and draw(st.booleans()):
            return draw(instances(draw(st.sampled_from(schema[choice])), root, depth + 1))
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    return draw(of_kind(schema, root, depth))


@st.composite
def of_kind(draw: st.DrawFn, schema: Document, root: Document, depth: int) -> Any:
    kinds = schema.get("type", ["string", "number", "object", "array", "null"])
    kind = draw(st.sampled_from(kinds)) if isinstance(kinds, list) else kinds
    if kind == "array":
        first = [draw(instances(each, root, depth + 1)) for each in schema.get("prefixItems", [])]
        rest = st.lists(instances(schema.get("items"), root, depth + 1), max_size=3)
        return first[: draw(SIZES)] if draw(st.booleans()) else first + draw(rest)
    if kind == "object":
        names = [*schema.get("required", []), *draw(st.lists(NAMES, max_size=2))]
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        return {
            name: draw(instances(properties.get(name, others), root, depth + 1)) for name in names
        }
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text("xy", max_size=4),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return draw(scalars.get(kind, SMALL))


@pytest.mark.slow
@settings(
    max_examples=1200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(st.data(), WHOLE, WHOLE)
def test_what_can_never_work_never_does(
    data: st.DataObject, given_: Document, taken: Document
) -> None:
    clash = Compatibility().clash(given_, taken)
    if clash is None:
        return
    one, other = Schema(given_), Schema(taken)
    for schema in (given_, taken, given_, taken):
        value = data.draw(instances(schema, schema))
        if one.accepts(value) and other.accepts(value):
            assert clash.only_empty
            assert "[]" in str(value)


TEXT: Document = {"type": "string"}
NUMBER: Document = {"type": "number"}


def both_sides(given_: Document, taken: Document) -> str:
    clash = Compatibility().clash(given_, taken)
    if clash is None:
        return ""
    gives, takes = clash.sides()
    return f"{gives} -> {takes}{' (or empty)' if clash.only_empty else ''}"


def listed(items: Document, **more: Any) -> Document:
    return {"type": "array", "items": items, **more}


def with_(**members: Any) -> Document:
    return {"type": "object", "properties": members, "required": list(members)}


@pytest.mark.parametrize(
    ("given_", "taken", "words"),
    [
        (TEXT, NUMBER, "text -> a number"),
        (NUMBER, {"type": "integer"}, ""),
        ({"type": "integer"}, TEXT, "an integer -> text"),
        ({"type": ["string", "null"]}, {"type": ["number", "null"]}, ""),
        (listed(TEXT), listed(NUMBER), "items of text -> items of a number (or empty)"),
        (listed(TEXT, minItems=1), listed(NUMBER), "items of text -> items of a number"),
        (
            listed(listed(TEXT)),
            listed(listed(NUMBER, minItems=1)),
            "items with items of text -> items with items of a number (or empty)",
        ),
        (
            listed(TEXT, maxItems=2),
            listed(TEXT, minItems=3),
            "an array of at most 2 items -> an array of at least 3 items",
        ),
        (
            {"prefixItems": [TEXT, NUMBER], "type": "array", "minItems": 2},
            listed(TEXT),
            "items of a number -> items of text",
        ),
        (with_(size=TEXT), with_(size=NUMBER), '"size" of text -> "size" of a number'),
        (
            listed(with_(size=TEXT), minItems=1),
            listed(with_(size=NUMBER)),
            'items with "size" of text -> items with "size" of a number',
        ),
        ({"properties": {"size": TEXT}}, {"properties": {"size": NUMBER}}, ""),
        (
            {"type": "object", "additionalProperties": False},
            with_(size=NUMBER),
            'an object without "size" -> one with "size"',
        ),
        (
            with_(size=NUMBER),
            {"type": "object", "additionalProperties": False},
            'an object with "size" -> one without "size"',
        ),
        (
            with_(size=NUMBER),
            {"type": "object", "additionalProperties": False, "patternProperties": {"s": True}},
            "",
        ),
        (
            with_(size=NUMBER),
            {"type": "object", "additionalProperties": TEXT},
            '"size" of a number -> "size" of text',
        ),
        ({"enum": ["a", "b"]}, {"enum": ["c"]}, '"a" or "b" -> "c"'),
        ({"enum": ["a", "b"]}, {"enum": ["b", "c"]}, ""),
        ({"const": 1}, {"const": 1.0}, ""),
        ({"const": 1}, {"const": True}, "1 -> true"),
        ({"const": [1, {"a": 1}]}, {"const": [1.0, {"a": 1}]}, ""),
        ({"enum": ["abc"]}, {"type": "string", "maxLength": 2}, '"abc" -> text'),
        ({"const": {"a": 1}}, with_(b=True), '{"a":1} -> an object'),
        (
            {"type": "number", "maximum": 3},
            {"type": "number", "minimum": 4},
            "a number of at most 3 -> a number of at least 4",
        ),
        (
            {"type": "number", "maximum": 3},
            {"type": "number", "exclusiveMinimum": 3},
            "a number of at most 3 -> a number of above 3",
        ),
        (
            {"type": "integer", "minimum": 1},
            {"type": "number", "maximum": 1.5, "exclusiveMinimum": 1},
            "an integer of at least 1 -> a number of above 1 and at most 1.5",
        ),
        (
            {"type": "string", "minLength": 5},
            {"type": "string", "maxLength": 4},
            "text of at least 5 characters -> text of at most 4 characters",
        ),
        (
            {"anyOf": [TEXT, NUMBER]},
            {"oneOf": [{"type": "null"}, {"type": "array"}]},
            "a number or text -> an array or null",
        ),
        ({"anyOf": [TEXT, NUMBER]}, {"oneOf": [{"type": "null"}, TEXT]}, ""),
        (
            {"allOf": [{"type": ["string", "null"]}, {"type": ["null", "array"]}]},
            TEXT,
            "null -> text",
        ),
        ({"$ref": "#/$defs/A", "$defs": {"A": TEXT}}, NUMBER, "text -> a number"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, NUMBER, ""),
        (
            listed({"$id": "item", "$ref": "#/$defs/A", "$defs": {"A": TEXT}}, minItems=1),
            listed(NUMBER),
            "items of text -> items of a number",
        ),
        (ARTIFACT_SCHEMA, TEXT, "an artifact -> text"),
        (ARTIFACT_SCHEMA, {"type": "object"}, ""),
        ({"type": "string", "pattern": "^a$"}, {"type": "string", "pattern": "^b$"}, ""),
        ({"not": TEXT}, TEXT, ""),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "const": 1}, {"const": 2}, ""),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", **TEXT},
            NUMBER,
            "text -> a number",
        ),
        ({"type": "integer", "minimum": 10**400}, {"type": "integer", "maximum": -(10**400)}, None),
    ],
)
def test_what_never_works_is_told_with_the_place_inside(
    given_: Document, taken: Document, words: str | None
) -> None:
    assert words is None or both_sides(given_, taken) == words


def deep(levels: int) -> Document:
    schema: Document = TEXT
    for _ in range(levels):
        schema = listed(schema, minItems=1)
    return schema


WIDE: Document = {"anyOf": [{"type": "string", "minLength": n} for n in range(10_000)]}
BUSY: Document = {
    "$defs": {
        **{f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 9} for n in range(40)},
        "d40": with_(a={"anyOf": [TEXT] * 5}, b={"anyOf": [TEXT] * 5}),
    },
    "$ref": "#/$defs/d0",
}
ROUND: Document = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"items": {"$ref": "#"}, "minItems": 1}]}
SPREAD: Document = {
    "$defs": {
        "n": with_(
            **{key: {"anyOf": [{"$ref": "#/$defs/n"}] * 5 + [NUMBER] * 5} for key in "abcdefgh"}
        )
    },
    "$ref": "#/$defs/n",
}
LITERAL: Document = {"enum": [{"a": n, "b": [n] * 20} for n in range(5_000)]}
PATTERN: Document = {"type": "string", "pattern": "(a?){200}" * 200}


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "one", [WIDE, BUSY, ROUND, SPREAD, LITERAL, PATTERN, deep(500)], ids=range(7)
)
@pytest.mark.parametrize(
    "other", [NUMBER, WIDE, BUSY, ROUND, SPREAD, LITERAL, deep(500)], ids=range(7)
)
def test_schemas_made_to_hurt_are_given_up_on(one: Document, other: Document) -> None:
    found = both_sides(one, other)
    assert not found or one is not other


def test_types_are_still_told_of_schemas_that_are_too_large() -> None:
    assert both_sides(WIDE, NUMBER) == "text -> a number"


def test_one_workflow_costs_only_so_much() -> None:
    """After that, nothing is refused: the answers are bounded in all, not only each."""
    types = Compatibility()
    types._left = 0
    assert types.clash(TEXT, NUMBER) is None
    assert types.clash(listed(TEXT), listed(NUMBER)) is None
