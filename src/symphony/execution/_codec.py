"""Events as bytes, for the journal and for whoever follows a run from afar.

A record is one JSON object: `{"v": 1, "seq": 3, "at": 1767225600.5, "event": {"kind": ...}}`.
`v` changes only if the meaning of what is there changes; kinds and fields that are added do not
change it. Fields that are not known are ignored, kinds that are not known are refused by name.

The events of a turn of the tracker, which are committed together, are one JSON array of the version
and pairs of time and event: `[1, [1767225600.5, {"kind": ...}], ...]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from symphony.execution._errors import CorruptEvent, UnknownEvent
from symphony.execution._events import KINDS, Event, Recorded

#: The version of the records that are written, and the newest that is read.
SCHEMA_VERSION = 1


class _Record(msgspec.Struct, frozen=True):
    v: int
    seq: int
    at: float
    event: Event


class _Outline(msgspec.Struct):
    """What is left of a record if all that may differ is taken away."""

    class Kind(msgspec.Struct):
        kind: str

    v: int
    event: Kind


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Record)
_turns = msgspec.json.Decoder(list[int | tuple[float, Event]])


def encode(recorded: Recorded) -> bytes:
    return _encoder.encode(_Record(SCHEMA_VERSION, recorded.seq, recorded.at, recorded.event))


def decode(data: bytes) -> Recorded:
    """Raises UnknownEvent for what a newer Symphony wrote, CorruptEvent for all else."""
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse_unknown(data)
        raise CorruptEvent(str(error)) from error
    if record.v != SCHEMA_VERSION:
        raise UnknownEvent(f"format {record.v}")
    return Recorded(record.seq, record.at, record.event)


def encode_turn(turn: Sequence[Recorded]) -> bytes:
    """Events that follow each other; the place of the first is to be kept beside it."""
    return _encoder.encode([SCHEMA_VERSION, *[(each.at, each.event) for each in turn]])


def decode_turn(seq: int, data: bytes) -> list[Recorded]:
    """The events of a turn of which the first has the place `seq`; raises as `decode`."""
    try:
        version, *events = _turns.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        for each in _raw_events(data):
            _refuse_unknown(each)
        raise CorruptEvent(str(error)) from error
    if version != SCHEMA_VERSION:
        raise UnknownEvent(f"format {version}")
    pairs = cast("list[tuple[float, Event]]", events)
    return [Recorded(place, at, event) for place, (at, event) in enumerate(pairs, seq)]


def _raw_events(data: bytes) -> Iterator[bytes]:
    """Each event of a turn that was not understood, as a record of its own."""
    try:
        version, *pairs = msgspec.json.decode(data)
        for _, event in pairs:
            yield msgspec.json.encode({"v": version, "event": event})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError):
        return


def _refuse_unknown(data: bytes) -> None:
    """Raise UnknownEvent if that is why `data` was not understood."""
    try:
        outline = msgspec.json.decode(data, type=_Outline)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if outline.v > SCHEMA_VERSION:
        raise UnknownEvent(f"format {outline.v}")
    if outline.event.kind not in KINDS:
        raise UnknownEvent(f"the kind {outline.event.kind!r}")
