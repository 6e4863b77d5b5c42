from __future__ import annotations

import pytest

from symphony.commons.schemas import Fault, Schema, SchemaInvalid
from symphony.commons.values import Value

FILE: dict[str, Value] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "a/b~c": {"type": "integer"}},
    "required": ["path"],
}


def test_a_valid_value_has_no_faults() -> None:
    schema = Schema({"type": "array", "items": FILE})
    assert schema.faults([{"path": "a"}, {"path": "b", "a/b~c": 1}]) == []
    assert schema.accepts([])


def test_every_fault_is_told_with_its_place() -> None:
    schema = Schema({"type": "array", "items": FILE})
    value: Value = [{"path": 1}, {"path": "b", "a/b~c": "x"}, {}]
    assert [fault.pointer for fault in schema.faults(value)] == ["/0/path", "/1/a~1b~0c", "/2"]
    assert schema.faults(value)[2] == Fault("/2", '"path" is a required property')
    assert not schema.accepts(value)


def test_faults_stop_at_the_limit() -> None:
    assert len(Schema({"items": {"type": "string"}}).faults([1] * 100, limit=3)) == 3


def test_a_message_about_a_long_value_stays_short_and_tells_the_end() -> None:
    (fault,) = Schema({"maxLength": 3}).faults("x" * 100_000)
    assert len(fault.message) < 400
    assert fault.message.endswith("is longer than 3 characters")


def test_text_that_is_not_unicode_is_a_fault_and_no_crash() -> None:
    (fault,) = Schema({"type": "string"}).faults("\ud800")
    assert "cannot be written as JSON" in fault.message
    assert not Schema({"type": "string"}).accepts("\ud800")


def test_references_inside_the_document_are_followed() -> None:
    schema = Schema({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}})
    assert schema.accepts(3)
    assert not schema.accepts("3")


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x.json", "file:///etc/hostname"])
def test_references_to_elsewhere_are_refused_unread(target: str) -> None:
    with pytest.raises(SchemaInvalid, match="not followed"):
        Schema({"$ref": target})


def test_a_wrong_schema_is_refused_with_its_place() -> None:
    with pytest.raises(SchemaInvalid) as caught:
        Schema({"properties": {"a": {"type": "strng"}}})
    assert caught.value.pointer == "/properties/a/type"
    assert caught.value.code == "schemas.invalid"


@pytest.mark.parametrize(
    "document",
    [
        {"pattern": "(("},
        {"$ref": "#/nowhere"},
        {"$schema": "http://example.org/own", "type": "string"},
        {"required": ["\ud800"]},
    ],
)
def test_unusable_schemas_are_refused(document: dict[str, Value]) -> None:
    with pytest.raises(SchemaInvalid):
        Schema(document)


def test_the_schema_may_be_true_or_false() -> None:
    assert Schema(True).accepts({"any": "thing"})
    assert Schema(False).faults(1)


def test_a_backtracking_pattern_cannot_hang() -> None:
    assert Schema({"pattern": "(a+)+$"}).faults("a" * 5000 + "b")
