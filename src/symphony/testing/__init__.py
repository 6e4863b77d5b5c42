"""For the tests of whoever builds on Symphony: fakes that keep the promises of the real thing, and
suites that say whether something of yours keeps them too."""

from __future__ import annotations

from symphony.testing._clock import FakeClock
from symphony.testing._transports import CONNECTION_CHECKS, LISTENER_CHECKS, Nonconformant
from symphony.testing._wires import ListeningWire, Recorder, Wire

__all__ = (
    "CONNECTION_CHECKS",
    "LISTENER_CHECKS",
    "FakeClock",
    "ListeningWire",
    "Nonconformant",
    "Recorder",
    "Wire",
)
