"""Opening a store: what is there is checked or made, in order, and closed in the other order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from symphony.commons.database import served_database
from symphony.commons.files import make_folder
from symphony.pit.artifacts._adoption import adopt, is_of_first_format
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._files import LargeFiles
from symphony.pit.artifacts._ids import HashName
from symphony.pit.artifacts._keys import KeySource, KeyStore
from symphony.pit.artifacts._objects import Objects
from symphony.pit.artifacts._schema import APPLICATION_ID, MIGRATIONS
from symphony.pit.artifacts._segments import Segments
from symphony.pit.artifacts._vault import Vault

CACHE_BYTES = 64 * 1024 * 1024


@contextmanager
def open_blocking_store(
    folder: Path,
    key: KeySource | None = None,
    *,
    hash_name: HashName = "blake3",
    cache_bytes: int = CACHE_BYTES,
) -> Iterator[BlockingStore]:
    """The store in `folder`; see `open_store`."""
    make_folder(folder, mode=0o700)
    keys = KeyStore(folder, key)
    if not keys.exists():
        keys.create(hash_name)
    hash_ = keys.read().hash
    vault = Vault(keys.keys(), keys.keys)
    with ExitStack() as stack:
        files = LargeFiles(folder, vault, hash_)
        files.prepare()
        database = stack.enter_context(
            served_database(
                folder / "artifacts.db",
                application_id=APPLICATION_ID,
                migrations=MIGRATIONS,
                synchronous="FULL",
                before=vault.follow,
            )
        )
        segments = Segments(folder / "segments", database)
        stack.callback(segments.close)
        objects = Objects(database, vault, segments, files, hash_)
        store = BlockingStore(folder, keys, objects, cache_bytes)
        if database.query(is_of_first_format):
            adopt(store)
        yield store
