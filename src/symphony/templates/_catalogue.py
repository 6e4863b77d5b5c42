"""What is known of the files of a library without reading them again.

Reading 5,000 templates takes seconds, looking whether they have changed takes milliseconds. So
what was read is kept in one file, by path, size and time of change, and beside it lies the search
index of the same files. Both are copies: if one is damaged it is made again. What is needed only
to read templates is imported only then: that takes longer than a search.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from symphony._version import __version__
from symphony.commons.errors import ErrorRecord, SymphonyError
from symphony.commons.files import make_folder, read_bytes, translated, write_atomic
from symphony.commons.search import (
    Field,
    IndexDamaged,
    IndexNotWritten,
    Keyword,
    SearchIndex,
    Text,
)

#: How the names of templates end.
SUFFIXES: Final = (".template.json", ".template.yaml", ".template.yml", ".template.toml")
#: Of what is kept of all.
MAX_KEPT: Final = 1024 * 2**20

FIELDS: Final[dict[str, Field]] = {
    "name": Text(boost=4),
    "id": Text(boost=4),
    "tags": Text(boost=3),
    "description": Text(boost=2),
    "parameters": Text(),
    "author": Text(),
    "category": Text(),
    "tag": Keyword(),
    "of_category": Keyword(),
    "of_author": Keyword(),
    "root": Keyword(),
}


class Shelf(StrEnum):
    """Where a template comes from; the first that has it counts."""

    PROJECT = "project"
    USER = "user"
    BUILTIN = "builtin"


class Summary(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What lists show of a template; or of a file that is none, its `error`."""

    id: str
    version: str
    path: str
    shelf: Shelf
    name: str = ""
    description: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    author: str = ""
    parameters: tuple[str, ...] = ()
    error: ErrorRecord | None = None


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file as it was when it was read."""

    changed_ns: int
    size: int
    summary: Summary


class _Kept(msgspec.Struct, array_like=True):
    """By folder and path. Another version of Symphony may see more in a file, and reads anew."""

    symphony: str = __version__
    folders: dict[str, dict[str, _Row]] = {}


class _News(NamedTuple):
    """What has changed since it was kept."""

    read: dict[str, _Row]
    gone: frozenset[str]


class Catalogue:
    """The templates in some folders, as they are now."""

    def __init__(self, folders: Mapping[Shelf, Path], kept: Path) -> None:
        """`kept` is the folder for the two copies."""
        self._folders = {shelf: folder.absolute() for shelf, folder in folders.items()}
        self._place = kept
        self._file = kept / "templates.msgpack"

    def summaries(self) -> list[Summary]:
        """Of every file, by shelf and path. What has changed is read, and kept."""
        kept = self._read()
        if any(self._news(kept).values()):
            kept = self._update()
        return [
            row.summary
            for folder in self._folders.values()
            for _, row in sorted(kept.folders.get(str(folder), {}).items())
        ]

    @cached_property
    def index(self) -> SearchIndex:
        """Of the files as `summaries` found them."""
        return self._opened(anew=False)

    def renew(self) -> None:
        """Make the index again: it has turned out to be damaged."""
        self.index = self._opened(anew=True)

    @property
    def roots(self) -> list[str]:
        return [str(folder) for folder in self._folders.values()]

    def _opened(self, *, anew: bool) -> SearchIndex:
        index = SearchIndex.on_disk(self._place / "templates", FIELDS, anew=anew)
        if not index.size:
            with index.write() as batch:
                for root, rows in self._read().folders.items():
                    for path, row in rows.items():
                        batch.put(path, _fields(root, row.summary))
        return index

    def _read(self) -> _Kept:
        try:
            data = read_bytes(self._file, MAX_KEPT)
            kept = msgspec.msgpack.decode(data, type=_Kept)
        except (SymphonyError, msgspec.DecodeError, UnicodeError):
            return _Kept()  # not there, or damaged: it is made again
        return kept if kept.symphony == __version__ else _Kept()

    def _news(self, kept: _Kept) -> dict[Shelf, bool]:
        """For each shelf, whether a file has come, gone or changed."""
        return {
            shelf: {
                path: (row.changed_ns, row.size)
                for path, row in kept.folders.get(str(folder), {}).items()
            }
            != _files(folder)
            for shelf, folder in self._folders.items()
        }

    def _update(self) -> _Kept:
        """One process at a time; what another has read in the meantime is not read again."""
        from symphony.commons.locks import locked

        make_folder(self._place)
        with locked(self._place / "templates-update.lock", timeout=60):
            kept = self._read()
            changes = {
                str(folder): self._changes(shelf, folder, kept.folders.get(str(folder), {}))
                for shelf, folder in self._folders.items()
            }
            lost = {root for root in kept.folders if not Path(root).is_dir()} - changes.keys()
            self._index(kept, changes, lost)
            for root in lost:
                del kept.folders[root]
            for root, news in changes.items():
                rows = kept.folders.setdefault(root, {})
                for path in news.gone:
                    del rows[path]
                rows.update(news.read)
            # Last, so that what it names is in the index.
            write_atomic(self._file, msgspec.msgpack.encode(kept))
        return kept

    def _changes(self, shelf: Shelf, folder: Path, rows: Mapping[str, _Row]) -> _News:
        files = _files(folder)
        read = {
            path: _Row(*stamp, _summary(shelf, Path(path)))
            for path, stamp in files.items()
            if path not in rows or stamp != (rows[path].changed_ns, rows[path].size)
        }
        return _News(read, frozenset(rows.keys() - files.keys()))

    def _index(self, kept: _Kept, changes: Mapping[str, _News], lost: Iterable[str]) -> None:
        gone = [path for root in lost for path in kept.folders[root]]
        try:
            self._write(changes, gone)
        except (IndexDamaged, IndexNotWritten):
            self.renew()
            self._write(changes, gone)

    def _write(self, changes: Mapping[str, _News], gone: Iterable[str]) -> None:
        with self.index.write() as batch:
            for path in gone:
                batch.delete(path)
            for root, news in changes.items():
                for path in news.gone:
                    batch.delete(path)
                for path, row in news.read.items():
                    batch.put(path, _fields(root, row.summary))


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """The templates in a folder and those inside it, with their time of change and size."""
    found: dict[str, tuple[int, int]] = {}
    pending = [str(folder)]
    while pending:
        with translated(folder):
            try:
                entries = os.scandir(pending.pop())
            except (FileNotFoundError, NotADirectoryError):
                continue
            with entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIXES):
                        with suppress(FileNotFoundError):  # a link to nowhere, or just removed
                            status = entry.stat()
                            found[entry.path] = (status.st_mtime_ns, status.st_size)
                    elif entry.is_dir(follow_symlinks=False) and entry.name[0] != ".":
                        pending.append(entry.path)
    return found


def _summary(shelf: Shelf, path: Path) -> Summary:
    """One file that cannot be read harms no other: what is wrong with it is all that is known."""
    from symphony.workflow import load_template

    try:
        template = load_template(path)
    except SymphonyError as error:
        stem = next(path.name.removesuffix(suffix) for suffix in SUFFIXES
                    if path.name.endswith(suffix))  # fmt: skip
        return Summary(stem, "", str(path), shelf, error=error.record())
    return Summary(
        template.id,
        template.version,
        str(path),
        shelf,
        name=template.name,
        description=template.description,
        category=template.metadata.category,
        tags=template.metadata.tags,
        author=template.metadata.author,
        parameters=tuple(parameter.name for parameter in template.parameters),
    )


def _fields(root: str, summary: Summary) -> dict[str, str | list[str]]:
    return dict(_indexed(root, summary))


def _indexed(root: str, summary: Summary) -> Iterator[tuple[str, str | list[str]]]:
    yield "root", root
    if summary.error is not None:
        return
    for name in ("id", "name", "description", "author", "category"):
        yield name, getattr(summary, name)
    yield "tags", list(summary.tags)
    yield "parameters", list(summary.parameters)
    yield "tag", [tag.casefold() for tag in summary.tags]
    yield "of_category", summary.category.casefold()
    yield "of_author", summary.author.casefold()
