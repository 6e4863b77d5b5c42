from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.logging import get_logger
from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.execution import (
    BodyContext,
    NodeFinished,
    NodeState,
    NodeTiming,
    Recorded,
    RunFinished,
    RunState,
    fold,
)
from symphony.pit.tracker import NodeProgress, RunControl, RunExists
from symphony.testing import FakeClock
from symphony.workflow import InputsInvalid, Workflow, dumps, loads
from tests.pit.tracker.playing import (
    Function,
    Functions,
    Gate,
    Stage,
    on_stage,
    operator,
    sink,
    source,
    workflow,
)
from tests.strategies import dags, graph_of

BIG = "x" * 5000


class BodyBroke(SymphonyError):
    code = "test.broke"
    category = Category.IO

    def __init__(self) -> None:
        super().__init__("It broke.", hint="Mend it.")


async def breaks(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
    raise BodyBroke


async def adds(inputs: Mapping[str, Value], _: BodyContext) -> Mapping[str, Value]:
    return {"value": sum(value for value in inputs.values() if isinstance(value, int))}


def gives(value: Value) -> Function:
    async def body(_: Mapping[str, Value], __: BodyContext) -> Mapping[str, Value]:
        return {"value": value}

    return body


def states(stage_status: object) -> dict[str, str]:
    nodes = getattr(stage_status, "nodes")  # noqa: B009
    return {name: str(node.state) for name, node in nodes.items()}
