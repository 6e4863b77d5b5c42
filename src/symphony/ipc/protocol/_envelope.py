"""The envelope: what a message is, whence and whither, around a payload that stays undecoded.

Under msgspec an array of fields with `meta` and `payload` left as they are costs half of one that
is decoded whole, and less than any header packed in Python. Which codec a body came with is the
class of its envelope, so that it costs nothing to remember.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from itertools import count
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

import msgspec

from symphony.ipc.protocol._compact import Indescribable, form_of
from symphony.ipc.protocol._errors import MessageInvalid
from symphony.ipc.protocol._faces import CACHED_TYPES, Conversion, conversion, faced, is_struct

T = TypeVar("T")

#: In a class with a field `type` the word means the field.
ClassOf: TypeAlias = type[T]

#: What an entry of `meta` may be.
MetaValue: TypeAlias = str | int | float

Reader: TypeAlias = Callable[[bytes | msgspec.Raw], Any]

#: What decoding raises for bytes that are not what they should be, however malformed.
DECODE_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Codec(StrEnum):
    """How an envelope and its payload are written."""

    #: An array around maps: whoever reads it needs no schema.
    MSGPACK = "msgpack"
    #: An array around an array: smaller and faster, for those who know the payload's schema.
    COMPACT = "compact"
    #: Objects, for people, and for programs that have nothing else.
    JSON = "json"


def _through(decode: Reader, back: Conversion) -> Reader:
    return decode if back is None else (lambda data: back(decode(data)))


class Envelope(msgspec.Struct, array_like=True, frozen=True, kw_only=True, gc=False):
    """A message in MessagePack. The fields' order is the wire's; a later version may add some."""

    codec: ClassVar[Codec] = Codec.MSGPACK

    id: str = ""
    #: The message type's name; empty for a payload of no registered type.
    type: str = ""
    version: int = 1
    #: When it was sealed, in Unix seconds, by the sender's clock.
    ts: float = 0.0
    #: Names of endpoints, as the sender states them: the frame's number is what a broker checks.
    source: str = ""
    target: str = ""
    #: The id of the envelope that this one answers.
    correlation: str = ""
    #: Until when the answer is of use, in Unix seconds; 0 is for ever.
    deadline: float = 0.0
    #: A W3C traceparent.
    trace: str = ""
    meta: msgspec.Raw = msgspec.Raw(b"\x80")
    payload: msgspec.Raw

    @staticmethod
    @lru_cache(CACHED_TYPES)
    def _reader(type_: ClassOf[Any]) -> Reader:
        target = faced(type_, array_like=False)
        return _through(msgspec.msgpack.Decoder(target).decode, conversion(target, type_))

    @property
    def metadata(self) -> dict[str, MetaValue]:
        """`meta`, decoded at each call; raises MessageInvalid."""
        return self._decoded(self.meta, dict[str, MetaValue])

    def payload_as(self, type_: ClassOf[T]) -> T:
        """The payload, decoded and checked at each call; raises MessageInvalid.

        `object` takes any payload as plain values: of a compact one, the fields in order.
        """
        return self._decoded(self.payload, type_)

    def _decoded(self, data: msgspec.Raw, type_: ClassOf[T]) -> T:
        try:
            value: T = self._reader(type_)(data)  # type: ignore[arg-type]  # a class has a hash
        except DECODE_ERRORS as error:
            raise MessageInvalid(_name(type_), str(error)) from error
        return value


class JsonEnvelope(Envelope, array_like=False, omit_defaults=True, frozen=True, kw_only=True):
    """A message in JSON: an object with the names of the fields."""

    codec: ClassVar[Codec] = Codec.JSON

    meta: msgspec.Raw = msgspec.Raw(b"{}")

    @staticmethod
    @lru_cache(CACHED_TYPES)
    def _reader(type_: ClassOf[Any]) -> Reader:
        target = faced(type_, array_like=False)
        return _through(msgspec.json.Decoder(target).decode, conversion(target, type_))


class CompactEnvelope(Envelope, frozen=True, kw_only=True, gc=False):
    """A message whose payload is in the compact form."""

    codec: ClassVar[Codec] = Codec.COMPACT

    #: Of the payload's writer: see `_compact.Form`.
    schema: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]

    def payload_as(self, type_: ClassOf[T]) -> T:
        """As for any envelope; raises SchemaMismatch too."""
        if not is_struct(type_):
            return self._decoded(self.payload, type_)
        try:
            form = form_of(type_)  # type: ignore[arg-type]  # it is a struct
            if form.schema != self.schema:
                form.check(self.schema, self.payload)
            value: T = form.read(self.payload)
        except (*DECODE_ERRORS, Indescribable) as error:
            raise MessageInvalid(_name(type_), str(error)) from error
        return value


def _name(type_: object) -> str:
    return f"of type {type_.__name__ if isinstance(type_, type) else type_}"


def new_id() -> str:
    """An id that no other process draws; cheap, and no secret: they count."""
    return _prefix + str(next(_numbers))


_prefix: str
_numbers: count[int]


def _reseed() -> None:
    global _prefix, _numbers
    _prefix = f"{os.urandom(8).hex()}-"
    _numbers = count(1)


_reseed()
if sys.platform != "win32":
    # A forked child would count on from its parent's number, under its parent's prefix.
    os.register_at_fork(after_in_child=_reseed)
