from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

from symphony.workflow import Case, Edge, EdgeKind, Node, NodeId, NodeKind, PortRef, Workflow


def node(name: str, kind: NodeKind = NodeKind.OPERATOR, **more: object) -> Node:
    use = "any" if kind in (NodeKind.OPERATOR, NodeKind.INSTRUMENT) else ""
    return Node(NodeId(name), kind, **{"use": use, **more})  # type: ignore[arg-type]


def edge(source: str, target: str, **more: object) -> Edge:
    return Edge(PortRef.parse(source), PortRef.parse(target), **more)  # type: ignore[arg-type]


def chain(count: int) -> Workflow:
    names = [f"s{number}" for number in range(count)]
    edges = (edge(*pair) for pair in pairwise(names))
    return Workflow("chain", tuple(map(node, names)), tuple(edges))


def fan(count: int) -> Workflow:
    names = [f"s{number}" for number in range(count)]
    ends = (node("start", NodeKind.INPUT), node("end", NodeKind.JOIN))
    return Workflow(
        "fan",
        (*map(node, names), *ends),
        tuple(e for name in names for e in (edge("start", name), edge(name, f"end.{name}"))),
    )


def tangle(count: int, seed: int = 1, span: int = 12) -> Workflow:
    """A graph without cycles, as workflows are: most edges short, some long, several ports."""
    dice = random.Random(seed)
    kinds = [NodeKind.OPERATOR] * 5 + [NodeKind.INSTRUMENT, NodeKind.BRANCH, NodeKind.MERGE]
    nodes = [node(f"n{number}", dice.choice(kinds)) for number in range(count)]
    pairs: set[tuple[int, int]] = set()
    for number in range(1, count):
        for _ in range(dice.choice((1, 1, 2, 3))):
            pairs.add((dice.randrange(max(0, number - span), number), number))
    edges = (
        edge(f"n{source}.out{dice.randrange(2)}", f"n{target}.in{source}")
        for source, target in sorted(pairs)
    )
    return Workflow("tangle", tuple(nodes), tuple(edges), name=f"{count} nodes")


def gallery() -> Workflow:
    """A branch, a map over a nested workflow, a condition, an order, a fallback."""
    inner = Workflow(
        "resize",
        (node("item", NodeKind.INPUT), node("scale"), node("picture", NodeKind.OUTPUT)),
        (edge("item", "scale.image"), edge("scale", "picture")),
        name="Make one picture smaller",
    )
    cases = (Case("many", "size(value) > 10"), Case("few", "size(value) > 0"))
    nodes: Iterable[Node] = (
        node("folder", NodeKind.INPUT, schema={"type": "string"}, default="."),
        node("find", title="Find the pictures"),
        node("enough", NodeKind.BRANCH, cases=cases),
        node("shrink", NodeKind.MAP, use="resize"),
        node("ask", NodeKind.WAIT),
        node("pick", NodeKind.MERGE),
        node("warm"),
        node("page", NodeKind.OUTPUT),
    )
    return Workflow(
        "gallery",
        tuple(nodes),
        (
            edge("folder", "find.folder"),
            edge("find.files", "enough"),
            edge("enough.many", "shrink.items"),
            edge("enough.few", "ask.context"),
            edge("shrink.picture", "pick.a"),
            edge("ask", "pick.b", when="value != null"),
            edge("warm", "page", kind=EdgeKind.CONTROL),
            edge("pick", "page"),
        ),
        name="Picture gallery",
        workflows={"resize": inner},
    )


#: Texts that would do harm if they were not written as text.
HOSTILE = (
    "\x1b[31mred",
    "a\nb\r\tc",
    "</text><script>alert(1)</script>",
    '"];end\nx --> y',
    "&amp;<!-- ]]>",
    "\u202eright to left\u2066",
    "\ufffe\x00\x85",
    "漢字カナ🎼é" * 20,
    "",
)


def hostile(text: str) -> Workflow:
    nodes = (
        node("a", title=text, description=text, use=text or "x"),
        Node(NodeId(text), NodeKind.INSTRUMENT, use=text),
        node("b", NodeKind.BRANCH, cases=(Case(text, text), Case("x", text))),
    )
    edges = (
        Edge(PortRef(NodeId("a"), text), PortRef(NodeId("b"), text), when=text, label=text),
        Edge(PortRef(NodeId("b"), text), PortRef(NodeId(text), "value", text)),
        Edge(PortRef(NodeId(text), "x"), PortRef(NodeId("nowhere"), text)),
    )
    return Workflow(text, nodes, edges, name=text, description=text)
