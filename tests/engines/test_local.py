from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from symphony.commons import blocking
from symphony.commons.errors import Category, SymphonyError
from symphony.commons.values import ArtifactRef, Value
from symphony.engines import (
    BadInput,
    BadOutput,
    BodyFailed,
    BodyTimeout,
    BodyUnknown,
    LocalEngine,
)
from symphony.execution import Body, BodyContext, NodeTiming
from symphony.pit.tracker import NodeTask
from symphony.workflow import Node, NodeId, NodeKind, Port, Signature

INTEGER: dict[str, Value] = {"type": "integer"}
TEXTS: dict[str, Value] = {"type": "array", "items": {"type": "string"}}
INCREMENT = Signature(
    (Port("value", INTEGER), Port("step", INTEGER, required=False, default=1)),
    (Port("value", INTEGER),),
)


class Panic(BaseException):
    """As the native code of some libraries raises."""


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Silent:
    """A context that nobody listens to."""

    run_id, node, attempt, key = "run-1", "n", 1, "run-1:n"

    def progress(self, done: float, total: float, message: str = "") -> None:
        pass

    def log(self, level: str, message: str, **facts: Value) -> None:
        pass

    def timings(self) -> Sequence[NodeTiming]:
        return ()

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        raise LookupError(ref.id)

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        raise LookupError(name)


class One:
    """A catalog of one operator, `increment`, which counts how often it is asked."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self.asked = 0

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        self.asked += 1
        return self._signature if (kind, use) == (NodeKind.OPERATOR, "increment") else None

    def names(self, kind: NodeKind) -> Iterable[str]:
        return ["increment"]


async def increment(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
    value, step = inputs["value"], inputs["step"]
    assert isinstance(value, int)
    assert isinstance(step, int)
    return {"value": value + step}


def engine_of(
    body: Body, signature: Signature = INCREMENT, *, default_timeout_s: float | None = None
) -> LocalEngine:
    return LocalEngine(lambda _, __: body, One(signature), default_timeout_s=default_timeout_s)


def gives(**outputs: Value) -> Body:
    async def body(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        return outputs

    return body


async def waits_for_ever(inputs: Mapping[str, Value], context: BodyContext) -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


def raises(error: BaseException) -> Body:
    async def body(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        raise error

    return body


def task(
    inputs: Mapping[str, Value], use: str = "increment", timeout_s: float | None = None
) -> NodeTask:
    return NodeTask(
        "run-1", Node(NodeId("n"), NodeKind.OPERATOR, use=use, timeout_s=timeout_s), 1, inputs
    )


def run(engine: LocalEngine, work: NodeTask) -> Mapping[str, Value]:
    return asyncio.run(engine.run(work, Silent()))


def test_body_gets_its_inputs_and_defaults_for_the_ports_not_given() -> None:
    assert run(engine_of(increment), task({"value": 1})) == {"value": 2}
    assert run(engine_of(increment), task({"value": 1, "step": 5})) == {"value": 6}


def test_default_is_a_copy_for_each_call() -> None:
    async def spoils(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        items = inputs["items"]
        assert isinstance(items, list)
        items.append("spoiled")
        return {"count": len(items)}

    signature = Signature(
        (Port("items", TEXTS, required=False, default=[]),), (Port("count", INTEGER),)
    )
    engine = engine_of(spoils, signature)
    assert [run(engine, task({})), run(engine, task({}))] == [{"count": 1}, {"count": 1}]


@pytest.mark.parametrize(
    ("inputs", "port", "reason"),
    [
        ({}, "value", "it is required and nothing gives it a value"),
        ({"value": "three"}, "value", '"three" is not of type "integer"'),
        ({"value": 1, "step": None}, "step", 'null is not of type "integer"'),
    ],
)
def test_misfit_input_names_node_and_port_and_the_body_is_not_called(
    inputs: dict[str, Value], port: str, reason: str
) -> None:
    with pytest.raises(BadInput) as caught:
        run(engine_of(raises(AssertionError("called"))), task(inputs))
    assert str(caught.value) == f"Node 'n', input '{port}': {reason}."
    assert caught.value.record().facts == {"node": "n", "port": port, "reason": reason}


@pytest.mark.parametrize(
    ("outputs", "port", "reason"),
    [
        ({}, "texts", "the body did not give it a value"),
        ({"texts": [], "more": 1}, "more", "the body gave it, but there is no such port"),
        ({"texts": ["a", 2]}, "texts", '2 is not of type "string" (at /1)'),
        ({"texts": [], "any": {1, 2}}, "any", "the value cannot be written as JSON: "),
    ],
)
def test_misfit_output_names_node_and_port(
    outputs: dict[str, Value], port: str, reason: str
) -> None:
    ports = (Port("texts", TEXTS), Port("any", required=False))
    with pytest.raises(BadOutput) as caught:
        run(engine_of(gives(**outputs), Signature((), ports)), task({}))
    assert str(caught.value).startswith(f"Node 'n', output '{port}': {reason}")
    assert caught.value.category is Category.EXTENSION


def test_output_that_is_not_required_takes_its_default() -> None:
    ports = (Port("value", INTEGER), Port("note", required=False, default="none"))
    assert run(engine_of(gives(value=1), Signature((), ports)), task({})) == {
        "value": 1,
        "note": "none",
    }


def test_body_that_raises_fails_with_the_type_and_the_place() -> None:
    with pytest.raises(BodyFailed) as caught:
        run(engine_of(raises(ZeroDivisionError("oh"))), task({"value": 1}))
    error = caught.value
    assert str(error) == "Node 'n' failed: increment raised ZeroDivisionError: oh."
    assert error.type == "ZeroDivisionError"
    assert error.place.startswith(__file__)
    assert error.place.endswith("(body)")
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_error_without_text_is_named_by_its_type() -> None:
    with pytest.raises(BodyFailed, match="increment raised KeyError"):
        run(engine_of(raises(KeyError())), task({"value": 1}))


def test_our_own_errors_come_out_as_they_are() -> None:
    ours = BodyUnknown("x", "y")
    with pytest.raises(SymphonyError) as caught:
        run(engine_of(raises(ours)), task({"value": 1}))
    assert caught.value is ours


@pytest.mark.parametrize(
    "error", [SystemExit(3), Panic("of its own kind"), asyncio.CancelledError(), TimeoutError()]
)
def test_body_cannot_end_the_program_or_pass_for_cancelled_or_timed_out(
    error: BaseException,
) -> None:
    with pytest.raises(BodyFailed) as caught:
        run(engine_of(raises(error), default_timeout_s=60), task({"value": 1}))
    assert caught.value.type == type(error).__name__


@pytest.mark.parametrize(("default", "own"), [(60.0, 0.01), (0.01, None)])
def test_body_is_stopped_when_its_time_is_over(default: float, own: float | None) -> None:
    engine = engine_of(waits_for_ever, default_timeout_s=default)
    with pytest.raises(BodyTimeout) as caught:
        run(engine, task({"value": 1}, timeout_s=own))
    assert str(caught.value) == "Node 'n' was stopped: it ran longer than 0.01 s."
    assert caught.value.category is Category.TIMEOUT


def test_what_a_body_makes_of_its_timeout_does_not_hide_it() -> None:
    async def translates(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        try:
            await waits_for_ever(inputs, context)
        except asyncio.CancelledError:
            raise BodyUnknown("x", "y") from None

    with pytest.raises(BodyTimeout):
        run(engine_of(translates), task({"value": 1}, timeout_s=0.01))


@pytest.mark.parametrize("answer", [None, LookupError("gave up")])
def test_cancelled_call_ends_cancelled_whatever_the_body_makes_of_it(
    answer: Exception | None,
) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def body(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
            entered.set()
            try:
                await waits_for_ever(inputs, context)
            except asyncio.CancelledError:
                if answer is not None:
                    raise answer from None
                raise

        work = engine_of(body, default_timeout_s=60).run(task({"value": 1}), Silent())
        call = asyncio.create_task(work)
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())


def test_use_that_nobody_provides_is_named() -> None:
    with pytest.raises(BodyUnknown) as caught:
        run(engine_of(increment), task({"value": 1}, use="decrement"))
    assert caught.value.record().facts == {"node": "n", "use": "decrement"}


def test_ports_are_compiled_once_for_all_nodes_that_use_them() -> None:
    catalog = One(INCREMENT)
    engine = LocalEngine(lambda _, __: increment, catalog)
    for value in range(5):
        assert run(engine, task({"value": value})) == {"value": value + 1}
    assert catalog.asked == 1


@pytest.mark.parametrize("error", [SystemExit(3), Panic("in a thread")])
def test_body_cannot_end_the_program_from_a_thread_either(error: BaseException) -> None:
    def work() -> NoReturn:
        raise error

    async def body(inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        return await blocking.run(work)

    with pytest.raises(BodyFailed) as caught:
        run(engine_of(body), task({"value": 1}))
    assert caught.value.type == type(error).__name__


def test_keyboard_interrupt_is_nobody_s_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(engine_of(raises(KeyboardInterrupt())), task({"value": 1}))


def test_error_that_cannot_be_shown_fails_the_node_like_any_other() -> None:
    with pytest.raises(BodyFailed) as caught:
        run(engine_of(raises(Unspeakable())), task({"value": 1}))
    assert str(caught.value) == (
        "Node 'n' failed: increment raised Unspeakable: "
        "(it cannot be shown: its __str__ raised RuntimeError)."
    )


class OneAtATime:
    """A body whose calls take turns; one that is given 0 waits for ever."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.entered = asyncio.Event()

    async def __call__(
        self, inputs: Mapping[str, Value], context: BodyContext
    ) -> Mapping[str, Value]:
        self.entered.set()
        return inputs if inputs["value"] else await waits_for_ever(inputs, context)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Body]:
        async with self.lock:
            yield self


VALUE = Signature((Port("value", INTEGER),), (Port("value", INTEGER),))


def test_time_limit_does_not_count_the_wait_for_others() -> None:
    async def main() -> None:
        body = OneAtATime()
        engine = engine_of(body, VALUE)
        first = asyncio.create_task(engine.run(task({"value": 0}), Silent()))
        await body.entered.wait()
        second = asyncio.create_task(engine.run(task({"value": 2}, timeout_s=0.01), Silent()))
        # As long as the second call may take, and begun after it.
        with pytest.raises(BodyTimeout):
            await engine_of(waits_for_ever).run(task({"value": 1}, timeout_s=0.02), Silent())
        assert not second.done()
        first.cancel()
        assert await second == {"value": 2}

    asyncio.run(main())


def test_time_limit_counts_from_the_turn_and_frees_it() -> None:
    async def main() -> None:
        body = OneAtATime()
        with pytest.raises(BodyTimeout):
            await engine_of(body, VALUE).run(task({"value": 0}, timeout_s=0.01), Silent())
        assert not body.lock.locked()

    asyncio.run(main())


def test_call_that_is_cancelled_while_it_waits_for_its_turn_keeps_nobody_else_from_it() -> None:
    async def main() -> None:
        body = OneAtATime()
        engine = engine_of(body, VALUE)
        first = asyncio.create_task(engine.run(task({"value": 0}), Silent()))
        await body.entered.wait()
        second = asyncio.create_task(engine.run(task({"value": 2}), Silent()))
        third = asyncio.create_task(engine.run(task({"value": 3}), Silent()))
        await asyncio.sleep(0)
        second.cancel()
        first.cancel()
        assert await third == {"value": 3}
        assert second.cancelled()
        assert not body.lock.locked()

    asyncio.run(main())
