"""A copy of a whole store as it is at one moment, while others go on writing to it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from symphony.commons.files import (
    WrongFileKind,
    make_folder,
    open_atomic,
    read_bytes,
    sync_folder,
    translated,
    write_atomic,
)
from symphony.commons.sqlite import database_errors, open_reader
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._body import PIECE
from symphony.pit.artifacts._keys import FILE_NAME
from symphony.pit.artifacts._objects import FILE

_DATABASE = "artifacts.db"
_PAGES = 1000
#: Another disk, or a file system without hard links.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK)


def snapshot(store: BlockingStore, target: Path) -> None:
    """Copy the store to a new folder, which opens with the same key. Large contents are linked
    where the file system can, since they never change; on another disk they are copied.

    The copy of the database is made first, and nothing is deleted until all that it speaks of is
    copied; what is put meanwhile is not in it. Raises WrongFileKind if `target` is there and not
    empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WrongFileKind(target, "folder")
    with store.upkeep():
        make_folder(target, mode=0o700)
        _copy_database(store, target / _DATABASE)
        with closing(open_reader(target / _DATABASE)) as copy:
            _copy_segments(store, copy, target / "segments")
            _copy_files(store, copy, target / "objects")
        write_atomic(target / FILE_NAME, read_bytes(store.folder / FILE_NAME, 2**22), mode=0o600)


def _copy_database(store: BlockingStore, path: Path) -> None:
    with (
        database_errors(path),
        closing(open_reader(store.database.path)) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy, pages=_PAGES)
    with translated(path), path.open("rb") as file:
        os.fsync(file.fileno())


def _copy_segments(store: BlockingStore, copy: sqlite3.Connection, folder: Path) -> None:
    """Up to the last record that the copied database knows; what comes behind is not in it."""
    query = "SELECT segment, MAX(start + stored) FROM objects WHERE segment NOT NULL GROUP BY 1"
    make_folder(folder, mode=0o700)
    for number, used in copy.execute(query).fetchall():
        name = f"{number:08}.seg"
        source = store.folder / "segments" / name
        with translated(source), source.open("rb") as original, open_atomic(folder / name) as file:
            while used > 0 and (piece := original.read(min(used, PIECE))):
                file.write(piece)
                used -= len(piece)
        # A segment is of its full length, so that it can be written to.
        os.truncate(folder / name, source.stat().st_size)


def _copy_files(store: BlockingStore, copy: sqlite3.Connection, folder: Path) -> None:
    make_folder(folder, mode=0o700)
    touched: set[Path] = set()
    for (file,) in copy.execute(f"SELECT file FROM objects WHERE place = {FILE}"):  # noqa: S608
        source = store.objects.files.path(file)
        place = folder / file[:2] / file
        make_folder(place.parent, mode=0o700)
        with translated(source):
            _link_or_copy(source, place)
        touched.add(place.parent)
    for each in touched:
        sync_folder(each)


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
