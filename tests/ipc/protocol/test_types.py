from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import pytest

from symphony.commons.errors import ErrorRecord
from symphony.commons.schemas import Schema
from symphony.ipc.protocol import _control, _extension
from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._envelope import Codec, Envelope
from symphony.ipc.protocol._errors import (
    MessageInvalid,
    SchemaMismatch,
    TypeRefused,
    TypeUnknown,
)
from symphony.ipc.protocol._types import MessageType, MessageTypes, Upgrade

RECORDED = Path(__file__).parents[2] / "recorded" / "messages"


class Place(msgspec.Struct, frozen=True):
    path: str
    line: int


class Diagnostic1(msgspec.Struct, frozen=True):
    place: Place
    severity: str
    message: str


class Diagnostic2(msgspec.Struct, frozen=True):
    place: Place
    severity: str
    message: str
    tags: list[str] = []


class ColumnPlace(msgspec.Struct, frozen=True):
    path: str
    line: int
    column: int = 0


class Diagnostic3(msgspec.Struct, frozen=True):
    place: ColumnPlace
    severity: str
    message: str
    tags: list[str] = []
    fix: str | None = None


class Diagnostic4(msgspec.Struct, frozen=True):
    path: str
    line: int
    level: int
    message: str
    column: int = 0
    tags: list[str] = []
    fix: str | None = None


class Diagnostic5(msgspec.Struct, frozen=True, array_like=True):
    path: str
    line: int
    level: Annotated[int, msgspec.Meta(ge=0)]
    message: str
    column: int = 0
    tags: list[str] = []
    fix: str | None = None
    source: str = ""


LEVELS = {"info": 1, "warning": 2, "error": 3}


def flattened(old: Diagnostic3) -> Diagnostic4:
    place, level = old.place, LEVELS[old.severity]
    return Diagnostic4(place.path, place.line, level, old.message, place.column, old.tags, old.fix)


def with_bound(old: Diagnostic4) -> Diagnostic5:
    return Diagnostic5(*(getattr(old, name) for name in old.__struct_fields__))


STRUCTS: list[tuple[type[msgspec.Struct], Upgrade | None]] = [
    (Diagnostic1, None),
    (Diagnostic2, None),
    (Diagnostic3, None),
    (Diagnostic4, flattened),
    (Diagnostic5, with_bound),
]


def registered(count: int = 5) -> MessageTypes:
    types = MessageTypes()
    for version, (struct, upgrade) in enumerate(STRUCTS[:count], 1):
        types.register(MessageType("diagnostic", version, struct, upgrade))
    return types


class Recorded(msgspec.Struct):
    version: int
    codec: str
    flags: int
    hex: str
    newest: dict[str, Any]


class RecordedBody(msgspec.Struct):
    type: str
    hex: str
    fields: dict[str, Any]


def recorded(name: str, key: str, type_: type[Any]) -> list[Any]:
    content = msgspec.json.decode((RECORDED / name).read_bytes(), type=dict[str, msgspec.Raw])
    found: list[Any] = msgspec.json.decode(content[key], type=list[type_])  # type: ignore[valid-type]
    return found


@pytest.mark.parametrize(
    "message",
    recorded("diagnostic.json", "messages", Recorded),
    ids=lambda each: f"{each.version}-{each.codec}",
)
def test_recorded_old_messages_are_read_as_the_newest_version(message: Recorded) -> None:
    envelope = opened(message.flags, bytes.fromhex(message.hex))
    assert envelope.version == message.version
    value = registered().payload(envelope)
    assert isinstance(value, Diagnostic5)
    assert value == Diagnostic5(**message.newest)


@pytest.mark.parametrize(
    "body", recorded("bodies.json", "bodies", RecordedBody), ids=lambda each: str(each.type)
)
def test_recorded_bodies_of_the_conversations_are_still_read(body: RecordedBody) -> None:
    known = {**vars(_control), **vars(_extension), "ErrorRecord": ErrorRecord}
    value = msgspec.msgpack.decode(bytes.fromhex(body.hex), type=known[body.type])
    fields = msgspec.to_builtins(msgspec.msgpack.decode(msgspec.msgpack.encode(value)))
    assert body.fields.items() <= fields.items() or fields.items() <= body.fields.items()


@pytest.mark.parametrize("codec", Codec)
def test_a_message_of_a_later_version_is_read_as_the_newest_we_know(codec: Codec) -> None:
    later = Diagnostic3(ColumnPlace("a", 1, 2), "info", "m", ["t"], "f")
    flags, body = seal(later, type="diagnostic", version=9, codec=codec)
    types = MessageTypes()
    types.register(MessageType("diagnostic", 2, Later2))
    assert types.payload(opened(flags, body)) == Later2(ColumnPlace("a", 1, 2), "info", "m", ["t"])


class Later2(msgspec.Struct, frozen=True):
    place: ColumnPlace
    severity: str
    message: str
    tags: list[str] = []


def sealed(payload: object, version: int = 1, codec: Codec = Codec.MSGPACK) -> Envelope:
    return opened(*seal(payload, type="diagnostic", version=version, codec=codec))


def test_a_compact_message_of_an_old_version_with_another_schema_is_refused() -> None:
    envelope = sealed(Place("a", 1), 1, Codec.COMPACT)
    with pytest.raises(SchemaMismatch):
        registered().payload(envelope)


def test_what_does_not_fit_its_version_is_refused() -> None:
    with pytest.raises(MessageInvalid, match="place"):
        registered().payload(sealed({"severity": "info"}))


def test_unknown_types_and_versions_are_named() -> None:
    types = MessageTypes()
    with pytest.raises(TypeUnknown, match="'diagnostc'"):
        registered().lookup("diagnostc")
    types.register(MessageType("diagnostic", 3, Diagnostic3))
    with pytest.raises(TypeUnknown, match="version 1") as caught:
        types.payload(sealed({}))
    assert caught.value.hint == "Known versions: 3."


def test_lookup_gives_the_newest_or_the_version_that_is_asked_for() -> None:
    types = registered()
    assert types.lookup("diagnostic").struct is Diagnostic5
    assert types.lookup("diagnostic", 2).struct is Diagnostic2
    assert [each.version for each in types] == [1, 2, 3, 4, 5]


# What a version may change.


class Kind(StrEnum):
    A = "a"
    B = "b"


class MoreKinds(StrEnum):
    A = "a"
    B = "b"
    C = "c"


def struct(**fields: object) -> type[msgspec.Struct]:
    """A struct with these fields: a type, or a type and a default."""
    made = [
        (name, *field) if isinstance(field, tuple) else (name, field)
        for name, field in fields.items()
    ]
    return msgspec.defstruct("Made", cast("Any", made), frozen=True)


BASE = {"name": str, "size": int}
SMALL = Annotated[int, msgspec.Meta(ge=0, le=10)]
LARGE = Annotated[int, msgspec.Meta(ge=-1, le=20)]

ALLOWED = {
    "the same": (struct(**BASE), struct(**BASE)),
    "an optional field": (struct(**BASE), struct(**BASE, note=(str, ""))),
    "a field that may be null": (struct(**BASE), struct(name=str, size=int | None)),
    "more choices": (struct(kind=Kind), struct(kind=MoreKinds)),
    "a choice becomes any text": (struct(kind=Kind), struct(kind=str)),
    "looser bounds": (struct(size=SMALL), struct(size=LARGE)),
    "no bounds": (struct(size=SMALL), struct(size=int)),
    "anything": (struct(size=SMALL), struct(size=object)),
    "a struct inside grows": (struct(at=list[Place]), struct(at=list[ColumnPlace])),
    "in a map": (struct(at=dict[str, Place]), struct(at=dict[str, ColumnPlace])),
    "a field gets a default": (struct(size=int), struct(size=(int, 0))),
}
REFUSED = {
    "removed": (struct(**BASE), struct(name=str), "size is gone"),
    "renamed": (struct(**BASE), struct(label=str, size=int), "name is gone"),
    "retyped": (struct(**BASE), struct(name=str, size=str), "size was int and is str"),
    "no default": (struct(**BASE), struct(**BASE, note=str), "note has no default"),
    "another order": (struct(**BASE), struct(size=int, name=str), "name has another place"),
    "added in the middle": (
        struct(name=str, size=(int, 0)),
        struct(name=str, note=(str, ""), size=(int, 0)),
        "size has another place",
    ),
    "not null any more": (struct(a=int | None), struct(a=int), "a no longer takes null"),
    "fewer choices": (struct(kind=MoreKinds), struct(kind=Kind), "kind no longer takes 'c'"),
    "text becomes a choice": (struct(kind=str), struct(kind=Kind), "kind no longer takes every"),
    "tighter": (struct(size=LARGE), struct(size=SMALL), "size is bound more tightly"),
    "a new bound": (struct(size=int), struct(size=SMALL), "size is bound more tightly"),
    "a default lost": (struct(size=(int, 0)), struct(size=int), "size has lost its default"),
    "inside": (struct(at=list[ColumnPlace]), struct(at=list[Place]), r"at\[\].column is gone"),
    "in a map": (struct(at=dict[str, int]), struct(at=dict[str, str]), "at<value> was int"),
    "a list becomes a map": (struct(a=list[str]), struct(a=dict[str, str]), "a was"),
}


@pytest.mark.parametrize(("old", "new"), ALLOWED.values(), ids=ALLOWED)
def test_a_compatible_version_is_registered(
    old: type[msgspec.Struct], new: type[msgspec.Struct]
) -> None:
    types = MessageTypes()
    types.register(MessageType("made", 1, old))
    types.register(MessageType("made", 2, new))
    assert [each.struct for each in types] == [old, new]


@pytest.mark.parametrize(("old", "new", "reason"), REFUSED.values(), ids=REFUSED)
def test_an_incompatible_version_needs_an_upgrade(
    old: type[msgspec.Struct], new: type[msgspec.Struct], reason: str
) -> None:
    types = MessageTypes()
    types.register(MessageType("made", 1, old))
    with pytest.raises(TypeRefused, match=reason):
        types.register(MessageType("made", 2, new))
    types.register(MessageType("made", 2, new, upgrade=lambda value: value))


def test_registering_the_same_twice_is_fine_and_another_is_not() -> None:
    types = MessageTypes()
    first = MessageType("made", 2, Place)
    types.register(first)
    types.register(MessageType("made", 2, Place))
    assert list(types) == [first]
    with pytest.raises(TypeRefused, match="another struct"):
        types.register(MessageType("made", 2, ColumnPlace))
    with pytest.raises(TypeRefused, match="version 2 is registered already"):
        types.register(MessageType("made", 1, ColumnPlace))


class Node(msgspec.Struct):
    inner: list[Node]


class Callback(msgspec.Struct):
    when: complex


@pytest.mark.parametrize(
    ("message_type", "reason"),
    [
        (MessageType("", 1, Place), "printable"),
        (MessageType("a\n", 1, Place), "printable"),
        (MessageType("x" * 201, 1, Place), "printable"),
        (MessageType("a", 0, Place), "begin with 1"),
        (MessageType("a", 1, Node), "contains itself"),
        (MessageType("a", 1, Callback), "not a type of messages"),
        (MessageType("a", 1, dict), "no struct"),  # type: ignore[arg-type]
    ],
    ids=["no name", "line break", "long", "version 0", "recursive", "complex", "no struct"],
)
def test_what_can_be_no_message_type_is_refused(message_type: MessageType, reason: str) -> None:
    types = MessageTypes()
    with pytest.raises(TypeRefused, match=reason):
        types.register(message_type)
    assert list(types) == []


# Validation.

BROKEN = {"place": {"path": 1, "line": "x"}, "severity": "info", "tags": ["a", 2]}


@pytest.mark.parametrize("codec", [Codec.MSGPACK, Codec.JSON])
def test_every_fault_is_told_with_its_place(codec: Codec) -> None:
    faults = registered(3).faults(sealed(BROKEN, 2, codec))
    assert {each.pointer for each in faults} == {"", "/place/path", "/place/line", "/tags/1"}
    assert any("message" in each.message for each in faults if not each.pointer)


def test_what_is_right_has_no_faults() -> None:
    good = Diagnostic1(Place("a", 1), "info", "m")
    types = registered()
    assert all(not types.faults(sealed(good, 1, codec)) for codec in Codec)
    assert types.lookup("diagnostic", 1).faults(good) == []
    assert types.lookup("diagnostic", 5).faults(Diagnostic5("a", 1, 2, "m")) == []


def test_a_struct_that_was_filled_wrongly_has_faults() -> None:
    wrong = Diagnostic5("a", "1", -1, "m")  # type: ignore[arg-type]
    faults = registered().lookup("diagnostic").faults(wrong)
    assert {each.pointer for each in faults} == {"/line", "/level"}


def test_the_first_fault_of_a_compact_payload_is_told() -> None:
    wrong = Diagnostic5("a", "1", -1, "m")  # type: ignore[arg-type]
    faults = registered().faults(sealed(wrong, 5, Codec.COMPACT))
    assert [each.pointer for each in faults] == ["/1"]
    faults = registered().faults(sealed(ColumnPlace("a", 1), 5, Codec.COMPACT))
    assert "schema" in faults[0].message


def test_a_payload_that_is_cut_off_is_one_fault() -> None:
    envelope = sealed(msgspec.Raw(b"\xa3ab\xff"), 1)
    assert len(registered().faults(envelope)) == 1


def test_the_json_schema_describes_the_form_with_names() -> None:
    schema = registered().lookup("diagnostic").json_schema
    checker = Schema(schema)
    assert checker.faults({"path": "a", "line": 1, "level": 1, "message": "m"}) == []
    assert checker.faults({"path": "a", "line": 1, "level": -1, "message": "m"})
