from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.ipc import (
    MAX_FRAME,
    BadFrame,
    Frame,
    FrameParser,
    FrameTooLarge,
    Kind,
    decode_body,
    encode,
    encode_body,
)
from symphony.ipc.protocol._frames import KINDS, Flag, frame_at

HEADER_SIZE = 20
DEADLINE, SEQUENCE = int(Flag.DEADLINE), int(Flag.SEQUENCE)


@st.composite
def any_frame(draw: st.DrawFn) -> Frame:
    """A word is zero where its flag is not set, since then it does not travel."""
    flags = draw(st.integers(0, 0x7F).filter(lambda bits: not bits & 0x08))
    return Frame(
        draw(st.sampled_from(Kind)),
        draw(st.integers(0, 2**64 - 1)),
        draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=40)),
        draw(st.binary(max_size=200)),
        draw(st.integers(0, 2**32 - 1)),
        flags,
        draw(st.integers(0, 2**32 - 1)) if flags & DEADLINE else 0,
        draw(st.integers(0, 2**64 - 1)) if flags & SEQUENCE else 0,
    )


frames = any_frame()

#: Written down once; a change here is a change of the wire, which is frozen.
GOLDEN_REST = "00030007000000fffefdfcfbfaf9f8612e6201ff"
GOLDEN = {kind: f"19000000{number:02x}{GOLDEN_REST}" for number, kind in KINDS.items()}
GOLDEN_WORDS = {
    0: "190000000500030007000000fffefdfcfbfaf9f8612e6201ff",
    DEADLINE: "1d0000000502030007000000fffefdfcfbfaf9f8dc050000612e6201ff",
    SEQUENCE: "210000000504030007000000fffefdfcfbfaf9f80807060504030201612e6201ff",
    DEADLINE | SEQUENCE: (
        "250000000506030007000000fffefdfcfbfaf9f8dc0500000807060504030201612e6201ff"
    ),
}
NUMBERS = {
    "HELLO": 1,
    "WELCOME": 2,
    "SUB": 3,
    "UNSUB": 4,
    "PUB": 5,
    "SERVE": 6,
    "UNSERVE": 7,
    "REQ": 8,
    "REP": 9,
    "ERR": 10,
    "CANCEL": 11,
    "CREDIT": 12,
    "PING": 13,
    "PONG": 14,
    "DRAIN": 15,
    "BYE": 16,
    "FOR": 17,
}


def parsed(data: bytes, limit: int = MAX_FRAME) -> list[Frame]:
    parser = FrameParser(limit)
    parser.feed(data)
    found = []
    while (frame := parser.next_frame()) is not None:
        found.append(frame)
    return found


def header(
    size: int = HEADER_SIZE, kind: int = int(Kind.PUB), flags: int = 0, topic_size: int = 0
) -> bytes:
    numbers = ((size, 4), (kind, 1), (flags, 1), (topic_size, 2), (0, 4), (0, 8))
    return b"".join(number.to_bytes(width, "little") for number, width in numbers)


def test_the_numbers_of_kinds_and_flags_are_frozen() -> None:
    assert {kind.name: kind.value for kind in Kind} == NUMBERS
    bits = {flag.name: flag.value for flag in Flag}
    assert bits == {
        "ENVELOPE": 0x01,
        "DEADLINE": 0x02,
        "SEQUENCE": 0x04,
        "SHARED": 0x10,
        "JSON": 0x20,
        "COMPACT": 0x40,
    }


@pytest.mark.parametrize("kind", Kind)
def test_golden_vectors(kind: Kind) -> None:
    frame = Frame(kind, 0xF8F9FAFBFCFDFEFF, "a.b", b"\x01\xff", 7)
    data = bytes.fromhex(GOLDEN[kind])
    assert encode(frame) == data
    assert parsed(data) == [frame]


@pytest.mark.parametrize("flags", GOLDEN_WORDS)
def test_golden_vectors_of_the_words(flags: int) -> None:
    deadline = 1500 if flags & DEADLINE else 0
    sequence = 0x0102030405060708 if flags & SEQUENCE else 0
    frame = Frame(Kind.PUB, 0xF8F9FAFBFCFDFEFF, "a.b", b"\x01\xff", 7, flags, deadline, sequence)
    data = bytes.fromhex(GOLDEN_WORDS[flags])
    assert encode(frame) == data
    assert parsed(data) == [frame]


def test_a_word_travels_with_its_flag_alone() -> None:
    frame = Frame(Kind.PUB, deadline_ms=9, sequence=9)
    assert parsed(encode(frame)) == [Frame(Kind.PUB)]


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.lists(frames, max_size=3))
def test_frames_survive_encoding_and_parsing(sent: list[Frame]) -> None:
    assert parsed(b"".join(map(encode, sent))) == sent


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.lists(frames, min_size=1, max_size=3), st.data())
def test_a_stream_parses_alike_however_it_is_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    step = data.draw(st.integers(1, len(stream)))
    parts = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert in_parts(parts) == sent


def test_a_stream_may_be_cut_at_every_byte() -> None:
    sent = [Frame(kind, 5, "größe", b"body", 7, 0x77, 9, 8) for kind in Kind]
    stream = b"".join(map(encode, sent))
    for at in range(len(stream) + 1):
        assert in_parts([stream[:at], stream[at:]]) == sent


def in_parts(parts: list[bytes]) -> list[Frame]:
    parser = FrameParser()
    received = []
    for part in parts:
        parser.feed(part)
        while (frame := parser.next_frame()) is not None:
            received.append(frame)
    assert parser.unfinished == 0
    return received


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.lists(frames, min_size=1, max_size=3))
def test_a_frame_is_read_from_the_middle_of_a_buffer(sent: list[Frame]) -> None:
    stream = b"".join(map(encode, sent))
    at = 0
    for frame in sent:
        assert frame_at(stream, at) == frame
        at += len(encode(frame))


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.binary(max_size=400))
def test_any_bytes_give_frames_or_an_error(data: bytes) -> None:
    with suppress(BadFrame, FrameTooLarge):
        assert all(isinstance(frame.kind, Kind) for frame in parsed(data))


@pytest.mark.slow
@settings(max_examples=1000)
@given(frames, st.data())
def test_a_flipped_byte_gives_other_frames_or_an_error(frame: Frame, data: st.DataObject) -> None:
    stream = bytearray(encode(frame))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    with suppress(BadFrame, FrameTooLarge):
        assert parsed(bytes(stream)) != [frame]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (header(size=19), "its length is given as 19 bytes"),
        (header(size=0), "its length is given as 0 bytes"),
        (header(size=21, topic_size=2), "less than header and topic"),
        (header(kind=0), "unknown kind 0"),
        (header(kind=18), "unknown kind 18"),
        (header(size=23, flags=DEADLINE), "less than header and topic"),
        (header(size=27, flags=SEQUENCE), "less than header and topic"),
        (header(size=31, flags=DEADLINE | SEQUENCE), "less than header and topic"),
        (header(kind=255), "unknown kind 255"),
        (header(flags=0x08), "unknown flags 0x08"),
        (header(flags=0x81), "unknown flags 0x81"),
        (header(size=21, topic_size=1) + b"\xff", "not UTF-8"),
    ],
)
def test_what_is_no_frame_is_refused_and_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadFrame, match=reason):
        parsed(data)


def test_an_absurd_length_is_refused_as_soon_as_the_header_is_there() -> None:
    with pytest.raises(FrameTooLarge) as caught:
        parsed(header(size=2**32 - 1))
    assert (caught.value.size, caught.value.limit) == (2**32 - 1, MAX_FRAME)


def test_the_limit_counts_the_whole_frame_in_both_directions() -> None:
    fits = Frame(Kind.PUB, topic="abc", body=b"x" * 77)
    assert parsed(encode(fits, limit=100), limit=100) == [fits]
    over = Frame(Kind.PUB, topic="abc", body=b"x" * 78)
    with pytest.raises(FrameTooLarge):
        encode(over, limit=100)
    with pytest.raises(FrameTooLarge):
        parsed(encode(over), limit=100)


def test_frames_before_a_bad_one_still_arrive() -> None:
    good = Frame(Kind.REP, 5, body=b"last words")
    parser = FrameParser()
    parser.feed(encode(good) + header(kind=99))
    assert parser.next_frame() == good
    with pytest.raises(BadFrame):
        parser.next_frame()


def test_unfinished_counts_what_has_arrived_of_a_frame() -> None:
    parser = FrameParser()
    parser.feed(encode(Frame(Kind.PUB, body=b"1234"))[:-1])
    assert parser.next_frame() is None
    assert parser.unfinished == HEADER_SIZE + 3


class Point(msgspec.Struct):
    x: int
    y: int = 0


def test_bodies_survive_and_may_gain_fields() -> None:
    assert decode_body(encode_body(Point(1, 2)), Point) == Point(1, 2)
    assert decode_body(encode_body({"x": 1, "z": "from a newer version"}), Point) == Point(1)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"\x01\x02", encode_body({"y": 1}), encode_body([1]), b"\x91" * 5000],
    ids=["empty", "no MessagePack", "two values", "field missing", "other type", "deep"],
)
def test_a_body_that_is_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadFrame, match="expected Point"):
        decode_body(body, Point)


def test_deep_nesting_is_refused_without_a_crash() -> None:
    with pytest.raises(BadFrame):
        decode_body(b"\x91" * 100_000 + b"\x01", object)
