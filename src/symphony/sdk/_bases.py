"""What an extension's class derives from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symphony.sdk._context import Context


class Operator:
    """A utility: `run` is called once per node, with a keyword argument for each input port.

    One instance serves many calls, one after the other, always on the main thread. If the
    manifest has one output and it is named `value`, what `run` returns is that value; otherwise
    `run` returns a dict with a value for each output port. Dataclasses, msgspec structs, tuples
    and the like become plain JSON values on the way.
    """

    #: Declared as a callable, since each extension gives it keyword arguments of its own.
    run: Callable[..., object]


class Instrument(Operator):
    """A model or another thing that is costly to prepare: loaded once, before the first `run`."""

    def load(self, context: Context) -> None:
        """Prepare. Nothing can be called before it returns; an exception ends the process."""

    def unload(self) -> None:
        """Let go of what `load` took. Not called when the process is killed or crashes."""
