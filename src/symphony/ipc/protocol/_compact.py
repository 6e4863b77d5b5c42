"""The compact form of a struct: its fields in order, without names, bound to a schema.

A compact payload is one MessagePack array with the struct's fields in the order of declaration;
structs inside are arrays too, and a tagged struct begins with its tag. Beside it travel eight
bytes that identify the writer's schema (`Form.schema`), so that a reader with another schema
evolves or refuses, and never misreads. `docs/protocol.md` specifies every byte.

What was tried, for 10 fields of mostly text (encode + decode, MessagePack with names = 1.00):
packing field by field in Python 8.5 to 9; `struct.pack` for numbers and lengths, one slice for each
text, 5.3; an ordinary struct through `astuple` and back 1.0 to 1.05, through an array-like twin 1.1
to 1.2, through `msgspec.convert` 3.4; a struct that *is* array-like 0.75 to 0.83, and 0.62 to 0.69
for numbers or for lists of structs (`bench/ipc_serialization.py`). What costs is making Python
objects, so nothing that makes them twice can win. Hence:

* A type meant for this form is declared `array_like=True` (best with `gc=False`), and so are the
  structs in it: C code writes and reads it in one pass.
* The form depends on the codec alone, never on the declaration. An ordinary struct sent compact,
  or an array-like one sent as a map, goes through its *face*: a derived struct of the other kind,
  at the price of one conversion.
* The schema travels in the envelope, not in the payload, so that the payload needs no slicing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec import inspect as shapes

from symphony.ipc.protocol._errors import SchemaMismatch
from symphony.ipc.protocol._faces import CACHED_TYPES, conversion, face

SCALARS: dict[type[shapes.Type], str] = {
    shapes.NoneType: "null",
    shapes.BoolType: "bool",
    shapes.IntType: "int",
    shapes.FloatType: "float",
    shapes.StrType: "str",
    shapes.BytesType: "bytes",
}
SEQUENCES = (shapes.ListType, shapes.VarTupleType, shapes.SetType, shapes.FrozenSetType)


class Indescribable(TypeError):
    """A type has no place in the schemas of messages, which are for every language."""


def describe(shape: shapes.Type, inside: tuple[type, ...] = ()) -> str:
    """The canonical text of a type, as `docs/protocol.md` spells it; raises Indescribable."""
    shape = plain_shape(shape)
    if is_any(shape):
        return "any"
    if name := SCALARS.get(type(shape)):
        return name
    if isinstance(shape, (shapes.EnumType, shapes.LiteralType)):
        return _describe_choice(shape)
    if isinstance(shape, SEQUENCES):
        return f"[{describe(shape.item_type, inside)}]"
    if isinstance(shape, shapes.TupleType):
        return f"({','.join(describe(each, inside) for each in shape.item_types)})"
    if isinstance(shape, shapes.DictType):
        return f"<{describe(shape.key_type, inside)},{describe(shape.value_type, inside)}>"
    if isinstance(shape, shapes.UnionType):
        return "|".join(sorted(describe(each, inside) for each in shape.types))
    if isinstance(shape, shapes.StructType):
        return _describe_struct(shape, inside)
    raise Indescribable(f"{type(shape).__name__} is not a type of messages")


def _describe_choice(shape: shapes.EnumType | shapes.LiteralType) -> str:
    """Which values there are may change; how they are written may not."""
    values = (
        shape.values
        if isinstance(shape, shapes.LiteralType)
        else tuple(each.value for each in shape.cls)
    )
    names = {type(None): "null", int: "int", str: "str"}
    return "|".join(sorted({names[type(value)] for value in values}))


def _describe_struct(shape: shapes.StructType, inside: tuple[type, ...]) -> str:
    if shape.cls in inside:
        raise Indescribable(f"{shape.cls.__name__} contains itself")
    fields = ",".join(described_fields(shape, inside))
    tag = "" if shape.tag is None else f"{shape.tag}!"
    return f"{{{tag}{fields}}}"


def described_fields(shape: shapes.StructType, inside: tuple[type, ...] = ()) -> list[str]:
    """`name:type` for each field, in order; raises Indescribable."""
    deeper = (*inside, shape.cls)
    return [f"{each.encode_name}:{describe(each.type, deeper)}" for each in shape.fields]


def plain_shape(shape: shapes.Type) -> shapes.Type:
    """Without the notes that `Annotated` may add."""
    return plain_shape(shape.type) if isinstance(shape, shapes.Metadata) else shape


def is_any(shape: shapes.Type) -> bool:
    return isinstance(shape, (shapes.AnyType, shapes.RawType)) or (
        isinstance(shape, shapes.CustomType) and shape.cls is object
    )


class Form:
    """How values of one struct type are written compactly."""

    __slots__ = ("_chain", "_leading", "arranged", "read", "schema", "type")

    def __init__(self, type_: type[Struct]) -> None:
        """Raises Indescribable."""
        shape = plain_shape(shapes.type_info(type_))
        if not isinstance(shape, shapes.StructType):
            raise Indescribable(f"{type_.__name__} is no struct")
        self.type = type_
        self._leading = 0 if shape.tag is None else 1
        #: CRC-32 of the schema's text up to each field, so that a prefix can be recognized.
        self._chain = [crc32(f"{shape.tag}!".encode() if shape.tag is not None else b"")]
        for text in described_fields(shape):
            self._chain.append(crc32(f"{text};".encode(), self._chain[-1]))
        needed = max((at for at, each in enumerate(shape.fields, 1) if each.required), default=0)
        root, whole = self._chain[needed], self._chain[-1]
        #: Of the fields that every version has, and of all: two u32, little-endian.
        self.schema = root.to_bytes(4, "little") + whole.to_bytes(4, "little")
        target = face(type_, array_like=True)
        there, back = conversion(type_, target), conversion(target, type_)
        decode = msgspec.msgpack.Decoder(target).decode
        #: A value in, what a MessagePack encoder writes as its compact form out; None if that is
        #: the value itself.
        self.arranged = there
        #: A payload whose schema has been checked in, a value out; raises msgspec.DecodeError.
        self.read: Callable[[bytes | msgspec.Raw], Any] = (
            decode if back is None else (lambda data: back(decode(data)))
        )

    def check(self, schema: bytes, payload: bytes | msgspec.Raw) -> None:
        """Raises SchemaMismatch unless a payload of this schema, not ours, may be read with ours.

        It may if ours has grown from it, or it from ours: the fields that both have agree in name,
        type and order, and those that one lacks have defaults.
        """
        fields = array_size(memoryview(payload)) - self._leading
        if 0 <= fields < len(self._chain):
            if schema[4:] == self._chain[fields].to_bytes(4, "little"):
                return
        elif schema[:4] == self.schema[:4]:
            return
        raise SchemaMismatch(self.type.__name__, schema.hex(), self.schema.hex())


def array_size(data: memoryview) -> int:
    """How many items the MessagePack array at the start of `data` has; -1 if it is none."""
    first = data[0] if data else 0
    if 0x90 <= first <= 0x9F:
        return first & 0x0F
    width = {0xDC: 2, 0xDD: 4}.get(first, 0)
    return int.from_bytes(data[1 : 1 + width], "big") if width else -1


@lru_cache(CACHED_TYPES)
def form_of(type_: type[Struct]) -> Form:
    """Raises Indescribable."""
    return Form(type_)
