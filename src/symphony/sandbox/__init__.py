"""Processes for code that is not ours: start one, talk to it, be sure that it is gone.

What this version enforces and what it does not is in `probe()` and in each process's `report`.
"""

from __future__ import annotations

from symphony.sandbox._errors import SandboxError, SpawnFailed
from symphony.sandbox._policy import Capabilities, Layer, LayerState, Policy, probe
from symphony.sandbox._process import CHANNEL_VARIABLE, SandboxedProcess, spawn

__all__ = (
    "CHANNEL_VARIABLE",
    "Capabilities",
    "Layer",
    "LayerState",
    "Policy",
    "SandboxError",
    "SandboxedProcess",
    "SpawnFailed",
    "probe",
    "spawn",
)
