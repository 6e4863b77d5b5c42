"""ComfyUI: graphs as its editor saves them, with positions, groups, reroutes and subgraphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from symphony.workflow import Node, NodeId, NodeKind, PortRef, Workflow
from symphony.workflow.imports._comfyui import (
    ABOUT,
    add_node,
    add_outputs,
    output_port,
    value_input,
)
from symphony.workflow.imports._comfyui_widgets import widget_values
from symphony.workflow.imports._draft import Draft, port_name, slug
from symphony.workflow.imports._foreign import (
    Faults,
    list_of,
    object_of,
    position_of,
    text_of,
    whole,
)
from symphony.workflow.imports._imported import Imported, Origin

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: ComfyUI's boxes are larger than ours.
_SCALE: Final = 0.6
_NEVER: Final = 2
_BYPASSED: Final = 4
_REROUTES: Final = frozenset({"Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"})
_NOTES: Final = frozenset({"Note", "MarkdownNote"})
#: The numbers of the nodes that stand for a subgraph's own inputs and outputs.
_SUBGRAPH_INPUTS: Final = "-10"
_SUBGRAPH_OUTPUTS: Final = "-20"
_MAX_SUBGRAPHS: Final = 500


class _Link(NamedTuple):
    source: str
    slot: int
    target: str
    into: int
    type: str


class _Item(NamedTuple):
    """A node of the file."""

    key: str
    type: str
    mode: int
    value: dict[str, Value]


def import_graph(document: dict[str, Value], faults: Faults) -> Imported:
    draft = Draft(Origin.COMFYUI)
    subgraphs = _Subgraphs(document, faults)
    _Graph(draft, document, "", faults, subgraphs).read()
    draft.workflows = subgraphs.read_all(draft)
    if groups := _groups(document):
        draft.custom["groups"] = groups
    draft.note("", ABOUT)
    name = text_of(document.get("name"))
    return draft.imported(
        draft.build(slug(name, "comfyui-workflow"), name=name or "ComfyUI workflow")
    )


class _Subgraphs:
    """The definitions of a file, by their id. Each becomes one nested workflow."""

    def __init__(self, document: dict[str, Value], faults: Faults) -> None:
        self._faults = faults
        self.names: dict[str, str] = {}
        self._ports: dict[tuple[str, str], list[str]] = {}
        self.definitions: dict[str, tuple[str, dict[str, Value]]] = {}
        listed = object_of(document.get("definitions")).get("subgraphs")
        for pointer, item in faults.objects(listed, "/definitions/subgraphs", "Subgraphs"):
            key = text_of(item.get("id"))
            if key and key not in self.definitions and len(self.definitions) < _MAX_SUBGRAPHS:
                self.definitions[key] = (pointer, item)
                name = _single(slug(text_of(item.get("name")), "subgraph"), self.names.values())
                self.names[key] = name
                taken: list[str] = []
                for side in ("inputs", "outputs"):
                    self._ports[key, side] = ports = []
                    for port in map(object_of, list_of(item.get(side))):
                        ports.append(_single(slug(text_of(port.get("name")), "port"), taken))
                        taken.append(ports[-1])

    def ports(self, key: str, side: str) -> list[str]:
        """The ids of the nodes that are a subgraph's inputs or outputs."""
        return self._ports[key, side]

    def read_all(self, around: Draft) -> dict[str, Workflow]:
        found = {}
        for key, (pointer, item) in self.definitions.items():
            draft = Draft(Origin.COMFYUI)
            graph = _Graph(draft, item, pointer, self._faults, self)
            graph.add_boundary(key)
            graph.read()
            name = self.names[key]
            found[name] = draft.build(name, name=text_of(item.get("name")))
            for note in draft.notes:
                around.note(f"{name}/{note.node}" if note.node else name, note.text)
        return self._without_recursion(found, around)

    def _without_recursion(self, found: dict[str, Workflow], around: Draft) -> dict[str, Workflow]:
        """Those that use themselves, directly or through others, are told of: they cannot run."""
        uses = {
            name: {node.use for node in each.of_kind(NodeKind.WORKFLOW)}
            for name, each in found.items()
        }
        for name in found:
            reached, pending = set(uses[name]), list(uses[name])
            while pending:
                for inner in uses.get(pending.pop(), set()) - reached:
                    reached.add(inner)
                    pending.append(inner)
            if name in reached:
                around.note(name, "this subgraph uses itself, which no workflow may.")
        return found


class _Graph:
    """The nodes and links of a file or a subgraph, read into a draft."""

    def __init__(
        self,
        draft: Draft,
        document: dict[str, Value],
        pointer: str,
        faults: Faults,
        subgraphs: _Subgraphs,
    ) -> None:
        self.draft = draft
        self.subgraphs = subgraphs
        self.document = document
        self.items = {item.key: item for item in _items(document, pointer, faults)}
        self.links = list(_links(document, pointer, faults))
        self.into = {(link.target, link.into): link for link in self.links}
        self.setters = {
            _variable(item): item.key for item in self.items.values() if item.type == "SetNode"
        }
        self.boundary_in: list[NodeId] = []
        self.boundary_out: list[NodeId] = []

    def add_boundary(self, key: str) -> None:
        for kind, side, found in (
            (NodeKind.INPUT, "inputs", self.boundary_in),
            (NodeKind.OUTPUT, "outputs", self.boundary_out),
        ):
            ports = map(object_of, list_of(self.document.get(side)))
            for name, port in zip(self.subgraphs.ports(key, side), ports, strict=True):
                position = position_of(port.get("pos"), _SCALE)
                title = text_of(port.get("label"))
                found.append(
                    self.draft.add(Node(NodeId(name), kind, title=title, position=position))
                )

    def read(self) -> None:
        for item in self.items.values():
            self._node(item)
        for link in self.links:
            self._tie(link)
        self._give_defaults()
        add_outputs(self.draft)

    def _give_defaults(self) -> None:
        """An input of a subgraph that is not given falls back to the value of what it feeds."""
        fed = {edge.source.node: edge.target for edge in reversed(self.draft.edges)}
        for name in self.boundary_in:
            target = fed.get(name)
            params = self.draft.nodes[target.node].params if target else {}
            default = params.get(target.port) if target else None
            self.draft.nodes[name] = msgspec.structs.replace(
                self.draft.nodes[name], default=default
            )

    # --- nodes ---

    def _node(self, item: _Item) -> None:
        title = text_of(item.value.get("title"))
        if item.type in _NOTES:
            self._remember("notes", item, {"text": "\n".join(_texts(item))})
        elif item.mode in (_NEVER, _BYPASSED):
            state = "muted" if item.mode == _NEVER else "bypassed"
            self._remember("switched_off", item, {"type": item.type, "state": state})
            self.draft.note(title or f"{item.type} {item.key}", f"it was {state}, and left out.")
        elif item.type == "PrimitiveNode":
            self._primitive(item, title)
        elif item.type in self.subgraphs.names:
            self._subgraph(item, title)
        elif not self._is_wire(item):
            params = widget_values(item.value, item.type)
            original = {"type": item.type, "id": item.key, **_extras(item.value)}
            position = position_of(item.value.get("pos"), _SCALE)
            add_node(
                self.draft,
                item.key,
                item.type,
                title,
                params,
                original,
                is_fed=any((item.key, slot) in self.into for slot in range(2)),
                position=position,
            )

    def _remember(self, name: str, item: _Item, facts: dict[str, Value]) -> None:
        listed = self.draft.custom.setdefault(name, [])
        position = position_of(item.value.get("pos"), _SCALE)
        params = widget_values(item.value, item.type) if name == "switched_off" else {}
        if params:
            facts = {**facts, "params": dict(self.draft.harmless(item.key, params))}
        if isinstance(listed, list):
            listed.append(
                {
                    "title": text_of(item.value.get("title")),
                    **facts,
                    "position": list(position or ()),
                }
            )

    def _is_wire(self, item: _Item) -> bool:
        return item.type in _REROUTES or item.type in ("SetNode", "GetNode")

    def _primitive(self, item: _Item, title: str) -> None:
        """A value for one widget is a parameter of its node; for several, an input."""
        targets = [link for link in self.links if link.source == item.key]
        value = next(iter(list_of(item.value.get("widgets_values"))), None)
        if len(targets) > 1:
            position = position_of(item.value.get("pos"), _SCALE)
            plain = "" if title == "PrimitiveNode" else title
            value_input(self.draft, item.key, plain, value, position)

    def _subgraph(self, item: _Item, title: str) -> None:
        name = self.draft.claim(slug(f"{title or self.subgraphs.names[item.type]}-{item.key}"))
        self.draft.ids[item.key] = name
        known = self.subgraphs.ports(item.type, "inputs")
        params = {
            slug(port, "port"): value
            for port, value in widget_values(item.value, item.type).items()
        }
        node = Node(
            name,
            NodeKind.WORKFLOW,
            use=self.subgraphs.names[item.type],
            params=self.draft.harmless(
                name, {port: value for port, value in params.items() if port in known}
            ),
            title=title,
            position=position_of(item.value.get("pos"), _SCALE),
        )
        self.draft.add(node, {"type": item.type, "id": item.key, **_extras(item.value)})

    # --- links ---

    def _tie(self, link: _Link) -> None:
        if link.target in self.items and link.target not in self.draft.ids:
            return
        target = self._target(link)
        if target is None:
            self.draft.note(link.target, "a link to this node, which is not there, was left out.")
            return
        source = self._source(link, set())
        if source is None:
            self._constant(link, target)
        else:
            self.draft.tie(source, target)

    def _constant(self, link: _Link, target: PortRef) -> None:
        """What a link that begins nowhere brings: the value of a primitive, or nothing."""
        item = self.items.get(link.source)
        if item is not None and item.type == "PrimitiveNode":
            node = self.draft.nodes[target.node]
            values = list_of(item.value.get("widgets_values"))
            if values and node.kind is not NodeKind.OUTPUT:
                node.params[target.port] = values[0]
        else:
            self.draft.note(target.node, f"what fed {target.port!r} is not there, or was left out.")

    def _target(self, link: _Link) -> PortRef | None:
        if link.target == _SUBGRAPH_OUTPUTS and 0 <= link.into < len(self.boundary_out):
            return PortRef(self.boundary_out[link.into])
        if link.target not in self.draft.ids:
            return None
        item = self.items[link.target]
        names = self._slot_names(item, "inputs")
        name = names[link.into] if 0 <= link.into < len(names) else ""
        if item.type in self.subgraphs.names:
            known = self.subgraphs.ports(item.type, "inputs")
            wanted = slug(name, "port") if name else ""
            if wanted not in known:
                wanted = known[link.into] if 0 <= link.into < len(known) else ""
            return PortRef(NodeId(self.draft.ids[link.target]), wanted) if wanted else None
        port = port_name(name) if name else f"input-{max(link.into, 0)}"
        return PortRef(NodeId(self.draft.ids[link.target]), port)

    def _source(self, link: _Link, passed: set[tuple[str, int]]) -> PortRef | None:
        """Where a link begins, seen through reroutes, variables and bypassed nodes."""
        while (link.source, link.slot) not in passed:
            passed.add((link.source, link.slot))
            if link.source == _SUBGRAPH_INPUTS and 0 <= link.slot < len(self.boundary_in):
                return PortRef(self.boundary_in[link.slot])
            if link.source in self.draft.ids:
                return self._output(self.items[link.source], link.slot)
            before = self._before(link)
            if before is None:
                return None
            link = before
        return None

    def _before(self, link: _Link) -> _Link | None:
        item = self.items.get(link.source)
        if item is None:
            return None
        if item.type == "GetNode":
            setter = self.setters.get(_variable(item))
            return None if setter is None else self.into.get((setter, 0))
        if self._is_wire(item):
            return self.into.get((item.key, 0))
        if item.mode == _BYPASSED:
            return self._bypassed(item, link)
        return None

    def _bypassed(self, item: _Item, link: _Link) -> _Link | None:
        """A bypassed node hands on its first input of the type of the output."""
        inputs = list_of(item.value.get("inputs"))
        types = [text_of(object_of(each).get("type")) for each in inputs]
        places = [link.slot, *range(len(types))]
        for place in places:
            if 0 <= place < len(types) and types[place] == link.type:
                found = self.into.get((item.key, place))
                if found is not None:
                    return found
        return None

    def _output(self, item: _Item, slot: int) -> PortRef | None:
        node = self.draft.nodes[NodeId(self.draft.ids[item.key])]
        if node.kind is NodeKind.INPUT:
            return PortRef(node.id)
        if item.type in self.subgraphs.names:
            known = self.subgraphs.ports(item.type, "outputs")
            return PortRef(node.id, known[slot]) if 0 <= slot < len(known) else None
        names = self._slot_names(item, "outputs")
        if 0 <= slot < len(names):
            name = port_name(names[slot]).lower()
            same = [place for place, each in enumerate(names) if port_name(each).lower() == name]
            return PortRef(node.id, name if len(same) == 1 else f"{name}-{same.index(slot) + 1}")
        return PortRef(node.id, output_port(item.type, slot))

    def _slot_names(self, item: _Item, side: str) -> list[str]:
        slots = [object_of(each) for each in list_of(item.value.get(side))]
        return [text_of(each.get("name")) or f"{side[:-1]}-{n}" for n, each in enumerate(slots)]


def _single(wanted: str, taken: Iterable[str]) -> str:
    name, number, known = wanted, 1, set(taken)
    while name in known:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _items(document: dict[str, Value], pointer: str, faults: Faults) -> Iterator[_Item]:
    known: set[str] = set()
    for here, item in faults.objects(document.get("nodes"), f"{pointer}/nodes", "Nodes"):
        key = item.get("id")
        if isinstance(key, bool) or not isinstance(key, (int, str)):
            faults.add("A node must have an id, a number or text.", here)
            continue
        if str(key) in known:
            faults.add(f"Two nodes have the id {key!r}.", f"{here}/id")
            continue
        known.add(str(key))
        type_ = faults.text(item, "type", here, f"Node {key!r}")
        if type_:
            yield _Item(str(key), type_, whole(item.get("mode")) or 0, item)


def _links(document: dict[str, Value], pointer: str, faults: Faults) -> Iterator[_Link]:
    """Links as lists, or as objects in newer files and in subgraphs."""
    listed = document.get("links")
    if listed is not None and not isinstance(listed, list):
        faults.add("Links must be a list.", f"{pointer}/links")
        return
    for number, link in enumerate(list_of(listed)):
        if link is None:
            continue
        found = _link(link)
        if found is None:
            message = "A link must name two nodes and their slots."
            faults.add(message, f"{pointer}/links/{number}")
        else:
            yield found


def _link(link: Value) -> _Link | None:
    names = ("origin_id", "origin_slot", "target_id", "target_slot", "type")
    parts = [link.get(name) for name in names] if isinstance(link, dict) else list_of(link)[1:6]
    if len(parts) < 4 or not _is_key(parts[0]) or not _is_key(parts[2]):
        return None
    slot, into = whole(parts[1]), whole(parts[3])
    if slot is None or into is None:
        return None
    return _Link(str(parts[0]), slot, str(parts[2]), into, text_of(parts[4:] and parts[4]))


def _is_key(value: Value) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _variable(item: _Item) -> str:
    """The name under which a Set node keeps a value for Get nodes."""
    return text_of(next(iter(list_of(item.value.get("widgets_values"))), None))


def _texts(item: _Item) -> Iterator[str]:
    values = item.value.get("widgets_values")
    for value in list_of(values) or list(object_of(values).values()):
        if isinstance(value, str):
            yield value


def _extras(value: dict[str, Value]) -> dict[str, Value]:
    """What is kept of a node though nothing here reads it."""
    properties = object_of(value.get("properties"))
    found: dict[str, Value] = {}
    for name in ("cnr_id", "ver", "models"):
        if name in properties:
            found[name] = properties[name]
    for name in ("color", "bgcolor"):
        if name in value:
            found[name] = value[name]
    return found


def _groups(document: dict[str, Value]) -> list[Value]:
    found: list[Value] = []
    for group in map(object_of, list_of(document.get("groups"))):
        bounds = list_of(group.get("bounding"))
        corner = position_of(bounds[:2], _SCALE)
        size = position_of(bounds[2:4], _SCALE)
        if corner and size:
            title = text_of(group.get("title"))
            found.append({"title": title, "position": list(corner), "size": list(size)})
    return found
