"""n8n: workflows as its editor and its command line export them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from symphony.workflow import Edge, EdgeKind, Node, NodeKind, PortRef, WorkflowInvalid
from symphony.workflow.imports._draft import Draft, port_name, slug
from symphony.workflow.imports._foreign import (
    Faults,
    list_of,
    number_of,
    object_of,
    position_of,
    text_of,
    whole,
)
from symphony.workflow.imports._imported import Imported, Note, Origin
from symphony.workflow.imports._n8n_nodes import Made, Source, made_of

if TYPE_CHECKING:
    from symphony.commons.values import Value

_MAX_INLINE: Final = 4
#: What stands on a node and means something, but has no counterpart.
_KEPT: Final = ("onError", "continueOnFail", "alwaysOutputData", "executeOnce", "webhookId")
_ABOUT: Final = (
    "nodes named n8n.… are placeholders: put operators or instruments of yours in their place."
    " There, each node gets a list of items; here, it gets one value, and a map node does the rest."
)


class _Connection(NamedTuple):
    source: str
    out: int
    target: str
    into: int
    type: str


def import_n8n(document: dict[str, Value], faults: Faults, inline: int = 0) -> Imported:
    """`inline` is how many workflows this one stands in, as a text in a parameter."""
    return _Import(document, faults, inline).run()


class _Import:
    def __init__(self, document: dict[str, Value], faults: Faults, inline: int) -> None:
        self.document = document
        self.faults = faults
        self.inline = inline
        self.draft = Draft(Origin.N8N)
        self.made: dict[str, Made] = {}
        self.off: set[str] = set()
        #: Ports for the models, tools and memories of an agent: each takes one of them.
        self.side_ports: set[str] = set()
        self.items = self._items()
        self.connections = [each for each in self._connections() if self._is_known(each)]

    def run(self) -> Imported:
        fed = {each.target for each in self.connections}
        for name, item in self.items.items():
            if item.get("type") == "n8n-nodes-base.stickyNote":
                self._sticky(item)
            elif item.get("disabled") is True:
                self._switch_off(name, item)
            else:
                self._node(name, item, has_parents=name in fed)
        self._edges()
        self._document_facts()
        title = text_of(self.document.get("name"))
        workflow = self.draft.build(
            slug(title, "n8n-workflow"),
            name=title,
            description=text_of(self.document.get("description")),
        )
        return self.draft.imported(workflow)

    # --- reading ---

    def _items(self) -> dict[str, dict[str, Value]]:
        found: dict[str, dict[str, Value]] = {}
        for here, item in self.faults.objects(self.document.get("nodes"), "/nodes", "Nodes"):
            name = self.faults.text(item, "name", here, "A node")
            type_ = self.faults.text(item, "type", here, f"Node {name!r}" if name else "A node")
            parameters = item.get("parameters")
            if parameters is not None and not isinstance(parameters, dict):
                message = f"Node {name!r}: 'parameters' must be an object."
                self.faults.add(message, f"{here}/parameters")
            if name in found:
                self.faults.add(f"Two nodes have the name {name!r}.", f"{here}/name")
            elif name and type_:
                found[name] = item
        return found

    def _connections(self) -> Iterator[_Connection]:
        """Nodes are named in them by their names, or, by some who write such files, their ids."""
        names = {text_of(item.get("id")) or name: name for name, item in self.items.items()}
        names.update((name, name) for name in self.items)
        listed = self.document.get("connections")
        if listed is not None and not isinstance(listed, dict):
            self.faults.add("Connections must be an object.", "/connections")
        for source, by_type in object_of(listed).items():
            for type_, outputs in object_of(by_type).items():
                for out, targets in enumerate(list_of(outputs)):
                    for each in map(object_of, list_of(targets)):
                        target = text_of(each.get("node"))
                        if not target:
                            continue
                        into = whole(each.get("index")) or 0
                        kind = text_of(each.get("type")) or type_
                        yield _Connection(
                            names.get(source, source),
                            out,
                            names.get(target, target),
                            max(into, 0),
                            kind,
                        )

    def _is_known(self, connection: _Connection) -> bool:
        unknown = [name for name in connection[0:3:2] if name not in self.items]
        for name in unknown:
            text = f"connections with the node {name!r}, which is not there, were left out."
            if Note("", text) not in self.draft.notes:
                self.draft.note("", text)
        return not unknown

    # --- nodes ---

    def _sticky(self, item: dict[str, Value]) -> None:
        parameters = object_of(item.get("parameters"))
        notes = self.draft.custom.setdefault("notes", [])
        note: dict[str, Value] = {"text": text_of(parameters.get("content"))}
        if position := position_of(item.get("position"), 1.0):
            note["position"] = list(position)
        if isinstance(notes, list):
            notes.append(note)

    def _switch_off(self, name: str, item: dict[str, Value]) -> None:
        """A node that is switched off hands on what it gets."""
        self.off.add(name)
        self.draft.note(name, "it was switched off, and left out.")
        listed = self.draft.custom.setdefault("switched_off", [])
        params = self.draft.harmless(name, object_of(item.get("parameters")))
        if isinstance(listed, list):
            listed.append({"title": name, "type": item.get("type"), "params": dict(params)})

    def _node(self, name: str, item: dict[str, Value], *, has_parents: bool) -> None:
        node_id = self.draft.claim(slug(name))
        self.draft.ids[name] = node_id
        source = Source(
            node_id,
            text_of(item.get("type")),
            number_of(item.get("typeVersion")) or 1.0,
            object_of(item.get("parameters")),
            item,
        )
        made = self._nested(source) or made_of(self.draft, source, has_parents=has_parents)
        made.node = msgspec.structs.replace(
            made.node, position=position_of(item.get("position"), 1.0)
        )
        self.made[name] = made
        self.draft.add(made.node, self._original(source, made))
        if source.short == "splitInBatches":
            self.draft.loop_heads.add(node_id)
        if source.short == "respondToWebhook":
            self._answer(source, made.node)

    def _original(self, source: Source, made: Made) -> dict[str, Value]:
        """What is kept of the node as it was: all that its counterpart does not say."""
        item = source.value
        original: dict[str, Value] = {"type": source.type, "name": text_of(item.get("name"))}
        original["version"] = source.version
        original.update((key, item[key]) for key in _KEPT if key in item)
        if item.get("onError") == "continueErrorOutput":
            self.draft.note(
                source.name, "its last output is for errors: a fallback does that here."
            )
        if credentials := list(object_of(item.get("credentials"))):
            original["credentials"] = [*credentials]
            names = ", ".join(credentials)
            self.draft.note(source.name, f"it used credentials, which were left out: {names}.")
        is_placeholder = made.node.use.startswith("n8n.")
        if not is_placeholder and source.parameters:
            notes = len(self.draft.notes)
            original["parameters"] = dict(self.draft.harmless(source.name, source.parameters))
            del self.draft.notes[notes:]
        return original

    def _nested(self, source: Source) -> Made | None:
        """A workflow that is run by another: the text of it may stand in a parameter."""
        if source.short != "executeWorkflow":
            return None
        chosen = source.parameters.get("workflowId")
        named = text_of(object_of(chosen).get("cachedResultName"))
        value = text_of(object_of(chosen).get("value")) or text_of(chosen)
        name = (
            slug(named or value, "workflow") if not value.startswith("=") or named else "workflow"
        )
        text = text_of(source.parameters.get("workflowJson"))
        if text and self._read_inline(source, text):
            inner = f"{source.name}-flow"
            inputs = self.draft.workflows[inner].of_kind(NodeKind.INPUT)
            into = inputs[0].id if inputs else ""
            return Made(Node(source.name, NodeKind.WORKFLOW, use=inner), into=into)
        self.draft.note(
            source.name, f"import the workflow that it runs, too, and name it {name!r}."
        )
        return Made(Node(source.name, NodeKind.WORKFLOW, use=name))

    def _read_inline(self, source: Source, text: str) -> bool:
        if self.inline >= _MAX_INLINE:
            return False
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return False
        faults = Faults()
        if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
            return False
        try:
            inner = import_n8n(document, faults, self.inline + 1)
        except WorkflowInvalid:
            return False
        if faults.problems:
            return False
        name = f"{source.name}-flow"
        self.draft.workflows[name] = msgspec.structs.replace(inner.workflow, id=name)
        for note in inner.notes:
            self.draft.note(f"{source.name}-flow/{note.node}".rstrip("/"), note.text)
        return True

    def _answer(self, source: Source, node: Node) -> None:
        position = node.position and (node.position[0] + 220.0, node.position[1])
        answer = Node(self.draft.claim(f"{source.name}-result"), NodeKind.OUTPUT, position=position)
        self.draft.add(answer)
        self.draft.tie(PortRef(source.name), PortRef(answer.id))

    # --- edges ---

    def _edges(self) -> None:
        """In n8n several edges may lead to one input, which takes each as it comes: here a merge
        stands before it."""
        wanted: dict[PortRef, list[PortRef]] = {}
        for edge in self.draft.without_cycles(dict.fromkeys(self._plain_edges())):
            if edge.kind is EdgeKind.CONTROL:
                self.draft.edges.append(edge)
            elif edge.target.port in self.side_ports:
                self.draft.tie(edge.source, edge.target)
            else:
                wanted.setdefault(edge.target, []).append(edge.source)
        for target, sources in wanted.items():
            if len(sources) == 1:
                self.draft.tie(sources[0], target)
            else:
                self._merged(sources, target)

    def _plain_edges(self) -> Iterator[Edge]:
        for connection in self.connections:
            target = self.made.get(connection.target)
            if target is None:
                continue
            into = self._port_in(target, connection)
            for source in self._sources(connection):
                if into:
                    yield Edge(source, PortRef(target.node.id, into))
                else:
                    ends = PortRef(source.node), PortRef(target.node.id)
                    yield Edge(*ends, EdgeKind.CONTROL)

    def _merged(self, sources: list[PortRef], target: PortRef) -> None:
        node = self.draft.nodes[target.node]
        position = node.position and (node.position[0] - 110.0, node.position[1])
        merge = Node(self.draft.claim(f"{node.id}-in"), NodeKind.MERGE, position=position)
        self.draft.add(merge)
        self.draft.note(
            node.id,
            f"{len(sources)} edges led to one input; {merge.id!r} hands on the first that comes.",
        )
        for number, source in enumerate(sources, 1):
            self.draft.tie(source, PortRef(merge.id, f"input-{number}"))
        self.draft.tie(PortRef(merge.id), target)

    def _port_in(self, made: Made, connection: _Connection) -> str:
        if connection.type != "main":
            port = port_name(connection.type)
            self.side_ports.add(port)
            return port
        if made.node.kind in (NodeKind.MERGE, NodeKind.JOIN):
            return f"input-{connection.into + 1}"
        return made.into if not connection.into else f"input-{connection.into + 1}"

    def _sources(self, connection: _Connection) -> list[PortRef]:
        """Where an edge begins, seen through nodes that are switched off."""
        found: list[PortRef] = []
        pending, seen = [connection], {connection}
        while pending:
            each = pending.pop()
            made = self.made.get(each.source)
            if made is not None:
                found.append(PortRef(made.node.id, made.out(each.out)))
            elif each.source in self.off:
                behind = [other for other in self.connections if other.target == each.source]
                pending += (other for other in behind if other not in seen)
                seen.update(behind)
        return found

    # --- the rest ---

    def _document_facts(self) -> None:
        custom, document = self.draft.custom, self.document
        listed = list_of(document.get("tags"))
        tags = (text_of(tag) or text_of(object_of(tag).get("name")) for tag in listed)
        self.draft.tags = tuple(tag for tag in tags if tag)
        if settings := object_of(document.get("settings")):
            custom["settings"] = self.draft.harmless("settings", settings)
        for name in ("pinData", "staticData"):
            if document.get(name):
                self.draft.note(
                    "", f"{name} was left out: it holds data of runs, not of the workflow."
                )
        self.draft.note("", _ABOUT)
