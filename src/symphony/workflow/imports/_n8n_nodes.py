"""n8n: what each kind of node becomes here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from symphony.workflow import (
    DEFAULT_PORT,
    OTHERWISE,
    Case,
    Node,
    NodeId,
    NodeKind,
    Retry,
)
from symphony.workflow.imports._draft import Draft, slug
from symphony.workflow.imports._foreign import list_of, number_of, object_of, text_of, whole
from symphony.workflow.imports._n8n_conditions import cel_of, checked, condition, rule

if TYPE_CHECKING:
    from symphony.commons.values import Value

_TRIGGERS: Final = frozenset({"start", "webhook", "cron", "interval", "emailReadImap", "chat"})
#: Triggers that somebody gives something to; the others start by themselves.
_GIVEN: Final = frozenset(
    {"start", "webhook", "manualTrigger", "chatTrigger", "manualChatTrigger", "formTrigger"}
    | {"executeWorkflowTrigger"}
)
_SECONDS: Final = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
_PLAIN_METHODS: Final = frozenset({"GET", "HEAD", "DELETE", "POST", "PUT", "PATCH"})
_REQUEST: Final = frozenset(
    {"url", "method", "requestMethod", "options", "sendHeaders", "sendQuery", "specifyHeaders"}
    | {"specifyQuery", "headerParameters", "queryParameters", "responseFormat", "authentication"}
)


@dataclass(slots=True)
class Source:
    """A node of the file, with its name here."""

    name: NodeId
    type: str
    version: float
    parameters: dict[str, Value]
    value: dict[str, Value]

    @property
    def short(self) -> str:
        return self.type.rpartition(".")[2]


@dataclass(slots=True)
class Made:
    """What became of it: the node, and how its main outputs and first input are called."""

    node: Node
    outs: list[str] = field(default_factory=lambda: [DEFAULT_PORT])
    into: str = DEFAULT_PORT

    def out(self, number: int) -> str:
        return self.outs[number] if number < len(self.outs) else f"output-{number + 1}"


Maker: TypeAlias = Callable[[Draft, Source], Made | None]


def made_of(draft: Draft, source: Source, *, has_parents: bool) -> Made:
    """The counterpart of a node where there is one that means the same, else a placeholder."""
    maker = _MAKERS.get(source.short)
    if maker is None and text_of(source.parameters.get("operation")) == "sendAndWait":
        maker = _asked
    if maker is None and not has_parents and _is_trigger(source):
        maker = _trigger
    made = maker(draft, source) if maker is not None else None
    made = made or Made(draft.placeholder(source.name, source.type, source.parameters))
    made.node = _with_facts(made.node, source)
    return made


def _is_trigger(source: Source) -> bool:
    return source.short in _TRIGGERS or source.short.endswith("Trigger")


def _with_facts(node: Node, source: Source) -> Node:
    value = source.value
    policy = node.policy
    takes_time = node.kind not in (NodeKind.INPUT, NodeKind.OUTPUT)
    if value.get("retryOnFail") is True and takes_time:
        attempts = whole(value.get("maxTries"))
        wait_ms = number_of(value.get("waitBetweenTries"))
        retry = Retry(
            attempts=min(max(attempts or 3, 1), 100),
            delay_s=1.0 if wait_ms is None else max(wait_ms, 0.0) / 1000,
            factor=1.0,
            jitter=0.0,
        )
        policy = msgspec.structs.replace(policy, retry=retry)
    title = text_of(value.get("name"))
    return msgspec.structs.replace(
        node,
        title="" if title == node.id else title,
        description=text_of(value.get("notes")),
        policy=policy,
    )


# --- the counterparts ---


def _trigger(draft: Draft, source: Source) -> Made:
    """What starts a workflow there, a value given to it starts here."""
    schema: dict[str, Value] = {}
    node = Node(source.name, NodeKind.INPUT, schema=schema)
    if source.short in ("manualTrigger", "start"):
        node = msgspec.structs.replace(node, default={})
    elif source.short not in _GIVEN:
        draft.note(
            source.name,
            "it started by itself (on a schedule or an event); here its input must be given.",
        )
    return Made(node)


def _no_op(_: Draft, source: Source) -> Made:
    return Made(_expression(source.name, "value"))


def _expression(name: NodeId, text: str) -> Node:
    return Node(name, NodeKind.OPERATOR, use="value.expression", params={"expression": text})


def _set(draft: Draft, source: Source) -> Made | None:
    """Edit Fields, if it makes the whole item and each field is a constant or a path."""
    fields = _fields(source.parameters)
    if fields is None or not _replaces_item(source):
        return None
    parts = []
    for name, value in fields:
        text = cel_of(value)
        if text is None or "." in name or name.startswith("="):
            draft.note(source.name, f"the field {name!r} is calculated in JavaScript.")
            return None
        parts.append(f"{cel_of(name)}: {text}")
    text = checked(f"{{{', '.join(parts)}}}")
    return None if text is None else Made(_expression(source.name, text))


def _replaces_item(source: Source) -> bool:
    parameters = source.parameters
    if source.version < 3:
        return parameters.get("keepOnlySet") is True
    if source.version < 3.3:
        return parameters.get("include") == "none"
    return parameters.get("includeOtherFields") is not True


def _fields(parameters: dict[str, Value]) -> list[tuple[str, Value]] | None:
    """The fields that are set, in any of the forms that the node has had."""
    if parameters.get("mode") == "raw":
        return None
    listed = list_of(object_of(parameters.get("assignments")).get("assignments"))
    older = list_of(object_of(parameters.get("fields")).get("values"))
    oldest = [
        each for values in object_of(parameters.get("values")).values() for each in list_of(values)
    ]
    found: list[tuple[str, Value]] = []
    for each in map(object_of, [*listed, *older, *oldest]):
        value = each.get("value")
        if value is None:
            typed = [name for name in each if name.endswith("Value")]
            value = each[typed[0]] if typed else ""
        found.append((text_of(each.get("name")), value))
    return found if all(name for name, _ in found) else None


def _if(draft: Draft, source: Source) -> Made | None:
    return _branch(draft, source, [("true", condition(source.parameters))])


def _filter(draft: Draft, source: Source) -> Made | None:
    return _branch(draft, source, [("kept", condition(source.parameters))])


def _branch(draft: Draft, source: Source, cases: list[tuple[str, str | None]]) -> Made | None:
    known = [Case(name, when) for name, when in cases if when is not None]
    if not cases or len(known) < len(cases):
        draft.note(
            source.name, "its conditions have no simple counterpart in CEL: write them anew."
        )
        return None
    outs = [*(case.name for case in known), OTHERWISE]
    return Made(Node(source.name, NodeKind.BRANCH, cases=tuple(known)), outs)


def _switch(draft: Draft, source: Source) -> Made | None:
    rules = object_of(source.parameters.get("rules"))
    values = list_of(rules.get("values"))
    cases: list[tuple[str, str | None]] = []
    taken: set[str] = {OTHERWISE}
    if values:
        for number, each in enumerate(map(object_of, values)):
            label = text_of(each.get("outputKey")) if each.get("renameOutput") else ""
            cases.append((_case_name(label, number, taken), condition(each)))
    else:
        left, type_ = source.parameters.get("value1"), text_of(source.parameters.get("dataType"))
        usual = "smaller" if type_ in ("", "number") else "equal"
        for number, each in enumerate(map(object_of, list_of(rules.get("rules")))):
            if whole(each.get("output")) not in (None, number):
                return _branch(draft, source, [])
            operation = text_of(each.get("operation")) or usual
            name = _case_name(text_of(each.get("outputKey")), number, taken)
            cases.append((name, rule(left, operation, each.get("value2"), type_ or "number")))
    return _branch(draft, source, cases)


def _case_name(label: str, number: int, taken: set[str]) -> str:
    name = slug(label, "case") if label else f"case-{number + 1}"
    if name in taken:
        name = f"{name}-{number + 1}"
    while name in taken:
        name = f"{name}-x"
    taken.add(name)
    return name


def _merge(draft: Draft, source: Source) -> Made:
    mode = text_of(source.parameters.get("mode"))
    if mode in ("chooseBranch", "passThrough", "wait"):
        return Made(Node(source.name, NodeKind.MERGE), into="input-1")
    draft.note(
        source.name,
        f"it merged lists ({mode or 'append'}); here it joins what comes into one object.",
    )
    return Made(Node(source.name, NodeKind.JOIN), into="input-1")


def _wait(_: Draft, source: Source) -> Made | None:
    """Waiting for a call or a form is waiting for somebody; waiting for a time is not."""
    if text_of(source.parameters.get("resume")) not in ("webhook", "form"):
        return None
    return Made(_waiting(source, source.parameters), into="context")


def _waiting(source: Source, parameters: dict[str, Value]) -> Node:
    prompt = next(
        (
            text
            for key in ("message", "formDescription", "formTitle", "subject")
            if (text := text_of(parameters.get(key))) and not text.startswith("=")
        ),
        "",
    )
    params: dict[str, Value] = {"prompt": prompt} if prompt else {}
    node = Node(source.name, NodeKind.WAIT, params=params)
    amount = number_of(parameters.get("resumeAmount"))
    unit = _SECONDS.get(text_of(parameters.get("resumeUnit")) or "hours", 3600.0)
    if parameters.get("limitWaitTime") is True and amount is not None and amount > 0:
        node = msgspec.structs.replace(node, timeout_s=amount * unit, default=None)
    return node


def _asked(_: Draft, source: Source) -> Made:
    return Made(_waiting(source, source.parameters), into="context")


def _request(draft: Draft, source: Source) -> Made | None:
    """A plain request; one with credentials or calculated parts stays a placeholder."""
    parameters = source.parameters
    url = parameters.get("url")
    method = text_of(parameters.get("method") or parameters.get("requestMethod")) or "GET"
    if not isinstance(url, str) or url.startswith("=") or "{{" in url:
        return None
    plain = parameters.get("authentication") in (None, "none")
    if method not in _PLAIN_METHODS or not plain or parameters.keys() - _REQUEST:
        return None
    params: dict[str, Value] = {"url": url}
    if method != "GET":
        params["method"] = method
    for port, member in (("headers", "headerParameters"), ("query", "queryParameters")):
        pairs = list_of(object_of(parameters.get(member)).get("parameters"))
        texts = {text_of(each.get("name")): each.get("value") for each in map(object_of, pairs)}
        if not all(isinstance(text, str) and text[:1] != "=" for text in texts.values()):
            return None
        if texts:
            params[port] = dict(texts)
    draft.note(
        source.name, "its answer is at the ports json and text; it takes nothing from before."
    )
    node = Node(
        source.name,
        NodeKind.OPERATOR,
        use="http.request",
        params=draft.harmless(source.name, params),
    )
    return Made(node, ["json"], into="")


_MAKERS: Final[dict[str, Maker]] = {
    "noOp": _no_op,
    "set": _set,
    "if": _if,
    "filter": _filter,
    "switch": _switch,
    "merge": _merge,
    "wait": _wait,
    "httpRequest": _request,
}
