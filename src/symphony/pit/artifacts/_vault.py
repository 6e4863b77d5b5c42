"""What of a store's rows and objects is readable without its key: in an encrypted store nothing.

    blind   what rows are found by (a digest, a name) becomes a keyed hash: who holds the files and
            not the key cannot even ask "is this content there?"
    seal    what rows tell (ids, names, messages, tags) becomes ciphertext under the epoch's
            metadata key, with a random nonce and its purpose as associated data
    cipher  content: each object has a key of its own, derived from the epoch's key and the 32
            random bytes of the object's salt; who forgets the salt has shredded the object

In a store without encryption the same three hand back what they were given, so that all that is
built on them knows one way only. Epoch 0 means "not encrypted".
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE = 32
SALT_SIZE = 32
PLAIN = 0
_EPOCH = struct.Struct("<H")
_NONCE_SIZE = 12


class Damaged(Exception):
    """What lies on the disk is not what was written. The caller knows of what, and says so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownEpoch(Damaged):
    """Written under a key that we have not read yet, or that is gone."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the key of epoch {epoch} is not there")


class StaleEpoch(Exception):
    """What was encrypted meanwhile is under a key that is not in force any more: do it again."""


@dataclass(frozen=True)
class Keys:
    """A store's keys, unwrapped: never written anywhere as they are."""

    index: bytes
    epochs: Mapping[int, bytes]
    current: int
    _metadata: dict[int, AESGCM] = field(default_factory=dict, compare=False)

    def epoch(self, number: int) -> bytes:
        try:
            return self.epochs[number]
        except KeyError as error:
            raise UnknownEpoch(number) from error

    def metadata(self, number: int) -> AESGCM:
        if number not in self._metadata:
            derived = blake3(b"symphony artifacts: metadata", key=self.epoch(number)).digest()
            self._metadata[number] = AESGCM(derived)
        return self._metadata[number]


class Vault:
    """`reload` brings the keys as they stand now: another process may have begun a new epoch."""

    def __init__(self, keys: Keys | None, reload: Callable[[], Keys | None]) -> None:
        self._keys = keys
        self._reload = reload

    @property
    def encrypted(self) -> bool:
        return self._keys is not None

    @property
    def epoch(self) -> int:
        """Under which new objects are written."""
        return self._keys.current if self._keys else PLAIN

    @property
    def mark_of_epoch(self) -> bytes:
        """What data sealed now begins with."""
        return _EPOCH.pack(self.epoch)

    def refresh(self) -> None:
        self._keys = self._reload()

    def follow(self, db: sqlite3.Connection) -> None:
        """At the start of each transaction: another process may have begun a new epoch."""
        if self._keys is not None:
            (epoch,) = db.execute("SELECT epoch FROM state").fetchone()
            if epoch > self._keys.current:
                self.refresh()

    def require_current(self, epoch: int) -> None:
        """Raises StaleEpoch; to be called in a transaction that has begun with `follow`."""
        if epoch != self.epoch:
            raise StaleEpoch

    def blind(self, data: bytes) -> bytes:
        return blake3(data, key=self._keys.index).digest() if self._keys else data

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        if self._keys is None:
            return data
        nonce, current = os.urandom(_NONCE_SIZE), self._keys.current
        sealed = self._keys.metadata(current).encrypt(nonce, data, purpose)
        return _EPOCH.pack(current) + nonce + sealed

    def unseal(self, sealed: bytes, purpose: bytes) -> bytes:
        """Raises Damaged if it was sealed with another key, for another purpose, or changed."""
        if self._keys is None:
            return sealed
        start = _EPOCH.size + _NONCE_SIZE
        if len(sealed) < start:
            raise Damaged("sealed data is too short")
        (epoch,) = _EPOCH.unpack_from(sealed)
        cipher = self._known(epoch).metadata(epoch)
        try:
            return cipher.decrypt(sealed[_EPOCH.size : start], sealed[start:], purpose)
        except InvalidTag as error:
            raise Damaged("sealed data is not what was written") from error

    def new_salt(self) -> bytes:
        return os.urandom(SALT_SIZE) if self._keys else b""

    def cipher(self, epoch: int, salt: bytes) -> AESGCM | None:
        """What encrypts the object of this salt; None where objects are not encrypted."""
        if epoch == PLAIN:
            return None
        keys = self._known(epoch)
        return AESGCM(blake3(salt, key=keys.epoch(epoch)).digest())

    def _known(self, epoch: int) -> Keys:
        if self._keys is not None and epoch not in self._keys.epochs:
            self.refresh()
        if self._keys is None:
            raise UnknownEpoch(epoch)
        return self._keys
