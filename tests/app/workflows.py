"""Workflows that the tests of the app run: one that ends, one that does not."""

from __future__ import annotations

import asyncio

from symphony.operators import operator

ECHO = """{"symphony": 1, "id": "echo",
  "nodes": [{"id": "a", "kind": "input", "default": 1}, {"id": "b", "kind": "output"}],
  "edges": [{"from": "a", "to": "b"}]}"""

WAITING = """{"symphony": 1, "id": "waiting",
  "nodes": [{"id": "wait", "kind": "operator", "use": "test.wait"}, {"id": "b", "kind": "output"}],
  "edges": [{"from": "wait", "to": "b"}]}"""


@operator("test.wait")
async def wait() -> int:
    """Until it is cancelled."""
    await asyncio.Event().wait()
    return 1
