"""The store for threads that may block; `_store` puts a face for coroutines before it.

    <folder>/store.json      which hash, and the wrapped keys: see `_keys`
    <folder>/artifacts.db    a row for each object, the content of small ones, all that is said
    <folder>/segments/       medium content, in files written beforehand: see `_segments`
    <folder>/objects/        large content, one file each: see `_files`
    <folder>/incoming/       large content on its way in

Content is on the disk, synced, before its row is: after a crash there may be content without a
row, which nobody sees, but never a row without its content.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain, islice
from pathlib import Path

from symphony.commons.files import open_atomic, open_regular, translated
from symphony.commons.values import ArtifactRef, Value
from symphony.pit.artifacts._body import PIECE
from symphony.pit.artifacts._cache import HotCache
from symphony.pit.artifacts._catalog import Catalog
from symphony.pit.artifacts._chunks import LEAST, ChunkGone, claim_chunks, write_chunks
from symphony.pit.artifacts._errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMissing,
    ArtifactTooLarge,
    KeyUnusable,
)
from symphony.pit.artifacts._files import file_pieces, in_steps
from symphony.pit.artifacts._ids import HashName, digest_in, digest_of, id_of
from symphony.pit.artifacts._keys import KeyStore
from symphony.pit.artifacts._objects import (
    CHUNKS,
    INLINE_LIMIT,
    SEGMENT_LIMIT,
    NewObject,
    ObjectRow,
    Objects,
    chunk_numbers,
    select_object,
)
from symphony.pit.artifacts._steps import Use
from symphony.pit.artifacts._types import NOTHING, About, ArtifactInfo, Step, Version
from symphony.pit.artifacts._vault import Damaged, StaleEpoch

#: How long one upkeep waits for another one.
_UPKEEP_SECONDS = 600.0


class BlockingStore:
    """Get one from `open_blocking_store`. Every method may be called from any thread, and blocks;
    several processes may have the same folder open."""

    def __init__(self, folder: Path, keys: KeyStore, objects: Objects, cache_bytes: int) -> None:
        self.folder = folder
        self.keys = keys
        self.database = objects.database
        self.objects = objects
        self.vault = objects.vault
        self.hash: HashName = objects.hash
        self.catalog = Catalog(objects.vault, objects.hash)
        self._cache = HotCache(cache_bytes)

    def put(
        self, data: bytes, media_type: str, name: str = "", about: About = NOTHING
    ) -> ArtifactRef:
        """Keep `data`; on return it survives a power cut. Content that is there is not kept twice.

        Raises DiskFull and other errors of `commons.files` and `commons.sqlite`; nothing half
        written is ever seen.
        """
        digest = digest_of(self.hash, data)
        put = self._put_inline if len(data) <= INLINE_LIMIT else self._put_large
        while True:
            try:
                put(digest, data, media_type, about)
                break
            except StaleEpoch:
                continue
        return ArtifactRef(self.catalog.id_of(digest), media_type, len(data), name)

    def begin_put(
        self, data: bytes, media_type: str, name: str = "", about: About = NOTHING
    ) -> tuple[ArtifactRef, Future[None]]:
        """Like `put`, for up to INLINE_LIMIT bytes, without waiting: the future is done once the
        content is durable, or tells why not."""
        new = self.objects.inline(digest_of(self.hash, data), data)
        ref = ArtifactRef(self.catalog.id_of(new.digest), media_type, len(data), name)
        return ref, self.database.submit(partial(self._add_inline, new, media_type, about))

    def put_file(
        self, path: Path, media_type: str, name: str = "", about: About = NOTHING
    ) -> ArtifactRef:
        """Keep a copy of a file as it is now; like `put`, in little memory."""
        while True:
            try:
                return self._put_file(path, media_type, name, about)
            except StaleEpoch:
                continue

    def _put_file(self, path: Path, media_type: str, name: str, about: About) -> ArtifactRef:
        with open_regular(path) as file, translated(path):
            size, pieces = os.fstat(file.fileno()).st_size, file_pieces(file.fileno(), PIECE)
            if (new := self._cut(size, pieces, media_type, about)) is not None:
                return ArtifactRef(self.catalog.id_of(new.digest), media_type, new.size, name)
            data = file.read(SEGMENT_LIMIT + 1)
            if len(data) <= SEGMENT_LIMIT:
                return self.put(data, media_type, name, about)
            del data
            new = self.objects.file(file_pieces(file.fileno(), PIECE))
        self._keep(new, media_type, about)
        return ArtifactRef(self.catalog.id_of(new.digest), media_type, new.size, name)

    def put_stream(
        self, pieces: Iterable[bytes], media_type: str, name: str = "", about: About = NOTHING
    ) -> ArtifactRef:
        """Keep content as it comes, in little memory; like `put`. Raises KeyUnusable if the keys
        are changed meanwhile: then it has to be given again."""
        steps = in_steps(pieces, PIECE)
        start = list(islice(steps, SEGMENT_LIMIT // PIECE + 1))
        if len(start) * PIECE <= SEGMENT_LIMIT:
            return self.put(b"".join(start), media_type, name, about)
        new = self.objects.file(chain(start, steps))
        try:
            self._keep(new, media_type, about)
        except StaleEpoch as error:
            raise KeyUnusable("it was changed while this was stored; store it again") from error
        return ArtifactRef(self.catalog.id_of(new.digest), media_type, new.size, name)

    def cached(self, artifact: ArtifactRef | str) -> bytes | None:
        """The content if it is in memory: no call of the system, less than a microsecond."""
        return self._cache.get(artifact if isinstance(artifact, str) else artifact.id)

    def get(self, artifact: ArtifactRef | str, limit: int | None = None) -> bytes:
        """The content, checked; ArtifactTooLarge if it exceeds `limit` bytes.

        Raises ArtifactMissing or ArtifactCorrupt, never returns wrong bytes.
        """
        id_ = artifact if isinstance(artifact, str) else artifact.id
        content = self._cache.get(id_)
        if content is None:
            content = self._load(id_, sys.maxsize if limit is None else limit)
            self._cache.add(id_, content)
        elif limit is not None and len(content) > limit:
            raise ArtifactTooLarge(id_, len(content), limit)
        return content

    def stream(self, artifact: ArtifactRef | str) -> Iterator[bytes]:
        """The content in steps, in little memory. Whoever used the earlier ones must drop them if
        a later one raises ArtifactCorrupt."""
        id_ = id_of(artifact)
        row = self._row(id_)
        try:
            yield from self.objects.stream(row)
        except Damaged as damage:
            raise self._fault(id_, row, damage) from damage

    def export(self, artifact: ArtifactRef | str, path: Path) -> None:
        """Write the content to `path`, atomically, in little memory; raises what `get` raises."""
        self._row(id_of(artifact))  # what is missing is told before anything of the path is
        with open_atomic(path) as file:
            for piece in self.stream(artifact):
                file.write(piece)

    def stat(self, artifact: ArtifactRef | str) -> ArtifactInfo:
        """What is known of an artifact, without reading it; raises ArtifactMissing."""
        id_ = id_of(artifact)
        return self.database.query(
            lambda db: self.catalog.info(db, self.catalog.number_of(db, id_))
        )

    def note_use(
        self,
        run: str,
        node: str,
        uses: Iterable[tuple[str, ArtifactRef]],
        step: Step | None = None,
    ) -> None:
        """Record that a node of a run handed out artifacts, each at a port; `step` tells more of
        how. All are recorded or none; raises ArtifactMissing if the store does not have one."""
        given = [(ref.id, Use(port, ref.name)) for port, ref in uses]
        maker = step or Step(run, node)

        def note(db: sqlite3.Connection) -> None:
            outputs = [(self.catalog.number_of(db, id_), use) for id_, use in given]
            for number, _ in outputs:
                self.catalog.claim(db, number)
            inputs = self.catalog.numbers_of(db, maker.inputs)
            self.catalog.steps.note_uses(db, maker, outputs, inputs)

        self.database.apply(note)

    # What is said of contents

    def newest(self, limit: int = 100, tag: str | None = None) -> list[ArtifactInfo]:
        """The newest artifacts, all or those with a tag."""
        return self.database.query(lambda db: self.catalog.infos(db, limit, tag))

    def resolve(self, text: str) -> str:
        """The id that people mean: an id, its beginning (`blake3:ab12`), a name (its newest
        version), `name@3`, `name@alias`. Raises ArtifactMissing, Ambiguous or NameUnknown."""
        return self.database.query(lambda db: self.catalog.resolve(db, text))

    def describe(
        self,
        artifact: ArtifactRef | str,
        *,
        media_type: str | None = None,
        metadata: dict[str, Value] | None = None,
    ) -> None:
        """Say something else of an artifact; what is not given stays."""
        self._tell(artifact, lambda db, n: self.catalog.describe(db, n, media_type, metadata))

    def tag(self, artifact: ArtifactRef | str, *tags: str) -> None:
        """Tags are words by which artifacts are listed and found; raises NameInvalid."""
        self._tell(artifact, lambda db, n: self.catalog.tag(db, n, tags))

    def untag(self, artifact: ArtifactRef | str, *tags: str) -> None:
        self._tell(artifact, lambda db, n: self.catalog.untag(db, n, tags))

    def record(
        self,
        name: str,
        artifact: ArtifactRef | str,
        message: str = "",
        *,
        creator: str = "",
        expected: int | None = None,
    ) -> Version:
        """The artifact becomes the next version of the name. `expected` is the version that must
        be the newest until then, 0 for none; raises VersionConflict, NameInvalid."""
        number = 0

        def record(db: sqlite3.Connection) -> None:
            nonlocal number
            object_ = self.catalog.number_of(db, id_of(artifact))
            number = self.catalog.record(
                db, name, object_, message=message, creator=creator, expected=expected
            )

        self.database.apply(record)
        return self.version(name, str(number))

    def history(self, name: str) -> list[Version]:
        """All versions of a name, newest first; raises NameUnknown."""
        return self.database.query(lambda db: self.catalog.history(db, name))

    def version(self, name: str, which: str = "") -> Version:
        """`which` is empty for the newest, a number, or an alias; raises NameUnknown."""
        return self.database.query(lambda db: self.catalog.version(db, name, which))

    def versions_of(self, artifact: ArtifactRef | str) -> list[Version]:
        """Every entry of any history that is this artifact."""
        id_ = id_of(artifact)
        return self.database.query(
            lambda db: self.catalog.versions_of(db, self.catalog.number_of(db, id_))
        )

    def names(self) -> list[str]:
        return self.database.query(self.catalog.names)

    def set_alias(self, name: str, alias: str, which: str = "") -> None:
        """Let an alias such as `production` stand for a version, wherever it stood before."""
        self.database.apply(lambda db: self.catalog.set_alias(db, name, alias, which))

    def drop_alias(self, name: str, alias: str) -> None:
        self.database.apply(lambda db: self.catalog.drop_alias(db, name, alias))

    def forget_name(self, name: str) -> None:
        """Drop a name with its history. The contents stay until they are collected."""
        self.database.apply(lambda db: self.catalog.forget_name(db, name))

    def forget(self, id_: str) -> None:
        """Content that is gone is not handed out from memory either."""
        self._cache.drop(id_)

    def upkeep(self) -> AbstractContextManager[None]:
        """For the length of the block no other process moves or deletes contents."""
        from symphony.commons.locks import locked

        return locked(self.folder / "upkeep.lock", timeout=_UPKEEP_SECONDS)

    def _tell(
        self, artifact: ArtifactRef | str, tell: Callable[[sqlite3.Connection, int], None]
    ) -> None:
        def change(db: sqlite3.Connection) -> None:
            number = self.catalog.number_of(db, id_of(artifact))
            self.catalog.claim(db, number)
            tell(db, number)
            self.catalog.note_change(db, number)

        self.database.apply(change)

    def _put_inline(self, digest: bytes, data: bytes, media_type: str, about: About) -> None:
        new = self.objects.inline(digest, data)
        self.database.apply(partial(self._add_inline, new, media_type, about))

    def _put_large(self, digest: bytes, data: bytes, media_type: str, about: About) -> None:
        found = self.objects.find(self.catalog.key(digest))
        if found is not None and self.objects.is_whole(found):
            claim = _Settlement(self.catalog, None, found, media_type, about)
            self.database.apply(claim)
            if claim.settled:
                return
        if self._cut(len(data), [data], media_type, about) is not None:
            return
        if len(data) <= SEGMENT_LIMIT:
            new = self.objects.record(digest, data)
        else:
            view = memoryview(data)
            new = self.objects.file(view[at : at + PIECE] for at in range(0, len(view), PIECE))
        self._keep(new, media_type, about)

    def _cut(
        self, size: int, pieces: Iterable[bytes | memoryview], media_type: str, about: About
    ) -> NewObject | None:
        """Keep a further version of something in chunks. None if it is none, or too small, or if
        a collection that went on beside it took one of the chunks."""
        name = about.save_as
        if size < LEAST or not name:
            return None
        if not self.database.query(lambda db: self.catalog.has_versions(db, name)):
            return None
        try:
            new = write_chunks(self.objects, self.catalog, pieces)
            self._keep(new, media_type, about)
        except ChunkGone:
            return None
        return new

    def _keep(self, new: NewObject, media_type: str, about: About) -> None:
        """Give an object that is on the disk its row. If there is one, the whole copy stays."""
        superfluous: NewObject | ObjectRow | None = new
        try:
            while True:
                found = self.objects.find(new.key)
                whole = found is not None and self.objects.is_whole(found)
                settlement = _Settlement(
                    self.catalog, None if whole else new, found, media_type, about
                )
                self.database.apply(settlement)
                if settlement.settled:
                    superfluous = new if whole else found
                    return
        finally:
            if superfluous is not None:
                self.objects.drop(superfluous)

    def _add_inline(
        self, new: NewObject, media_type: str, about: About, db: sqlite3.Connection
    ) -> None:
        """Content this small is checked, and replaced if it is damaged, while others wait."""
        if self.catalog.add(db, new, media_type, about):
            return
        row = select_object(db, new.key)
        assert row is not None  # noqa: S101 - else it would have been added
        if not self.objects.is_whole(row):
            self.catalog.replace(db, row.number, new)
        self.catalog.claim(db, row.number, media_type, about)

    def _load(self, id_: str, limit: int) -> bytes:
        digest = digest_in(id_, self.hash)
        if digest is None:
            raise ArtifactMissing(id_)
        try:
            content = self.objects.read_inline(self.catalog.key(digest), limit)
        except Damaged:  # or it has been moved since: what follows looks closer
            content = None
        return self._load_row(id_, limit) if content is None else content

    def _load_row(self, id_: str, limit: int) -> bytes:
        row = self._row(id_)
        if row.size > limit:
            raise ArtifactTooLarge(id_, row.size, limit)
        try:
            return self.objects.read_moving(row)
        except Damaged as damage:
            raise self._fault(id_, row, damage) from damage

    def _row(self, id_: str) -> ObjectRow:
        digest = digest_in(id_, self.hash)
        row = None if digest is None else self.objects.find(self.catalog.key(digest))
        if row is None:
            raise ArtifactMissing(id_)
        return row

    def _fault(self, id_: str, row: ObjectRow, damage: Damaged) -> ArtifactError:
        """What was swept while it was read is missing, not damaged."""
        if self.objects.find(row.key) is None:
            return ArtifactMissing(id_)
        return ArtifactCorrupt(id_, damage.reason)


class _Settlement:
    """The change that gives content its row; done only if the row is as it was looked at.

    `new` is on the disk and gets the row, or takes the place of what `found` says; without `new`
    what `found` says is whole, and is claimed.
    """

    def __init__(
        self,
        catalog: Catalog,
        new: NewObject | None,
        found: ObjectRow | None,
        media_type: str,
        about: About,
    ) -> None:
        self._catalog = catalog
        self._new = new
        self._found = found
        self._media_type = media_type
        self._about = about
        self.settled = False

    def __call__(self, db: sqlite3.Connection) -> None:
        self.settled = False
        if self._new is not None and self._new.place == CHUNKS:
            claim_chunks(db, chunk_numbers(self._new.content or b""), time.time())
        if self._found is None:
            assert self._new is not None  # noqa: S101 - nothing found, so something is new
            self.settled = self._catalog.add(db, self._new, self._media_type, self._about)
            return
        if select_object(db, self._found.key) != self._found:
            return
        if self._new is not None:
            self._catalog.replace(db, self._found.number, self._new)
        self._catalog.claim(db, self._found.number, self._media_type, self._about)
        self.settled = True
