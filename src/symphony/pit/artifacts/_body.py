"""How content lies on the disk: pieces of at most 1 MiB, each compressed if it pays, encrypted.

    body   piece...
    piece  length u32 | payload; bit 31 of `length` says that the payload is a Zstandard frame
    payload  ciphertext and 16 bytes of tag; in a store without encryption the content itself

The nonce is the number of the piece, whether it is the last, and whether it is compressed: no key
serves two objects, so none repeats, and pieces cannot be cut off, moved or added. The last piece
binds the object's blinded id as associated data: a body cannot stand in for another one. (Only
the last, because the id of a stream is known only at its end.) Without encryption the caller
compares the content's hash instead.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from symphony.pit.artifacts._vault import Damaged

PIECE = 1024 * 1024
TAG = 16
_LENGTH = struct.Struct("<I")
_NONCE = struct.Struct("<QBBH")
_COMPRESSED = 1 << 31
#: Bytes that compression is tried on before all is compressed, and the share that it must reach.
_PROBE, _SHORT_PROBE = 4096, 1024
_PAYS = 0.9
_CUT_SHORT = "it is cut short"
_TOO_LONG = "there is more of it than there should be"
#: Less than this is not worth the look.
_LEAST = 256


class _Local(threading.local):
    """zstandard's objects serve one thread at a time."""

    def __init__(self) -> None:
        self.fast = zstandard.ZstdCompressor(level=1, write_content_size=False)
        self.dense = zstandard.ZstdCompressor(level=3, write_content_size=False)
        self.decompressor = zstandard.ZstdDecompressor()


_local = _Local()


def pays(data: bytes | memoryview) -> bool:
    """Whether compression is worth it, by a part from the middle."""
    if len(data) < _LEAST:
        return False
    size = _PROBE if len(data) >= 4 * _PROBE else _SHORT_PROBE
    start = max(0, (len(data) - size) // 2)
    probe = data[start : start + size]
    return len(_local.fast.compress(probe)) < len(probe) * _PAYS


def bound(size: int) -> int:
    """The most bytes that the body of `size` bytes of content can have."""
    return size + max(1, -(-size // PIECE)) * (_LENGTH.size + TAG)


def write_body(
    content: bytes | memoryview, key: bytes, cipher: AESGCM | None, into: memoryview, *, dense: bool
) -> int:
    """Encode all of `content` into a buffer of at least `bound` bytes; returns the bytes used."""
    packed, at, whole = pays(content), 0, memoryview(content)
    last = max(0, (len(whole) - 1) // PIECE)
    for number in range(last + 1):
        piece = whole[number * PIECE : (number + 1) * PIECE]
        data, compressed = _compressed(piece, dense=dense) if packed else (piece, False)
        name = PieceName(number, number == last, compressed)
        at += _write_piece(data, name, key, cipher, into[at:])
    return at


class PieceName(NamedTuple):
    """What tells a piece of an object from all others of it: its nonce."""

    number: int
    last: bool
    compressed: bool


_LONE, _LONE_COMPRESSED = PieceName(0, True, False), PieceName(0, True, True)


def _write_piece(
    data: bytes | memoryview,
    name: PieceName,
    key: bytes,
    cipher: AESGCM | None,
    into: memoryview,
) -> int:
    length = len(data) + (TAG if cipher else 0)
    _LENGTH.pack_into(into, 0, length | (_COMPRESSED if name.compressed else 0))
    end = _LENGTH.size + length
    if cipher is None:
        into[_LENGTH.size : end] = data
    else:
        bound_to = key if name.last else None
        cipher.encrypt_into(_NONCE.pack(*name, 0), data, bound_to, into[_LENGTH.size : end])
    return end


def _compressed(piece: memoryview, *, dense: bool) -> tuple[bytes | memoryview, bool]:
    packed = (_local.dense if dense else _local.fast).compress(piece)
    return (packed, True) if len(packed) < len(piece) else (piece, False)


class StreamEncoder:
    """Encodes content whose length and id are known only at its end, in constant memory.

    `add` and `finish` return a view of what is to be written next, valid until the next call.
    """

    def __init__(self, cipher: AESGCM | None) -> None:
        self._cipher = cipher
        self._number = 0
        self._packed: bool | None = None
        self._buffer = memoryview(bytearray(bound(PIECE)))

    def add(self, piece: bytes | memoryview) -> memoryview:
        """A piece of exactly PIECE bytes that is not the last."""
        return self._encode(memoryview(piece), b"", last=False)

    def finish(self, piece: bytes | memoryview, key: bytes) -> memoryview:
        return self._encode(memoryview(piece), key, last=True)

    def _encode(self, piece: memoryview, key: bytes, *, last: bool) -> memoryview:
        if self._packed is None:
            self._packed = pays(piece)
        data, compressed = _compressed(piece, dense=False) if self._packed else (piece, False)
        name = PieceName(self._number, last, compressed)
        used = _write_piece(data, name, key, self._cipher, self._buffer)
        self._number += 1
        return self._buffer[:used]


def decode(body: bytes | memoryview, size: int, key: bytes, cipher: AESGCM | None) -> bytes:
    """All content of a body in memory; raises Damaged."""
    view = memoryview(body)
    if size <= PIECE:
        return _decode_lone(view, size, key, cipher)
    position = 0

    def read(count: int) -> memoryview:
        nonlocal position
        position += count
        return view[position - count : position]

    pieces = list(decode_stream(read, size, key, cipher))
    if position != len(view):
        raise Damaged(_TOO_LONG)
    return b"".join(pieces)


def _decode_lone(view: memoryview, size: int, key: bytes, cipher: AESGCM | None) -> bytes:
    """What most reads are: a body of one piece."""
    if len(view) < _LENGTH.size:
        raise Damaged(_CUT_SHORT)
    (length,) = _LENGTH.unpack_from(view)
    payload = view[_LENGTH.size :]
    if length & ~_COMPRESSED != len(payload):
        raise Damaged(_TOO_LONG if length & ~_COMPRESSED < len(payload) else _CUT_SHORT)
    name = _LONE_COMPRESSED if length & _COMPRESSED else _LONE
    return _read_piece(payload, name, size, key, cipher)


def decode_stream(
    read: Callable[[int], bytes | memoryview], size: int, key: bytes, cipher: AESGCM | None
) -> Iterator[bytes]:
    """The content of a body, piece by piece; `read(n)` brings the next n bytes, fewer at its end.

    Raises Damaged; what came before is right then, and not all.
    """
    last = max(0, (size - 1) // PIECE)
    for number in range(last + 1):
        expected = PIECE if number < last else size - last * PIECE
        head = read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise Damaged(_CUT_SHORT)
        (length,) = _LENGTH.unpack(head)
        compressed, length = bool(length & _COMPRESSED), length & ~_COMPRESSED
        if length > bound(PIECE):
            raise Damaged("a piece has an impossible length")
        payload = read(length)
        if len(payload) < length:
            raise Damaged(_CUT_SHORT)
        name = PieceName(number, number == last, compressed)
        yield _read_piece(payload, name, expected, key, cipher)


def _read_piece(
    payload: bytes | memoryview,
    name: PieceName,
    expected: int,
    key: bytes,
    cipher: AESGCM | None,
) -> bytes:
    if cipher is None:
        data = bytes(payload)
    else:
        try:
            data = cipher.decrypt(_NONCE.pack(*name, 0), payload, key if name.last else None)
        except InvalidTag as error:
            raise Damaged("it is not what was encrypted") from error
    if name.compressed:
        data = _decompressed(data, expected)
    if len(data) != expected:
        raise Damaged("a piece has the wrong length")
    return data


def _decompressed(data: bytes, expected: int) -> bytes:
    try:
        return _local.decompressor.decompress(data, max_output_size=expected)
    except zstandard.ZstdError as error:
        raise Damaged(f"it does not decompress: {error}") from error
