from __future__ import annotations

import msgspec
import pytest

from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._compact import Indescribable, array_size, form_of
from symphony.ipc.protocol._envelope import Codec
from symphony.ipc.protocol._errors import MessageInvalid, SchemaMismatch


class First(msgspec.Struct, frozen=True, array_like=True):
    name: str
    size: int


class Grown(msgspec.Struct, frozen=True, array_like=True):
    name: str
    size: int
    note: str = "none"


class GrownTwice(msgspec.Struct, frozen=True, array_like=True):
    name: str
    size: int
    note: str = "none"
    owner: str = "nobody"


class Renamed(msgspec.Struct, frozen=True, array_like=True):
    label: str
    size: int


class Retyped(msgspec.Struct, frozen=True, array_like=True):
    name: str
    size: int | None


class GrownOtherwise(msgspec.Struct, frozen=True, array_like=True):
    name: str
    size: int
    owner: str = "nobody"


class Needier(msgspec.Struct, frozen=True, array_like=True):
    name: str
    size: int
    note: str


class Tagged(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    name: str
    size: int


class TaggedGrown(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    name: str
    size: int
    note: str = "none"


class Mapped(msgspec.Struct, frozen=True):
    """As `First`, declared the other way."""

    name: str
    size: int


class Node(msgspec.Struct, array_like=True):
    inner: list[Node]


def sent(value: msgspec.Struct, type_: type[msgspec.Struct]) -> msgspec.Struct:
    flags, body = seal(value, codec=Codec.COMPACT)
    return opened(flags, body).payload_as(type_)


def test_an_older_writer_is_read_with_defaults() -> None:
    assert sent(First("n", 1), Grown) == Grown("n", 1, "none")
    assert sent(Grown("n", 1, "x"), GrownTwice) == GrownTwice("n", 1, "x", "nobody")
    assert sent(Tagged("n", 1), TaggedGrown) == TaggedGrown("n", 1, "none")


def test_a_newer_writer_is_read_without_what_it_added() -> None:
    assert sent(Grown("n", 1, "x"), First) == First("n", 1)
    assert sent(TaggedGrown("n", 1, "x"), Tagged) == Tagged("n", 1)


@pytest.mark.parametrize(
    ("value", "reader"),
    [
        (First("n", 1), Renamed),
        (First("n", 1), Retyped),
        (Grown("n", 1), GrownOtherwise),
        (Needier("n", 1, "x"), First),
        (First("n", 1), Tagged),
        (Tagged("n", 1), First),
    ],
    ids=["renamed", "retyped", "grown apart", "needs more", "untagged", "tagged"],
)
def test_any_other_schema_is_refused(value: msgspec.Struct, reader: type[msgspec.Struct]) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        sent(value, reader)
    assert caught.value.written == form_of(type(value)).schema.hex()


def test_a_writer_without_what_we_need_is_refused() -> None:
    with pytest.raises(MessageInvalid):
        sent(First("n", 1), Needier)


def test_the_schema_does_not_depend_on_how_the_struct_is_declared() -> None:
    assert form_of(Mapped).schema == form_of(First).schema
    assert sent(Mapped("n", 1), First) == First("n", 1)
    assert sent(First("n", 1), Mapped) == Mapped("n", 1)


def test_without_a_type_the_fields_come_in_order() -> None:
    flags, body = seal(First("n", 1), codec=Codec.COMPACT)
    assert opened(flags, body).payload_as(object) == ["n", 1]


def test_a_type_that_contains_itself_has_no_schema() -> None:
    with pytest.raises(Indescribable, match="Node contains itself"):
        form_of(Node)


def test_it_is_a_quarter_smaller_than_messagepack_with_names() -> None:
    value = Grown("a name", 1, "and a note")
    sizes = [len(bytes(opened(*seal(value, codec=codec)).payload)) for codec in Codec]
    assert sizes[list(Codec).index(Codec.COMPACT)] < 0.75 * sizes[list(Codec).index(Codec.MSGPACK)]


@pytest.mark.parametrize("count", [0, 15, 16, 65535, 65536])
def test_the_size_of_an_array_is_read_from_its_head(count: int) -> None:
    assert array_size(memoryview(msgspec.msgpack.encode([None] * count))) == count


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xc0"])
def test_what_is_no_array_has_no_size(data: bytes) -> None:
    assert array_size(memoryview(data)) == -1
