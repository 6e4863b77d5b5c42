"""How nodes that come while a run goes on are named: by the path to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symphony.execution._events import NodesAdded


def inner_names(added: NodesAdded, body: Sequence[str]) -> Iterator[str]:
    """The names of the nodes that this event adds, those of the first place first."""
    for prefix in prefixes(added):
        for name in body:
            yield prefix + name


def prefixes(added: NodesAdded) -> Iterator[str]:
    """What stands before the names of each of its `count` times."""
    if added.start is None:
        yield f"{added.node}."
        return
    for place in range(added.start, added.start + added.count):
        yield f"{added.node}[{place}]."
