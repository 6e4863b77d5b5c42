"""Runs bodies in this process, and stands between them and the run: time, values, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.engines._deadlines import Deadlines
from symphony.engines._errors import BadInput, BadOutput, BodyFailed, BodyTimeout, BodyUnknown
from symphony.execution import Body, BodyContext, rest_of
from symphony.pit.tracker import NodeTask
from symphony.workflow import Catalog, NodeKind, Port, Signature

_logger = get_logger("engines")
#: Of schemas that say no more than the type.
_SURE: Final[dict[str, frozenset[type]]] = {
    "integer": frozenset({int}),
    "number": frozenset({int}),
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "null": frozenset({type(None)}),
}

_Call: TypeAlias = Callable[[Mapping[str, Value], BodyContext], Awaitable[Mapping[str, Value]]]


@runtime_checkable
class _Queued(Protocol):
    """A body whose calls wait for each other."""

    def turn(self) -> AbstractAsyncContextManager[_Call]:
        """Wait until nobody else has it; what it gives is called in place of the body."""
        ...


class _Checked(NamedTuple):
    """A port with its schema compiled; values of the types in `fits` need no look at it."""

    port: Port
    schema: Schema
    fits: frozenset[type]


@dataclass(frozen=True, slots=True)
class _Player:
    """A body with its ports."""

    body: Body
    inputs: Mapping[str, _Checked]
    outputs: Mapping[str, _Checked]
    is_queued: bool


class LocalEngine:
    """The engine that needs nothing else. `bodies` and `catalog` must know the same names."""

    def __init__(
        self,
        bodies: Callable[[NodeKind, str], Body],
        catalog: Catalog,
        *,
        default_timeout_s: float | None = None,
    ) -> None:
        self._bodies = bodies
        self._catalog = catalog
        self._default_timeout_s = default_timeout_s
        self._players: dict[tuple[NodeKind, str], _Player] = {}
        self._deadlines: Deadlines | None = None

    async def run(self, task: NodeTask, context: BodyContext) -> Mapping[str, Value]:
        """A value for every output port, each as its schema says.

        Raises BadInput before the body is called, BadOutput, BodyTimeout and BodyFailed after it,
        and SymphonyErrors of the body as they are.
        """
        node = task.node
        player = self._players.get((node.kind, node.use)) or self._player(task)
        inputs = _accepted_inputs(task, player.inputs)
        if player.is_queued:
            # The wait for others is not the node's own time.
            async with cast("_Queued", player.body).turn() as body:
                outputs = await self._call(body, task, inputs, context)
            return _accepted_outputs(task, player.outputs, outputs)
        # As `_call`, for a body that never waits: no time passes, and nobody can cancel it.
        try:
            call = player.body(inputs, context)
            waits_for = call.send(None)
        except StopIteration as end:
            return _accepted_outputs(task, player.outputs, end.value)
        except BaseException as error:
            if (told := self._told(task, error)) is error:
                raise
            raise told from error
        outputs = await self._call(lambda *_: rest_of(call, waits_for), task, inputs, context)
        return _accepted_outputs(task, player.outputs, outputs)

    def _player(self, task: NodeTask) -> _Player:
        key = task.node.kind, task.node.use
        player = self._players.get(key)
        if player is None:
            signature = self._catalog.signature(*key)
            if signature is None:
                raise BodyUnknown(task.node.id, task.node.use)
            player = self._players[key] = _player(self._bodies(*key), signature)
        return player

    async def _call(
        self, body: _Call, task: NodeTask, inputs: Mapping[str, Value], context: BodyContext
    ) -> Mapping[str, Value]:
        node = task.node
        seconds = self._default_timeout_s if node.timeout_s is None else node.timeout_s
        worker = cast("asyncio.Task[None]", asyncio.current_task())
        expired = False
        try:
            if seconds is None:
                return await body(inputs, context)
            deadlines = self._here()
            deadlines.begin(worker, seconds)
            try:
                return await body(inputs, context)
            finally:
                expired = deadlines.end(worker)
        except BaseException as error:
            if (told := self._told(task, error, seconds if expired else None)) is error:
                raise
            raise told from error

    def _told(
        self, task: NodeTask, error: BaseException, expired_s: float | None = None
    ) -> BaseException:
        """What the run is to hear of an error that came out of a body."""
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            return error
        worker = asyncio.current_task()
        if worker is not None and worker.cancelling() > 0:
            # Somebody cancels us, whatever the body made of it.
            return asyncio.CancelledError()
        if expired_s is not None:
            return BodyTimeout(task.node.id, expired_s)
        if isinstance(error, SymphonyError):
            return error
        _logger.debug("a body failed", node=task.node.id, use=task.node.use, error=error)
        return BodyFailed(task.node.id, task.node.use, error)

    def _here(self) -> Deadlines:
        loop = asyncio.get_running_loop()
        if self._deadlines is None or self._deadlines.loop is not loop:
            self._deadlines = Deadlines(loop)
        return self._deadlines


def _player(body: Body, signature: Signature) -> _Player:
    return _Player(
        body,
        _compiled(signature.inputs),
        _compiled(signature.outputs),
        isinstance(body, _Queued),
    )


def _compiled(ports: tuple[Port, ...]) -> dict[str, _Checked]:
    return {port.name: _Checked(port, Schema(port.schema), _fits(port.schema)) for port in ports}


def _fits(schema: Mapping[str, Value]) -> frozenset[type]:
    """The types of values that fit for sure."""
    if not schema:
        return frozenset({int, str, bool, float, type(None)})
    if schema.keys() == {"type"} and isinstance(schema["type"], str):
        return _SURE.get(schema["type"], frozenset())
    return frozenset()


def _accepted_inputs(task: NodeTask, ports: Mapping[str, _Checked]) -> dict[str, Value]:
    """What the body is called with: defaults stand in for what the workflow does not give."""
    inputs = dict(task.inputs)
    for name, (port, schema, fits) in ports.items():
        if name in inputs:
            value = inputs[name]
            if type(value) not in fits and not schema.accepts(value):
                raise BadInput(task.node.id, name, _misfit(schema, value))
        elif port.required:
            raise BadInput(task.node.id, name, "it is required and nothing gives it a value")
        else:
            inputs[name] = deepcopy(port.default)
    return inputs


def _accepted_outputs(
    task: NodeTask, ports: Mapping[str, _Checked], given: Mapping[str, Value]
) -> dict[str, Value]:
    outputs: dict[str, Value] = {}
    if given.keys() != ports.keys():
        for name in given:
            if name not in ports:
                reason = "the body gave it, but there is no such port"
                raise BadOutput(task.node.id, name, reason)
    for name, (port, schema, fits) in ports.items():
        if name in given:
            value = given[name]
            if type(value) not in fits and not schema.accepts(value):
                raise BadOutput(task.node.id, name, _misfit(schema, value))
            outputs[name] = value
        elif port.required:
            raise BadOutput(task.node.id, name, "the body did not give it a value")
        else:
            outputs[name] = port.default
    return outputs


def _misfit(schema: Schema, value: Value) -> str:
    fault = schema.faults(value, limit=1)[0]
    return f"{fault.message} (at {fault.pointer})" if fault.pointer else fault.message
