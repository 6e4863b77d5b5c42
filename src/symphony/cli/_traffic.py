"""Messages of the bus as lines: for people, and as JSON for programs.

What others put on the bus is theirs to choose. In a line nothing of it breaks the line, moves the
cursor, colours or hides anything: what is not printable is spelled out, in JSON by its escapes.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from contextlib import suppress
from datetime import datetime
from json import dumps
from zlib import crc32

import click
import msgspec

from symphony.commons.files import format_size
from symphony.ipc import (
    DeadLetter,
    EndpointInfo,
    Flag,
    Frame,
    IpcError,
    Kind,
    Message,
    pretty,
)

#: The columns of topics and sources widen up to these as what they show asks for it.
WIDEST_TOPIC = 56
WIDEST_SOURCE = 24
#: A terminal of fewer columns has no room for everything.
NARROW = 110

_COLOURS = ("green", "yellow", "blue", "magenta", "cyan")
_ESCAPE_OR_SIGN = re.compile(r"(\x1b\[[0-9;]*m)|(.)", re.DOTALL)
_RESET = "\x1b[0m"


class Content(msgspec.Struct, frozen=True):
    """What a message says, in one of three forms: a value in JSON; text; base64 for other bytes."""

    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    base64: str | msgspec.UnsetType = msgspec.UNSET


class Heard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as `--json` shows it. `size` is of its body; `sequence` its position in the log,
    if it is kept; then its content."""

    time: datetime
    topic: str
    size: int
    source: str = ""
    sequence: int = 0
    type: str = ""
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    base64: str | msgspec.UnsetType = msgspec.UNSET


def content_of(message: Message) -> Content:
    if message.flags & Flag.ENVELOPE:
        try:
            return Content(payload=msgspec.Raw(msgspec.json.encode(message.payload)))
        except (IpcError, TypeError, ValueError, RecursionError):  # no JSON, or no envelope at all
            return Content(base64=b64encode(message.body).decode())
    try:
        return Content(text=message.body.decode())
    except UnicodeDecodeError:
        return Content(base64=b64encode(message.body).decode())


def heard(message: Message, source: str, at: datetime) -> Heard:
    content = content_of(message)
    return Heard(
        time=at,
        topic=message.topic,
        source=source,
        size=len(message.body),
        sequence=message.sequence,
        type=stated(message)[0],
        payload=content.payload,
        text=content.text,
        base64=content.base64,
    )


def stated(message: Message) -> tuple[str, str]:
    """The type and the source that the envelope names, which nobody has checked."""
    if not message.flags & Flag.ENVELOPE:
        return "", ""
    try:
        envelope = message.envelope
    except IpcError:
        return "", ""
    return envelope.type, envelope.source


def json_line(document: object) -> str:
    """The document in one line without anything that a terminal obeys."""
    text = msgspec.json.encode(document).decode()
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isprintable() else dumps(each)[1:-1] for each in text)


def printable(text: str) -> str:
    """In one line, what is not printable spelled out."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def content_line(message: Message) -> str:
    """What a message says, in one line."""
    content = content_of(message)
    if content.payload is not msgspec.UNSET:
        return json_line(content.payload)
    return printable(content.text or "" if content.base64 is msgspec.UNSET else content.base64)


class TrafficView:
    """Messages as lines in columns, which widen as they have to."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._topic_width = 16
        self._source_width = 8

    def line(self, message: Message, source: str, at: datetime, columns: int) -> str:
        """`columns` is what there is room for; 0 is any. Where there is little, the payload gets
        what the source, the milliseconds and the middle of long topics would take."""
        narrow = 0 < columns < NARROW
        widest = min(WIDEST_TOPIC, columns * 2 // 5) if columns else WIDEST_TOPIC
        topic = printable(message.topic)
        topic = elided(topic, widest) if columns else topic
        self._topic_width = min(_widened(self._topic_width, len(topic)), widest)
        time = f"{at:%H:%M:%S}" if narrow else f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"
        parts = (
            self._paint(time, dim=True),
            self._topic(topic),
            *(() if narrow else (self._source(printable(source)),)),
            self._paint(f"{format_size(len(message.body)):>9}", dim=True),
            self._mark(message) + (_news(message) or shown_content(message, colour=self._colour)),
        )
        line = "  ".join(parts)
        return cut(line, columns) if columns else line

    def _topic(self, topic: str) -> str:
        text = f"{topic:<{self._topic_width}}"
        if topic.startswith("bus."):
            return self._paint(text, fg="red" if topic == "bus.dead" else None, dim=True)
        return self._paint(text, bold=True)

    def _source(self, source: str) -> str:
        self._source_width = min(_widened(self._source_width, len(source)), WIDEST_SOURCE)
        return self._paint(f"{source:<{self._source_width}}", fg=_colour_of(source))

    def _mark(self, message: Message) -> str:
        return self._paint(f"#{message.sequence} ", dim=True) if message.sequence else ""

    def _paint(
        self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False
    ) -> str:
        if not self._colour:
            return text
        return click.style(text, fg=fg, bold=bold or None, dim=dim or None)


def _widened(width: int, needed: int) -> int:
    """By eights: a column that follows every name flutters."""
    return max(width, (needed + 7) // 8 * 8)


def elided(text: str, width: int) -> str:
    """The beginning and, mostly, the end of a text that is too long: the end says more."""
    if len(text) <= width:
        return text
    begin = width // 4
    return f"{text[:begin]}…{text[begin + 1 + len(text) - width :]}"


def _colour_of(name: str) -> str:
    """The same for a name at any time: who speaks is seen before it is read."""
    return _COLOURS[crc32(name.encode()) % len(_COLOURS)]


def _news(message: Message) -> str:
    """What the bus says of itself, in words; nothing for all else. It alone may use its topics."""
    try:
        if message.topic.startswith("bus.endpoint."):
            info = message.payload_as(EndpointInfo)
            return printable(f"{info.name} ({info.health}) {doing(info)}".rstrip())
        if message.topic == "bus.dead":
            letter = message.payload_as(DeadLetter)
            return printable(f"{letter.kind} {letter.topic}: {letter.reason.message}")
    except IpcError:  # from a bus that is newer than this command
        return ""
    return ""


def doing(info: EndpointInfo) -> str:
    """What an endpoint serves and subscribes to."""
    serves = ", ".join(each.pattern for each in info.servings)
    subscribes = ", ".join(each.pattern for each in info.subscriptions)
    parts = [f"serves {serves}"] * bool(serves) + [f"subscribes {subscribes}"] * bool(subscribes)
    return printable("; ".join(parts))


def shown_content(message: Message, *, colour: bool) -> str:
    """The content in short, as `ipc.pretty` says it: long things cut, secrets hidden."""
    flags, body = 0, message.body
    if message.flags & Flag.ENVELOPE:
        with suppress(IpcError, TypeError, ValueError, RecursionError):
            body = msgspec.json.encode(_told(message.topic, message.payload))
            flags = int(Flag.JSON)
    if not body:
        return ""
    # Of a frame that has nothing but a body `pretty` says its kind, `body=` and the body.
    shown = pretty(Frame(Kind.PUB, body=body, flags=flags), colour=colour, one_line=True)
    return shown.partition("=")[2]


def _told(topic: str, value: object) -> object:
    """Of an event of a run what the topic does not say."""
    if (
        topic.startswith("run.")
        and isinstance(value, dict)
        and isinstance(value.get("event"), dict)
    ):
        return {name: each for name, each in value["event"].items() if name != "kind"}
    return value


def cut(text: str, columns: int) -> str:
    """As much of a coloured line as fits into so many columns."""
    if 2 * len(text) <= columns:
        return text
    pieces = _ESCAPE_OR_SIGN.findall(text)
    if sum(_cells(sign) for _, sign in pieces) <= columns:
        return text
    kept, left = [], columns - 1
    for escape, sign in pieces:
        left -= _cells(sign)
        if left < 0:
            break
        kept.append(escape or sign)
    return f"{''.join(kept)}…{_RESET if chr(27) in text else ''}"


def _cells(sign: str) -> int:
    if not sign or unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
