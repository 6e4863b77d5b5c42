"""Finding artifacts by words: in their names, tags, messages, metadata, and in text itself.

The index follows the database: what is new is known by its number, what has changed by the outbox,
and each search first takes in what it has not seen. So nothing waits for the index when it puts,
and a search finds what was put before it. Where the index stands is written in it, in the same
commit.

An index tells all that it has read. That of an encrypted store is in memory alone, and is made
anew by each process that searches: two seconds for 100,000 short texts. That of a store that is
not encrypted lies in its folder `index/`; who deletes it loses nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from symphony.commons.search import (
    KEY,
    Batch,
    Date,
    Field,
    FieldValue,
    Filter,
    IndexDamaged,
    Keyword,
    NoneOf,
    Number,
    OneOf,
    SearchIndex,
    Text,
)
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._errors import ArtifactCorrupt, ArtifactMissing
from symphony.pit.artifacts._types import ArtifactInfo

FIELDS: dict[str, Field] = {
    "name": Text(boost=3),
    "tags": Text(boost=2),
    "about": Text(),
    "content": Text(),
    "tag": Keyword(),
    "type": Keyword(),
    "created": Date(),
    "size": Number(),
}
#: Longer text is found by its beginning.
TEXT_LIMIT = 256 * 1024
_BATCH = 1000
#: The document that says where the index stands.
_STATE = "~"
_TEXTUAL = ("application/json", "application/xml", "application/yaml", "application/toml")

_NEW = "SELECT number FROM objects WHERE number > ? AND chunk = 0 ORDER BY number LIMIT ?"
_CHANGED = "SELECT number, object FROM outbox WHERE number > ? ORDER BY number LIMIT ?"


class Found(msgspec.Struct, frozen=True):
    artifact: ArtifactInfo
    score: float
    #: Where it was found, with marks around the words; empty if it was not in the content.
    snippet: str


class _State(msgspec.Struct, frozen=True):
    """The last object and the last entry of the outbox that the index has taken in."""

    object: int = 0
    outbox: int = 0


class ArtifactSearch:
    """The index of one store. Every method may be called from any thread."""

    def __init__(self, store: BlockingStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._index = self._open(anew=False)

    def search(
        self,
        text: str = "",
        *,
        tag: str = "",
        media_type: str = "",
        fuzzy: bool = True,
        limit: int = 20,
    ) -> list[Found]:
        """Artifacts in which all words of `text` occur, best first; without a text the newest.

        What was put before is found. Raises QueryInvalid.
        """
        filters: list[Filter] = [NoneOf(KEY, [_STATE])]
        filters += [OneOf("tag", [tag])] if tag else []
        filters += [OneOf("type", [media_type])] if media_type else []
        with self._lock:
            self._catch_up()
            hits = self._index.search(
                text,
                where=filters,
                sort="" if text else "-created",
                fuzzy=fuzzy,
                limit=limit,
                highlight=["content"],
            )
        found = []
        for hit in hits.items:
            try:
                info = self._store.stat(hit.data)
            except ArtifactMissing:
                continue  # swept while we searched
            snippet = hit.snippets.get("content")
            found.append(Found(info, hit.score, snippet.text if snippet else ""))
        return found

    def rebuild(self) -> int:
        """Make the index anew; returns how many artifacts are in it."""
        with self._lock:
            self._index = self._open(anew=True)
            self._catch_up()
            return self._index.size - 1

    def _open(self, *, anew: bool) -> SearchIndex:
        if self._store.vault.encrypted:
            return SearchIndex.in_memory(FIELDS)
        return SearchIndex.on_disk(self._store.folder / "index", FIELDS, anew=anew)

    def _catch_up(self) -> None:
        try:
            while self._take_in():
                pass
        except IndexDamaged:
            self._index = self._open(anew=True)
            while self._take_in():
                pass

    def _take_in(self) -> bool:
        """One batch of what the index has not seen; False if there is nothing."""
        self._index.refresh()
        state = self._state()
        new, changed = self._store.database.query(lambda db: _unseen(db, state))
        if not new and not changed:
            return False
        seen = _State(
            max([state.object, *new]), max([state.outbox, *(number for number, _ in changed)])
        )
        with self._index.write() as batch:
            for number in dict.fromkeys([*new, *(object_ for _, object_ in changed)]):
                self._put(batch, number)
            batch.put(_STATE, {}, msgspec.json.encode(seen).decode())
        return True

    def _state(self) -> _State:
        hits = self._index.search(where=[OneOf(KEY, [_STATE])], limit=1)
        return msgspec.json.decode(hits.items[0].data, type=_State) if hits.items else _State()

    def _put(self, batch: Batch, number: int) -> None:
        """Documents go by the number of the object: of what is gone nothing else is known."""
        document = self._store.database.query(lambda db: self._document(db, number))
        if document is None:
            batch.delete(str(number))
            return
        info, fields = document
        batch.put(str(number), {**fields, "content": self._text(info)}, info.id)

    def _document(
        self, db: sqlite3.Connection, number: int
    ) -> tuple[ArtifactInfo, dict[str, FieldValue]] | None:
        query = "SELECT 1 FROM objects WHERE number = ? AND chunk = 0"
        if db.execute(query, (number,)).fetchone() is None:
            return None
        catalog = self._store.catalog
        info, versions = catalog.info(db, number), catalog.versions_of(db, number)
        metadata = msgspec.json.encode(info.metadata).decode() if info.metadata else ""
        return info, {
            "name": sorted({version.name for version in versions}),
            "tags": " ".join(info.tags),
            "about": " ".join([info.creator, metadata, *(each.message for each in versions)]),
            "tag": info.tags,
            "type": info.media_type,
            "created": datetime.fromtimestamp(info.created, UTC),
            "size": float(info.size),
        }

    def _text(self, info: ArtifactInfo) -> str:
        """What of the content is text; what cannot be read is found by its other fields."""
        kind = info.media_type.partition(";")[0]
        if not (kind.startswith("text/") or kind in _TEXTUAL or kind.endswith(("+json", "+xml"))):
            return ""
        try:
            start = b"".join(_beginning(self._store.stream(info.id)))
        except (ArtifactCorrupt, ArtifactMissing):
            return ""
        return start.decode("utf-8", "replace")


def _unseen(db: sqlite3.Connection, state: _State) -> tuple[list[int], list[tuple[int, int]]]:
    new = [row[0] for row in db.execute(_NEW, (state.object, _BATCH))]
    return new, db.execute(_CHANGED, (state.outbox, _BATCH)).fetchall()


def _beginning(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = TEXT_LIMIT
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return
