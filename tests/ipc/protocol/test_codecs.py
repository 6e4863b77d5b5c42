from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._envelope import Codec, Envelope, MetaValue
from symphony.ipc.protocol._errors import MessageInvalid, SchemaMismatch
from symphony.ipc.protocol._frames import Flag

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
whole = st.integers(-(2**63), 2**64 - 1)
broken = st.floats(allow_nan=False, allow_infinity=False)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Point(msgspec.Struct, frozen=True, array_like=True):
    x: int
    y: float = 0.0


class Circle(msgspec.Struct, frozen=True, tag="circle"):
    middle: Point
    radius: float


class Text(msgspec.Struct, frozen=True, tag="text"):
    text: str
    colour: Colour = Colour.RED


class Ordinary(msgspec.Struct, frozen=True):
    name: str
    shapes: list[Circle | Text]
    named: dict[str, Point]
    corner: tuple[Point, int]
    path: tuple[Point, ...] = ()
    data: bytes = b""
    mode: Literal["a", "b"] = "a"
    maybe: Point | None = None
    noted: Annotated[Point, msgspec.Meta(description="noted")] = Point(1)
    odd_name: bool = msgspec.field(name="odd-name", default=False)
    anything: object = None


class Ordered(Ordinary, frozen=True, array_like=True, gc=False):
    """The same, declared for the compact form."""


class Keywords(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    optional: int = 7
    needed: Point


points = st.builds(Point, whole, broken)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | broken | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
shapes = st.lists(
    st.builds(Circle, points, broken) | st.builds(Text, text, st.sampled_from(Colour)), max_size=3
)
members = (
    text,
    shapes,
    st.dictionaries(text, points, max_size=3),
    st.tuples(points, whole),
    st.lists(points, max_size=2).map(tuple),
    st.binary(max_size=20),
    st.sampled_from(["a", "b"]),
    st.none() | points,
    points,
    st.booleans(),
    plain,
)
payloads = (
    st.builds(Ordinary, *members)
    | st.builds(Ordered, *members)
    | st.builds(Keywords, optional=whole, needed=points)
)
metas = st.dictionaries(text, text | st.integers(-(2**63), 2**63) | broken, max_size=3)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(payloads, metas, st.sampled_from(Codec))
def test_a_struct_survives_every_codec(
    payload: msgspec.Struct, meta: dict[str, MetaValue], codec: Codec
) -> None:
    flags, body = seal(payload, meta=meta, codec=codec)
    envelope = opened(flags, body)
    assert envelope.payload_as(type(payload)) == payload
    assert envelope.metadata == meta


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(plain, st.sampled_from([Codec.MSGPACK, Codec.JSON]))
def test_plain_values_survive(payload: object, codec: Codec) -> None:
    flags, body = seal(payload, codec=codec)
    assert opened(flags, body).payload_as(object) == payload


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(
    payloads,
    st.sampled_from(Codec),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 2**16),
)
def test_mutated_messages_give_an_envelope_or_an_error(
    payload: msgspec.Struct, codec: Codec, changes: list[tuple[int, int]], cut: int
) -> None:
    flags, body = seal(payload, codec=codec, id="1")
    hurt = bytearray(body)
    for at, byte in changes:
        hurt[at % len(hurt)] = byte
    for each in (bytes(hurt), bytes(hurt[: cut % len(hurt)])):
        with suppress(MessageInvalid):
            touch(opened(flags, each), type(payload))


def touch(envelope: Envelope, type_: type[msgspec.Struct]) -> None:
    for ask in (object, type_, dict, list):
        with suppress(MessageInvalid, SchemaMismatch):
            envelope.payload_as(ask)
    assert isinstance(envelope.metadata, dict)


def test_the_form_follows_from_the_codec_and_not_from_the_declaration() -> None:
    ordinary = Ordinary("n", [Circle(Point(1), 2.0)], {}, (Point(1), 2))
    ordered = Ordered("n", [Circle(Point(1), 2.0)], {}, (Point(1), 2))
    for codec in Codec:
        one, other = (seal(each, codec=codec, id="1")[1] for each in (ordinary, ordered))
        envelopes = [
            opened(seal(each, codec=codec)[0], body)
            for each, body in zip((ordinary, ordered), (one, other), strict=True)
        ]
        assert bytes(envelopes[0].payload) == bytes(envelopes[1].payload)
        assert envelopes[0].payload_as(Ordered) == ordered
        assert envelopes[1].payload_as(Ordinary) == ordinary


@pytest.mark.parametrize("codec", Codec)
def test_fields_given_by_keyword_may_be_needed_behind_others(codec: Codec) -> None:
    payload = Keywords(needed=Point(1), optional=3)
    flags, body = seal(payload, codec=codec)
    assert opened(flags, body).payload_as(Keywords) == payload


def test_names_travel_in_messagepack_and_json_alone() -> None:
    payload = Ordered("n", [], {}, (Point(1), 2))
    assert b"odd-name" in seal(payload)[1]
    assert b"odd-name" in seal(payload, codec=Codec.JSON)[1]
    assert b"odd-name" not in seal(payload, codec=Codec.COMPACT)[1]


def test_the_flags_say_which_codec() -> None:
    flags = {codec: seal(Point(1), codec=codec)[0] for codec in Codec}
    assert flags == {
        Codec.MSGPACK: Flag.ENVELOPE,
        Codec.COMPACT: Flag.ENVELOPE | Flag.COMPACT,
        Codec.JSON: Flag.ENVELOPE | Flag.JSON,
    }


def test_flags_about_other_things_do_not_matter() -> None:
    flags, body = seal(5)
    assert opened(flags | Flag.DEADLINE | Flag.SEQUENCE, body).payload_as(int) == 5


@pytest.mark.parametrize("codec", [Codec.MSGPACK, Codec.JSON])
def test_an_encoded_payload_goes_as_it_is(codec: Codec) -> None:
    flags, body = seal(msgspec.Raw(b"5"), codec=codec)
    assert opened(flags, body).payload_as(int) == (5 if codec is Codec.JSON else ord("5"))


@pytest.mark.parametrize(
    ("payload", "codec"),
    [
        (object(), Codec.MSGPACK),
        (2**64, Codec.MSGPACK),
        ("\ud800", Codec.MSGPACK),
        ("\ud800", Codec.JSON),
        ({"not": "a struct"}, Codec.COMPACT),
    ],
    ids=["no value", "too large", "half a character", "the same in JSON", "no struct"],
)
def test_what_cannot_be_written_is_refused(payload: object, codec: Codec) -> None:
    with pytest.raises(MessageInvalid, match="not writable as"):
        seal(payload, codec=codec)


def test_a_payload_of_another_type_is_refused_with_the_place() -> None:
    flags, body = seal({"x": "one"})
    with pytest.raises(MessageInvalid, match=r"\$\.x") as caught:
        opened(flags, body).payload_as(Point)
    assert caught.value.code == "ipc.message_invalid"


def test_deep_nesting_is_refused_without_a_crash() -> None:
    head = msgspec.msgpack.encode(["", "", 1, 0.0, "", "", "", 0.0, "", {}])
    body = bytes([0x9B]) + head[1:] + b"\x91" * 100_000 + b"\x01"
    with pytest.raises(MessageInvalid):
        opened(Flag.ENVELOPE, body).payload_as(object)
    with pytest.raises(MessageInvalid):
        opened(Flag.ENVELOPE | Flag.JSON, b'{"payload":' + b"[" * 100_000)
