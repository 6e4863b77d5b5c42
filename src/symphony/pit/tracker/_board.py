"""Where every node of a run stands: dense lists by number, which grow as nodes come. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from symphony.commons.errors import ErrorRecord
from symphony.execution import NodesAdded, NodeState, prefixes
from symphony.pit.tracker._plan import Plan, Plans

# What a node does, as small numbers: those of `NodeState`, and two that only the tracker knows.
PENDING: Final = 0
QUEUED: Final = 1
#: Its conditions are being looked at.
WEIGHING: Final = 2
RUNNING: Final = 3
#: Other nodes carry it out; it takes no place itself.
NESTING: Final = 4
RETRYING: Final = 5
RECOVERING: Final = 6
WAITING: Final = 7
COMPLETED: Final = 8
CACHED: Final = 9
FAILED: Final = 10
SKIPPED: Final = 11
CANCELLED: Final = 12
#: All from here on are ends.
ENDED: Final = COMPLETED

SHOWN: Final = {
    PENDING: NodeState.PENDING,
    QUEUED: NodeState.QUEUED,
    WEIGHING: NodeState.PENDING,
    RUNNING: NodeState.RUNNING,
    NESTING: NodeState.RUNNING,
    RETRYING: NodeState.RETRYING,
    RECOVERING: NodeState.RECOVERING,
    WAITING: NodeState.WAITING,
    COMPLETED: NodeState.COMPLETED,
    CACHED: NodeState.CACHED,
    FAILED: NodeState.FAILED,
    SKIPPED: NodeState.SKIPPED,
    CANCELLED: NodeState.CANCELLED,
}

_FAR: Final = 1 << 64
_NEAR: Final = 1 << 20


class Instance:
    """One use, item or round of a workflow: its nodes are those from `base` on.

    `parent` is the node that it carries out (-1: it is the run's own), `place` its item or round;
    `open` counts the nodes that have not ended, without those set aside.
    """

    __slots__ = ("base", "failed", "open", "parent", "place", "plan")

    def __init__(self, plan: Plan, base: int, parent: int, place: int) -> None:
        self.plan = plan
        self.base = base
        self.parent = parent
        self.place = place
        self.open = plan.size - len(plan.aside)
        self.failed: tuple[str, ErrorRecord] | None = None


class Nest:
    """How far a node is that others carry out: `added` of `total` times, `live` of them now."""

    __slots__ = ("added", "failed", "instances", "live", "total")

    def __init__(self) -> None:
        self.added = 0
        self.total = 0
        self.live = 0
        self.instances: list[Instance] = []
        self.failed: tuple[str, ErrorRecord] | None = None


class Board:
    """`waiting[n]` counts the edges into a node whose source has not ended, `dead[n]` those that
    bring nothing."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans
        self.names: list[str] = []
        self.numbers: dict[str, int] = {}
        self.states = bytearray()
        self.waiting: list[int] = []
        self.dead: list[int] = []
        self.attempts: list[int] = []
        self.instances: list[Instance] = []
        #: Of nodes that could start, the one of the lowest does.
        self.ranks: list[int] = []
        self.nests: dict[int, Nest] = {}
        self.root = self.add(plans.root, -1, 0, "")

    def add(self, plan: Plan, parent: int, place: int, prefix: str) -> Instance:
        base = len(self.names)
        names = [prefix + name for name in plan.names] if prefix else plan.names
        instance = Instance(plan, base, parent, place)
        if parent < 0:
            self.ranks.extend(rank * _FAR for rank in plan.ranks)
        else:
            # After those of what was added before, so that what has begun ends early.
            first = self.ranks[parent] // _FAR * _FAR + (base + 1) * _NEAR
            self.ranks.extend(first + rank for rank in plan.ranks)
        self.names.extend(names)
        self.numbers.update(zip(names, range(base, base + plan.size), strict=True))
        self.states.extend(bytes(plan.size))
        self.waiting.extend(plan.waits)
        self.dead.extend([0] * plan.size)
        self.attempts.extend([0] * plan.size)
        self.instances.extend([instance] * plan.size)
        return instance

    def unfold(self, number: int, nest: Nest, added: NodesAdded) -> list[Instance]:
        """Take in what carries a node out."""
        plan, first = self.plans[added.body], added.start or 0
        new = [
            self.add(plan, number, first + each, prefix)
            for each, prefix in enumerate(prefixes(added))
        ]
        nest.instances.extend(new)
        nest.added += len(new)
        nest.live += len(new)
        nest.total = added.total
        return new

    def inside(self, instance: Instance) -> Iterable[int]:
        return range(instance.base, instance.base + instance.plan.size)
