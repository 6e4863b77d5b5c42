"""Ids that say how they were made: `blake3:` or `sha256:`, and the 64 hex digits of the hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias

from blake3 import blake3

from symphony.commons.values import ArtifactRef

HashName: TypeAlias = Literal["blake3", "sha256"]

DIGEST_SIZE = 32
_ID = re.compile(r"(blake3|sha256):([0-9a-f]{64})")


class Hasher(Protocol):
    def update(self, data: bytes | memoryview, /) -> object: ...

    def digest(self) -> bytes: ...


def new_hasher(name: HashName) -> Hasher:
    return blake3() if name == "blake3" else hashlib.sha256()


def digest_of(name: HashName, data: bytes | memoryview) -> bytes:
    return blake3(data).digest() if name == "blake3" else hashlib.sha256(data).digest()


def digest_of_all(name: HashName, pieces: Iterable[bytes]) -> bytes:
    hasher = new_hasher(name)
    for piece in pieces:
        hasher.update(piece)
    return hasher.digest()


def digest_in(id_: str, name: HashName) -> bytes | None:
    """The digest that an id spells; None for what is no id, or one of a store with another hash."""
    found = _ID.fullmatch(id_)
    return bytes.fromhex(found[2]) if found and found[1] == name else None


def id_of(artifact: ArtifactRef | str) -> str:
    return artifact if isinstance(artifact, str) else artifact.id
