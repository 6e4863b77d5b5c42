"""The file `store.json`: what a store is, and its keys, each wrapped by the one above it.

    a slot's secret   in a key file, in the system's keyring, or made of a passphrase (Argon2id)
      wraps the root key               one copy a slot: any slot opens the store
        wraps the index key            blinds ids and names; stays as long as the store
        wraps a key for every epoch    encrypts objects and metadata

So another passphrase or key file rewraps one key, in milliseconds, and a new epoch is a new key
for what is written from then on. Wrapping is AES-KW (RFC 3394), which also tells a wrong key. The
file is outside of the database, so that what lies in segments can be read without it.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from symphony.commons.files import FileMissing, make_folder, read_bytes, write_atomic, write_new
from symphony.commons.secrets import SERVICE, from_keyring, keep_in_keyring
from symphony.pit.artifacts._errors import KeyUnusable, KeyWrong, StoreDamaged, StoreNewer
from symphony.pit.artifacts._ids import HashName
from symphony.pit.artifacts._vault import KEY_SIZE, Keys

FILE_NAME = "store.json"
FORMAT = 2
_LIMIT = 4 * 1024 * 1024
#: Argon2id: passes, KiB, lanes. 150 ms on a laptop; RFC 9106 calls it the second choice.
_PASSES, _MEMORY, _LANES = 3, 64 * 1024, 4
_LOCK_SECONDS = 30.0


class Slot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way to the root key. `salt` and the three after it are a passphrase's."""

    kind: Literal["file", "keyring", "passphrase"]
    wrapped: bytes
    salt: bytes = b""
    passes: Annotated[int, msgspec.Meta(ge=1, le=100)] = _PASSES
    memory: Annotated[int, msgspec.Meta(ge=8 * _LANES, le=4 * 1024 * 1024)] = _MEMORY
    lanes: Annotated[int, msgspec.Meta(ge=1, le=64)] = _LANES


class Encryption(msgspec.Struct, frozen=True):
    slots: tuple[Slot, ...]
    index: bytes
    #: By number as text: JSON has no other keys.
    epochs: dict[str, bytes]
    current: int


class StoreFile(msgspec.Struct, frozen=True):
    format: int
    hash: HashName
    encryption: Encryption | None = None


class KeySource(Protocol):
    """Where the secret of a slot comes from."""

    @property
    def kind(self) -> Literal["file", "keyring", "passphrase"]: ...

    def secret(self, slot: Slot) -> bytes:
        """The 32 bytes that wrap the root key in `slot`; raises KeyUnusable."""
        ...

    def new_slot(self) -> Slot:
        """A slot for this source, its `wrapped` still empty; makes a secret if there is none."""
        ...


@dataclass(frozen=True)
class KeyFile:
    """32 random bytes in a file that only its owner may read; made when a store is."""

    kind: ClassVar[Literal["file"]] = "file"
    path: Path

    def secret(self, slot: Slot) -> bytes:
        try:
            text = read_bytes(self.path, limit=1024)
        except FileMissing as error:
            reason = f"there is no key file {self.path}"
            raise KeyUnusable(reason) from error
        if sys.platform != "win32" and stat.S_IMODE(self.path.stat().st_mode) & 0o077:
            raise KeyUnusable(f"others may read the key file {self.path}: chmod 600 it")
        try:
            return _checked(base64.b64decode(text.strip(), validate=True))
        except ValueError as error:
            raise KeyUnusable(f"{self.path} is not a key file") from error

    def new_slot(self) -> Slot:
        if not self.path.exists():
            make_folder(self.path.parent, mode=0o700)
            write_new(self.path, base64.b64encode(os.urandom(KEY_SIZE)) + b"\n", mode=0o600)
        return Slot(self.kind, b"")


@dataclass(frozen=True)
class KeyringEntry:
    """An entry of the service "symphony" in the system's keyring; made when a store is."""

    kind: ClassVar[Literal["keyring"]] = "keyring"
    name: str = "artifacts"

    def secret(self, slot: Slot) -> bytes:
        found = from_keyring(self.name)
        if found is None:
            raise KeyUnusable(f"the keyring has no entry {self.name!r} of the service {SERVICE!r}")
        try:
            return _checked(base64.b64decode(found, validate=True))
        except ValueError as error:
            raise KeyUnusable(f"the keyring's entry {self.name!r} is no key") from error

    def new_slot(self) -> Slot:
        if from_keyring(self.name) is None:
            keep_in_keyring(self.name, base64.b64encode(os.urandom(KEY_SIZE)).decode())
        return Slot(self.kind, b"")


@dataclass(frozen=True)
class Passphrase:
    """Words of a person; Argon2id makes a key of them."""

    kind: ClassVar[Literal["passphrase"]] = "passphrase"
    text: str = field(repr=False)

    def secret(self, slot: Slot) -> bytes:
        derive = Argon2id(
            salt=slot.salt,
            length=KEY_SIZE,
            iterations=slot.passes,
            lanes=slot.lanes,
            memory_cost=slot.memory,
        )
        return derive.derive(self.text.encode())

    def new_slot(self) -> Slot:
        if not self.text:
            raise KeyUnusable("the passphrase is empty")
        return Slot(self.kind, b"", os.urandom(16))


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise ValueError(len(key))
    return key


class KeyStore:
    """The `store.json` of one folder. Several processes may change it: one at a time."""

    def __init__(self, folder: Path, source: KeySource | None) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._source = source

    def exists(self) -> bool:
        return self._path.exists()

    def create(self, hash_: HashName) -> None:
        """Make the file, unless another process does; encrypted if there is a source."""
        encryption = None
        if self._source is not None:
            root = secrets.token_bytes(KEY_SIZE)
            encryption = Encryption(
                (_slot_for(self._source, root),),
                aes_key_wrap(root, secrets.token_bytes(KEY_SIZE)),
                {"1": aes_key_wrap(root, secrets.token_bytes(KEY_SIZE))},
                current=1,
            )
        write_new(self._path, _encoded(StoreFile(FORMAT, hash_, encryption)), mode=0o600)

    def read(self) -> StoreFile:
        data = read_bytes(self._path, _LIMIT)
        try:
            found = msgspec.json.decode(data, type=StoreFile)
        except msgspec.DecodeError as error:
            raise StoreDamaged(self._path, str(error)) from error
        if found.format > FORMAT:
            raise StoreNewer(self._path, found.format, FORMAT)
        return found

    def keys(self) -> Keys | None:
        """Raises KeyUnusable if there is no source for an encrypted store, KeyWrong if it is
        another store's."""
        encryption = self.read().encryption
        if encryption is None:
            return None
        root = self._root(encryption)
        return Keys(
            _unwrap(root, encryption.index, self._path),
            {int(n): _unwrap(root, key, self._path) for n, key in encryption.epochs.items()},
            encryption.current,
        )

    def begin_epoch(self) -> int:
        """A new key for what is written from now on; returns its number."""
        with self._locked():
            found = self.read()
            encryption = self._encryption_of(found)
            number = encryption.current + 1
            new = aes_key_wrap(self._root(encryption), secrets.token_bytes(KEY_SIZE))
            epochs = {**encryption.epochs, str(number): new}
            self._replace(found, msgspec.structs.replace(encryption, epochs=epochs, current=number))
        return number

    def forget_epochs(self, kept: Mapping[int, object] | set[int]) -> None:
        """Drop the keys of all epochs but these and the current: what was written under them, and
        was overlooked or copied away, is unreadable from now on."""
        with self._locked():
            found = self.read()
            encryption = self._encryption_of(found)
            stay = {*kept, encryption.current}
            epochs = {n: key for n, key in encryption.epochs.items() if int(n) in stay}
            self._replace(found, msgspec.structs.replace(encryption, epochs=epochs))

    def add_slot(self, source: KeySource) -> None:
        """Another way to open the store, beside those it has."""
        with self._locked():
            found = self.read()
            encryption = self._encryption_of(found)
            slot = _slot_for(source, self._root(encryption))
            slots = (*encryption.slots, slot)
            self._replace(found, msgspec.structs.replace(encryption, slots=slots))

    def replace_slots(self, source: KeySource) -> None:
        """A new root key that `source` alone opens; every other way is closed."""
        with self._locked():
            found = self.read()
            encryption = self._encryption_of(found)
            old, new = self._root(encryption), secrets.token_bytes(KEY_SIZE)
            rewrapped = Encryption(
                (_slot_for(source, new),),
                _rewrap(old, new, encryption.index, self._path),
                {n: _rewrap(old, new, key, self._path) for n, key in encryption.epochs.items()},
                encryption.current,
            )
            self._replace(found, rewrapped)
        self._source = source

    def _encryption_of(self, found: StoreFile) -> Encryption:
        if found.encryption is None:
            raise KeyUnusable(f"the store in {self._folder} is not encrypted")
        return found.encryption

    def _root(self, encryption: Encryption) -> bytes:
        if self._source is None:
            raise KeyUnusable(f"the store in {self._folder} is encrypted, and no key was given")
        for slot in encryption.slots:
            if slot.kind == self._source.kind:
                try:
                    return aes_key_unwrap(self._source.secret(slot), slot.wrapped)
                except InvalidUnwrap:
                    continue
        raise KeyWrong(self._folder, self._source.kind)

    def _replace(self, found: StoreFile, encryption: Encryption) -> None:
        self._write(StoreFile(found.format, found.hash, encryption))

    def _write(self, content: StoreFile) -> None:
        write_atomic(self._path, _encoded(content), mode=0o600)

    def _locked(self) -> AbstractContextManager[None]:
        # Imported late: most of those who open a store change nothing here.
        from symphony.commons.locks import locked

        return locked(self._folder / "store.lock", timeout=_LOCK_SECONDS)


def _encoded(content: StoreFile) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _slot_for(source: KeySource, root: bytes) -> Slot:
    empty = source.new_slot()
    return msgspec.structs.replace(empty, wrapped=aes_key_wrap(source.secret(empty), root))


def _unwrap(root: bytes, wrapped: bytes, path: Path) -> bytes:
    try:
        return aes_key_unwrap(root, wrapped)
    except InvalidUnwrap as error:
        raise StoreDamaged(path, "a wrapped key is not what was written") from error


def _rewrap(old: bytes, new: bytes, wrapped: bytes, path: Path) -> bytes:
    return aes_key_wrap(new, _unwrap(old, wrapped, path))
