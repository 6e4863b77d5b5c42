"""The layout of content, piece by piece, and every way in which it can be tampered with."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.pit.artifacts._body import PIECE, StreamEncoder, bound, decode, write_body
from symphony.pit.artifacts._vault import Damaged

KEY = b"k" * 32
CIPHER = AESGCM(b"c" * 32)
SIZES = [0, 1, 255, 4096, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]


def encoded(content: bytes, cipher: AESGCM | None = CIPHER, key: bytes = KEY) -> bytes:
    buffer = bytearray(bound(len(content)))
    used = write_body(content, key, cipher, memoryview(buffer), dense=False)
    return bytes(buffer[:used])


def streamed(content: bytes) -> bytes:
    encoder, body = StreamEncoder(CIPHER), b""
    last = max(0, (len(content) - 1) // PIECE) * PIECE
    for at in range(0, last, PIECE):
        body += encoder.add(content[at : at + PIECE])
    return body + encoder.finish(content[last:], KEY)


@pytest.mark.parametrize("cipher", [CIPHER, None])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("random", [True, False])
def test_content_comes_back(size: int, cipher: AESGCM | None, random: bool) -> None:
    content = os.urandom(size) if random else b"text" * (size // 4)
    body = encoded(content, cipher)
    assert decode(body, len(content), KEY, cipher) == content
    assert len(body) <= bound(len(content))
    if not random and size > 4096:
        assert len(body) < size / 10


@pytest.mark.parametrize("size", SIZES)
def test_stream_and_whole_are_one_format(size: int) -> None:
    content = os.urandom(size)
    assert decode(streamed(content), size, KEY, CIPHER) == content


@settings(max_examples=200, deadline=None)
@given(data=st.binary(min_size=1, max_size=300), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_can_be_flipped(data: bytes, at: int, bit: int) -> None:
    body = bytearray(encoded(data))
    body[at % len(body)] ^= 1 << bit
    with pytest.raises(Damaged):
        decode(bytes(body), len(data), KEY, CIPHER)


def test_pieces_cannot_be_cut_moved_added_or_taken_from_elsewhere() -> None:
    content = os.urandom(3 * PIECE)
    body = encoded(content)
    step = len(body) // 3
    one, two, three = body[:step], body[step : 2 * step], body[2 * step :]
    other = encoded(os.urandom(3 * PIECE), AESGCM(b"d" * 32))
    for tampered, size in (
        (one + two, 3 * PIECE),
        (one + two, 2 * PIECE),
        (two + one + three, 3 * PIECE),
        (one + three, 2 * PIECE),
        (one + two + three + three, 3 * PIECE),
        (one + two + two + three, 4 * PIECE),
        (other[:step] + two + three, 3 * PIECE),
        (body, 3 * PIECE - 1),
        (body, 3 * PIECE + 1),
        (body[:-1], 3 * PIECE),
        (b"", 3 * PIECE),
    ):
        with pytest.raises(Damaged):
            decode(tampered, size, KEY, CIPHER)


def test_body_of_another_object_is_refused_under_the_same_key() -> None:
    with pytest.raises(Damaged):
        decode(encoded(b"content"), 7, b"o" * 32, CIPHER)


def test_compressed_piece_cannot_grow_beyond_its_size() -> None:
    body = encoded(b"\0" * PIECE, None)
    with pytest.raises(Damaged):
        decode(body, 1000, KEY, None)
