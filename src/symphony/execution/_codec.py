"""Events as bytes, for the journal and for whoever follows a run from afar.

A record is one JSON object: `{"v": 1, "seq": 3, "at": 1767225600.5, "event": {"kind": ...}}`.
`v` changes only if the meaning of what is there changes; kinds and fields that are added do not
change it. Fields that are not known are ignored, kinds that are not known are refused by name.
"""

from __future__ import annotations

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
