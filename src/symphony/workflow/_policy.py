"""What is to happen around a node's body: when it fails, what it needs, whether it runs at all."""

from __future__ import annotations

import msgspec

from symphony.commons.values import Value


class Retry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Try again, at most `attempts` times in all.

    The wait before the second attempt is `delay_s`, then each `factor` times the last, up to
    `max_delay_s`, less a random part of at most `jitter` of it. `on` are codes of errors, or their
    beginnings up to a dot; without any, each error counts.
    """

    attempts: int = 3
    delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: float = 0.1
    on: tuple[str, ...] = ()


class Fallback(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What stands in when the last attempt has failed: `node`, which runs only then and whose
    outputs are handed on, or else `value`, an object by output port."""

    node: str = ""
    value: dict[str, Value] | msgspec.UnsetType = msgspec.UNSET


class Skip(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Do not run if `when`, CEL over the node's inputs, holds; hand on `value`, an object by output
    port, instead. Without a value, the edges out of it are dead."""

    when: str
    value: dict[str, Value] | msgspec.UnsetType = msgspec.UNSET


class Resources(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a node takes while it runs: cores, memory, and of `slots`, counted by names of the
    user's own."""

    cpu: float = 0.0
    memory_mb: int = 0
    slots: dict[str, int] = {}


class Policy(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the tracker treats a node. `priority`: higher starts first. `cache` false: never take a
    result of an earlier run; None: as the operator says. `once`: never run a second time without a
    decision, even after a crash. `compensate`: the node that undoes this one if the run fails."""

    retry: Retry | None = None
    fallback: Fallback | None = None
    skip: Skip | None = None
    resources: Resources = Resources()
    priority: int = 0
    cache: bool | None = None
    once: bool = False
    compensate: str = ""
