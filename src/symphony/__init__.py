"""Symphony: compose AI models and tools into workflows that run on your own machine.

async with symphony.open() as house:
    run = await house.run(workflow, {"name": "Ada"})
    status = await run.result()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from symphony._version import __version__

if TYPE_CHECKING:
    from symphony.app import open_symphony as open  # noqa: A004
    from symphony.operators import operator

__all__ = ("__version__", "open", "operator")

#: Imported on first use, so that `import symphony` and `symphony --help` stay cheap.
_LAZY = {"open": ("symphony.app", "open_symphony"), "operator": ("symphony.operators", "operator")}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'symphony' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
