"""Who can play a node: our operators and the extensions found, as one catalog for the score."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

from symphony.commons.values import Value
from symphony.execution import Body, BodyContext
from symphony.extensions import ExtensionHost, Found
from symphony.operators import Operator
from symphony.sdk import ExtensionType, Manifest, PortSpec
from symphony.workflow import NodeKind, Port, Signature, Workflow

_TYPE_OF: dict[NodeKind, ExtensionType] = {
    NodeKind.OPERATOR: ExtensionType.OPERATOR,
    NodeKind.INSTRUMENT: ExtensionType.INSTRUMENT,
}


class ExtensionBody:
    """The body of a node that an extension's process runs."""

    def __init__(self, found: Found, host: ExtensionHost) -> None:
        self._found = found
        self._host = host

    async def __call__(
        self, inputs: Mapping[str, Value], context: BodyContext
    ) -> Mapping[str, Value]:
        return await self._host.call(self._found, inputs, context)

    def turn(
        self,
    ) -> AbstractAsyncContextManager[
        Callable[[Mapping[str, Value], BodyContext], Awaitable[Mapping[str, Value]]]
    ]:
        """For the engine, whose clock starts when those before this call have ended."""
        return self._host.turn(self._found)


class Players:
    """The catalog of a workflow, and the bodies behind it. A name of ours hides an extension's."""

    def __init__(
        self, operators: Mapping[str, Operator], found: Iterable[Found], host: ExtensionHost
    ) -> None:
        self._operators = operators
        found = list(found)
        self._broken = [each.error for each in found if each.manifest is None and each.error]
        self._found = {
            (each.manifest.type, each.manifest.id): each
            for each in reversed(found)
            if each.manifest is not None
        }
        self._host = host

    def names(self, kind: NodeKind) -> list[str]:
        own = list(self._operators) if kind is NodeKind.OPERATOR else []
        return own + [id_ for type_, id_ in self._found if type_ is _TYPE_OF.get(kind)]

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        if kind is NodeKind.OPERATOR and use in self._operators:
            return self._operators[use].signature
        found = self._extension(kind, use)
        return None if found is None or found.manifest is None else _signature(found.manifest)

    def body(self, kind: NodeKind, use: str) -> Body:
        """The body for a node of a checked workflow; raises KeyError for a name not in here."""
        if kind is NodeKind.OPERATOR and use in self._operators:
            return self._operators[use].run
        return ExtensionBody(self._found[_TYPE_OF[kind], use], self._host)

    def require(self, workflow: Workflow) -> None:
        """Raise what keeps an extension that the workflow uses from being called.

        For a name that nobody has, that is the first place where an extension should be and
        cannot be read: a mistake in a manifest must not look like one in the workflow.
        """
        for node in workflow.nodes:
            found = self._extension(node.kind, node.use)
            if found is not None and found.error is not None:
                raise found.error
            played = node.kind in _TYPE_OF
            if played and self._broken and self.signature(node.kind, node.use) is None:
                raise self._broken[0]

    def _extension(self, kind: NodeKind, use: str) -> Found | None:
        type_ = _TYPE_OF.get(kind)
        return None if type_ is None else self._found.get((type_, use))


def _signature(manifest: Manifest) -> Signature:
    return Signature(
        tuple(map(_port, manifest.inputs)),
        tuple(map(_port, manifest.outputs)),
        manifest.description,
    )


def _port(spec: PortSpec) -> Port:
    return Port(spec.name, spec.schema, spec.required, spec.default, spec.description)
