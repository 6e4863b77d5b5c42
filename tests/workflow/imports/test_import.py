from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symphony.workflow import (
    NodeKind,
    PortRef,
    ProblemCode,
    Signature,
    WorkflowInvalid,
    dumps,
    loads,
    validate,
)
from symphony.workflow.imports import Imported, Origin, import_document
from symphony.workflow.imports._draft import port_name, slug

from .conftest import GOOD, SAMPLES, document

#: What is wrong with a workflow only because nobody has put operators in the placeholders' place.
OF_PLACEHOLDERS = {ProblemCode.UNKNOWN_USE, ProblemCode.MISSING_VALUE, "workflow.unknown_workflow"}


class Nothing:
    """A catalog of a program that has no operators at all."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        return None

    def names(self, kind: NodeKind) -> list[str]:
        return []


def assert_sound(imported: Imported) -> None:
    """It can be written and read, and is wrong only where placeholders stand."""
    workflow = imported.workflow
    assert loads(dumps(workflow)) == workflow
    errors = [each for each in validate(workflow, Nothing()) if each.severity == "error"]
    assert [each for each in errors if each.code not in OF_PLACEHOLDERS] == []
    for found in (workflow, *workflow.workflows.values()):
        targets = [edge.target for edge in found.edges if edge.kind == "data"]
        assert len(targets) == len(set(targets))
        for node in found.nodes:
            assert not any(PortRef(node.id, port) in targets for port in node.params)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_samples_become_workflows(path: Path) -> None:
    imported = import_document(path.read_text(encoding="utf-8"), path.name)
    assert imported.origin == path.parent.name
    assert_sound(imported)
    assert set(imported.ids.values()) <= {node.id for node in imported.workflow.nodes}


@pytest.mark.parametrize("origin", Origin)
def test_validation_says_what_to_do_with_a_placeholder(origin: Origin) -> None:
    name = {Origin.COMFYUI: "comfyui/prompt.json", Origin.N8N: "n8n/agent.json"}[origin]
    problems = validate(import_document(document(name)).workflow, Nothing())
    unknown = [each for each in problems if each.code is ProblemCode.UNKNOWN_USE]
    assert unknown
    assert all("another program" in each.hint for each in unknown)


def test_every_fault_is_told_with_its_place() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        import_document((SAMPLES / "comfyui" / "broken.json").read_text(), "broken.json")
    assert [problem.pointer for problem in caught.value.problems] == [
        *("/nodes/1/id", "/nodes/2", "/nodes/3", "/nodes/4", "/nodes/5/type"),
        *("/links/0", "/links/1"),
    ]
    assert all(problem.line for problem in caught.value.problems)
    with pytest.raises(WorkflowInvalid) as caught:
        import_document((SAMPLES / "n8n" / "broken.json").read_text(), "broken.json")
    assert [problem.pointer for problem in caught.value.problems] == [
        *("/nodes/1/name", "/nodes/2", "/nodes/3", "/nodes/4", "/nodes/5/parameters"),
        "/connections",
    ]


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"nodes": 5}', '{"a": {}}', '"x"', "{"])
def test_what_is_no_workflow_is_refused(text: str) -> None:
    with pytest.raises(WorkflowInvalid):
        import_document(text)


def test_a_document_of_the_other_program_is_refused() -> None:
    with pytest.raises(WorkflowInvalid, match="n8n"):
        import_document(document("comfyui/prompt.json"), origin=Origin.N8N)


def test_deep_values_are_kept_as_text() -> None:
    deep: Any = "x"
    for _ in range(58):
        deep = [deep]
    prompt = {"1": {"class_type": "A", "inputs": {"deep": deep}}}
    imported = import_document(json.dumps(prompt))
    assert_sound(imported)
    value = imported.workflow.node("a-1").params["deep"]
    depth = 0
    while isinstance(value, list):
        value, depth = value[0], depth + 1
    assert isinstance(value, str)
    assert depth + value.count("[") == 58


@given(st.text(max_size=80))
def test_names_are_valid(text: str) -> None:
    name = slug(text)
    assert name[0].isalpha()
    assert len(name) <= 48
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "." not in port_name(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("HTTP Request", "http-request"),
        ("httpRequest", "http-request"),
        ("KSampler", "ksampler"),
        ("VAEDecode", "vae-decode"),
        ("CLIPTextEncode", "clip-text-encode"),
        ("Zürich 2", "zurich-2"),
        ("2 steps", "node-2-steps"),
        ("漢字", "node"),
    ],
)
def test_names_are_those_one_would_choose(text: str, name: str) -> None:
    assert slug(text) == name


# --- anything at all ---

LEAVES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 3, 1e308, 2**70, 0.5, "", "x", "main", "1", "-10", "={{ $json.x }}", [], {}]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inner:
        found.append((*path, key))
        if isinstance(each, (dict, list)):
            found += places(each, (*path, key))
    return found


DOCUMENTS = [json.loads(path.read_text(encoding="utf-8")) for path in GOOD]
PLACES = [places(each) for each in DOCUMENTS]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A sample in which some places hold something else, or another place's value, or nothing."""
    number = draw(st.integers(0, len(DOCUMENTS) - 1))
    changed = json.loads(json.dumps(DOCUMENTS[number]))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(PLACES[number]))
        other = draw(st.sampled_from(PLACES[number]))
        what = draw(st.sampled_from(["value", "remove", "copy"]))
        try:
            around = _at(changed, path[:-1])
            if what == "remove":
                del around[path[-1]]
            else:
                copied = json.loads(json.dumps(_at(changed, other))) if what == "copy" else None
                drawn = json.loads(json.dumps(draw(VALUES)))
                around[path[-1]] = drawn if what == "value" else copied
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has removed the place
    return json.loads(json.dumps(changed))  # a number may have become the name of a member


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_no_document_makes_it_crash(changed: Any) -> None:
    try:
        imported = import_document(json.dumps(changed), "mutated")
    except WorkflowInvalid:
        return
    assert_sound(imported)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_a_value_is_read_as_its_text_is(changed: Any) -> None:
    try:
        from_value = import_document(changed, "mutated")
    except WorkflowInvalid:
        with pytest.raises(WorkflowInvalid):
            import_document(json.dumps(changed), "mutated")
        return
    assert from_value.workflow == import_document(json.dumps(changed), "mutated").workflow
