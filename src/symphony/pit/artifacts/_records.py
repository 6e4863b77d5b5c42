"""The header before a body in a segment or a file of its own: enough to find the content again if
the database is lost, given the store's keys."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

_MAGIC = b"SymO"
_FORMAT = 1
_FIELDS = struct.Struct("<4sBxHQQ32s32s")
_CRC = struct.Struct("<I")
HEADER_SIZE = _FIELDS.size + _CRC.size
#: Where in a header the salt stands: who zeroes it has shredded the object.
SALT_AT = _FIELDS.size - 32


class Header(NamedTuple):
    epoch: int
    size: int
    """Of the content."""
    stored: int
    """Of the body that follows."""
    key: bytes
    salt: bytes

    def pack(self) -> bytes:
        salt = self.salt or bytes(32)
        fields = _FIELDS.pack(_MAGIC, _FORMAT, self.epoch, self.size, self.stored, self.key, salt)
        return fields + _CRC.pack(zlib.crc32(fields))
