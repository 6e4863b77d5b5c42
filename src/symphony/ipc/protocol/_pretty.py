"""A frame as text for people. Whatever a frame holds, nothing of it moves the terminal's cursor,
changes its colours or turns its writing direction: what is not printable is spelled out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from symphony.commons.secrets import HIDDEN, scrub, scrub_value
from symphony.ipc.protocol._codecs import opened
from symphony.ipc.protocol._control import CREDIT
from symphony.ipc.protocol._envelope import DECODE_ERRORS, Envelope
from symphony.ipc.protocol._errors import MessageInvalid
from symphony.ipc.protocol._frames import Flag, Frame, Kind

#: A name and what stands behind it: text that is ready, or what is indented below it.
Shown: TypeAlias = "str | list[tuple[str, Shown]]"

#: Kinds whose bodies are MessagePack without an envelope.
CONTROL = frozenset((Kind.HELLO, Kind.WELCOME, Kind.SUB, Kind.SERVE, Kind.ERR, Kind.BYE))

DEEPEST = 6
#: So much more than is shown is scrubbed, lest a secret be cut in two and slip through.
MARGIN = 8192
#: Hidden by name, beyond what is hidden everywhere.
TICKET = "ticket"

RESET, BOLD, DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = (f"\x1b[{number}m" for number in range(31, 37))
COLOURS = {
    Kind.PUB: GREEN,
    Kind.REQ: BLUE,
    Kind.REP: CYAN,
    Kind.ERR: RED,
    Kind.CANCEL: YELLOW,
    Kind.BYE: YELLOW,
}
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


class _Limits(NamedTuple):
    """How much of a text, of a container and of bytes is shown."""

    text: int
    items: int
    data: int


MANY_LINES = _Limits(text=2000, items=64, data=256)
ONE_LINE = _Limits(text=80, items=8, data=16)


def pretty(frame: Frame, *, colour: bool, one_line: bool) -> str:
    """The frame with its envelope and payload; long things are cut, and secrets hidden."""
    limits = ONE_LINE if one_line else MANY_LINES
    paint = _paint if colour else _leave
    title = paint(frame.kind.name, BOLD + COLOURS.get(frame.kind, MAGENTA))
    if frame.topic:
        title += " " + paint(_text(frame.topic, limits), BOLD)
    parts: list[tuple[str, Shown]] = [*_head(frame), *_body(frame, limits)]
    if one_line:
        return " ".join([title, *(_inline(name, shown, paint) for name, shown in parts)])
    return "\n".join([title, *_lines(parts, paint, "  ")])


Paint: TypeAlias = Callable[[str, str], str]


def _paint(text: str, colour: str) -> str:
    return f"{colour}{text}{RESET}"


def _leave(text: str, _colour: str) -> str:
    return text


def _head(frame: Frame) -> Iterator[tuple[str, Shown]]:
    if frame.correlation:
        yield "correlation", str(frame.correlation)
    if frame.source:
        yield "source", str(frame.source)
    if frame.flags & Flag.DEADLINE:
        yield "deadline", f"{frame.deadline_ms} ms"
    if frame.flags & Flag.SEQUENCE:
        yield "sequence", str(frame.sequence)
    if frame.flags & Flag.SHARED:
        yield "shared", "a handle on shared memory"


def _body(frame: Frame, limits: _Limits) -> Iterator[tuple[str, Shown]]:
    if frame.flags & Flag.ENVELOPE and not frame.flags & Flag.SHARED:
        try:
            yield from _envelope(opened(frame.flags, frame.body), limits)
        except MessageInvalid as error:
            yield "broken", _text(error.message, limits)
            yield "body", _bytes(frame.body, limits)
    elif frame.body:
        yield "body", _without_envelope(frame, limits)


def _envelope(envelope: Envelope, limits: _Limits) -> Iterator[tuple[str, Shown]]:
    kind = f"{envelope.type or 'message'}/{envelope.version} ({envelope.codec})"
    yield "envelope", _text(kind, limits)
    for name in ("id", "source", "target", "correlation", "trace"):
        if text := getattr(envelope, name):
            yield f"envelope.{name}", _text(text, limits)
    yield "envelope.ts", repr(envelope.ts)
    if envelope.deadline:
        yield "envelope.deadline", repr(envelope.deadline)
    meta = _decoded(lambda: envelope.metadata, envelope.meta, limits)
    if meta != "{}":
        yield "meta", meta
    yield "payload", _decoded(lambda: envelope.payload_as(object), envelope.payload, limits)


def _decoded(decode: Callable[[], object], raw: msgspec.Raw, limits: _Limits) -> Shown:
    try:
        value = decode()
    except MessageInvalid as error:
        return [("broken", _text(error.message, limits)), ("body", _bytes(bytes(raw), limits))]
    return _shown(value, "", limits, 0)


def _without_envelope(frame: Frame, limits: _Limits) -> Shown:
    if frame.kind is Kind.CREDIT and len(frame.body) == CREDIT.size:
        frames, size = CREDIT.unpack(frame.body)
        return f"{frames} frames, {size} bytes"
    if frame.flags & Flag.JSON:
        decode: Callable[[bytes], object] = msgspec.json.decode
    elif frame.kind in CONTROL or frame.flags & Flag.SHARED:
        decode = msgspec.msgpack.decode
    else:
        return _bytes(frame.body, limits)
    try:
        return _shown(decode(frame.body), "", limits, 0)
    except DECODE_ERRORS:
        return _bytes(frame.body, limits)


def _shown(value: object, name: str, limits: _Limits, depth: int) -> Shown:
    """A decoded value as texts that are fit for a terminal."""
    if name == TICKET or scrub_value("", name) == HIDDEN:
        return HIDDEN
    if isinstance(value, (dict, list)) and value:
        return _container(value, limits, depth) if depth < DEEPEST else "…"
    if isinstance(value, bytes):
        return _bytes(value, limits)
    if isinstance(value, str):
        return _quoted(value, limits)
    return _text(_literal(value), limits)


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _container(
    value: dict[object, object] | list[object], limits: _Limits, depth: int
) -> list[tuple[str, Shown]]:
    named = isinstance(value, dict)
    items = value.items() if isinstance(value, dict) else enumerate(value)
    shown: list[tuple[str, Shown]] = []
    for name, inner in items:
        if len(shown) == limits.items:
            shown.append(("…", f"{len(value) - limits.items} more"))
            break
        key = _key(name, limits) if named else "-"
        shown.append((key, _shown(inner, name if isinstance(name, str) else "", limits, depth + 1)))
    return shown


def _key(name: object, limits: _Limits) -> str:
    text = name if isinstance(name, str) else str(name)
    return text if _NAME.fullmatch(text) and scrub(text) == text else _quoted(text, limits)


def _quoted(text: str, limits: _Limits) -> str:
    return f'"{_text(text, limits, quoted=True)}"'


def _text(text: str, limits: _Limits, *, quoted: bool = False) -> str:
    """Scrubbed, then cut, then with all spelled out that is not printable."""
    whole = len(text)
    if whole > limits.text + 2 * MARGIN:
        part = scrub(text[: limits.text + 2 * MARGIN])
        # What the slice may have cut in two, and what scrubbing has moved up, is in this tail.
        text = part[: max(0, len(part) - MARGIN)]
    else:
        text = scrub(text)
    cut = len(text) > limits.text or whole > limits.text + 2 * MARGIN
    spelled = "".join(_spelled(each, quoted=quoted) for each in text[: limits.text])
    return f"{spelled}… ({whole} characters)" if cut else spelled


_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


def _spelled(character: str, *, quoted: bool) -> str:
    if character in _SHORT and (quoted or character != "\\"):
        return _SHORT[character]
    if quoted and character == '"':
        return '\\"'
    if character.isprintable():
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _bytes(data: bytes, limits: _Limits) -> str:
    """As text if it is some, else in hexadecimal; without secrets, which may be in any bytes."""
    part = data[: limits.text + 2 * MARGIN]
    text = part.decode("utf-8", "surrogateescape")
    if data == part and text.isprintable():
        return _quoted(text, limits)
    clean = scrub(text).encode("utf-8", "surrogateescape")
    if data != part:
        clean = clean[: max(0, len(clean) - MARGIN)]
    dump = clean[: limits.data].hex(" ")
    return f"{dump}{' …' if len(data) > limits.data else ''} ({len(data)} bytes)"


def _inline(name: str, shown: Shown, paint: Paint) -> str:
    return f"{paint(name, DIM)}={_joined(shown, paint)}"


def _joined(shown: Shown, paint: Paint) -> str:
    if isinstance(shown, str):
        return shown
    if all(name in ("-", "…") for name, _ in shown):
        return f"[{', '.join(_joined(inner, paint) for _, inner in shown)}]"
    inner = (f"{paint(name, DIM)}: {_joined(each, paint)}" for name, each in shown)
    return f"{{{', '.join(inner)}}}"


def _lines(parts: list[tuple[str, Shown]], paint: Paint, indent: str) -> Iterator[str]:
    for name, shown in parts:
        label = indent + paint(name if name == "-" else f"{name}:", DIM)
        if isinstance(shown, str):
            yield f"{label} {shown}"
        else:
            yield label
            yield from _lines(shown, paint, indent + "  ")
