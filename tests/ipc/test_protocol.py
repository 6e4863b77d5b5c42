from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
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

HEADER_SIZE = 20

frames = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 2**64 - 1),
    st.text(max_size=40).filter(lambda text: "\ud800" not in text),
    st.binary(max_size=200),
    st.integers(0, 2**32 - 1),
)

#: Written down once; a change here is a change of the wire, which is frozen.
GOLDEN = {
    Kind.HELLO: "190000000100030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.WELCOME: "190000000200030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.PUB: "190000000500030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.REQ: "190000000800030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.REP: "190000000900030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.ERR: "190000000a00030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.CANCEL: "190000000b00030007000000fffefdfcfbfaf9f8612e6201ff",
    Kind.BYE: "190000001000030007000000fffefdfcfbfaf9f8612e6201ff",
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


def test_there_is_a_golden_vector_for_every_kind() -> None:
    assert set(GOLDEN) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_golden_vectors(kind: Kind) -> None:
    frame = Frame(kind, 0xF8F9FAFBFCFDFEFF, "a.b", b"\x01\xff", 7)
    data = bytes.fromhex(GOLDEN[kind])
    assert encode(frame) == data
    assert parsed(data) == [frame]


@given(st.lists(frames, max_size=5))
def test_frames_survive_encoding_and_parsing(sent: list[Frame]) -> None:
    assert parsed(b"".join(map(encode, sent))) == sent


@given(st.lists(frames, min_size=1, max_size=3), st.data())
def test_a_stream_parses_alike_however_it_is_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    step = data.draw(st.integers(1, len(stream)))
    parser = FrameParser()
    received = []
    for at in range(0, len(stream), step):
        parser.feed(stream[at : at + step])
        while (frame := parser.next_frame()) is not None:
            received.append(frame)
    assert received == sent
    assert parser.unfinished == 0


@given(st.binary(max_size=400))
def test_any_bytes_give_frames_or_an_error(data: bytes) -> None:
    with suppress(BadFrame, FrameTooLarge):
        assert all(isinstance(frame.kind, Kind) for frame in parsed(data))


@given(frames, st.data())
def test_a_flipped_byte_gives_frames_or_an_error(frame: Frame, data: st.DataObject) -> None:
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
        (header(kind=3), "unknown kind 3"),
        (header(kind=255), "unknown kind 255"),
        (header(flags=1), "unknown flags 0x01"),
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
