"""A store of the first format (rows and plain files, no keys) is taken over when it is opened.

Each content is read, checked, and put as if it came from outside, so that it is encrypted and
placed as everything else is; what was damaged is left out, as reading it would have been refused.
A take-over that was interrupted goes on where it was: putting what is there costs nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from symphony.commons.files import FileMissing, open_regular, translated
from symphony.commons.logging import get_logger
from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._body import PIECE
from symphony.pit.artifacts._errors import ArtifactMissing
from symphony.pit.artifacts._ids import digest_of_all

log = get_logger("pit.artifacts")


class _Old(NamedTuple):
    id: str
    media_type: str
    content: bytes | None


def is_of_first_format(db: sqlite3.Connection) -> bool:
    query = "SELECT EXISTS (SELECT * FROM old_artifacts)"
    return bool(db.execute(query).fetchone()[0])


def adopt(store: BlockingStore) -> None:
    """Put everything of the first format again, then forget how it lay."""
    olds = store.database.query(_artifacts)
    for old in olds:
        if not _adopted(store, old):
            log.warning("a damaged artifact of an older store is left out", id=old.id)
    for run, node, port, id_, name in store.database.query(_uses):
        with suppress(ArtifactMissing):
            store.note_use(run, node, [(port, ArtifactRef(id_, name=name))])
    store.database.apply(_forget)
    for path in (_path(store.folder, old.id) for old in olds):
        path.unlink(missing_ok=True)
        with suppress(OSError):  # no folder, or not empty
            path.parent.rmdir()


def _adopted(store: BlockingStore, old: _Old) -> bool:
    if old.content is not None:
        whole = _is(old.id, [old.content])
        return whole and bool(store.put(old.content, old.media_type))
    path = _path(store.folder, old.id)
    try:
        with open_regular(path) as file, translated(path):
            whole = _is(old.id, iter(lambda: file.read(PIECE), b""))
    except FileMissing:
        return False
    return whole and bool(store.put_file(path, old.media_type))


def _is(id_: str, pieces: Iterable[bytes]) -> bool:
    return f"blake3:{digest_of_all('blake3', pieces).hex()}" == id_


def _path(folder: Path, id_: str) -> Path:
    digest = id_.partition(":")[2]
    return folder / "objects" / digest[:2] / digest[2:]


def _artifacts(db: sqlite3.Connection) -> list[_Old]:
    query = "SELECT id, media_type, content FROM old_artifacts ORDER BY number"
    return [_Old._make(row) for row in db.execute(query)]


def _uses(db: sqlite3.Connection) -> list[tuple[str, str, str, str, str]]:
    query = """
        SELECT run, node, port, id, name FROM old_uses JOIN old_artifacts ON number = artifact
    """
    return db.execute(query).fetchall()


def _forget(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM old_uses")
    db.execute("DELETE FROM old_artifacts")
