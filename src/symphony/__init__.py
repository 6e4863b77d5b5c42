"""Symphony: compose AI models and tools into workflows that run on your own machine."""

from __future__ import annotations

from symphony._version import __version__

__all__ = ("__version__",)
