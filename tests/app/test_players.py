from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.engines.test_local import Silent, waits_for_ever

from symphony.app._players import Players
from symphony.engines import BodyTimeout, LocalEngine
from symphony.extensions import discover, open_host
from symphony.pit.tracker import NodeTask
from symphony.workflow import Node, NodeId, NodeKind

SAMPLES = Path(__file__).parent.parent / "samples"


def task(timeout_s: float | None, gate: Path) -> NodeTask:
    node = Node(NodeId("n"), NodeKind.INSTRUMENT, use="slow", timeout_s=timeout_s)
    return NodeTask("run-1", node, 1, {"steps": 1, "gate": str(gate)})


@pytest.mark.slow
def test_node_has_its_own_time_however_long_its_extension_was_busy(tmp_path: Path) -> None:
    gates = [tmp_path / "first", tmp_path / "second"]
    for gate in gates:
        os.mkfifo(gate)
    found = {each.folder.name: each for each in discover([SAMPLES])}

    async def main() -> None:
        async with open_host() as host:
            players = Players({}, found.values(), host)
            engine = LocalEngine(players.body, players)
            first, second = (
                asyncio.create_task(engine.run(task(limit, gate), Silent()))
                for gate, limit in zip(gates, [None, 1.0], strict=True)
            )
            # When this one is stopped, the time of the second call has passed too.
            with pytest.raises(BodyTimeout):
                await LocalEngine(lambda _, __: waits_for_ever, players).run(
                    task(1.5, gates[0]), Silent()
                )
            assert not second.done()
            for gate in gates:
                await asyncio.to_thread(gate.write_text, "go\n")
            assert [await first, await second] == [{"value": 1}, {"value": 1}]

    asyncio.run(main())
