"""What a sandboxed process may have, and what this machine can enforce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

#: What a process gets of the host's environment: where things are and how to speak to the user,
#: never keys, tokens or settings of Python. Names that end in `*` are prefixes.
PASSED_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "OMP_NUM_THREADS",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
)


class LayerState(StrEnum):
    """What is true of a layer of protection."""

    ENFORCED = "enforced"
    DEGRADED = "degraded"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of protection; `reason` says why it is not whole."""

    name: str
    state: LayerState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Every layer, in the order in which a process would enter them."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What to start and with what. `environment` is added to the few variables that are passed
    on from the host."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def probe() -> Capabilities:
    """What a process started here is kept from. In this version it runs with the user's rights."""
    not_built = "not part of this version: an extension has your user's rights"
    return Capabilities(
        (
            Layer("session", LayerState.ENFORCED),
            Layer("descriptors", LayerState.ENFORCED),
            Layer("environment", LayerState.ENFORCED),
            Layer(
                "cleanup",
                LayerState.DEGRADED,
                "a program that leaves its session outlives a host that is killed, and any host "
                "if it also wipes its environment",
            ),
            Layer("files", LayerState.ABSENT, not_built),
            Layer("network", LayerState.ABSENT, not_built),
            Layer("system calls", LayerState.ABSENT, not_built),
            Layer("memory and processor", LayerState.ABSENT, not_built),
        )
    )


def clean_environment(host: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The allowed part of the host's environment, then `extra`."""
    exact = {name for name in PASSED_VARIABLES if not name.endswith("*")}
    prefixes = tuple(name[:-1] for name in PASSED_VARIABLES if name.endswith("*"))
    passed = {
        name: value for name, value in host.items() if name in exact or name.startswith(prefixes)
    }
    return passed | dict(extra)
