from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import VALUES, graph_of, workflows

from symphony.commons.files import FileMissing, NotText
from symphony.workflow import (
    Case,
    Edge,
    EdgeKind,
    Fallback,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    Policy,
    PortRef,
    Resources,
    Retry,
    Transform,
    Workflow,
    WorkflowInvalid,
    dumps,
    fingerprint,
    load,
    loads,
)
from symphony.workflow._forms import EdgeForm, FileForm, NestedForm
from symphony.workflow._shape import EXPECTED

HELLO = """\
{
  "symphony": 2,
  "id": "hello",
  "name": "Hello",
  "version": "1.0.0",
  "extensions": ["./extensions"],
  "metadata": {"tags": ["first"]},
  "nodes": [
    {"id": "name", "kind": "input", "schema": {"type": "string"}, "default": null},
    {
      "id": "greet",
      "kind": "operator",
      "use": "text.template",
      "params": {"template": "Hello {{ name }}, how do you do?"},
      "timeout_s": 2.5,
      "position": [10.0, 20.0]
    },
    {"id": "greeting", "kind": "output"}
  ],
  "edges": [
    {"from": "name", "to": "greet.values.name"},
    {"from": "greet", "to": "greeting"}
  ]
}
"""


def test_a_file_becomes_what_it_says() -> None:
    workflow = loads(HELLO)
    greet = workflow.nodes[1]
    assert (workflow.id, workflow.version, workflow.extensions) == (
        "hello",
        "1.0.0",
        ("./extensions",),
    )
    assert (greet.kind, greet.use, greet.timeout_s) == (NodeKind.OPERATOR, "text.template", 2.5)
    assert workflow.nodes[0].default is None
    assert workflow.nodes[2].default is msgspec.UNSET
    assert workflow.edges[0].target == PortRef(NodeId("greet"), "values", "name")
    assert workflow.edges[1].source == PortRef(NodeId("greet"), "value")


def test_what_is_written_is_laid_out_for_people() -> None:
    assert dumps(loads(HELLO)) == HELLO


@settings(max_examples=12, deadline=None)
@given(workflows())
def test_a_workflow_comes_back_as_it_was_written(workflow: Workflow) -> None:
    text = dumps(workflow)
    again = loads(text)
    assert again == workflow
    assert dumps(again) == text


@settings(max_examples=12, deadline=None)
@given(workflows(), st.randoms(use_true_random=False), st.text(max_size=5))
def test_the_fingerprint_is_of_what_a_run_does(
    workflow: Workflow, random: object, text: str
) -> None:
    turned = msgspec.structs.replace(
        workflow,
        nodes=tuple(
            msgspec.structs.replace(
                node,
                title=text,
                description=text,
                position=(1.0, 2.0),
                estimate_s=1.5,
                parallel=7,
                policy=msgspec.structs.replace(
                    node.policy, priority=5, resources=Resources(cpu=2.0)
                ),
            )
            for node in reversed(workflow.nodes)
        ),
        edges=turned_edges(workflow),
        name=text,
        description=text,
        version="9.9.9",
        metadata=Metadata(author=text),
    )
    assert fingerprint(turned) == fingerprint(workflow)


def turned_edges(workflow: Workflow) -> tuple[Edge, ...]:
    """In another order, but for those into a merge, of which the first wins."""
    merges = [node.id for node in workflow.of_kind(NodeKind.MERGE)]
    edges = [msgspec.structs.replace(edge, label="L", priority=3) for edge in workflow.edges]
    first = [edge for edge in edges if edge.target.node in merges]
    return (*first, *[edge for edge in edges[::-1] if edge.target.node not in merges])


def test_what_decides_a_run_counts() -> None:
    merge = Node(NodeId("m"), NodeKind.MERGE)
    ends = [Edge(PortRef(NodeId(name)), PortRef(merge.id, name)) for name in "ab"]
    inner = Workflow("w", (merge,))
    plain = Workflow("t", (merge,), tuple(ends))
    replace = msgspec.structs.replace
    others = [
        plain,
        replace(plain, edges=tuple(ends[::-1])),
        replace(plain, edges=(replace(ends[0], when="value"), ends[1])),
        replace(plain, edges=(replace(ends[0], transform=(Transform(flatten=1),)), ends[1])),
        replace(plain, edges=(replace(ends[0], kind=EdgeKind.CONTROL), ends[1])),
        replace(plain, workflows={"w": inner}),
        replace(plain, workflows={"w": replace(inner, nodes=(replace(merge, limit=3),))}),
        replace(plain, workflows={"v": inner}),
        replace(plain, workflows={"w": Workflow("w", (), file="./w.json")}),
        replace(plain, workflows={"w": Workflow("w", (), file="./v.json")}),
        *[
            replace(plain, nodes=(replace(merge, **change),))
            for change in (
                {"policy": Policy(once=True)},
                {"policy": Policy(cache=False)},
                {"policy": Policy(retry=Retry())},
                {"policy": Policy(fallback=Fallback("x"))},
                {"cases": (Case("a", "true"),)},
                {"until": "true"},
                {"timeout_s": 1.0},
            )
        ],
    ]
    assert len({fingerprint(other) for other in others}) == len(others)
    read = replace(inner, file="./w.json")
    assert fingerprint(replace(plain, workflows={"w": read})) == fingerprint(others[5])


@settings(max_examples=12, deadline=None)
@given(workflows(), VALUES)
def test_any_change_that_counts_changes_the_fingerprint(workflow: Workflow, value: object) -> None:
    extra = Node(NodeId("one-more-node"), NodeKind.OPERATOR, use="x")
    seen = {
        fingerprint(workflow),
        fingerprint(msgspec.structs.replace(workflow, nodes=(*workflow.nodes, extra))),
        fingerprint(
            msgspec.structs.replace(
                workflow,
                nodes=(*workflow.nodes, msgspec.structs.replace(extra, params={"p": value})),
            )
        ),
        fingerprint(msgspec.structs.replace(workflow, extensions=("./else", "./where", "./three"))),
        fingerprint(
            msgspec.structs.replace(
                workflow,
                edges=(*workflow.edges, Edge(PortRef(extra.id), PortRef(extra.id, "p"))),
            )
        ),
    }
    assert len(seen) == 5


def test_a_fingerprint_stays_what_it_is_over_versions() -> None:
    """Runs are pinned to it: a change here makes every unfinished run of users unresumable."""
    assert fingerprint(loads(HELLO)) == (
        "9d5812b72f5e6531810449afa0acb2300cd87e9fec23ef4d7e0b44426e510823"
    )


def test_all_faults_of_the_shape_come_at_once_in_the_order_of_the_text() -> None:
    text = """{
  "symphony": "1", "id": 7, "nme": "x",
  "nodes": [
    {"id": "a", "kind": "operator", "params": []},
    "b",
    {"kind": "output"}
  ],
  "edges": [
    {"from": "a.value.x", "to": "b.value.x.y"},
    {"from": "a.", "to": ".value"},
    {"from": "a"}
  ]
}"""
    with pytest.raises(WorkflowInvalid) as caught:
        loads(text)
    source = 'an output port, "node.port" or "node"'
    target = 'an input port, "node.port", "node" or "node.port.member"'
    assert [str(problem) for problem in caught.value.problems] == [
        "2:15: The workflow: 'symphony' must be the number of the format, 2, not \"1\".",
        "2:26: The workflow: 'id' must be text, not 7.",
        "2:29: The workflow has an unknown field 'nme'. Did you mean 'name'?",
        "4:47: Node 'a': 'params' must be an object of values by port, not [].",
        '5:5: Node 2 must be an object, not "b".',
        "6:5: Node 3 lacks 'id'. It must be text.",
        f"9:14: Edge 1: 'from' must be {source}, not \"a.value.x\".",
        f"9:33: Edge 1: 'to' must be {target}, not \"b.value.x.y\".",
        f"10:14: Edge 2: 'from' must be {source}, not \"a.\".",
        f"10:26: Edge 2: 'to' must be {target}, not \".value\".",
        f"11:5: Edge 3 lacks 'to'. It must be {target}.",
    ]


def problems_of(document: object) -> list[str]:
    try:
        loads(msgspec.json.encode(document).decode())
    except WorkflowInvalid as error:
        return [problem.message for problem in error.problems]
    return []


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_the_document_it_is_a_workflow_or_has_problems_of_our_own(
    data: st.DataObject,
) -> None:
    """Never a message of the parser: what it refuses, the explanation must find too."""
    some = VALUES | st.sampled_from(["input", "a", "a.b", "1.0.0", [1, 2], 0.5])
    shapes = {
        form: st.dictionaries(
            st.sampled_from([f.encode_name for f in msgspec.structs.fields(form)] + ["x"]), some
        )
        for form in (Node, EdgeForm, FileForm)
    }
    document = data.draw(shapes[FileForm]) | data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "symphony": st.just(2),
                "id": st.just("t"),
                "nodes": st.lists(shapes[Node] | some, max_size=2),
                "edges": st.lists(shapes[EdgeForm] | some, max_size=2),
            },
        )
    )
    assert all("Expected" not in problem for problem in problems_of(document))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"from": "greet"', '"from": "greet.value.part"'),
        ('"to": "greeting"', '"to": "greeting.value.a.b"'),
        ('"to": "greeting"', '"to": "greeting."'),
        ('"to": "greeting"', '"to": ""'),
    ],
)
def test_an_end_of_an_edge_that_is_spelled_wrong_is_enough(good: str, bad: str) -> None:
    with pytest.raises(WorkflowInvalid, match=r"must be an (in|out)put port") as caught:
        loads(HELLO.replace(good, bad))
    assert len(caught.value.problems) == 1


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert loads("\ufeff" + HELLO) == loads(HELLO)


def test_every_field_has_its_words() -> None:
    forms = (FileForm, NestedForm, Node, EdgeForm)
    fields = {field.encode_name for form in forms for field in msgspec.structs.fields(form)}
    assert fields == EXPECTED.keys()


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(WorkflowInvalid, match=r"not \"aaaa[a]*…\.$"):
        loads(HELLO.replace("2.5", f'"{"a" * 500}"'))


def test_a_value_that_json_cannot_write_is_refused() -> None:
    node = Node(NodeId("a"), NodeKind.OPERATOR, use="x", params={"n": float("nan")})
    with pytest.raises(WorkflowInvalid, match="no value that a workflow can hold: nan") as caught:
        dumps(Workflow("t", (node,)))
    assert caught.value.record().code == "workflow.bad_value"


def test_load_reads_a_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "hello.workflow.json"
    path.write_text("\ufeff" + HELLO)
    workflow = load(path)
    assert workflow == loads(HELLO)
    assert workflow.source is not None
    assert workflow.source.name == str(path)
    path.write_text("{")
    with pytest.raises(WorkflowInvalid, match=r"hello\.workflow\.json:1:2: A name in double"):
        load(str(path))


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        load(tmp_path / "nowhere.json")
    path = tmp_path / "binary.json"
    path.write_bytes(b"\x00\x01\xff")
    with pytest.raises(NotText):
        load(path)


@pytest.mark.slow
def test_ten_thousand_nodes_come_back() -> None:
    workflow = graph_of(10_000, [(number, number + 1) for number in range(9_999)])
    assert loads(dumps(workflow)) == workflow
