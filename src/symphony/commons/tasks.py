"""A task group whose lone failure arrives as itself, so that `except StoreFull:` works.

`asyncio.TaskGroup` wraps even a single error in an `ExceptionGroup`; every caller up the stack
would then need `except*`. Two or more failures still arrive together as a group: none is lost.
"""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def task_scope() -> AsyncIterator[TaskGroup]:
    """Wait for every task started in the block; the first failure cancels the others."""
    try:
        async with TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        lone = group.exceptions[0]
        raise lone from lone.__cause__
