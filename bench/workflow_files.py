"""Workflow files: how long reading and writing takes, and how large they are.

`rows(seed, repeat)` is for bench/workflow.py. The workflow has 10,000 nodes with parameters, titles
and positions, and 20,000 edges between nodes that are near each other; every figure is the median
of `repeat` passes, in which all take turns. The peer of a format is what one would write without
us: `json` of the standard library with an indent, and its own library for each other format, all
of plain values and so without any check of shape.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from symphony.workflow import (
    Compression,
    Edge,
    Format,
    Node,
    NodeId,
    NodeKind,
    PortRef,
    Workflow,
    decode,
    dumps,
    encode,
    loads,
    validate,
)

Row = dict[str, str | float | bool | None]

NODES, EDGES, SMALL = 10_000, 20_000, 20
TOOLS = ("text.template", "list.map", "files.walk", "http.request", "value.expression")
WORDS = ("Fetch", "Clean", "Merge", "Embed", "Rank", "Summarize", "Publish", "Check")


def generated(seed: int, nodes: int, edges: int) -> Workflow:
    """A workflow as large ones are: many nodes of few kinds, edges between neighbours."""
    draw = random.Random(seed)
    listed = tuple(_node(draw, number) for number in range(nodes))
    return Workflow(
        "large",
        listed,
        tuple(_edge(draw, listed, number) for number in range(edges)),
        name="A large one",
        version="1.0.0",
    )


def _node(draw: random.Random, number: int) -> Node:
    params: dict[str, Any] = {
        0: {"pattern": "**/*.py", "limit": draw.randrange(1000)},
        1: {"template": f"Part {number}: {{{{ value }}}}", "strict": True},
        2: {"expression": f"item.score > {draw.random():.3f}", "limit": 20},
        3: {},
    }[number % 4]
    return Node(
        NodeId(f"step-{number:05d}"),
        NodeKind.OPERATOR,
        use=draw.choice(TOOLS),
        params=params,
        timeout_s=draw.choice((None, None, 30.0)),
        title=f"{draw.choice(WORDS)} {number}",
        position=(float(draw.randrange(5000)), float(draw.randrange(5000))),
    )


def _edge(draw: random.Random, nodes: tuple[Node, ...], number: int) -> Edge:
    target = draw.randrange(1, len(nodes))
    source = draw.randrange(max(0, target - 50), target)
    return Edge(
        PortRef(nodes[source].id, draw.choice(("value", "items", "text"))),
        PortRef(nodes[target].id, f"in{number % 7}"),
    )


class NoCatalog:
    """Knows no operator: what is measured is the validation, not somebody's catalog."""

    def signature(self, kind: NodeKind, use: str) -> None:
        return None

    def names(self, kind: NodeKind) -> list[str]:
        return []


def medians(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Milliseconds of each; they take turns."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            spent[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(times) for name, times in spent.items()}


def row(
    measure: str, ours: float, peer: float | None, peer_name: str, goal: str = "", limit: float = 0
) -> Row:
    return {
        "measure": measure,
        "ours": round(ours, 4),
        "peer": None if peer is None else round(peer, 4),
        "peer_name": peer_name,
        "ratio": None if not peer else round(ours / peer, 3),
        "goal": goal or None,
        "met": ours <= limit if goal else None,
    }


def rows(seed: int = 1, repeat: int = 7) -> list[Row]:
    large = generated(seed, NODES, EDGES)
    return [
        *_json_rows(large, repeat),
        *_size_rows(large),
        *_format_rows(large, repeat),
        *_small_rows(seed, repeat),
    ]


def _json_rows(large: Workflow, repeat: int) -> list[Row]:
    text = dumps(large)
    plain = json.loads(text)
    took = medians(
        {
            "load": lambda: loads(text),
            "peer load": lambda: json.loads(text),
            "dump": lambda: dumps(large),
            "peer dump": lambda: json.dumps(plain, indent=2),
        },
        repeat,
    )
    name = "json, plain values"
    return [
        row("load JSON, ms", took["load"], took["peer load"], name, "<= 60 ms", 60),
        row("dump JSON, ms", took["dump"], took["peer dump"], f"{name}, indent", "<= 30 ms", 30),
    ]


def _size_rows(large: Workflow) -> list[Row]:
    text = len(dumps(large))
    compact = len(encode(large, Format.COMPACT))
    packed = len(encode(large, Format.COMPACT, Compression.ZSTD))
    rows = [
        row("compact file, MB", compact / 1e6, text / 1e6, "our JSON", "<= 0.5x", text / 2e6),
        row(
            "compact with Zstandard, MB",
            packed / 1e6,
            compact / 1e6,
            "compact",
            "<= 0.7x",
            compact * 0.7 / 1e6,
        ),
    ]
    for form in (Format.JSON, Format.YAML, Format.TOML, Format.MSGPACK):
        for compression in (Compression.NONE, Compression.LZ4, Compression.ZSTD):
            size = len(encode(large, form, compression))
            rows.append(row(f"{form} {compression}, MB", size / 1e6, text / 1e6, "our JSON"))
    return rows


def _format_rows(large: Workflow, repeat: int) -> list[Row]:
    """YAML and TOML take seconds, and are read once."""
    found = []
    for form in Format:
        for compression in Compression:
            slow = form in (Format.YAML, Format.TOML)
            if form is Format.JSON or (slow and compression is not Compression.NONE):
                continue
            data = encode(large, form, compression)
            calls: dict[str, Callable[[], object]] = {
                "write": partial(encode, large, form, compression),
                "read": partial(decode, data),
            }
            took = medians(calls, 1 if slow else repeat)
            for name, spent in took.items():
                found.append(row(f"{name} {form} {compression}, ms", spent, None, ""))
    return found


def _small_rows(seed: int, repeat: int) -> list[Row]:
    small = generated(seed, SMALL, 2 * SMALL)
    text = dumps(small)
    plain = json.loads(text)
    catalog = NoCatalog()
    took = medians(
        {
            "check": lambda: validate(loads(text), catalog),
            "dump": lambda: dumps(small),
            "compact": lambda: encode(small, Format.COMPACT),
            "peer": lambda: json.dumps(plain, indent=2),
            "msgpack": lambda: msgspec.msgpack.encode(plain),
        },
        repeat * 5,
    )
    return [
        row(f"{SMALL} nodes: load and validate, ms", took["check"], None, "", "< 10 ms", 10),
        row(f"{SMALL} nodes: dump JSON, ms", took["dump"], took["peer"], "json", "< 1 ms", 1),
        row(
            f"{SMALL} nodes: encode compact, ms",
            took["compact"],
            took["msgpack"],
            "msgspec MessagePack, plain values",
            "< 1 ms",
            1,
        ),
    ]
