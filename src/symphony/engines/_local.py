"""Runs bodies in this process, and stands between them and the run: time, values, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from symphony.commons.errors import SymphonyError
from symphony.commons.logging import get_logger
from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.engines._errors import BadInput, BadOutput, BodyFailed, BodyTimeout, BodyUnknown
from symphony.execution import Body, BodyContext
from symphony.pit.tracker import NodeTask
from symphony.workflow import Catalog, NodeKind, Port, Signature

_logger = get_logger("engines")

_Call: TypeAlias = Callable[[Mapping[str, Value], BodyContext], Awaitable[Mapping[str, Value]]]


@runtime_checkable
class _Queued(Protocol):
    """A body whose calls wait for each other."""

    def turn(self) -> AbstractAsyncContextManager[_Call]:
        """Wait until nobody else has it; what it gives is called in place of the body."""
        ...


@dataclass(frozen=True, slots=True)
class _Player:
    """A body with its ports, their schemas compiled."""

    body: Body
    inputs: Mapping[str, tuple[Port, Schema]]
    outputs: Mapping[str, tuple[Port, Schema]]


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

    async def run(self, task: NodeTask, context: BodyContext) -> Mapping[str, Value]:
        """A value for every output port, each as its schema says.

        Raises BadInput before the body is called, BadOutput, BodyTimeout and BodyFailed after it,
        and SymphonyErrors of the body as they are.
        """
        player = self._player(task)
        inputs = _accepted_inputs(task, player.inputs)
        # The wait for others is not the node's own time.
        async with _turn(player.body) as body:
            outputs = await self._call(body, task, inputs, context)
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
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await body(inputs, context)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if _is_being_cancelled():
                # Whatever the body made of it.
                raise asyncio.CancelledError from error
            if limit.expired() and seconds is not None:
                raise BodyTimeout(node.id, seconds) from error
            if isinstance(error, SymphonyError):
                raise
            _logger.debug("a body failed", node=node.id, use=node.use, error=error)
            raise BodyFailed(node.id, node.use, error) from error


def _turn(body: Body) -> AbstractAsyncContextManager[_Call]:
    return body.turn() if isinstance(body, _Queued) else nullcontext(body)


def _is_being_cancelled() -> bool:
    """Whether somebody cancels us, rather than a body letting out a cancellation of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _player(body: Body, signature: Signature) -> _Player:
    return _Player(body, _compiled(signature.inputs), _compiled(signature.outputs))


def _compiled(ports: tuple[Port, ...]) -> dict[str, tuple[Port, Schema]]:
    return {port.name: (port, Schema(port.schema)) for port in ports}


def _accepted_inputs(task: NodeTask, ports: Mapping[str, tuple[Port, Schema]]) -> dict[str, Value]:
    """What the body is called with: defaults stand in for what the workflow does not give."""
    inputs = dict(task.inputs)
    for name, (port, schema) in ports.items():
        if name in inputs:
            if not schema.accepts(inputs[name]):
                raise BadInput(task.node.id, name, _misfit(schema, inputs[name]))
        elif port.required:
            raise BadInput(task.node.id, name, "it is required and nothing gives it a value")
        else:
            inputs[name] = deepcopy(port.default)
    return inputs


def _accepted_outputs(
    task: NodeTask, ports: Mapping[str, tuple[Port, Schema]], given: Mapping[str, Value]
) -> dict[str, Value]:
    outputs: dict[str, Value] = {}
    for name in given:
        if name not in ports:
            raise BadOutput(task.node.id, name, "the body gave it, but there is no such port")
    for name, (port, schema) in ports.items():
        if name in given:
            if not schema.accepts(given[name]):
                raise BadOutput(task.node.id, name, _misfit(schema, given[name]))
            outputs[name] = given[name]
        elif port.required:
            raise BadOutput(task.node.id, name, "the body did not give it a value")
        else:
            outputs[name] = port.default
    return outputs


def _misfit(schema: Schema, value: Value) -> str:
    fault = schema.faults(value, limit=1)[0]
    return f"{fault.message} (at {fault.pointer})" if fault.pointer else fault.message
