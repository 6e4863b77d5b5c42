"""What a node does that no engine runs: inputs and outputs, the ways of values, nodes in nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.execution import NodeWaiting
from symphony.pit.tracker._board import Board, Instance
from symphony.pit.tracker._conditions import holds, over_ports
from symphony.pit.tracker._effects import Unfold, Weighed
from symphony.pit.tracker._errors import MapTooLong, OutputInvalid
from symphony.pit.tracker._values import Held, Spilled, Values
from symphony.workflow import (
    DEFAULT_PORT,
    INDEX,
    ITEM,
    ITEMS,
    OTHERWISE,
    ROUND,
    ROUNDS,
    Node,
    NodeKind,
)

#: Of a map that says nothing itself.
MOST_ITEMS: Final = 10_000


class Steps:
    """Of one run. Each step gives the outputs of a node by port, or what happens instead."""

    def __init__(
        self, run_id: str, board: Board, values: Values, inputs: Mapping[str, Value]
    ) -> None:
        self._run_id = run_id
        self._board = board
        self._values = values
        self._inputs = inputs
        self._frames: dict[int, dict[str, Value]] = {}
        self._schemas: dict[int, Schema] = {}
        self.kinds: dict[
            NodeKind, Callable[[int, Node], Awaitable[Mapping[str, Held] | Unfold | NodeWaiting]]
        ] = {
            NodeKind.INPUT: self._input,
            NodeKind.OUTPUT: self._output,
            NodeKind.BRANCH: self._branch,
            NodeKind.MERGE: self._merge,
            NodeKind.JOIN: self._join,
            NodeKind.WAIT: self._wait,
            NodeKind.WORKFLOW: self._use,
            NodeKind.MAP: self._map,
            NodeKind.LOOP: self._loop,
        }

    # ---- inputs and outputs ----

    async def _input(self, number: int, node: Node) -> Mapping[str, Held]:
        instance = self._board.instances[number]
        if instance.parent < 0:
            return {DEFAULT_PORT: self._inputs[node.id]}
        return {DEFAULT_PORT: await self._given(instance, node)}

    async def _given(self, instance: Instance, node: Node) -> Held:
        """What the node around an instance gives to an input of it."""
        above = self._board.instances[instance.parent]
        kind = above.plan.kinds[instance.parent - above.base]
        frame = await self._frame(instance.parent)
        if kind is NodeKind.MAP and node.id == ITEM:
            return _list(frame[ITEMS])[instance.place]
        if kind is NodeKind.MAP and node.id == INDEX:
            return instance.place
        if kind is NodeKind.LOOP and node.id == ROUND:
            return instance.place
        if kind is NodeKind.LOOP and instance.place > 1:
            before = self._board.nests[instance.parent].instances[instance.place - 2]
            carried = self._results(before)
            if node.id in carried:
                return carried[node.id]
        if node.id in frame:
            return frame[node.id]
        return None if node.default is msgspec.UNSET else node.default

    async def _frame(self, number: int) -> dict[str, Value]:
        """The inputs of a node that others carry out, kept while they do."""
        frame = self._frames.get(number)
        if frame is None:
            frame = self._frames[number] = await self._values.inputs(number)
        return frame

    def _results(self, instance: Instance) -> dict[str, Held]:
        """What the outputs of an instance gave, those that were not skipped."""
        return {
            name: outputs[DEFAULT_PORT]
            for name, local in instance.plan.outputs.items()
            if DEFAULT_PORT in (outputs := self._values.of(instance.base + local))
        }

    async def _output(self, number: int, node: Node) -> Mapping[str, Held]:
        # As it came, so that what is spilled already is not spilled again.
        arrived = [(feed, held) for feed, held in await self._values.alive(number) if feed.is_data]
        if len(arrived) == 1 and not arrived[0][0].member:
            held: Held = arrived[0][1]
        else:
            held = (await self._values.inputs(number)).get(DEFAULT_PORT)
        if node.schema:
            await self._require_fit(number, node, held)
        return {DEFAULT_PORT: held}

    async def _require_fit(self, number: int, node: Node, held: Held) -> None:
        schema = self._schemas.get(id(node))
        if schema is None:
            schema = self._schemas[id(node)] = Schema(node.schema)
        for fault in schema.faults(await self._values.whole(held), limit=1):
            reason = f"{fault.message} (at {fault.pointer or 'the whole value'})"
            raise OutputInvalid(self._run_id, self._board.names[number], DEFAULT_PORT, reason)

    # ---- ways ----

    async def _branch(self, number: int, node: Node) -> Mapping[str, Held]:
        inputs = await self._values.inputs(number)
        variables = over_ports(inputs)
        value = inputs.get(DEFAULT_PORT)
        for case in node.cases:
            if holds(case.when, variables):
                return {case.name: value}
        return {OTHERWISE: value}

    async def _merge(self, number: int, _: Node) -> Mapping[str, Held]:
        for feed, held in await self._values.alive(number):
            if feed.is_data:
                return {DEFAULT_PORT: held, "port": feed.port}
        return {DEFAULT_PORT: None, "port": ""}

    async def _join(self, number: int, _: Node) -> Mapping[str, Held]:
        return {DEFAULT_PORT: await self._values.inputs(number)}

    async def _wait(self, number: int, node: Node) -> NodeWaiting:
        inputs = await self._values.inputs(number)
        prompt = inputs.get("prompt", "")
        return NodeWaiting(
            self._board.names[number],
            self._board.attempts[number],
            prompt if isinstance(prompt, str) else str(prompt),
            inputs.get("context"),
            node.schema,
            node.timeout_s,  # as a moment, once it begins
        )

    async def weigh(self, number: int) -> Weighed:
        """Whether a node runs whose edges or policy have conditions."""
        instance = self._board.instances[number]
        local = number - instance.base
        plan = instance.plan
        alive = {id(feed) for feed, _ in await self._values.alive(number)}
        dead = [feed for feed in plan.feeds[local] if id(feed) not in alive]
        if dead and (not plan.merging[local] or not alive):
            return Weighed(runs=False, because=instance.base + dead[0].source)
        skip = plan.nodes[local].policy.skip
        if skip is not None and holds(skip.when, over_ports(await self._values.inputs(number))):
            outputs = None if skip.value is msgspec.UNSET else skip.value
            return Weighed(runs=False, outputs=outputs)
        return Weighed(runs=True)

    # ---- nodes in nodes ----

    async def _use(self, number: int, _: Node) -> Unfold:
        self._frames[number] = await self._values.inputs(number)
        return Unfold(1)

    async def _map(self, number: int, node: Node) -> Unfold:
        frame = self._frames[number] = await self._values.inputs(number)
        items = frame.get(ITEMS)
        if not isinstance(items, list):
            raise OutputInvalid(self._run_id, self._board.names[number], ITEMS, "it is no list")
        limit = MOST_ITEMS if node.limit is None else node.limit
        if len(items) > limit:
            raise MapTooLong(self._run_id, self._board.names[number], len(items), limit)
        return Unfold(len(items))

    async def _loop(self, number: int, _: Node) -> Unfold:
        self._frames[number] = await self._values.inputs(number)
        return Unfold(1)

    async def gather(self, number: int) -> Mapping[str, Held] | Unfold:
        """What those that carried out a node gave together; of a loop, or another round."""
        above = self._board.instances[number]
        local = number - above.base
        node, kind = above.plan.nodes[local], above.plan.kinds[local]
        nest = self._board.nests.get(number)
        instances = nest.instances if nest is not None else []
        if kind is NodeKind.MAP:
            inner = self._board.plans[above.plan.inner[local]]
            return await self._lists(list(inner.outputs), instances)
        results = self._results(instances[-1])
        if kind is NodeKind.WORKFLOW:
            return results
        rounds = len(instances)
        results[ROUNDS] = rounds
        if rounds < (node.limit or 1) and not await self._is_over(node, results):
            return Unfold(rounds + 1)
        return results

    async def _lists(self, names: list[str], instances: list[Instance]) -> dict[str, Held]:
        lists: dict[str, Held] = {}
        for name in names:
            local = self._board.plans[instances[0].plan.body].outputs[name] if instances else 0
            items: list[Value] = []
            for instance in instances:
                outputs = self._values.of(instance.base + local)
                held = outputs.get(DEFAULT_PORT)
                items.append(await self._values.whole(held) if isinstance(held, Spilled) else held)
            lists[name] = items
        return lists

    async def _is_over(self, node: Node, results: Mapping[str, Held]) -> bool:
        if not node.until:
            return False
        whole = {name: await self._values.whole(held) for name, held in results.items()}
        return holds(node.until, over_ports(whole))

    def forget(self, number: int) -> None:
        """A node that others carried out has ended."""
        self._frames.pop(number, None)


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
