"""For the tests of whoever builds on Symphony: fakes that keep the promises of the real thing."""

from __future__ import annotations

from symphony.testing._clock import FakeClock

__all__ = ("FakeClock",)
