from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given, settings
from tests.strategies import workflows

from symphony.commons.values import Value
from symphony.workflow import (
    Catalog,
    Edge,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    ProblemCode,
    Workflow,
    dumps,
    loads,
    validate,
)

from .conftest import FewNames


def node(name: str, use: str = "page.render", **params: Value) -> Node:
    return Node(NodeId(name), NodeKind.OPERATOR, use=use, params=params)


def edges(*lines: str) -> tuple[Edge, ...]:
    pairs = (line.split(" -> ") for line in lines)
    return tuple(Edge(PortRef.parse(source), PortRef.parse(target)) for source, target in pairs)


def shown(catalog: Catalog, nodes: list[Node], *lines: str) -> list[tuple[str, str]]:
    """Pointer and text of each problem."""
    problems = validate(Workflow("t", tuple(nodes), edges(*lines)), catalog)
    return [(problem.pointer, str(problem)) for problem in problems]


START = node("start", "any.value")
OUT = Node(NodeId("out"), NodeKind.OUTPUT)


def test_a_sound_workflow_has_no_problems(catalog: Catalog) -> None:
    nodes = [
        Node(NodeId("folder"), NodeKind.INPUT, schema={"type": "string"}, default="."),
        node("walk", "files.walk", pattern="*.py"),
        Node(NodeId("types"), NodeKind.INSTRUMENT, use="file-type", timeout_s=3),
        node("page", "text.template", template="{{ types }}", values={"title": "Types"}),
        OUT,
    ]
    lines = (
        "folder -> walk.folder",
        "walk.files -> types.files",
        "types.types -> page.values.types",
        "walk.count -> page.style.width",
        "page -> out",
    )
    assert shown(catalog, nodes, *lines) == []


@pytest.mark.parametrize("name", ["", "Walk", "1st", "a.b", "a b", "é", "a" * 65, "walk\n"])
def test_names_are_plain(name: str, catalog: Catalog) -> None:
    rule = "Use 1 to 64 of a-z, 0-9, '-' and '_', a letter first."
    assert shown(catalog, [node(name, value=1)]) == [
        ("/nodes/0/id", f"The node's id {name!r} is not a name. {rule}")
    ]
    (problem,) = validate(Workflow(name, ()), catalog)
    assert str(problem) == f"The workflow's id {name!r} is not a name. {rule}"


def test_a_version_is_semantic(catalog: Catalog) -> None:
    (problem,) = validate(Workflow("t", (), version="1.0"), catalog)
    assert (problem.code, problem.pointer) == (ProblemCode.BAD_VALUE, "/version")
    assert problem.message == "'1.0' is not a version."


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (NodeKind.INPUT, "use", "files.walk"),
        (NodeKind.INPUT, "params", {"value": 1}),
        (NodeKind.OUTPUT, "default", None),
        (NodeKind.OUTPUT, "timeout_s", 3.0),
        (NodeKind.OPERATOR, "schema", {"type": "string"}),
        (NodeKind.INSTRUMENT, "default", 1),
    ],
)
def test_a_field_that_means_nothing_on_a_kind_is_refused(
    kind: NodeKind, field: str, value: object, catalog: Catalog
) -> None:
    use = {NodeKind.OPERATOR: "page.render", NodeKind.INSTRUMENT: "file-type"}.get(kind, "")
    bare = Node(NodeId("n"), kind, use=use)
    changed = msgspec.structs.replace(bare, **{field: value})
    assert (
        f"/nodes/0/{field}",
        f"Node 'n' has {field!r}, which means nothing on an {kind}.",
    ) in shown(catalog, [changed])


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_time(seconds: float, catalog: Catalog) -> None:
    slow = msgspec.structs.replace(START, timeout_s=seconds)
    assert shown(catalog, [slow]) == [
        ("/nodes/0/timeout_s", f"Node 'start': 'timeout_s' must be above 0, not {seconds:g}.")
    ]


def test_what_a_node_uses_must_be_named_and_of_its_kind(catalog: Catalog) -> None:
    nodes = [
        node("a", ""),
        node("b", "file-type"),
        Node(NodeId("c"), NodeKind.INSTRUMENT, use="files.walk"),
    ]
    unknown = 'Node {!r} uses the unknown {} {!r}. It is an {}: write "kind": "{}".'
    assert shown(catalog, nodes) == [
        ("/nodes/0", "Node 'a' lacks 'use', the name of its operator."),
        ("/nodes/1/use", unknown.format("b", "operator", "file-type", *["instrument"] * 2)),
        ("/nodes/2/use", unknown.format("c", "instrument", "files.walk", *["operator"] * 2)),
    ]


def test_edges_of_an_unknown_operator_are_not_blamed(catalog: Catalog) -> None:
    problems = shown(catalog, [START, node("b", "gone"), OUT], "start -> b.any", "b.other -> out")
    assert [pointer for pointer, _ in problems] == ["/nodes/1/use"]


def test_ports_are_looked_for_on_the_right_side(catalog: Catalog) -> None:
    out = msgspec.structs.replace(OUT, params={"value": 1})
    nodes = [node("page"), out, Node(NodeId("in"), NodeKind.INPUT)]
    problems = dict(shown(catalog, nodes, "out -> page", "page -> in"))
    assert problems["/edges/0/from"] == (
        "Node 'out' has no output port 'value'. The output has no output ports."
    )
    assert problems["/edges/1/to"] == (
        "Node 'in' has no input port 'value'. The input has no input ports."
    )


def test_an_edge_and_a_parameter_are_one_too_many(catalog: Catalog) -> None:
    assert shown(catalog, [node("a", value=1), START], "start -> a") == [
        ("/edges/0/to", "\"a\" gets a value from this edge and another from 'params'.")
    ]


def test_a_parameter_needs_a_port_and_must_fit_it(catalog: Catalog) -> None:
    nodes = [node("walk", "files.walk", folder=3, patern="*", **{"a/b": 1})]
    assert shown(catalog, nodes) == [
        (
            "/nodes/0/params/folder",
            "Parameter 'folder' of node 'walk' does not fit: 3 is not of type \"string\".",
        ),
        (
            "/nodes/0/params/patern",
            "Node 'walk' has no input port 'patern'. Did you mean 'pattern'?",
        ),
        (
            "/nodes/0/params/a~1b",
            "Node 'walk' has no input port 'a/b'. Known: folder, pattern.",
        ),
    ]


def test_the_place_of_a_misfit_is_inside_the_parameter(catalog: Catalog) -> None:
    text = dumps(
        Workflow("t", (node("page", "text.template", template="x", style={"width": "wide"}),))
    )
    (problem,) = validate(loads(text), catalog)
    assert problem.pointer == "/nodes/0/params/style/width"
    line = text.splitlines()[problem.line - 1]
    assert line[problem.column - 1 :].startswith('"wide"')


def test_a_default_must_fit_its_own_schema(catalog: Catalog) -> None:
    nodes = [Node(NodeId("in"), NodeKind.INPUT, schema={"type": "integer"}, default="3"), OUT]
    assert shown(catalog, nodes, "in -> out") == [
        (
            "/nodes/0/default",
            'The default of input \'in\' does not fit: "3" is not of type "integer".',
        )
    ]


def test_a_schema_that_is_none_is_reported_where_it_is(catalog: Catalog) -> None:
    broken: dict[str, Value] = {"type": "strnig"}
    output = Node(NodeId("out"), NodeKind.OUTPUT, schema=broken)
    nodes = [START, output, node("b", "bad.ports", value=1)]
    (first, _, second) = shown(catalog, nodes, "start -> out")
    assert first[0] == "/nodes/1/schema/type"
    assert second[0] == "/nodes/2/params/value"
    assert second[1].startswith("Parameter 'value' of node 'b': The JSON Schema is not valid")


def test_members_of_a_port_add_up_and_never_overlap(catalog: Catalog) -> None:
    nodes = [START, node("page", "text.template", template="x", values={"a": 1, "c": 2})]
    lines = (
        "start -> page.values.a",
        "start -> page.values.b",
        "start -> page.values.b",
        "start -> page.style.width",
        "start -> page.style",
    )
    assert [line for line in shown(catalog, nodes, *lines) if "style.width" not in line[1]] == [
        ("/edges/0/to", "\"page.values.a\" gets a value from this edge and another from 'params'."),
        ("/edges/2/to", '"page.values.b" gets its value from "start" already.'),
    ]
    assert ("/edges/3/to", '"page.style.width" gets its value from "start" already.') in shown(
        catalog, nodes, *lines
    )


def test_a_parameter_that_edges_complete_need_not_fit_alone(catalog: Catalog) -> None:
    counted = node("walk", "files.walk", folder=".")
    page = node("page", "text.template", template="x", style={"font": "mono"})
    assert shown(catalog, [counted, page], "walk.count -> page.style.width") == []
    (lone,) = shown(catalog, [page])
    assert lone[0] == "/nodes/0/params/style"
    assert "required" in lone[1]


def test_of_two_nodes_with_one_id_the_first_counts(catalog: Catalog) -> None:
    nodes = [node("walk", "files.walk", folder="."), node("walk", "files.walk", oops=1)]
    assert shown(catalog, nodes) == [("/nodes/1/id", "Node 2 has the id 'walk', as has node 1.")]


def test_members_must_be_possible(catalog: Catalog) -> None:
    nodes = [node("walk", "files.walk", folder="."), node("page", "text.template")]
    lines = (
        "walk.files -> page.template.x",
        "walk.files -> page.style.widht",
        "walk.files -> page.style.width",
    )
    assert shown(catalog, nodes, *lines) == [
        ("/edges/0/to", '"page.template" takes text, which has no members.'),
        ("/edges/1/to", "Port 'style' of node 'page' takes no 'widht'. Did you mean 'width'?"),
        ("/edges/2", '"walk.files" gives an array, "page.style.width" takes an integer.'),
    ]


def test_every_cycle_is_told_and_points_at_an_edge_of_it(catalog: Catalog) -> None:
    nodes = [node(name) for name in "abcd"]
    assert shown(catalog, nodes, "a -> b", "b -> a", "c -> d", "d -> c") == [
        ("/edges/1", "The nodes wait for each other: a -> b -> a. Remove an edge of it."),
        ("/edges/3", "The nodes wait for each other: c -> d -> c. Remove an edge of it."),
    ]


def test_a_broken_graph_is_still_searched_for_cycles(catalog: Catalog) -> None:
    nodes = [node("a"), node("a"), node("b")]
    problems = shown(catalog, nodes, "a -> b", "b -> a", "gone -> b", "a -> nowhere")
    assert [pointer for pointer, _ in problems] == [
        "/nodes/1/id",
        "/edges/1",
        "/edges/2/from",
        "/edges/2/to",
        "/edges/3/to",
    ]


def test_an_output_may_be_a_constant(catalog: Catalog) -> None:
    assert shown(catalog, [msgspec.structs.replace(OUT, params={"value": 1})]) == []


@settings(max_examples=10, deadline=None)
@given(workflows())
def test_a_file_has_the_problems_of_its_workflow_each_with_a_place(workflow: Workflow) -> None:
    catalog = FewNames()
    direct = validate(workflow, catalog)
    read = validate(loads(dumps(workflow)), catalog)
    assert all(problem.line > 0 and problem.column > 0 for problem in read)
    places = [(problem.line, problem.column) for problem in read]
    assert places == sorted(places)
    key = lambda problem: (problem.code, problem.pointer, problem.message)  # noqa: E731
    assert sorted(map(key, read)) == sorted(map(key, direct))


@pytest.mark.slow
def test_ten_thousand_faults_are_found_in_little_time(catalog: Catalog) -> None:
    """The hints cost most, and are given to the first few only."""
    nodes = tuple(node(f"node-{number}", value=1) for number in range(10_000))
    lines = (f"node-{number} -> nod-{number}" for number in range(10_000))
    workflow = loads(dumps(Workflow("t", nodes, edges(*lines))))
    start = time.perf_counter()
    problems = validate(workflow, catalog)
    assert time.perf_counter() - start < 10  # 1.5 s on a quiet machine
    assert len(problems) == 10_000
    assert problems[0].hint
    assert not any(problem.hint for problem in problems[20:])
