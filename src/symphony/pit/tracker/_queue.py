"""Who may start next, of those that could: by rank, within what there is of everything. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Final

import msgspec

from symphony.workflow import Resources

#: Slots of a name for which no number is set.
_SLOTS: Final = 1


class Limits(msgspec.Struct, frozen=True):
    """How much may run at a time: nodes, cores, memory, and slots by name. 0: no limit."""

    nodes: int = 16
    cpu: float = 0.0
    memory_mb: int = 0
    slots: Mapping[str, int] = {}


class Queue:
    """Nodes wait in it until `take` gives them out, and with them a place that is to be given back.

    A node that needs more than there is at all waits until nothing else has any of it.
    """

    def __init__(self, limits: Limits) -> None:
        self.limit = limits.nodes
        self.busy = 0
        self._limits = limits
        self._heap: list[tuple[int, int]] = []
        self._needs: dict[int, Resources] = {}
        self._used: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def has_room(self, count: int) -> bool:
        """Whether nobody waits, and so many may start that need nothing but a place."""
        return not self._heap and self.busy + count <= self.limit

    def put(self, rank: int, number: int, needs: Resources | None = None) -> None:
        heappush(self._heap, (rank, number))
        if needs is not None:
            self._needs[number] = needs

    def take(self) -> int:
        """The first that fits, or -1."""
        if self.busy >= self.limit:
            return -1
        passed: list[tuple[int, int]] = []
        found = -1
        while self._heap:
            entry = heappop(self._heap)
            needs = self._needs.get(entry[1]) if self._needs else None
            if needs is None or self._fits(needs):
                found = entry[1]
                self.busy += 1
                if needs is not None:
                    self._use(needs, 1)
                break
            passed.append(entry)
        for entry in passed:
            heappush(self._heap, entry)
        return found

    def give_back(self, number: int) -> None:
        self.busy -= 1
        needs = self._needs.pop(number, None) if self._needs else None
        if needs is not None:
            self._use(needs, -1)

    def drop(self, number: int) -> None:
        """It will not start after all."""
        self._heap = [entry for entry in self._heap if entry[1] != number]
        self._heap.sort()
        self._needs.pop(number, None)

    def clear(self) -> None:
        for _, number in self._heap:
            self._needs.pop(number, None)
        self._heap.clear()

    def _fits(self, needs: Resources) -> bool:
        for name, amount in _amounts(needs):
            used = self._used.get(name, 0.0)
            total = self._total(name)
            if used and total and used + amount > total:
                return False
        return True

    def _total(self, name: str) -> float:
        if name == "cpu":
            return self._limits.cpu
        if name == "memory_mb":
            return self._limits.memory_mb
        return self._limits.slots.get(name.removeprefix("slot "), _SLOTS)

    def _use(self, needs: Resources, sign: int) -> None:
        for name, amount in _amounts(needs):
            self._used[name] = self._used.get(name, 0.0) + sign * amount


def _amounts(needs: Resources) -> list[tuple[str, float]]:
    amounts = [(f"slot {name}", float(count)) for name, count in needs.slots.items()]
    if needs.cpu:
        amounts.append(("cpu", needs.cpu))
    if needs.memory_mb:
        amounts.append(("memory_mb", float(needs.memory_mb)))
    return amounts
