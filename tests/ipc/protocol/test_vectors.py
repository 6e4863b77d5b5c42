"""The language-neutral vectors in `tests/vectors`, read by our code in both directions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from symphony.commons.errors import ErrorRecord, SymphonyError
from symphony.ipc import Frame, FrameParser, Kind, encode
from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._compact import form_of
from symphony.ipc.protocol._control import (
    Admission,
    Greeting,
    Policy,
    Serve,
    Subscribe,
    Subscribed,
)
from symphony.ipc.protocol._envelope import Codec, CompactEnvelope, Envelope, JsonEnvelope
from symphony.ipc.protocol._frames import Flag

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"
VECTORS = Path(__file__).parents[2] / "vectors"


class FrameVector(msgspec.Struct):
    name: str
    kind: str
    flags: list[str]
    topic: str
    source: int
    correlation: str
    deadline_ms: int
    sequence: str
    body: str
    hex: str

    def frame(self) -> Frame:
        return Frame(
            Kind[self.kind],
            int(self.correlation),
            self.topic,
            bytes.fromhex(self.body),
            self.source,
            flags_of(self.flags),
            self.deadline_ms,
            int(self.sequence),
        )


class Refused(msgspec.Struct):
    name: str
    code: str
    hex: str
    flags: list[str] = []


class Stream(msgspec.Struct):
    name: str
    frames: list[str]
    cuts: list[int] | str


class FrameVectors(msgspec.Struct):
    frames: list[FrameVector]
    streams: list[Stream]
    refused: list[Refused]


class EnvelopeVector(msgspec.Struct):
    name: str
    flags: list[str]
    id: str
    type: str
    version: int
    ts: float
    source: str
    target: str
    correlation: str
    deadline: float
    trace: str
    meta: dict[str, str | int]
    payload: object
    hex: str = ""
    text: str = ""
    decode_only: bool = False

    @property
    def body(self) -> bytes:
        return self.text.encode() or bytes.fromhex(self.hex)


class CompactVector(msgspec.Struct):
    name: str
    flags: list[str]
    fields: list[str]
    tag: str | None
    required: int
    schema: str
    payload: list[object]
    hex: str


class EnvelopeVectors(msgspec.Struct):
    envelopes: list[EnvelopeVector]
    compact: list[CompactVector]
    refused: list[Refused]


class Diagnostic(msgspec.Struct, frozen=True, array_like=True):
    path: str
    line: int
    score: float
    tags: list[str]
    fix: str | None = None


class Circle(msgspec.Struct, frozen=True, array_like=True, tag="circle"):
    radius: float


class Box(msgspec.Struct, frozen=True, array_like=True, tag="box"):
    width: int
    height: int


class Drawing(msgspec.Struct, frozen=True, array_like=True):
    shapes: list[Circle | Box]
    names: dict[str, bytes]
    at: tuple[int, int]
    ok: bool = True


FRAMES = msgspec.json.decode((VECTORS / "frames.json").read_bytes(), type=FrameVectors)
ENVELOPES = msgspec.json.decode((VECTORS / "envelopes.json").read_bytes(), type=EnvelopeVectors)
TYPES: dict[str, type[msgspec.Struct]] = {"tagged": Box, "structs by tag, a map, a tuple": Drawing}


def flags_of(names: list[str]) -> int:
    return sum(Flag[name.upper()] for name in names)


def received(parser: FrameParser) -> Iterator[Frame]:
    while (frame := parser.next_frame()) is not None:
        yield frame


def test_the_page_names_all_that_travels() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for kind in Kind:
        assert f"| {kind.name} | {kind.value} |" in page
    for flag in Flag:
        assert f"| {flag.name} | {flag.value:#04x} |" in page
    for place, field in enumerate(Envelope.__struct_fields__):
        assert f"| {place} | `{field}` |" in page
    bodies = (Greeting, Admission, Subscribe, Subscribed, Serve, ErrorRecord)
    for field in (field for body in bodies for field in body.__struct_fields__):
        assert f"`{field}`" in page
    for policy in Policy:
        assert f"`{policy}`" in page


def test_there_is_a_vector_for_every_kind_and_flag() -> None:
    assert {each.kind for each in FRAMES.frames} == {kind.name for kind in Kind}
    flags = {flag for each in FRAMES.frames for flag in each.flags}
    assert flags == {str(flag.name).lower() for flag in Flag}
    assert len({each.name for each in FRAMES.frames}) == len(FRAMES.frames)


@pytest.mark.parametrize("vector", FRAMES.frames, ids=lambda each: str(each.name))
def test_frames_in_both_directions(vector: FrameVector) -> None:
    data = bytes.fromhex(vector.hex)
    assert encode(vector.frame()) == data
    parser = FrameParser()
    parser.feed(data)
    assert list(received(parser)) == [vector.frame()]


@pytest.mark.parametrize("stream", FRAMES.streams, ids=lambda each: str(each.name))
def test_streams_are_the_same_frames_however_they_are_cut(stream: Stream) -> None:
    named = {each.name: each for each in FRAMES.frames}
    data = b"".join(bytes.fromhex(named[name].hex) for name in stream.frames)
    cuts = list(range(1, len(data))) if isinstance(stream.cuts, str) else stream.cuts
    assert all(0 < cut < len(data) for cut in cuts)
    parser = FrameParser()
    frames: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        parser.feed(data[start:end])
        frames += received(parser)
    assert frames == [named[name].frame() for name in stream.frames]
    assert parser.unfinished == 0


@pytest.mark.parametrize("vector", FRAMES.refused, ids=lambda each: str(each.name))
def test_what_is_no_frame_is_refused_with_its_code(vector: Refused) -> None:
    parser = FrameParser()
    parser.feed(bytes.fromhex(vector.hex))
    with pytest.raises(SymphonyError) as caught:
        parser.next_frame()
    assert caught.value.code == vector.code


@pytest.mark.parametrize("vector", ENVELOPES.envelopes, ids=lambda each: str(each.name))
def test_envelopes_are_read(vector: EnvelopeVector) -> None:
    envelope = opened(flags_of(vector.flags), vector.body)
    for name in Envelope.__struct_fields__[:9]:
        assert getattr(envelope, name) == getattr(vector, name)
    assert envelope.metadata == vector.meta
    assert envelope.payload_as(object) == vector.payload


@pytest.mark.parametrize(
    "vector",
    [each for each in ENVELOPES.envelopes if not each.decode_only],
    ids=lambda each: str(each.name),
)
def test_envelopes_are_written(vector: EnvelopeVector) -> None:
    head = {name: getattr(vector, name) for name in Envelope.__struct_fields__[:9]}
    if vector.text:
        parts = [msgspec.json.encode(each) for each in (vector.meta, vector.payload)]
        meta, payload = map(msgspec.Raw, parts)
        written = json.loads(msgspec.json.encode(JsonEnvelope(**head, meta=meta, payload=payload)))
        assert written == json.loads(vector.text) | {"deadline": vector.deadline}
    else:
        parts = [msgspec.msgpack.encode(each) for each in (vector.meta, vector.payload)]
        meta, payload = map(msgspec.Raw, parts)
        written = msgspec.msgpack.encode(Envelope(**head, meta=meta, payload=payload))
        assert written == vector.body


@pytest.mark.parametrize("vector", ENVELOPES.compact, ids=lambda each: str(each.name))
def test_a_compact_schema_is_what_the_page_says(vector: CompactVector) -> None:
    checks = [crc32(f"{vector.tag}!".encode() if vector.tag else b"")]
    for field in vector.fields:
        checks.append(crc32(f"{field};".encode(), checks[-1]))
    parts = (checks[vector.required], checks[-1])
    assert vector.schema == "".join(part.to_bytes(4, "little").hex() for part in parts)
    envelope = opened(flags_of(vector.flags), bytes.fromhex(vector.hex))
    assert isinstance(envelope, CompactEnvelope)
    assert envelope.schema.hex() == vector.schema


@pytest.mark.parametrize("vector", ENVELOPES.compact, ids=lambda each: str(each.name))
def test_compact_payloads_in_both_directions(vector: CompactVector) -> None:
    """Of a diagnostic also those with a field less, and more, than ours."""
    type_ = TYPES.get(vector.name, Diagnostic)
    envelope = opened(flags_of(vector.flags), bytes.fromhex(vector.hex))
    value = envelope.payload_as(type_)
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    count = min(len(plain), len(vector.payload))
    assert json.loads(json.dumps(plain[:count], default=spelled)) == vector.payload[:count]
    if form_of(type_).schema.hex() == vector.schema:
        assert bytes(opened(*seal(value, codec=Codec.COMPACT)).payload) == bytes(envelope.payload)


def spelled(value: object) -> dict[str, str]:
    assert isinstance(value, bytes)
    return {"bytes": value.hex()}


@pytest.mark.parametrize("vector", ENVELOPES.refused, ids=lambda each: str(each.name))
def test_what_is_no_envelope_is_refused_with_its_code(vector: Refused) -> None:
    with pytest.raises(SymphonyError) as caught:
        opened(flags_of(vector.flags), bytes.fromhex(vector.hex))
    assert caught.value.code == vector.code
