from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from symphony.commons.schemas import Schema
from symphony.commons.values import ArtifactRef, Value
from symphony.execution import BodyContext
from symphony.operators import (
    BUILTIN,
    BadInput,
    Operator,
    OperatorContext,
    OperatorInvalid,
    operator,
)
from symphony.workflow import NodeKind, Port, WorkflowBuilder, WorkflowInvalid, define


class Part(msgspec.Struct, frozen=True):
    name: str
    size: int = 0


class Parts(msgspec.Struct):
    parts: Annotated[list[Part], Meta(description="All of them.")]
    rest: Value


@dataclass
class Pair:
    left: int
    right: int


def run(body: Operator, context: BodyContext, **inputs: Value) -> Mapping[str, Value]:
    return asyncio.run(body.run(inputs, context))


def test_ports_come_from_the_signature() -> None:
    @operator("test.cut", title="Cut")
    def cut(
        context: OperatorContext,
        text: Annotated[
            str, Meta(description="What to cut.", extra_json_schema={"format": "file"})
        ],
        at: Annotated[list[int], Meta(min_length=1)],
        mode: Literal["soft", "hard"] = "soft",
        with_: dict[str, Value] = {},  # noqa: B006
        first: Part = Part("all"),  # noqa: B008
        anything: Value = None,
    ) -> Parts:
        """Cut a text
        in parts.

        More that is for programmers.
        """
        raise NotImplementedError

    signature = cut.signature
    assert (cut.name, cut.title) == ("test.cut", "Cut")
    assert signature.description == "Cut a text in parts."
    inputs = {port.name: port for port in signature.inputs}
    assert list(inputs) == ["text", "at", "mode", "with", "first", "anything"]
    schema: dict[str, Value] = {"type": "string", "format": "file"}
    assert inputs["text"] == Port("text", schema, description="What to cut.")
    assert inputs["at"].schema == {"type": "array", "items": {"type": "integer"}, "minItems": 1}
    assert not inputs["mode"].required
    assert inputs["mode"].default == "soft"
    assert inputs["with"] == Port("with", {"type": "object"}, False, {})
    assert inputs["first"].schema["type"] == "object"
    assert inputs["first"].default == {"name": "all", "size": 0}
    assert inputs["anything"].schema == {}
    parts, rest = signature.outputs
    assert parts.description == "All of them."
    assert Schema(parts.schema).accepts([{"name": "x", "size": 1}])
    assert not Schema(parts.schema).accepts([{"size": 1}])
    assert rest == Port("rest")


def test_a_plain_function_runs_in_a_thread_with_typed_arguments(context: BodyContext) -> None:
    threads: list[threading.Thread] = []

    @operator("test.total")
    def total(parts: list[Part], factor: float = 2) -> float:
        threads.append(threading.current_thread())
        return factor * sum(part.size for part in parts)

    assert run(total, context, parts=[{"name": "a", "size": 3}, {"name": "b"}]) == {"value": 6.0}
    assert threads[0] is not threading.main_thread()


def test_an_async_function_gets_the_context_and_stays_on_the_loop(context: BodyContext) -> None:
    @operator("test.keep")
    async def keep(text: str, here: OperatorContext) -> ArtifactRef:
        assert threading.current_thread() is threading.main_thread()
        return await here.write_artifact(text.encode(), "text/plain", here.node)

    kept = run(keep, context, text="abc")["value"]
    assert kept == {"$artifact": "memory:0", "media_type": "text/plain", "size": 3, "name": "node"}
    assert [port.name for port in keep.signature.outputs] == ["value"]


def test_a_struct_or_dataclass_gives_a_port_a_field(context: BodyContext) -> None:
    @operator("test.pair")
    def pair(n: int) -> Pair:
        return Pair(n, n + 1)

    @operator("test.parts")
    def parts() -> Parts:
        return Parts([Part("a")], {"any": [1, None]})

    assert run(pair, context, n=1) == {"left": 1, "right": 2}
    assert run(parts, context) == {
        "parts": [{"name": "a", "size": 0}],
        "rest": {"any": [1, None]},
    }


def test_no_result_gives_no_port(context: BodyContext) -> None:
    @operator("test.nothing")
    def nothing() -> None: ...

    assert nothing.signature.outputs == ()
    assert run(nothing, context) == {}


@pytest.mark.parametrize(
    ("inputs", "port", "reason"),
    [
        ({}, "parts", "required"),
        ({"parts": "text"}, "parts", "expected `array`, got `str`"),
        ({"parts": [{"name": 1}]}, "parts", "$[0].name"),
        ({"parts": [], "least": -1}, "least", ">= 0"),
    ],
)
def test_a_value_that_does_not_fit_names_the_port_and_the_place(
    inputs: dict[str, Value], port: str, reason: str, context: BodyContext
) -> None:
    @operator("test.bad")
    def bad(parts: list[Part], least: Annotated[int, Meta(ge=0)] = 0) -> None: ...

    with pytest.raises(BadInput) as caught:
        run(bad, context, **inputs)
    assert (caught.value.port, caught.value.operator) == (port, "test.bad")
    assert reason in caught.value.message


def test_an_error_of_the_function_arrives_as_it_is(context: BodyContext) -> None:
    @operator("test.error")
    def error() -> None:
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        run(error, context)


def test_functions_that_cannot_be_operators_are_refused_where_they_are_decorated() -> None:
    def untyped(a, b: int) -> None: ...  # type: ignore[no-untyped-def]  # the point of the test

    def starred(*parts: str) -> None: ...

    def unknown(part: str) -> complex:
        return complex(part)

    def nowhere(part: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def shouting(Part: str) -> None: ...  # noqa: N803

    for function in (untyped, starred, unknown, nowhere, shouting):
        with pytest.raises(OperatorInvalid) as caught:
            operator("test.refused")(function)
        assert caught.value.code == "operators.invalid"


def test_a_cancelled_call_does_not_wait_for_its_thread(context: BodyContext) -> None:
    release, ended = threading.Event(), threading.Event()

    @operator("test.hang")
    def hang() -> None:
        release.wait(5)
        ended.set()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await hang.run({}, context)
        assert not ended.is_set()

    try:
        asyncio.run(main())
    finally:
        release.set()


@pytest.mark.parametrize("name", BUILTIN)
def test_every_builtin_describes_itself(name: str) -> None:
    body = BUILTIN[name]
    assert body.signature.description.endswith(".")
    assert body.title != name
    for port in (*body.signature.inputs, *body.signature.outputs):
        schema = Schema(port.schema)
        assert port.required or schema.accepts(port.default)


def test_any_is_not_needed_for_a_result(context: BodyContext) -> None:
    @operator("test.inferred")
    def inferred(value: Any):  # type: ignore[no-untyped-def]
        return value

    assert run(inferred, context, value=[1]) == {"value": [1]}


@operator("test.split")
def split(text: str, with_: str = " ") -> list[str]:
    return text.split(with_)


@operator("test.first")
def first(words: list[str], context: OperatorContext) -> str:
    """The context is no port."""
    return words[0]


def test_an_operator_that_is_called_is_its_function() -> None:
    assert split("a-b", with_="-") == ["a", "b"]


def test_an_operator_that_is_called_with_handles_is_a_node() -> None:
    flow = WorkflowBuilder("t")
    words = split(flow.input("text", str), with_="-")
    flow.output("word", first(words=words).options(id="take"))
    workflow = flow.build()
    assert [(node.id, node.use) for node in workflow.of_kind(NodeKind.OPERATOR)] == [
        ("split", "test.split"),
        ("take", "test.first"),
    ]
    assert workflow.node("split").params == {"with": "-"}
    assert [f"{edge.source} -> {edge.target}" for edge in workflow.edges] == [
        "text -> split.text",
        "split -> take.words",
        "take -> word",
    ]
    with pytest.raises(WorkflowInvalid, match="no input port 'context'"):
        first(words, context=words)


def test_a_workflow_of_operators_is_defined_by_calling_them() -> None:
    @define
    def initial(text: str = "a b") -> str:
        found: str = first(split(text))
        return found

    workflow = initial.workflow
    assert [node.id for node in workflow.nodes] == ["text", "split", "first", "value"]
    assert workflow.node("value").schema == {"type": "string"}
