"""One call to write a message, whichever the codec, and one to read it."""

from __future__ import annotations

from collections.abc import Mapping
from time import time

import msgspec

from symphony.ipc.protocol._compact import form_of
from symphony.ipc.protocol._envelope import (
    DECODE_ERRORS,
    Codec,
    CompactEnvelope,
    Envelope,
    JsonEnvelope,
    MetaValue,
    new_id,
)
from symphony.ipc.protocol._errors import MessageInvalid
from symphony.ipc.protocol._faces import naming
from symphony.ipc.protocol._frames import Flag

ENVELOPE = int(Flag.ENVELOPE)
JSON = int(Flag.JSON)
COMPACT = int(Flag.COMPACT)
_COMPACT_FLAGS = ENVELOPE | COMPACT
#: Asking an enum for a member costs as much as encoding a field.
_JSON_CODEC, _COMPACT_CODEC = Codec.JSON, Codec.COMPACT

#: The other flags say nothing about the body.
BODY_FLAGS = ENVELOPE | JSON | COMPACT

_to_msgpack = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode
_READERS = {
    ENVELOPE: msgspec.msgpack.Decoder(Envelope).decode,
    ENVELOPE | JSON: msgspec.json.Decoder(JsonEnvelope).decode,
    ENVELOPE | COMPACT: msgspec.msgpack.Decoder(CompactEnvelope).decode,
}


class _JsonParts(msgspec.Struct, omit_defaults=True, gc=False):
    """An envelope whose payload is written in the same go."""

    id: str
    type: str
    version: int
    ts: float
    source: str
    target: str
    correlation: str
    deadline: float
    trace: str
    meta: Mapping[str, MetaValue]
    payload: object


def seal(
    payload: object,
    *,
    type: str = "",  # noqa: A002 - the field's name
    version: int = 1,
    source: str = "",
    target: str = "",
    correlation: str = "",
    deadline: float = 0.0,
    trace: str = "",
    meta: Mapping[str, MetaValue] | None = None,
    codec: Codec = Codec.MSGPACK,
    id: str = "",  # noqa: A002 - the field's name
) -> tuple[int, bytes]:
    """The flags and the body of a frame that carries `payload`, in an envelope drawn up now.

    A payload is a msgspec struct, or plain values with structs in them that are declared with
    names, or `Raw` for what is encoded already; the compact form takes a struct alone. Raises
    MessageInvalid for what cannot be written.
    """
    head = (id or new_id(), type, version, time(), source, target, correlation, deadline, trace)
    try:
        if codec is _COMPACT_CODEC:
            form = form_of(payload.__class__)  # type: ignore[arg-type]  # it judges that itself
            fields = payload if form.arranged is None else form.arranged(payload)
            return _COMPACT_FLAGS, _to_msgpack((*head, meta or {}, fields, form.schema))
        if isinstance(payload, msgspec.Struct):
            change = naming(payload.__class__)
            payload = payload if change is None else change(payload)
        if codec is _JSON_CODEC:
            return ENVELOPE | JSON, _to_json(_JsonParts(*head, meta or {}, payload))
        return ENVELOPE, _to_msgpack((*head, meta or {}, payload))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MessageInvalid(f"writable as {codec}", str(error)) from error


def opened(flags: int, body: bytes) -> Envelope:
    """The envelope in a frame with these flags; neither `meta` nor `payload` is decoded yet.

    Its class, and `codec`, tell how it was written. Raises MessageInvalid.
    """
    read = _READERS.get(flags & BODY_FLAGS)
    if read is None:
        raise MessageInvalid("an envelope", f"the flags {flags:#04x} do not say so")
    try:
        return read(body)
    except DECODE_ERRORS as error:
        raise MessageInvalid("an envelope", str(error)) from error
