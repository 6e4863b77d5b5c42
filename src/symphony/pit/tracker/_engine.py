"""Where the bodies of nodes run: what the tracker asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from symphony.commons.values import Value
from symphony.execution import BodyContext
from symphony.workflow import Node


class NodeTask(msgspec.Struct, frozen=True, gc=False):
    """One attempt at a node. `inputs` holds, by port, what edges and parameters give; ports that
    neither feeds are missing. `path` is the node's name in the run, if others are around it."""

    run_id: str
    node: Node
    attempt: int
    inputs: Mapping[str, Value]
    path: str = ""


class Engine(Protocol):
    async def run(self, task: NodeTask, context: BodyContext) -> Mapping[str, Value]:
        """The node's outputs, a value for every port it has.

        A SymphonyError fails the node, any other exception the run. On cancellation the body has
        ended, or can do no more harm, when this raises `CancelledError`.
        """
        ...
