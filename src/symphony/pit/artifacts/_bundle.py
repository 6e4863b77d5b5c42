"""A set of artifacts with names, tags and lineage as one file, and back.

The file is a tar archive: `bundle.json`, which tells everything, then `contents/<digest>` for each
artifact. Contents are not encrypted in it: it is made to be given away.
"""

from __future__ import annotations

import io
import sqlite3
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from symphony.commons.files import open_atomic, open_regular, translated
from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._body import PIECE
from symphony.pit.artifacts._errors import BundleInvalid
from symphony.pit.artifacts._ids import HashName, digest_in, id_of
from symphony.pit.artifacts._lineage import lineage
from symphony.pit.artifacts._steps import NO_PORT
from symphony.pit.artifacts._types import About, ArtifactInfo, Step, Version

_FORMAT = 1
_INDEX = "bundle.json"
_CONTENTS = "contents/"
_INDEX_LIMIT = 256 * 1024 * 1024


class _Use(msgspec.Struct, frozen=True):
    step: Step
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class _Index(msgspec.Struct, frozen=True):
    format: int
    hash: HashName
    artifacts: list[ArtifactInfo]
    versions: list[Version]
    steps: list[_Use]


def export_bundle(
    store: BlockingStore,
    artifacts: Iterable[ArtifactRef | str],
    path: Path,
    *,
    with_ancestors: bool = False,
) -> int:
    """Write artifacts to one file, atomically, and what they were made of too if asked for;
    returns how many. Names come with those versions that are in the set."""
    ids = {id_of(artifact): None for artifact in artifacts}
    if with_ancestors:
        for id_ in list(ids):
            ids.update(dict.fromkeys(lineage(store, id_, "ancestors").artifacts))
    index = store.database.query(lambda db: _index(store, db, list(ids)))
    with open_atomic(path) as file, tarfile.open(fileobj=file, mode="w") as archive:
        encoded = msgspec.json.encode(index)
        _add(archive, _INDEX, len(encoded), io.BytesIO(encoded))
        for info in index.artifacts:
            name = _CONTENTS + info.id.partition(":")[2]
            _add(archive, name, info.size, _Reader(store.stream(info.id)))
    return len(ids)


def import_bundle(store: BlockingStore, path: Path) -> list[str]:
    """Store what a file brings; returns the ids. Each content is checked against its id.

    A version that the store does not have under the same name and content becomes the next one
    of that name. Raises BundleInvalid; what was stored until then stays, and is no harm.
    """
    with open_regular(path) as file, translated(path):
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                index = _read_index(store, path, archive)
                for info in index.artifacts:
                    _import(store, path, archive, info)
        except tarfile.TarError as error:
            raise BundleInvalid(path, f"it is no tar archive: {error}") from error
    store.database.apply(lambda db: _tell(store, db, index))
    return [info.id for info in index.artifacts]


def _index(store: BlockingStore, db: sqlite3.Connection, ids: list[str]) -> _Index:
    numbers = store.catalog.numbers_of(db, ids)
    versions = [each for number in numbers for each in store.catalog.versions_of(db, number)]
    return _Index(
        _FORMAT,
        store.hash,
        [store.catalog.info(db, number) for number in numbers],
        sorted(versions, key=lambda each: (each.name, each.number)),
        _steps(store, ids),
    )


def _steps(store: BlockingStore, ids: list[str]) -> list[_Use]:
    """What steps made or were given of these artifacts, and of no others."""
    inputs: dict[Step, dict[str, None]] = {}
    outputs: dict[Step, dict[str, None]] = {}
    for id_ in ids:
        found = lineage(store, id_, "both", depth=1)
        for given, at in found.inputs:
            inputs.setdefault(found.steps[at], {})[given] = None
        for at, made in found.outputs:
            outputs.setdefault(found.steps[at], {})[made] = None
    return [
        _Use(
            step,
            tuple(id_ for id_ in inputs.get(step, ()) if id_ in ids),
            tuple(id_ for id_ in outputs.get(step, ()) if id_ in ids),
        )
        for step in inputs | outputs
    ]


def _read_index(store: BlockingStore, path: Path, archive: tarfile.TarFile) -> _Index:
    member = archive.next()
    if member is None or member.name != _INDEX or member.size > _INDEX_LIMIT:
        raise BundleInvalid(path, f"it does not begin with {_INDEX}")
    data = _content(path, archive, member).read()
    try:
        index = msgspec.json.decode(data, type=_Index)
    except msgspec.DecodeError as error:
        raise BundleInvalid(path, str(error)) from error
    if index.format > _FORMAT:
        raise BundleInvalid(path, f"its format {index.format} is newer than {_FORMAT}")
    if index.hash != store.hash:
        raise BundleInvalid(path, f"it names content by {index.hash}, this store by {store.hash}")
    return index


def _import(store: BlockingStore, path: Path, archive: tarfile.TarFile, info: ArtifactInfo) -> None:
    member = archive.next()
    digest = digest_in(info.id, store.hash)
    if member is None or digest is None or member.name != _CONTENTS + digest.hex():
        raise BundleInvalid(path, f"the content of {info.id} is not where it should be")
    content = _content(path, archive, member)
    about = About(info.creator, info.metadata, info.tags)
    pieces = iter(lambda: content.read(PIECE), b"")
    if store.put_stream(pieces, info.media_type, "", about).id != info.id:
        raise BundleInvalid(path, f"the content of {info.id} is not what its id says")


def _content(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    if found is None:
        raise BundleInvalid(path, f"{member.name} is no file")
    return found


def _tell(store: BlockingStore, db: sqlite3.Connection, index: _Index) -> None:
    for version in index.versions:
        number = store.catalog.number_of(db, version.id)
        known = store.catalog.versions_of(db, number)
        if not any(each.name == version.name for each in known):
            store.catalog.record(
                db, version.name, number, message=version.message, creator=version.creator
            )
    for use in index.steps:
        outputs = [(number, NO_PORT) for number in store.catalog.numbers_of(db, use.outputs)]
        inputs = store.catalog.numbers_of(db, use.inputs)
        store.catalog.steps.note_uses(db, use.step, outputs, inputs)


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(time.time()), 0o600
    archive.addfile(member, content)


class _Reader(io.BytesIO):
    """What `tarfile` reads from, over pieces of any size."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int | None = -1) -> bytes:
        found = bytearray()
        wanted = size or 0
        while len(found) < wanted:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    break
            taken = self._rest[: wanted - len(found)]
            found += taken
            self._rest = self._rest[len(taken) :]
        return bytes(found)
