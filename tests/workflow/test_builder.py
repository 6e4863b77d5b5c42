from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from symphony.workflow import (
    OTHERWISE,
    Case,
    Catalog,
    Edge,
    EdgeKind,
    Fallback,
    Handle,
    Metadata,
    Node,
    NodeId,
    NodeKind,
    Policy,
    Port,
    PortRef,
    Signature,
    Transform,
    Workflow,
    WorkflowBuilder,
    WorkflowInvalid,
    builder_among,
    check,
    fingerprint,
    load,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclasses.dataclass(frozen=True)
class Tool:
    """An operator as an object."""

    name: str
    signature: Signature


WALK = Tool(
    "files.walk",
    Signature(
        (Port("folder", {"type": "string"}), Port("with", {}, required=False)),
        (Port("files", {"type": "array"}), Port("count", {"type": "integer"})),
    ),
)


def edges_of(workflow: Workflow) -> set[str]:
    return {f"{edge.source} -> {edge.target}" for edge in workflow.edges}


def refused(code: str, act: Callable[[], object]) -> str:
    with pytest.raises(WorkflowInvalid) as caught:
        act()
    assert caught.value.record().code == f"workflow.{code}"
    return f"{caught.value} {caught.value.hint}"


# The examples, built in Python, are those in the files.


def hello() -> WorkflowBuilder:
    flow = WorkflowBuilder(
        "hello",
        name="Hello",
        version="1.0.0",
        description="The smallest workflow: an input, one step, an output.",
    )
    name = flow.input("name", str, "world", description="Who is greeted.")
    greet = flow.operator("text.template", id="greet", value=name, template="Hello, {{ value }}!")
    flow.output("greeting", greet, description="The greeting.")
    return flow


def word_count() -> WorkflowBuilder:
    flow = WorkflowBuilder(
        "word-count",
        name="Word count",
        version="1.0.0",
        description="The most frequent words of a folder's texts: built-in operators and one of"
        " our own.",
        extensions=["./extensions"],
    )
    folder = flow.input(
        "folder", {"type": "string", "format": "folder"}, ".", description="The folder to read."
    )
    pattern = flow.input(
        "pattern", str, "*.md", description="Which of its files to read, as in .gitignore."
    )
    at_least_one = Annotated[int, msgspec.Meta(ge=1)]
    most = flow.input("most", at_least_one, 10, description="How many words to list.")
    walk = flow.operator("files.walk", folder=folder, pattern=pattern)
    read = flow.operator(
        "files.read_texts", id="read", folder=folder, files=walk["files"], total=4000000
    )
    count = flow.operator("word-count", id="count", texts=read["texts"], shortest=4)
    top = flow.operator(
        "list.sort", id="top", items=count["words"], limit=most, by="item.count", descending=True
    )
    show = flow.operator(
        "text.template",
        id="show",
        value=top,
        with_={"total": count["total"], "files": walk["files"]},
        template="{{ total }} words in {{ files | length }} files.\n"
        "{% for row in value %}{{ row.word }}: {{ row.count }}\n{% endfor %}",
    )
    words = "Objects with word and count, the most frequent first."
    flow.output("words", top, description=words)
    flow.output("text", show, description="The same, to be read.")
    return flow


def ask_index() -> WorkflowBuilder:
    flow = WorkflowBuilder(
        "ask-index",
        name="Ask an index",
        version="1.0.0",
        description="Search the index that repository_insight.workflow.json made, without looking"
        " at the folder again.",
        extensions=["./extensions"],
    )
    index = flow.input(
        "index",
        {"type": "string", "format": "file"},
        "demo-results/index.zip",
        description="The index: a zip file.",
    )
    query = flow.input(
        "query", {"type": "string", "minLength": 1}, description="What to search for."
    )
    embedding = flow.input(
        "embedding",
        {"type": "string", "enum": ["wordllama", "e5"]},
        "wordllama",
        description="The model that the index was made with.",
    )
    keep = flow.operator(
        "artifact.from_file", {"path": index}, id="keep", media_type="application/zip"
    )
    question = flow.operator("value.expression", id="question", value=query, expression="[value]")
    embed = flow.instrument(
        "text-embedding", id="embed", texts=question, model=embedding, role="query"
    )
    search = flow.operator(
        "semantic-index", id="search", index=keep, query=query, query_vectors=embed["vectors"]
    )
    show = flow.operator(
        "text.template",
        id="show",
        value=search["hits"],
        template="{% for hit in value %}{{ loop.index }}. {{ hit.path }}\n"
        "   {{ hit.snippet }}\n{% endfor %}",
    )
    flow.output("hits", search["hits"], description="Best first: path, score, snippet, by.")
    flow.output("text", show, description="The same, to be read.")
    return flow


@pytest.mark.parametrize(
    ("build", "file"),
    [
        (hello, "hello/hello.workflow.json"),
        (word_count, "word_count/word_count.workflow.json"),
        (ask_index, "repository_insight/ask.workflow.json"),
    ],
)
def test_the_builder_makes_what_the_file_of_an_example_says(
    build: Callable[[], WorkflowBuilder], file: str
) -> None:
    built, read = build().build(), load(EXAMPLES / file)
    assert fingerprint(built) == fingerprint(read)
    assert built.nodes == read.nodes
    assert edges_of(built) == edges_of(read)
    loose: dict[str, Any] = {"edges": (), "source": None}
    assert msgspec.structs.replace(built, **loose) == msgspec.structs.replace(read, **loose)


def everything() -> Workflow:
    """All kinds of nodes."""
    item = WorkflowBuilder("size")
    item.output("size", item.input("item", int).expression("value + 1"), int)
    better = WorkflowBuilder("better")
    better.output("text", better.input("text", str).expression("value + '!'"), str)

    flow = WorkflowBuilder("all", metadata=Metadata(author="Ada"))
    folder = flow.input("folder", str, ".")
    walk = flow.operator(WALK, folder=folder, policy=Policy(priority=3), timeout_s=5)
    types = flow.instrument("file-type", files=walk["files"])
    sizes = flow.map(item, types["types"], limit=5, parallel=2)
    again = flow.loop(better, text=folder, until="rounds > 2", limit=4)
    twice = flow.workflow(better, text=again["text"])
    way = flow.branch(twice["text"], {"long": "size(value) > 3", "odd": "other"}, other=True)
    either = flow.merge(way["long"], way["odd"], rest=way[OTHERWISE])
    both = flow.join({"a": sizes["size"]}, b=either, c=7)
    asked = flow.wait("Good?", bool, context=both, default=True, timeout_s=60, after=types)
    flow.output("answer", asked, bool)
    flow.output("rounds", again["rounds"])
    return flow.build()


def test_every_kind_of_node_can_be_built_and_checked(catalog: Catalog) -> None:
    workflow = everything()
    check(workflow, catalog)
    assert {node.kind for node in workflow.nodes} == set(NodeKind)
    assert edges_of(workflow) == {
        *(
            "folder -> walk.folder",
            "walk.files -> file-type.files",
            "file-type.types -> size.items",
        ),
        *("folder -> better.text", "better.text -> better-2.text", "better-2.text -> branch"),
        *("branch.long -> merge.in1", "branch.odd -> merge.in2", "branch.otherwise -> merge.rest"),
        *("size.size -> join.a", "merge -> join.b", "join -> wait.context", "file-type -> wait"),
        *("wait -> answer", "better.rounds -> rounds"),
    }
    assert workflow.node("walk") == Node(
        NodeId("walk"), NodeKind.OPERATOR, "files.walk", policy=Policy(priority=3), timeout_s=5
    )
    assert workflow.node("size").limit == 5
    assert workflow.node("better").until == "rounds > 2"
    assert workflow.node("branch").cases == (Case("long", "size(value) > 3"), Case("odd", "other"))
    assert workflow.node("join").params == {"c": 7}
    assert workflow.node("wait").schema == {"type": "boolean"}
    assert set(workflow.workflows) == {"size", "better"}


def test_an_output_may_have_the_name_of_an_input() -> None:
    body = everything().workflows["better"]
    assert body.node("text-out") == Node(
        NodeId("text-out"), NodeKind.OUTPUT, name="text", schema={"type": "string"}
    )
    assert [port.name for port in body.loop_signature.outputs] == ["text", "rounds"]


def test_what_is_done_with_a_handle_stands_on_its_edge() -> None:
    flow = WorkflowBuilder("t")
    items = flow.input("items", list[int])
    changed = (
        items.when("size(value) > 1", label="some")
        .when("value[0] > 0")
        .prioritized(2)
        .filter("item > index")
        .map("item * 2")
        .flatten(2)
        .reduce("total + item", 0)
        .reduce("total + item")
        .expression("value / 2")
    )
    flow.output("all", changed.labelled("done"))
    flow.output("plain", items)
    assert flow.build().edges == (
        Edge(
            PortRef(NodeId("items")),
            PortRef(NodeId("all")),
            when="(size(value) > 1) && (value[0] > 0)",
            label="done",
            priority=2,
            transform=(
                Transform(filter="item > index"),
                Transform(map="item * 2"),
                Transform(flatten=2),
                Transform(reduce="total + item", initial=0),
                Transform(reduce="total + item"),
                Transform(expression="value / 2"),
            ),
        ),
        Edge(PortRef(NodeId("items")), PortRef(NodeId("plain"))),
    )


def test_an_object_with_handles_becomes_members_and_a_constant() -> None:
    flow = WorkflowBuilder("t")
    folder = flow.input("folder", str)
    flow.operator("a.b", with_={"folder": folder, "fixed": [1]}, rest={})
    workflow = flow.build()
    assert edges_of(workflow) == {"folder -> b.with.folder"}
    assert workflow.node("b").params == {"with": {"fixed": [1]}, "rest": {}}


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    colour: Colour


def test_constants_become_what_json_has_for_them() -> None:
    flow = WorkflowBuilder("t")
    flow.operator("a.b", point=Point(1, Colour.RED), pair=(1, None), flag=True)
    assert flow.build().node("b").params == {
        "point": {"x": 1, "colour": "red"},
        "pair": [1, None],
        "flag": True,
    }


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, {"a": {1, 2}}, b"x", Point])
def test_a_constant_that_is_no_json_is_refused(value: object) -> None:
    flow = WorkflowBuilder("t")
    assert "JSON" in refused("bad_value", lambda: flow.operator("a.b", value=value))
    refused("bad_value", lambda: flow.input("x", Any, value))


def test_a_handle_too_deep_in_a_value_is_refused() -> None:
    flow = WorkflowBuilder("t")
    handle = flow.input("x")
    message = refused("bad_value", lambda: flow.operator("a.b", value={"a": {"b": handle}}))
    assert "join" in message
    refused("bad_value", lambda: flow.operator("a.b", value=[handle]))


def test_a_port_that_is_not_there_is_refused_with_the_one_that_was_meant(
    catalog: Catalog,
) -> None:
    flow = WorkflowBuilder("t", catalog=catalog)
    walk = flow.operator(WALK, folder=".")
    assert "'files'" in refused("unknown_port", lambda: walk["file"])
    assert "'folder'" in refused("unknown_port", lambda: flow.operator(WALK, foldr="."))
    assert "files" in refused("unknown_port", lambda: flow.output("all", walk))
    by_name = flow.operator("files.walk", folder=".")
    assert "'files'" in refused("unknown_port", lambda: by_name["file"])
    message = refused("unknown_use", lambda: flow.operator("files.wolk"))
    assert "'files.walk'" in message
    body = WorkflowBuilder("body")
    body.output("out", body.input("in"))
    flow.workflow(body, in_=1)
    refused("unknown_port", lambda: flow.workflow(body, input=1))
    refused("unknown_port", lambda: flow.branch(1, {"a": "true"})["b"])
    assert [node.id for node in flow.build().nodes] == ["walk", "walk-2", "body", "branch"]


def test_a_handle_of_another_builder_is_refused() -> None:
    one, other = WorkflowBuilder("one"), WorkflowBuilder("other")
    handle = one.input("x")
    refused("foreign_handle", lambda: other.output("y", handle))
    refused("foreign_handle", lambda: other.operator("a.b", after=handle))


def test_a_chosen_id_is_there_once_and_others_make_way() -> None:
    flow = WorkflowBuilder("t")
    first = flow.operator("a.report")
    flow.output("report", first)
    flow.operator("b.report")
    kept = flow.operator("c.last")
    assert kept.id == "last"
    workflow = flow.build()
    assert [node.id for node in workflow.nodes] == ["report-2", "report", "report-3", "last"]
    assert edges_of(workflow) == {"report-2 -> report"}
    refused("duplicate_id", lambda: flow.input("report"))
    refused("duplicate_id", lambda: flow.operator("x.y", id="last"))
    refused("port_twice", lambda: flow.operator("x.y", {"a": 1}, a_=2))


def test_options_set_what_does_not_come_in_at_a_port() -> None:
    flow = WorkflowBuilder("t")
    first = flow.operator("a.first")
    spare = flow.operator("a.spare")
    policy = Policy(fallback=Fallback(node=spare.id))
    second = flow.operator("a.second", value=first).options(
        id="two",
        title="Second",
        description="Comes after.",
        after=[first.when("value.ok"), spare],
        policy=policy,
        timeout_s=3,
        estimate_s=2,
        position=(1, 2),
    )
    second.options(title="Two")
    workflow = flow.build()
    assert workflow.node("two") == Node(
        NodeId("two"),
        NodeKind.OPERATOR,
        "a.second",
        title="Two",
        description="Comes after.",
        policy=policy,
        timeout_s=3,
        estimate_s=2,
        position=(1, 2),
    )
    assert [(str(edge.source), edge.kind, edge.when) for edge in workflow.edges] == [
        ("first", EdgeKind.DATA, ""),
        ("first", EdgeKind.CONTROL, "value.ok"),
        ("spare", EdgeKind.CONTROL, ""),
    ]
    refused("duplicate_id", lambda: first.options(id="two"))


def test_workflows_of_one_name_and_their_extensions_are_kept_apart() -> None:
    def body(text: str) -> Workflow:
        inner = WorkflowBuilder("body", extensions=[f"./{text}"])
        inner.output("out", text)
        return inner.build()

    flow = WorkflowBuilder("t", extensions=["./own"])
    for text in ("a", "b", "a"):
        flow.workflow(body(text))
    workflow = flow.build()
    assert [node.use for node in workflow.nodes] == ["body", "body-2", "body"]
    assert workflow.extensions == ("./own", "./a", "./b")


def test_python_cannot_decide_by_a_handle() -> None:
    handle = WorkflowBuilder("t").input("x", list[int])
    assert "branch" in refused("bad_value", lambda: bool(handle))
    refused("bad_value", lambda: handle.map("item").when("value"))
    with pytest.raises(TypeError, match="not iterable"):
        list(handle)  # type: ignore[call-overload]
    assert repr(handle) == "<t: x>"


def test_a_call_adds_to_the_workflow_of_the_handles_among_its_arguments() -> None:
    flow = WorkflowBuilder("t")
    handle: Handle = flow.input("x")
    assert builder_among([1, handle]) is flow
    assert builder_among([{"a": handle["value"]}]) is flow  # type: ignore[index]
    assert builder_among([1, {"a": 2}]) is None
    flow.call(WALK, handle, with_=2)
    workflow = flow.build()
    assert edges_of(workflow) == {"x -> walk.folder"}
    assert workflow.node("walk").params == {"with": 2}
    refused("unknown_port", lambda: flow.call(WALK, 1, 2, 3))
    refused("port_twice", lambda: flow.call(WALK, 1, folder=2))


def test_a_type_that_json_does_not_know_is_refused() -> None:
    refused("bad_schema", lambda: WorkflowBuilder("t").input("x", Callable))
