from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from tests.workflow.test_builder import WALK, Tool, edges_of, refused

from symphony.workflow import (
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Signature,
    Workflow,
    WorkflowBuilder,
    builder_among,
    check,
    define,
    loads,
)

COUNT = Tool("text.count", Signature((Port("files"),), (Port("value"),)))


def call(tool: Tool) -> Callable[..., Any]:
    """As an operator does it."""

    def called(*args: object, **inputs: object) -> object:
        builder = builder_among((*args, *inputs.values()))
        return builder.call(tool, *args, **inputs) if builder else "the function itself"

    return called


walk, count = call(WALK), call(COUNT)


@define
def word_count(folder: Annotated[str, msgspec.Meta(min_length=1)] = ".") -> int:
    """How many words
    there are.

    More about it.
    """
    return count(walk(folder=folder)["files"])  # type: ignore[no-any-return]


def test_a_function_is_a_workflow_its_parameters_the_inputs() -> None:
    assert word_count.workflow == loads(
        """{"symphony": 1, "id": "word-count", "description": "How many words there are.",
        "nodes": [
            {"id": "folder", "kind": "input", "default": ".",
             "schema": {"type": "string", "minLength": 1}},
            {"id": "walk", "kind": "operator", "use": "files.walk"},
            {"id": "count", "kind": "operator", "use": "text.count"},
            {"id": "value", "kind": "output", "schema": {"type": "integer"}}
        ], "edges": [
            {"from": "folder", "to": "walk.folder"},
            {"from": "walk.files", "to": "count.files"},
            {"from": "count", "to": "value"}
        ]}"""
    )


def test_the_function_is_called_once_and_when_it_is_needed() -> None:
    calls = []

    @define(id="other", name="Other", version="2.0.0", description="What it does.")
    def once() -> None:
        """Not this."""
        calls.append(1)

    assert not calls
    workflow = once.workflow
    assert once.workflow is workflow
    assert calls == [1]
    assert (workflow.id, workflow.name, workflow.version) == ("other", "Other", "2.0.0")
    assert workflow.description == "What it does."
    assert workflow.nodes == ()


class Report(msgspec.Struct):
    words: int
    folder: str


def test_an_object_or_struct_that_is_returned_has_an_output_a_member() -> None:
    @define
    def struct(folder: str) -> Report:
        return Report(words=count([1]), folder=folder)

    @define
    def plain(folder: str) -> dict[str, Any]:
        return {"folder": folder, "fixed": 7}

    assert struct.workflow.signature.outputs == (
        Port("words", {"type": "integer"}),
        Port("folder", {"type": "string"}),
    )
    workflow = plain.workflow
    assert [port.name for port in workflow.signature.outputs] == ["folder", "fixed"]
    assert edges_of(workflow) == {"folder -> folder-out"}
    assert workflow.node("fixed").params == {"value": 7}


def test_calls_with_constants_become_nodes_while_a_workflow_is_defined() -> None:
    @define
    def constant() -> int:
        return count(files=[])  # type: ignore[no-any-return]

    assert constant.workflow.node("count").params == {"files": []}
    assert count(files=[]) == "the function itself"


def test_a_defined_workflow_is_a_node_of_another() -> None:
    @define
    def outer(folder: str) -> int:
        total: Any = word_count(folder)
        return word_count(folder=total)  # type: ignore[no-any-return]

    workflow = outer.workflow
    assert edges_of(workflow) == {
        "folder -> word-count.folder",
        "word-count -> word-count-2.folder",
        "word-count-2 -> value",
    }
    assert dict(workflow.workflows) == {"word-count": word_count.workflow}


def test_a_builder_is_there_for_what_is_no_call(catalog: Any) -> None:
    @define
    def sizes(folders: list[str], flow: WorkflowBuilder) -> dict[str, Any]:
        mapped = flow.map(one, folders, limit=10)
        return {"counts": mapped["count"]}

    @define
    def one(item: str) -> dict[str, Any]:
        return {"count": walk(folder=item)["count"]}

    workflow = sizes.workflow
    check(workflow, catalog)
    assert workflow.node("one").kind is NodeKind.MAP
    assert [node.id for node in workflow.of_kind(NodeKind.INPUT)] == ["folders"]


def test_handles_add_a_defined_workflow_to_their_builder() -> None:
    flow = WorkflowBuilder("t")
    flow.output("words", word_count(flow.input("folder", str)))
    workflow: Workflow = flow.build()
    assert workflow.edges[-1].source == PortRef(NodeId("word-count"))
    assert "value" in refused("unknown_port", lambda: word_count(folder=flow.input("x"))["words"])


def test_what_cannot_be_defined_is_refused() -> None:
    @define
    def again(text: str) -> Any:
        return again(text)

    refused("recursion", lambda: again.workflow)
    refused("recursion", lambda: again.workflow)  # and nothing is left of the first try
    assert "word_count.workflow" in refused("bad_value", lambda: word_count("."))

    @define
    def unknown(text: Unheard) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    refused("bad_schema", lambda: unknown.workflow)

    outside = WorkflowBuilder("outside").input("x")

    @define
    def foreign() -> Any:
        return walk(folder=outside)

    refused("foreign_handle", lambda: foreign.workflow)
