"""The settings of the store of a home folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from symphony.commons.secrets import lookup
from symphony.pit.artifacts._errors import KeyUnusable
from symphony.pit.artifacts._keys import KeyFile, KeyringEntry, KeySource, Passphrase

#: The secret that holds the passphrase, as in SYMPHONY_SECRET_ARTIFACTS_PASSPHRASE.
PASSPHRASE = "artifacts_passphrase"  # noqa: S105 - a name, not the secret


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a new store is made, and what opens it."""

    #: Where the key is that the store is encrypted with; "none" makes a store that is not.
    key: Literal["file", "keyring", "passphrase", "none"] = "file"
    #: How a new store names what it keeps.
    hash: Literal["blake3", "sha256"] = "blake3"
    #: Contents up to 256 KiB that were read lately are kept in memory up to so many bytes.
    cache_bytes: Annotated[int, msgspec.Meta(ge=0)] = 64 * 1024 * 1024


def key_source(config: StoreConfig, file: Path, environ: Mapping[str, str]) -> KeySource | None:
    """What the settings say opens the store; `file` is where a key file lies. Raises KeyUnusable
    if a passphrase is to be used and there is none. May block on the keyring."""
    if config.key == "file":
        return KeyFile(file)
    if config.key == "keyring":
        return KeyringEntry()
    if config.key == "none":
        return None
    passphrase = lookup(PASSPHRASE, environ)
    if passphrase is None:
        raise KeyUnusable(f"there is no secret {PASSPHRASE!r}, neither as a variable nor a keyring")
    return Passphrase(passphrase)
