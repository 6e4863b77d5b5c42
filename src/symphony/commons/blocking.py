"""Blocking work beside the event loop: the one way to run it.

Cancelling the caller cannot stop a thread. `run` therefore waits for work that has begun: a
caller that has been told "cancelled" may delete the folder or close the database under the
function's feet. Code that is not ours may hang, and a time limit on it must still hold:
`run_abandonable` lets go of it. Such a call gets a daemon thread of its own, so that one that
never ends neither occupies a place in the pool nor keeps the process from exiting; the price,
some 100 us a call for starting the thread, is the reason why not everything runs that way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a thread of a bounded pool, with a copy of the context variables.

    On cancellation a call that waits for a thread never begins; one that has begun is waited
    for, its result is dropped, and its error becomes the cause of the `CancelledError`.
    """
    job = _pool().submit(_call_in_context(function, *args, **kwargs))
    waiter = asyncio.wrap_future(job)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:
            cancelled = error
            job.cancel()
    if cancelled is not None:
        raise cancelled from (None if waiter.cancelled() else waiter.exception())
    return waiter.result()


async def run_abandonable(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a thread of its own; on cancellation leave it behind at once.

    What an abandoned call returns or raises later is dropped.
    """
    job: Future[T] = Future()
    call = _call_in_context(function, *args, **kwargs)
    thread = Thread(target=_fulfil, args=(job, call), name="symphony-abandonable", daemon=True)
    # Running futures refuse to be cancelled, so that the thread can always deliver.
    job.set_running_or_notify_cancel()
    thread.start()
    return await asyncio.wrap_future(job)


def _call_in_context(
    function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> Callable[[], T]:
    """A future cannot carry StopIteration: asyncio would never wake the caller."""
    context = copy_context()

    def call() -> T:
        try:
            return context.run(function, *args, **kwargs)
        except StopIteration as error:
            raise RuntimeError("a function run in a thread raised StopIteration") from error

    return call


def _fulfil(job: Future[T], call: Callable[[], T]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - the boundary of the thread: all goes to the caller
        job.set_exception(error)
    else:
        job.set_result(result)


@cache
def _pool() -> ThreadPoolExecutor:
    """As many threads as asyncio's own pool; never shut down, its idle threads end with us."""
    return ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4), thread_name_prefix="symphony")
