from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from symphony.commons import blocking

colour: ContextVar[str] = ContextVar("colour", default="none")
both_ways = pytest.mark.parametrize("run", [blocking.run, blocking.run_abandonable])


class Gate:
    """A function that says when it has begun, and ends when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = False

    def __call__(self, error: Exception | None = None) -> str:
        self.begun.set()
        assert self.may_end.wait(30)
        self.ended = True
        if error is not None:
            raise error
        return "done"


@both_ways
def test_result_and_arguments_pass_through(run: object) -> None:
    assert callable(run)
    assert asyncio.run(run(divmod, 17, 5)) == (3, 2)
    assert asyncio.run(run(sorted, [1, 3, 2], reverse=True)) == [3, 2, 1]


@both_ways
def test_it_runs_in_another_thread_with_the_callers_context(run: object) -> None:
    assert callable(run)

    def look() -> tuple[str, int]:
        return colour.get(), threading.get_ident()

    async def main() -> tuple[str, int]:
        colour.set("green")
        found: tuple[str, int] = await run(look)
        return found

    seen, thread = asyncio.run(main())
    assert seen == "green"
    assert thread != threading.get_ident()


@both_ways
def test_an_error_arrives_as_itself(run: object) -> None:
    assert callable(run)
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(run(int, "x"))


@both_ways
def test_stop_iteration_does_not_hang_the_caller(run: object) -> None:
    assert callable(run)
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        asyncio.run(run(next, iter(())))
    assert isinstance(caught.value.__cause__, StopIteration)


def test_cancelling_waits_for_work_that_has_begun() -> None:
    gate = Gate()

    async def main() -> bool:
        task = asyncio.create_task(blocking.run(gate))
        await blocking.run(gate.begun.wait, 30)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        gate.may_end.set()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert gate.ended


def test_a_failure_after_cancelling_is_the_cause() -> None:
    gate = Gate()
    error = OSError("too late")

    async def main() -> BaseException | None:
        task = asyncio.create_task(blocking.run(gate, error))
        await blocking.run(gate.begun.wait, 30)
        task.cancel()
        gate.may_end.set()
        try:
            await task
        except asyncio.CancelledError as cancelled:
            return cancelled.__cause__
        return None

    assert asyncio.run(main()) is error


def test_cancelled_before_it_began_it_never_runs() -> None:
    """More gates than the pool has threads, so that the last call has to wait for one."""
    gates = [Gate() for _ in range(40)]
    ran: list[str] = []

    async def main() -> None:
        blockers = [asyncio.create_task(blocking.run(gate)) for gate in gates]
        late = asyncio.create_task(blocking.run(ran.append, "late"))
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        for gate in gates:
            gate.may_end.set()
        await asyncio.gather(*blockers)

    asyncio.run(main())
    assert ran == []


def test_a_time_limit_lets_go_of_an_abandonable_call_at_once() -> None:
    gate = Gate()

    async def main() -> None:
        try:
            async with asyncio.timeout(0):
                await blocking.run_abandonable(gate)
        finally:
            assert not gate.ended

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    gate.may_end.set()


def test_an_abandoned_call_may_fail_after_its_loop_is_gone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    gate = Gate()
    before = set(threading.enumerate())

    async def main() -> None:
        task = asyncio.create_task(blocking.run_abandonable(gate, OSError("late")))
        await blocking.run(gate.begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    left = [t for t in set(threading.enumerate()) - before if t.name == "symphony-abandonable"]
    assert len(left) == 1
    gate.may_end.set()
    left[0].join(30)
    assert not left[0].is_alive()
    assert capfd.readouterr() == ("", "")


def test_a_hanging_abandoned_call_does_not_keep_the_process() -> None:
    program = """
import asyncio, threading
from symphony.commons import blocking
async def main():
    async with asyncio.timeout(0.01):
        await blocking.run_abandonable(threading.Event().wait)
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("TimeoutError")
