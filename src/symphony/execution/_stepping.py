"""The first step of a coroutine on its own: most bodies end in it, and need no more then."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


# Any: what goes between a coroutine and its event loop is their business.
@coroutine
def rest_of(started: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Await what is left of a coroutine that was begun with `send(None)` in this task, and gave
    `waits_for`."""
    try:
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                started.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is handed on as it came
                waits_for = started.throw(error)
            else:
                waits_for = started.send(sent)
    except StopIteration as end:
        value: T = end.value
        return value
