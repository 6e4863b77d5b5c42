from __future__ import annotations

import asyncio

import pytest

from symphony.commons.tasks import task_scope


async def fail(error: BaseException) -> None:
    raise error


def test_a_lone_failure_arrives_as_itself_with_its_cause() -> None:
    cause = OSError("disk")
    error = ValueError("broken")
    error.__cause__ = cause

    async def main() -> None:
        async with task_scope() as tasks:
            tasks.create_task(fail(error))

    with pytest.raises(ValueError, match="broken") as caught:
        asyncio.run(main())
    assert caught.value is error
    assert caught.value.__cause__ is cause


def test_a_failure_of_the_block_arrives_as_itself() -> None:
    async def main() -> None:
        async with task_scope():
            raise KeyError("block")

    with pytest.raises(KeyError):
        asyncio.run(main())


def test_two_failures_arrive_together() -> None:
    async def main() -> None:
        async with task_scope() as tasks:
            tasks.create_task(fail(ValueError("one")))
            tasks.create_task(fail(KeyError("two")))

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


def test_nested_scopes_unwrap_a_lone_failure_all_the_way() -> None:
    async def main() -> None:
        async with task_scope() as outer:

            async def inside() -> None:
                async with task_scope() as inner:
                    inner.create_task(fail(LookupError("deep")))

            outer.create_task(inside())

    with pytest.raises(LookupError, match="deep"):
        asyncio.run(main())


def test_a_failure_cancels_the_siblings_and_waits_for_them() -> None:
    ended: list[str] = []

    async def sibling() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("sibling")

    async def main() -> None:
        async with task_scope() as tasks:
            tasks.create_task(sibling())
            tasks.create_task(fail(ValueError("broken")))

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(main())
    assert ended == ["sibling"]


def test_without_failures_results_are_there_after_the_block() -> None:
    async def double(number: int) -> int:
        return 2 * number

    async def main() -> list[int]:
        async with task_scope() as tasks:
            running = [tasks.create_task(double(number)) for number in range(3)]
        return [task.result() for task in running]

    assert asyncio.run(main()) == [0, 2, 4]


def test_cancellation_from_outside_stays_a_cancellation() -> None:
    async def scope(begun: asyncio.Event) -> None:
        async with task_scope() as tasks:
            tasks.create_task(asyncio.Event().wait())
            begun.set()

    async def main() -> bool:
        begun = asyncio.Event()
        task = asyncio.create_task(scope(begun))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
