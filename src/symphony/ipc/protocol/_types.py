"""Message types: what a payload of a name and version is, and how old ones are still read.

A version may follow another if every payload of the older is one of the newer: fields are added
at the end and have defaults, none is removed, renamed or given another type, a choice may gain
values, a bound may loosen. Anything else needs an upgrade function. So a payload of an old version
is decoded as the newest that it fits, and from there on upgraded step by step.

A version that we do not know yet is read as the newest that we do: what it added is skipped. A
change of meaning that keeps the shape would be misread by old readers; it takes another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import inspect as shapes

from symphony.commons.names import did_you_mean
from symphony.commons.schemas import Fault, Schema
from symphony.commons.values import Value
from symphony.ipc.protocol._compact import form_of
from symphony.ipc.protocol._envelope import DECODE_ERRORS, Codec, CompactEnvelope, Envelope
from symphony.ipc.protocol._errors import MessageInvalid, SchemaMismatch, TypeRefused, TypeUnknown
from symphony.ipc.protocol._evolution import changes
from symphony.ipc.protocol._faces import conversion, face, naming

#: From a payload of the version before to one of this version.
Upgrade: TypeAlias = Callable[[Any], msgspec.Struct]

LONGEST_NAME = 200


@dataclass(frozen=True)
class MessageType:
    """A payload's type. `upgrade` makes one of it from one of the version before."""

    name: str
    version: int
    struct: type[msgspec.Struct]
    upgrade: Upgrade | None = field(default=None, compare=False)

    @cached_property
    def json_schema(self) -> dict[str, Value]:
        """Of a payload in MessagePack or JSON; bytes are base64 in JSON."""
        schema: dict[str, Value] = msgspec.json.schema(face(self.struct, array_like=False))
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

    def faults(self, value: object) -> list[Fault]:
        """What keeps a payload, as a struct or plain values, from being of this type."""
        named = face(self.struct, array_like=False)
        if isinstance(value, self.struct):
            change = naming(self.struct)
            value = value if change is None else change(value)
        plain = msgspec.to_builtins(value, str_keys=True)
        try:
            msgspec.convert(plain, named)
        except (msgspec.ValidationError, RecursionError) as error:
            # msgspec stops at the first fault and is fast; the schema finds them all.
            return self._checker.faults(plain) or [_fault(error)]
        return []

    @cached_property
    def _checker(self) -> Schema:
        return Schema(self.json_schema)


def _fault(error: BaseException) -> Fault:
    """`Expected ... - at `$.a[0].b`` as message and JSON pointer."""
    message, _, place = str(error).partition(" - at `$")
    return Fault(place.rstrip("`").replace("[", "/").replace("]", "").replace(".", "/"), message)


class MessageTypes:
    """Message types by name and version."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, MessageType]] = {}
        self._by_struct: dict[type, MessageType] = {}

    def __iter__(self) -> Iterator[MessageType]:
        for versions in self._versions.values():
            yield from versions.values()

    def register(self, new: MessageType) -> MessageType:
        """Raises TypeRefused unless it may follow the version before; registering twice is fine.

        Versions of a name are registered in order, and begin anywhere.
        """
        versions = self._versions.setdefault(new.name, {})
        known = versions.get(new.version)
        newest = max(versions, default=0)
        if known is None or known != new:
            older = versions[newest] if versions else None
            reasons = _reasons_against(new, known or older)
            if reasons:
                raise TypeRefused(new.name, new.version, reasons)
            versions[new.version] = new
            self._by_struct[new.struct] = new
        return new

    def of(self, payload: object) -> MessageType | None:
        """The type that a payload's class was registered for, last if for several."""
        return self._by_struct.get(type(payload))

    def lookup(self, name: str, version: int = 0) -> MessageType:
        """That version, or the newest; raises TypeUnknown."""
        versions = self._versions.get(name)
        if not versions:
            raise TypeUnknown(name, 0, did_you_mean(name, self._versions))
        found = versions.get(version or max(versions))
        if found is None:
            known = ", ".join(map(str, versions))
            raise TypeUnknown(name, version, f"Known versions: {known}.")
        return found

    def payload(self, envelope: Envelope) -> msgspec.Struct:
        """The payload as the newest version of its type, upgraded if it is older.

        Raises TypeUnknown, MessageInvalid, SchemaMismatch.
        """
        written = self._as_written(envelope)
        versions = self._versions[envelope.type]
        if written.version == max(versions):
            return envelope.payload_as(written.struct)
        later = [versions[each] for each in versions if each > written.version]
        fits = written
        while later and later[0].upgrade is None:
            fits = later.pop(0)
        if isinstance(envelope, CompactEnvelope) and fits is not written:
            value = _read_compact(envelope, written, fits)
        else:
            value = envelope.payload_as(fits.struct)
        for step in later:
            value = _carried(value, step)
        return value

    def faults(self, envelope: Envelope) -> list[Fault]:
        """What is wrong with its payload; empty if nothing is. Raises TypeUnknown."""
        written = self._as_written(envelope)
        try:
            envelope.payload_as(written.struct)
        except (MessageInvalid, SchemaMismatch) as error:
            if envelope.codec is Codec.COMPACT:
                return [_fault(error.__cause__ or error)]
        else:
            return []
        try:
            plain = envelope.payload_as(object)
        except MessageInvalid as error:
            return [_fault(error.__cause__ or error)]
        return written.faults(plain)

    def _as_written(self, envelope: Envelope) -> MessageType:
        newest = self.lookup(envelope.type)
        if envelope.version >= newest.version:
            return newest
        return self.lookup(envelope.type, envelope.version)


def _read_compact(
    envelope: CompactEnvelope, written: MessageType, fits: MessageType
) -> msgspec.Struct:
    """An old payload as a newer version whose text may differ, though it takes the old values."""
    form = form_of(written.struct)
    if form.schema != envelope.schema:
        form.check(envelope.schema, envelope.payload)
    try:
        value: msgspec.Struct = form_of(fits.struct).read(envelope.payload)
    except DECODE_ERRORS as error:
        raise MessageInvalid(f"of type {fits.struct.__name__}", str(error)) from error
    return value


def _carried(value: msgspec.Struct, step: MessageType) -> msgspec.Struct:
    """The payload of one version as one of the next."""
    if step.upgrade is not None:
        return step.upgrade(value)
    named = naming(type(value))
    plain = msgspec.to_builtins(value if named is None else named(value))
    target = face(step.struct, array_like=False)
    back = conversion(target, step.struct)
    made = msgspec.convert(plain, target)
    return made if back is None else cast("msgspec.Struct", back(made))


def _reasons_against(new: MessageType, older: MessageType | None) -> list[str]:
    """Why it may not be registered; empty if it may."""
    if not new.name or len(new.name) > LONGEST_NAME or not new.name.isprintable():
        return [f"a name has 1 to {LONGEST_NAME} printable characters"]
    if new.version < 1:
        return ["versions begin with 1"]
    try:
        form_of(new.struct)
    except TypeError as error:
        return [str(error)]
    if older is None:
        return []
    if older.version == new.version:
        return ["this version is registered already, with another struct"]
    if older.version > new.version:
        return [f"version {older.version} is registered already"]
    if new.upgrade is not None:
        return []
    return changes(shapes.type_info(older.struct), shapes.type_info(new.struct), "")
