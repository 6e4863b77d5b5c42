"""Workflows out of templates: values in their places, and every fault with its place."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.errors import Category
from symphony.commons.expressions import Expression
from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.workflow import (
    FORMAT,
    ParametersInvalid,
    ProblemCode,
    Template,
    TemplateInvalid,
    Workflow,
    check_template,
    instantiate,
    loads_template,
    template_schema,
    validate,
)

from .conftest import FewNames


def made(
    *parameters: dict[str, Any],
    nodes: list[Any] | None = None,
    edges: list[Any] | None = None,
    section: dict[str, Any] | None = None,
    **fields: Any,
) -> Template:
    document = {
        "symphony": FORMAT,
        "id": "made",
        **fields,
        "template": {"parameters": list(parameters), **(section or {})},
        "nodes": [] if nodes is None else nodes,
        "edges": edges or [],
    }
    return loads_template(json.dumps(document, indent=2), "made.template.json")


def params_of(workflow: Workflow, number: int = 0) -> dict[str, Value]:
    return workflow.nodes[number].params


def operator(**params: Any) -> dict[str, Any]:
    return {"id": "op", "kind": "operator", "use": "files.walk", "params": params}


X = {"name": "x", "type": "list", "default": [1]}


@pytest.mark.parametrize(
    "value", [None, True, 0, 2**70, 1.0, "", "text ${y} $${z}", [1, [2]], {"b": 1, "a": {"$if": 2}}]
)
def test_a_text_that_is_one_placeholder_becomes_the_value(value: Value) -> None:
    template = made(
        {"name": "any", "type": "choice", "choices": [value]}, nodes=[operator(v="${any}")]
    )
    result = params_of(instantiate(template, {"any": value}))
    assert json.dumps(result) == json.dumps({"v": value})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("n is ${n}.", "n is 3."),
        ("${name}-${n}", "Ada-3"),
        ("${n > 2}", True),
        ("<${n > 2}>", "<true>"),
        ("${[n, n + 1]}", [3, 4]),
        ("list ${[n, n + 1]}", "list [3,4]"),
        ("${name.lowerAscii().replace('a', 'o')}", "odo"),
        ("$${n}", "${n}"),
        ("${'$'}${n}", "$3"),
        ("${{'deep': {'n': n}}.deep.n}", 3),
    ],
)
def test_texts(text: str, result: Value) -> None:
    template = made(
        {"name": "n", "type": "integer", "default": 3},
        {"name": "name", "default": "Ada"},
        nodes=[operator(v=text)],
    )
    assert params_of(instantiate(template, {})) == {"v": result}


def test_any_part_of_a_workflow_can_be_chosen() -> None:
    template = made(
        {"name": "id", "default": "chosen"},
        {
            "name": "kind",
            "type": "choice",
            "choices": ["operator", "instrument"],
            "default": "operator",
        },
        {"name": "policy", "type": "object", "default": {"priority": 4}},
        {"name": "node", "type": "object", "default": {"id": "last", "kind": "output"}},
        {"name": "edges", "type": "list", "default": [{"from": "chosen-step", "to": "last"}]},
        {"name": "port", "default": "folder"},
        id="${id}",
        name="The ${id}",
        nodes=[
            {
                "id": "${id}-step",
                "kind": "${kind}",
                "use": "files.walk",
                "params": {"${port}": "."},
                "policy": "${policy}",
            },
            "${node}",
        ],
        section={"id": "own", "version": "2.0.0"},
    )
    document = {**template.document, "edges": "${edges}"}
    workflow = instantiate(msgspec.structs.replace(template, document=document), {})
    assert (workflow.id, workflow.name, template.id, template.version) == (
        *("chosen", "The chosen"),
        *("own", "2.0.0"),
    )
    step, last = workflow.nodes
    assert (step.id, step.params, step.policy.priority) == ("chosen-step", {"folder": "."}, 4)
    assert str(workflow.edges[0].target) == last.id == "last"


def test_each_splices_copies_and_if_leaves_out() -> None:
    deep = {"$each": "${x}", "as": "y", "do": "${y}"}
    template = made(
        X,
        {"name": "on", "type": "boolean", "default": False},
        nodes=[
            {"id": "first", "kind": "output"},
            {
                "$each": "${x}",
                "as": "item",
                "index": "n",
                "do": [
                    operator(item="${item}", n="${n}", deep=[deep]),
                    {"$if": "${item > 1}", "then": {"id": "big-${item}", "kind": "output"}},
                ],
            },
            {"$if": "${on}", "then": {"id": "on", "kind": "output"},
             "else": {"id": "off", "kind": "output", "title": {"$if": "${!on}", "then": "off"}}},
        ],
    )  # fmt: skip
    nodes = instantiate(template, {"x": [1, 2]}).nodes
    assert [node.id for node in nodes] == ["first", "op", "op", "big-2", "off"]
    assert [node.params for node in nodes[1:3]] == [
        {"item": 1, "n": 0, "deep": [1, 2]},
        {"item": 2, "n": 1, "deep": [1, 2]},
    ]
    assert nodes[-1].title == "off"


def test_a_member_whose_if_does_not_hold_is_left_out() -> None:
    template = made(
        {"name": "on", "type": "boolean"},
        nodes=[operator(a={"$if": "${on}", "then": 1}, b=[{"$if": "${on}", "then": 1}])],
    )
    assert params_of(instantiate(template, {"on": False})) == {"b": []}
    assert params_of(instantiate(template, {"on": True})) == {"a": 1, "b": [1]}


def test_data_with_members_named_like_the_words_of_templates() -> None:
    template = made(nodes=[operator(data={"$$each": 1, "$$if": "$${x}", "$$$y": 2, "$z": 3})])
    assert params_of(instantiate(template, {})) == {
        "data": {"$each": 1, "$if": "${x}", "$$y": 2, "$z": 3}
    }


def test_a_value_in_an_expression_becomes_a_literal() -> None:
    edge = {"from": "a", "to": "b", "when": "${name}"}
    template = made(
        {"name": "name"},
        nodes=[
            {"id": "in", "kind": "input"},
            {
                "id": "way",
                "kind": "branch",
                "cases": [{"name": "same", "when": "value == ${name}"}],
                "policy": {"skip": {"when": "value != ${name}"}},
            },
        ],
        edges=[
            {"from": "in", "to": "way", "when": "value == ${name}",
             "transform": [{"map": "item + ${name}"}, {"expression": "[value, ${name}]"}]},
        ],
        workflows={"inner": {"edges": [edge], "workflows": {"deep": {"edges": [edge]}}}},
    )  # fmt: skip
    hostile = "' || true || '"
    workflow = instantiate(template, {"name": hostile})
    written = json.dumps(hostile)
    (changed,) = workflow.edges
    branch = workflow.node("way")
    assert changed.when == branch.cases[0].when == f"value == {written}"
    assert branch.policy.skip is not None
    assert branch.policy.skip.when == f"value != {written}"
    assert changed.transform[0].map == f"item + {written}"
    assert changed.transform[1].expression == f"[value, {written}]"
    inner = workflow.workflows["inner"]
    assert inner.edges[0].when == inner.workflows["deep"].edges[0].when == written


def test_defaults_may_be_made_from_the_parameters_before() -> None:
    template = made(
        {"name": "folder", "default": "docs"},
        {"name": "out", "default": "${folder}/out"},
        {
            "name": "both",
            "type": "list",
            "default": ["${folder}", {"$if": "${out != ''}", "then": "${out}"}],
        },
        {"name": "free", "required": False},
        nodes=[operator(both="${both}", free="${free}")],
    )
    assert params_of(instantiate(template, {})) == {"both": ["docs", "docs/out"], "free": None}
    given = params_of(instantiate(template, {"folder": "src", "free": "x"}))
    assert given == {"both": ["src", "src/out"], "free": "x"}


def test_all_that_is_wrong_with_values_is_told() -> None:
    template = made(
        {"name": "folder", "description": "Where to look."},
        {"name": "count", "type": "integer", "schema": {"minimum": 1}},
        {"name": "kind", "type": "choice", "choices": ["a", "b"], "default": "a"},
    )
    with pytest.raises(ParametersInvalid) as caught:
        instantiate(template, {"fodler": "x", "count": 0, "kind": "c"})
    told = {(each.code, each.pointer): str(each) for each in caught.value.problems}
    assert set(told) == {
        (ProblemCode.UNKNOWN_PARAMETER, "/fodler"),
        (ProblemCode.MISSING_PARAMETER, "/folder"),
        (ProblemCode.PARAMETER_TYPE, "/count"),
        (ProblemCode.PARAMETER_TYPE, "/kind"),
    }
    assert "Did you mean 'folder'?" in told[ProblemCode.UNKNOWN_PARAMETER, "/fodler"]
    assert "(Where to look)" in told[ProblemCode.MISSING_PARAMETER, "/folder"]
    assert caught.value.template == "made"
    assert caught.value.category is Category.VALIDATION


@pytest.mark.parametrize("kind", ["file", "folder", "model", "text"])
def test_types_of_text(kind: str) -> None:
    template = made({"name": "x", "type": kind}, nodes=[operator(x="${x}")])
    assert params_of(instantiate(template, {"x": "any"})) == {"x": "any"}
    with pytest.raises(ParametersInvalid):
        instantiate(template, {"x": 3})


def test_a_secret_is_named_and_never_given() -> None:
    template = made({"name": "key", "type": "secret"}, nodes=[operator(key="${key}")])
    assert params_of(instantiate(template, {"key": "OPENAI_API_KEY"})) == {"key": "OPENAI_API_KEY"}
    with pytest.raises(ParametersInvalid):
        instantiate(template, {"key": "sk-proj-" + "a" * 90})


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (operator(v="${y}"), "undeclared reference to 'y'"),
        (operator(v="${x"), "not closed"),
        (operator(v="a${}"), "empty"),
        (operator(v="${x + 'a'}"), "which uses 'x', has no value"),
        ({"$each": "${x}", "do": 1}, 'a $each has "as"'),
        ({"$each": "${x}", "as": "x", "do": 1}, "name 'x' is taken"),
        ({"$each": "${1}", "as": "i", "do": 1}, "needs a list"),
        (operator(v={"$each": "${x}", "as": "i", "do": 1}), "only stand in a list"),
        ({"$if": "${x}", "then": 1}, "true or false"),
        ({"$if": True}, '$if has "then"'),
        (operator(**{"a": 1, "${'a'}": 2}), "two members get the name 'a'"),
        ({"id": "x", "kind": "loop", "until": "a == '${x}'"}, "leave the quotes out"),
        ({"id": "x", "kind": "loop", "until": "a == ${9223372036854775807} + ${big}"}, "64 bits"),
    ],
)
def test_what_is_wrong_with_placeholders_is_told_with_its_place(node: Any, told: str) -> None:
    big = {"name": "big", "type": "integer", "default": 2**70}
    template = made(X, big, nodes=[{"id": "first", "kind": "output"}, node])
    with pytest.raises(TemplateInvalid) as caught:
        instantiate(template, {})
    (problem,) = caught.value.problems
    assert told.lower() in problem.message.lower()
    assert problem.code is ProblemCode.BAD_PLACEHOLDER
    assert problem.pointer.startswith("/nodes/1")
    assert problem.line > 1


def test_what_is_wrong_with_the_workflow_made_is_told_where_the_template_says_it() -> None:
    template = made(
        {"name": "kinds", "type": "list", "default": ["output", "outptu"]},
        {"name": "wait", "type": "number", "default": 1},
        nodes=[
            {
                "$each": "${kinds}",
                "as": "kind",
                "index": "n",
                "do": {"id": "n${n}", "kind": "${kind}"},
            },
            {"id": "last", "kind": "output", "timeout_s": "${string(wait)}"},
        ],
    )
    with pytest.raises(TemplateInvalid) as caught:
        instantiate(template, {})
    first, second = caught.value.problems
    assert (first.pointer, second.pointer) == ("/nodes/0/do/kind", "/nodes/1/timeout_s")
    assert "This comes from 'kind'." in first.hint
    assert "This comes from 'wait'." in second.hint
    lines = template.source.text.splitlines()
    assert '"kind": "${kind}"' in lines[first.line - 1]
    assert "timeout_s" in lines[second.line - 1]


def test_validation_speaks_of_the_templates_own_lines() -> None:
    template = made(
        {"name": "use", "default": "files.wlak"},
        nodes=[
            {"$if": False, "then": 1},
            {"id": "walk", "kind": "operator", "use": "${use}"},
        ],
    )
    problems = validate(instantiate(template, {}), FewNames())
    (unknown,) = [each for each in problems if each.code is ProblemCode.UNKNOWN_USE]
    assert '"use": "${use}"' in template.source.text.splitlines()[unknown.line - 1]
    assert "This comes from 'use'." in unknown.hint
    assert unknown.pointer == "/nodes/1/use"


def test_copies_are_bounded() -> None:
    each = {"$each": "${x}", "as": "a", "do": {"$each": "${x}", "as": "b", "do": "c"}}
    template = made(X, nodes=[operator(v=[each])])
    assert len(params_of(instantiate(template, {"x": [1] * 99}))["v"]) == 99**2  # type: ignore[arg-type]
    with pytest.raises(TemplateInvalid, match="more than 10,000 copies"):
        instantiate(template, {"x": [1] * 100})


def test_size_is_bounded() -> None:
    template = made(
        {"name": "text"}, X, nodes=[operator(v=[{"$each": "${x}", "as": "a", "do": "${text}"}])]
    )
    with pytest.raises(TemplateInvalid, match="larger than 64 MiB"):
        instantiate(template, {"text": "a" * 1_000_000, "x": [1] * 100})


def test_problems_are_bounded() -> None:
    template = made(nodes=[operator(**{f"p{number}": "${y}" for number in range(300)})])
    with pytest.raises(TemplateInvalid) as caught:
        instantiate(template, {})
    assert len(caught.value.problems) == 100


def test_a_template_says_which_symphony_it_needs() -> None:
    template = made(section={"requires": {"symphony": ">=99"}})
    with pytest.raises(TemplateInvalid, match="needs Symphony >=99") as caught:
        instantiate(template, {})
    assert caught.value.record().code == "workflow.version"
    instantiate(made(section={"requires": {"symphony": ">=0.1"}}), {})


@pytest.mark.parametrize(
    ("section", "pointer", "told"),
    [
        ({"parameters": [{"name": "1x"}]}, "/parameters/0", "must have a name"),
        ({"parameters": [{"name": "in"}]}, "/parameters/0", "must have a name"),
        ({"parameters": [{"name": "a"}, {"name": "a"}]}, "/parameters/1", "twice"),
        ({"parameters": [{"name": "a", "type": "choice"}]}, "/parameters/0", "choices"),
        ({"parameters": [{"name": "a", "type": "tetx"}]}, "/parameters/0/type", "tetx"),
        ({"parameters": [{"name": "a", "defualt": 1}]}, "/parameters/0/defualt", "defualt"),
        ({"parameters": [{"name": "a", "default": 1}]}, "/parameters/0", "does not fit"),
        ({"parameters": [{"name": "a", "schema": {"type": 3}}]}, "/parameters/0", "says another"),
        ({"parameters": [{"name": "a", "schema": {"minLength": "x"}}]}, "/parameters/0", "none"),
        ({"parameters": [{"name": "a", "group": "g"}]}, "/parameters/0/group", "group"),
        ({"parameters": [{"title": "no name"}]}, "/parameters/0", "name"),
        ({"parameters": {}}, "/parameters", "list"),
        ({"parameters": [3]}, "/parameters/0", "object"),
        ({"requires": {"python": ">=3"}}, "/requires/python", "python"),
        ({"requires": {"symphony": "new"}}, "/requires/symphony", "constraint"),
        ({"version": "one"}, "/version", "version"),
        ({"examples": [{"name": "e", "values": {"b": 1}}]}, "/examples/0/values/b", "no parameter"),
        ({"unknown": 1}, "/unknown", "unknown"),
    ],
)
def test_what_is_wrong_with_a_section_is_told(
    section: dict[str, Any], pointer: str, told: str
) -> None:
    document = {"symphony": FORMAT, "id": "x", "template": section, "nodes": []}
    with pytest.raises(TemplateInvalid) as caught:
        loads_template(json.dumps(document, indent=1))
    problem = caught.value.problems[0]
    assert problem.pointer in (f"/template{pointer}", pointer)
    assert told in problem.message
    assert problem.line


@pytest.mark.parametrize("text", ["[]", "3", '{"symphony": 2}', '{"template": []}'])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateInvalid, match="This is no template"):
        loads_template(text)


def test_a_template_whose_id_is_chosen_needs_one_of_its_own() -> None:
    with pytest.raises(TemplateInvalid, match="no id of its own"):
        made({"name": "id"}, id="${id}")


def test_examples_are_tried_and_defaults_looked_at() -> None:
    template = made(
        {"name": "a", "default": "${b}"},
        {"name": "b", "default": "${a"},
        {"name": "c", "type": "integer", "default": 1},
        section={"examples": [{"name": "bad", "values": {"a": "", "b": "", "c": "x"}},
                              {"name": "good", "values": {"a": "", "b": ""}}]},
    )  # fmt: skip
    with pytest.raises(TemplateInvalid) as caught:
        check_template(template)
    assert [each.pointer for each in caught.value.problems] == [
        "/template/parameters/0/default",
        "/template/parameters/1/default",
        "/template/examples/0/values/c",
    ]
    check_template(made(X, section={"examples": [{"name": "good"}]}))


def test_the_schema_for_forms() -> None:
    template = made(
        {"name": "folder", "type": "folder", "title": "Folder", "description": "Where.",
         "group": "in",
         "ui": {"widget": "tree", "placeholder": "~/docs", "order": 1}},
        {"name": "kind", "type": "choice", "choices": ["a", 2], "default": "a"},
        {"name": "out", "default": "${folder}/out"},
        name="Made",
        description="All of it.",
        section={"groups": [{"name": "in", "title": "Input"}]},
    )  # fmt: skip
    schema = template_schema(template)
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Made",
        "description": "All of it.",
        "type": "object",
        "properties": {
            "folder": {
                "type": "string",
                "format": "folder",
                "title": "Folder",
                "description": "Where.",
                "x-ui": {
                    "type": "folder",
                    "group": "in",
                    "widget": "tree",
                    "placeholder": "~/docs",
                    "order": 1,
                },
            },
            "kind": {"enum": ["a", 2], "default": "a", "x-ui": {"type": "choice"}},
            "out": {"type": "string", "x-ui": {"type": "text", "default": "${folder}/out"}},
        },
        "required": ["folder"],
        "additionalProperties": False,
        "x-ui": {"groups": [{"name": "in", "title": "Input"}]},
    }
    checker = Schema(schema)
    assert checker.accepts({"folder": "x", "kind": 2})
    assert not checker.accepts({"kind": "a"})
    assert not checker.accepts({"folder": "x", "other": 1})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
    | st.sampled_from(["${x}", "$${x}", "${", "}", "' || true || '", '"', "$each", "\\"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "$if", "$each", "${x}", "b"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(VALUES, st.lists(VALUES, max_size=3), st.booleans())
def test_values_are_data_wherever_they_are_put(value: Value, items: list[Value], on: bool) -> None:
    """No placeholder of the template is left, and none of a value is looked at."""
    template = made(
        {"name": "x", "type": "choice", "choices": [value]},
        {"name": "items", "type": "list", "default": ["default"]},
        {"name": "same", "type": "list", "default": ["${x}", "<${items}>"]},
        {"name": "on", "type": "boolean"},
        nodes=[
            {
                **operator(
                    whole="${x}",
                    inside="[${x}]",
                    copies=[{"$each": "${items}", "as": "item", "do": {"got": "${item}"}}],
                    chosen={"$if": "${on}", "then": "${x}", "else": "else"},
                    same="${same}",
                    literal="$${x}",
                ),
                "policy": {"skip": {"when": "value == ${x}"}},
            }
        ],
    )
    (node,) = instantiate(template, {"x": value, "items": items, "on": on}).nodes
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    assert node.params == {
        "whole": value,
        "inside": f"[{text}]",
        "copies": [{"got": item} for item in items],
        "chosen": value if on else "else",
        "same": [value, f"<{msgspec.json.encode(items).decode()}>"],
        "literal": "${x}",
    }
    assert node.policy.skip is not None
    condition = Expression.compile(node.policy.skip.when, ["value"])
    assert condition.evaluate({"value": value}) is True
    assert condition.evaluate({"value": ["another"]}) is (value == ["another"])
