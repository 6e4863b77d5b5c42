"""Where fuzzing begins, and what is done to it: bytes as such, frames, and whole conversations.

Mutations know the format, else nearly all would end at the first header: lengths are mended more
often than not, fields get values from the edges, bodies are changed as values too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from struct import pack_into, unpack_from
from typing import TypeAlias

import msgspec

from symphony.ipc.protocol._codecs import seal
from symphony.ipc.protocol._control import CREDIT, Greeting, Policy, Serve, Subscribe
from symphony.ipc.protocol._envelope import Codec
from symphony.ipc.protocol._frames import (
    DEADLINE,
    ENVELOPE,
    HEADER,
    SEQUENCE,
    Frame,
    Kind,
    encode,
    encode_body,
    words_size,
)
from symphony.ipc.protocol._jsonrpc import HeaderFraming

from .conversation import CLOSING, CONNECTIONS, LEAVE, TIME, WITHDRAW, Piece, bytes_of, pieces_of
from .targets import CONTROL, Plain, Point

VECTORS = Path(__file__).parents[1] / "vectors"

Mutate: TypeAlias = Callable[[Random, bytearray], None]

MAX_INPUT = 8 * 1024

#: Bytes that have a meaning somewhere.
MORSELS = (
    b"",
    b"\x00",
    b"\xff" * 4,
    b"\x91" * 1200,
    b"\x81\xa1a" * 700,
    b"[" * 1500,
    b'{"a":' * 700,
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xa4\xff\xfe\xc3\x28",
    b"\x81\x90\xc0",
    b"\x81\x01\x02",
    b"\x81\xc4\x01\xff\xc0",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00",
    b"\xcf" + b"\xff" * 8,
    b"\xd3\x80" + b"\x00" * 7,
    b"\xd4\x05\x00",
    b"\xd6\xff\x00\x00\x00\x00",
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xc1",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae\x1b[31m\r\n\x00",
    b"\xef\xbf\xbd" * 100,
    b'"\\ud800"',
    b"1e999",
    b"-0.0",
    b"9" * 400,
    b"null",
    b'{"jsonrpc":"2.0","id":1,"result":0}',
    b"Content-Length: 99999999999\r\n\r\n",
    b"a" * 300,
    b"a" * 4000,
    b"bus." + b"a" * 3900,
    b"\xfe" * 2000,
)
TOPICS = (
    *("a", "b.x", "b.y", "c.d", "a.b.c", "secret.a", "", ".", "a..b", "*", ">", "#", "b.*", "#.x"),
    *("a.>", "b.#", "bus.stats", "bus.endpoints", "bus.dead", "bus.>", "bus.endpoint.*", "a b"),
    *("a" * 255, "a" * 256, ".".join("a" * 32), ".".join("a" * 33), "\x00", "ü.ß", "#.#.#.#.a"),
    "\u2028.\U0001f600",
)
PATTERNS = ("a", "b.x", "b.*", "c.d", "#", "#.x", "a.>", ">", "bus.dead", "bus.>")
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 2**16, 2**31, 2**32 - 1, 2**53, 2**64 - 1)
FILTERS = ("topic == 'a'", "source == 'b'", "payload.name == 'x'", "meta.a > 1", "version", "1 +")

# Where fuzzing begins.


def vectors() -> list[bytes]:
    """The protocol's own vectors, those that must be refused included."""
    found = json.loads((VECTORS / "frames.json").read_text(encoding="utf-8"))
    return [bytes.fromhex(each["hex"]) for each in found["frames"] + found["refused"]]


def envelopes() -> list[tuple[int, bytes]]:
    """Bodies, and by which of `BODY_FLAGS` they are to be read."""
    plain = Plain("a name", [Point(1, 2.5), Point(-1)], b"\x00\xff")
    values: tuple[object, ...] = (plain, [1, None, True, -(2**63)], {"a": {"b": ["c"]}}, "x", 2.5)
    meta: dict[str, str | int | float] = {"a": 1, "b": "text", "c": 0.5}
    found = [
        (place, seal(value, type="t", meta=meta, codec=codec)[1])
        for place, codec in enumerate((Codec.MSGPACK, Codec.JSON))
        for value in values
    ]
    return [*found, (2, seal(plain, type="t", meta=meta, codec=Codec.COMPACT)[1])]


def hello(name: str, instance: str = "i") -> Frame:
    greeting = Greeting(name=name, instance=instance, max_frame=4096, capabilities=["x"])
    return Frame(Kind.HELLO, body=encode_body(greeting))


class Speech:
    """Endpoints 3 to 6, who say what makes sense after what was said."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._number = 0
        self._subscribed: list[tuple[int, int]] = []
        self._serving: list[tuple[int, str]] = []
        #: Who is to answer, whom, and which request of his.
        self._asked: list[tuple[int, int, int]] = []

    def pieces(self) -> list[Piece]:
        """They come in order."""
        names = ("a", "b", "c.d", "e")
        pieces = [Piece(who, encode(hello(name))) for who, name in enumerate(names)]
        for _ in range(self._rng.choice((6, 12, 24))):
            pieces.append(self._piece())
        return pieces

    def _piece(self) -> Piece:
        who = self._rng.randrange(CONNECTIONS)
        self._number += 1
        match self._rng.randrange(9):
            case 0 | 1:
                return Piece(who, encode(self._subscribe(who)))
            case 2:
                return Piece(who, encode(self._serve(who)))
            case 3 | 4:
                run = self._rng.choice((1, 1, 2, 5))
                return Piece(who, encode(self._publish(who)) * run)
            case 5:
                return Piece(who, encode(self._ask(who)))
            case 6 if self._asked:
                who, asker, number = self._rng.choice(self._asked)
                kind = self._rng.choice((Kind.REP, Kind.ERR))
                return Piece(who, encode(Frame(kind, number, "", b"an answer", asker + 3)))
            case 7 if self._subscribed:
                who, number = self._rng.choice(self._subscribed)
                return Piece(who, encode(self._about(who, number)))
            case _:
                return Piece(who, encode(self._other(who)))

    def _subscribe(self, who: int) -> Frame:
        rng = self._rng
        self._subscribed.append((who, self._number))
        wish = Subscribe(
            credit_frames=rng.choice((0, 1, 3, 100)),
            credit_bytes=rng.choice((0, 50, 1000, 2**40)),
            policy=rng.choice(list(Policy)),
            group=rng.choice(("", "", "g", "h")),
            filter=rng.choice(FILTERS) if rng.random() < 0.05 else "",
            after=rng.choice((None,) * 8 + (0, 5)),
            epoch=rng.choice(("", "epoch")),
            durable=rng.choice(("",) * 8 + ("d",)),
        )
        pattern = rng.choice(PATTERNS if rng.random() < 0.8 else TOPICS)
        return Frame(Kind.SUB, self._number, pattern, encode_body(wish), who + 3)

    def _serve(self, who: int) -> Frame:
        topic = self._rng.choice(TOPICS[:5])
        self._serving.append((who, topic))
        wish = encode_body(Serve(priority=self._rng.randrange(-2, 3)))
        return Frame(Kind.SERVE, self._number, topic, wish, who + 3)

    def _publish(self, who: int) -> Frame:
        topic = self._rng.choice(TOPICS[:6])
        body = self._rng.randbytes(self._rng.choice((0, 3, 40, 500)))
        match self._rng.randrange(6):
            case 0:
                flags, sealed = seal({"name": "x", "list": [1, 2]}, meta={"a": 2})
                return Frame(Kind.PUB, 0, topic, sealed, who + 3, flags)
            case 1:
                return Frame(Kind.PUB, 0, topic, body, who + 3, SEQUENCE, 0, self._number)
            case _:
                return Frame(Kind.PUB, 0, topic, body, who + 3)

    def _ask(self, who: int) -> Frame:
        responder, topic = self._rng.choice(self._serving or [(0, "bus.endpoints")])
        self._asked.append((responder, who, self._number))
        flags = self._rng.choice((0, DEADLINE))
        return Frame(Kind.REQ, self._number, topic, b"", who + 3, flags, 100)

    def _about(self, who: int, number: int) -> Frame:
        """A subscription that there is, or was."""
        rng = self._rng
        if rng.random() < 0.3:
            return Frame(rng.choice((Kind.UNSUB, Kind.DRAIN)), number, source=who + 3)
        body = CREDIT.pack(rng.choice((0, 1, 50)), rng.choice((0, 10, 2**40)))
        return Frame(Kind.CREDIT, number, "", body, who + 3, rng.choice((0, SEQUENCE)))

    def _other(self, who: int) -> Frame:
        rng = self._rng
        if rng.random() < 0.1:
            return hello("a") if rng.random() < 0.5 else Frame(Kind.BYE, source=who + 3)
        kind = rng.choice((Kind.PING, Kind.PONG, Kind.CANCEL, Kind.UNSERVE, Kind.CREDIT))
        return Frame(kind, rng.randrange(1, self._number + 1), "", b"", who + 3)


def json_texts() -> list[bytes]:
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "build/start", "params": {"a": [1, 2.5, None]}},
        {"jsonrpc": "2.0", "method": "build.done", "params": [1]},
        {"jsonrpc": "2.0", "id": "x", "method": "a", "params": {}},
        {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "x"}},
    ]
    texts = [json.dumps(each).encode() for each in (*calls, calls, [*calls, 1], [])]
    return [*texts, *map(HeaderFraming.wrap, texts)]


def seeds() -> dict[str, list[bytes]]:
    """By target."""
    rng = Random(1)
    frames = vectors()
    bodies = [encode_body(each) for each in (hello("a"), Serve(), {"credit_frames": 1})]
    heads = bytes(range(12))
    return {
        "conversation": [bytes_of(Speech(rng).pieces()) for _ in range(60)],
        "stream": [*frames, b"".join(frames[:8]), b"".join(frames[4:20])],
        "message": [bytes((form, at % 7)) + body for at, (form, body) in enumerate(envelopes())],
        "control": [bytes((at,)) + body for at in range(len(CONTROL)) for body in bodies]
        + [bytes((at,)) + frame[HEADER.size :] for at, frame in enumerate(frames[:7])],
        "text": [heads[at % 3 : at % 3 + 3] + frame for at, frame in enumerate(frames)]
        + [bytes((at, 4, form)) + body for at, (form, body) in enumerate(envelopes())],
        "json_rpc": json_texts(),
        "endpoint": [*frames, b"".join(frames[:44])],
    }


# What is done to bytes.


def flip(rng: Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def set_byte(rng: Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def cut_out(rng: Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 1, 2, 4, 20, 200))]


def cut_off(rng: Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def double(rng: Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    part = data[start : start + rng.choice((1, 4, 20, 400))]
    data[start:start] = part * rng.choice((1, 1, 3))


def put_in(rng: Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    data[start : start + rng.choice((0, 0, 1, 4))] = rng.choice(MORSELS)


BYTES: tuple[Mutate, ...] = (flip, set_byte, cut_out, cut_off, double, put_in)


# What is done to a frame: whoever does it has looked that there is a header.


def set_field(rng: Random, data: bytearray) -> None:
    number = rng.choice(NUMBERS)
    match rng.randrange(6):
        case 0:
            pack_into("<I", data, 0, number & 0xFFFFFFFF)
        case 1:
            data[4] = rng.randrange(20)
        case 2:
            data[5] ^= 1 << rng.randrange(8)
        case 3:
            pack_into("<H", data, 6, number & 0xFFFF)
        case 4:
            pack_into("<I", data, 8, number & 0xFFFFFFFF)
        case _:
            pack_into("<Q", data, 12, number)


def set_topic(rng: Random, data: bytearray) -> None:
    start = HEADER.size + words_size(data[5])
    (size,) = unpack_from("<H", data, 6)
    topic = rng.choice(TOPICS).encode() if rng.random() < 0.8 else rng.choice(MORSELS)
    data[start : start + size] = topic
    pack_into("<H", data, 6, len(topic))


def set_body(rng: Random, data: bytearray) -> None:
    """Another value in the body's place, or the same with a change in it."""
    (size,) = unpack_from("<H", data, 6)
    start = HEADER.size + words_size(data[5]) + size
    try:
        value = msgspec.msgpack.decode(data[start:])
    except (ValueError, RecursionError):
        data[start:] = rng.choice(MORSELS)
        return
    if isinstance(value, dict) and value:
        name = rng.choice(list(value))
        value[name] = rng.choice((None, -1, 2**53, "", "x" * 300, [], {}, 0.5, b"\xff", "a.b"))
        if rng.random() < 0.3:
            del value[name]
    data[start:] = msgspec.msgpack.encode(value if rng.random() < 0.8 else [value])


def set_words(rng: Random, data: bytearray) -> None:
    """A flag and its word, or the flag alone."""
    flag = rng.choice((DEADLINE, SEQUENCE, ENVELOPE, 0x10, 0x20, 0x40))
    data[5] ^= flag
    if data[5] & flag and flag in (DEADLINE, SEQUENCE):
        data[HEADER.size : HEADER.size] = rng.randbytes(words_size(flag))


FRAMES: tuple[Mutate, ...] = (set_field, set_field, set_topic, set_body, set_words, *BYTES)


def mutated_frame(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(FRAMES if len(changed) >= HEADER.size else BYTES)(rng, changed)
    if len(changed) >= HEADER.size and rng.random() < 0.75:
        pack_into("<I", changed, 0, len(changed))
    return bytes(changed[:MAX_INPUT])


def mutated_bytes(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        rng.choice(BYTES)(rng, changed)
    return bytes(changed[:MAX_INPUT])


# What is done to a conversation.


def mutated_conversation(rng: Random, data: bytes, pool: list[bytes]) -> bytes:
    pieces = list(pieces_of(data)) or Speech(rng).pieces()
    for _ in range(rng.choice((1, 2, 3, 6))):
        if not pieces:
            break
        at = rng.randrange(len(pieces))
        _change_pieces(rng, pieces, at, pool)
    return bytes_of(Piece(who, part[: MAX_INPUT // 2]) for who, part in pieces[:64])


def _change_pieces(rng: Random, pieces: list[Piece], at: int, pool: list[bytes]) -> None:
    who, data = pieces[at]
    match rng.randrange(10):
        case 0 | 1 | 2 | 3:
            pieces[at] = Piece(who, mutated_frame(rng, data))
        case 4:
            cut = rng.randrange(len(data) + 1)
            pieces[at : at + 1] = [Piece(who, data[:cut]), Piece(who, data[cut:])]
        case 5:
            pieces.insert(rng.randrange(len(pieces)), pieces[at])
        case 6:
            del pieces[at]
        case 7:
            pieces[at] = Piece(rng.randrange(CONNECTIONS), data)
        case 8:
            event = rng.choice((LEAVE, TIME, TIME, WITHDRAW, CLOSING))
            pieces.insert(at, Piece(event, bytes(rng.randrange(CONNECTIONS))))
        case _:
            others = list(pieces_of(rng.choice(pool)))
            start = rng.randrange(len(others) + 1)
            pieces[at:at] = others[start : start + 4]
