"""Templates out of workflows: by their defaults they make the workflow again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.templates import NoSuchConstant, template_from
from symphony.workflow import FORMAT, Workflow, check_template, instantiate, loads, loads_template


def workflow(*nodes: dict[str, Any]) -> Workflow:
    return loads(json.dumps({"symphony": FORMAT, "id": "made", "nodes": nodes}))


def test_inputs_and_constants_become_parameters() -> None:
    source = workflow(
        {"id": "the-folder", "kind": "input", "schema": {"type": "string", "format": "folder"},
         "default": ".", "description": "Where."},
        {"id": "count", "kind": "input", "schema": {"type": "integer", "minimum": 1}, "default": 3},
        {"id": "way", "kind": "input", "schema": {"enum": ["a", "b"]}, "default": "a"},
        {"id": "given", "kind": "input", "schema": {"type": "string"}},
        {"id": "any", "kind": "input", "default": 1},
        {"id": "op", "kind": "operator", "use": "x",
         "params": {"text": "${kept}", "n": 0.5, "none": None}},
    )  # fmt: skip
    text = template_from(source, {"shown": "op.text", "half": "op.n", "free": "op.none"})
    template = loads_template(text)
    check_template(template)
    assert [(each.name, each.type.value, each.schema) for each in template.parameters] == [
        ("the_folder", "folder", {}),
        ("count", "integer", {"minimum": 1}),
        ("way", "choice", {}),
        ("shown", "text", {}),
        ("half", "number", {}),
        ("free", "text", {}),
    ]
    assert template.parameters[0].description == "Where."
    assert instantiate(template, {}) == source
    values: dict[str, Any] = {"shown": "new", "count": 5, "the_folder": "docs"}
    changed = instantiate(template, values)
    assert changed.node("op").params["text"] == "new"
    assert (changed.node("count").default, changed.node("the-folder").default) == (5, "docs")


def test_a_constant_that_is_not_there_is_told() -> None:
    source = workflow({"id": "op", "kind": "operator", "use": "x", "params": {"text": "a"}})
    with pytest.raises(NoSuchConstant) as caught:
        template_from(source, {"x": "op.txet"})
    assert caught.value.hint == "Did you mean 'op.text'?"


TEXTS = st.text(st.sampled_from("${}x'"), max_size=6) | st.sampled_from(["$each", "$$if", "$if"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=3), VALUES, TEXTS)
def test_a_template_makes_again_what_it_was_made_of(params: Any, default: Any, text: str) -> None:
    source = workflow(
        {"id": "in", "kind": "input", "schema": {"type": "array"}, "default": [default]},
        {"id": "op", "kind": "operator", "use": "x", "title": text, "params": params},
        {"id": "loop", "kind": "loop", "use": "x", "until": f"a == {json.dumps(text)}"},
    )
    assert instantiate(loads_template(template_from(source, {})), {}) == source
