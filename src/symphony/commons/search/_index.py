"""The index: documents by key."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from symphony.commons.files import make_folder
from symphony.commons.names import did_you_mean
from symphony.commons.search._errors import DocumentInvalid, QueryInvalid, reading, writing
from symphony.commons.search._fields import (
    ANALYZER,
    DATA,
    KEY,
    MAX_KEYWORD,
    Date,
    Field,
    FieldValue,
    Filter,
    Keyword,
    Number,
    Text,
    analyzer,
    fault_of,
    plain,
    schema_of,
)
from symphony.commons.search._query import query_of, require, words_of
from symphony.commons.search._snippets import Snippet, matcher, snippet_of

if TYPE_CHECKING:
    import tantivy

#: How far into the results a page may reach.
MAX_REACH: Final = 100_000

#: The smallest that Tantivy takes, and enough: more memory means larger segments.
_WRITER_BYTES = 15_000_000


class Hit(NamedTuple):
    """A document that was found; `score` is 0 where the hits are sorted by a field."""

    key: str
    score: float
    data: str
    snippets: Mapping[str, Snippet]


class Hits(NamedTuple):
    """A page of the documents found; `total` is how many there are."""

    total: int
    items: tuple[Hit, ...]


class Batch:
    """Changes that are written together; get one from `SearchIndex.write`."""

    def __init__(self, fields: Mapping[str, Field], writer: tantivy.IndexWriter) -> None:
        self._fields = fields
        self._writer = writer

    def put(self, key: str, fields: Mapping[str, FieldValue], data: str = "") -> None:
        """Add a document, or replace the one of this key. `data` comes back with it when found.

        Raises DocumentInvalid; then nothing of it was added.
        """
        import tantivy

        if len(key.encode("utf-8", "replace")) > MAX_KEYWORD:
            raise DocumentInvalid(key, f"its key is longer than {MAX_KEYWORD:,} bytes")
        document = tantivy.Document()
        document.add_text(KEY, plain(key))
        document.add_bytes(DATA, data.encode("utf-8", "replace"))
        for name, value in fields.items():
            self._add(document, key, name, value)
        self.delete(key)
        self._writer.add_document(document)

    def delete(self, key: str) -> None:
        self._writer.delete_documents_by_term(KEY, plain(key))

    def _add(self, document: tantivy.Document, key: str, name: str, value: FieldValue) -> None:
        field = self._fields.get(name)
        fault = fault_of(field, value)
        if fault:
            hint = did_you_mean(name, self._fields) if field is None else ""
            raise DocumentInvalid(key, f"{name!r} {fault}", hint=hint)
        if isinstance(value, datetime):
            document.add_date(name, value)
        elif isinstance(value, (int, float)):
            document.add_float(name, float(value))
        else:
            for each in [value] if isinstance(value, str) else value:
                document.add_text(name, plain(each))


class SearchIndex:
    """Documents by key, found by what is in them."""

    def __init__(
        self, folder: Path | None, fields: Mapping[str, Field], index: tantivy.Index
    ) -> None:
        """Use `on_disk` or `in_memory`."""
        self.folder = folder
        self.fields = dict(fields)
        self._index = index
        self._turn = threading.Lock()
        self._analyzer = analyzer()
        index.register_tokenizer(ANALYZER, self._analyzer)

    @classmethod
    def in_memory(cls, fields: Mapping[str, Field]) -> SearchIndex:
        import tantivy

        return cls(None, fields, tantivy.Index(schema_of(fields)))

    @classmethod
    def on_disk(
        cls, folder: Path, fields: Mapping[str, Field], *, anew: bool = False
    ) -> SearchIndex:
        """Open the index in `folder`, which belongs to it alone, or make it.

        It is emptied if it has other fields, cannot be read, or is wanted `anew`. Raises LockHeld
        if it is to be emptied while another process writes, or a `files.*` error.
        """
        from symphony.commons.search._files import created, lock_of, opened

        folder = folder.absolute()
        if not anew and (index := opened(folder, fields)) is not None:
            return cls(folder, fields, index)
        from symphony.commons.locks import locked

        make_folder(folder)
        with locked(lock_of(folder), timeout=10):
            index = None if anew else opened(folder, fields)
            return cls(folder, fields, index or created(folder, fields))

    @property
    def size(self) -> int:
        """How many documents there are."""
        return self._index.searcher().num_docs

    def refresh(self) -> None:
        """See what other processes have written; takes half a millisecond."""
        with reading(self.folder):
            self._index.reload()

    @contextmanager
    def write(self, *, timeout: float = 10.0) -> Iterator[Batch]:
        """A batch of changes, committed durably when the block ends, undone if it raises.

        Waits `timeout` seconds for others that write, then raises LockHeld. Raises
        IndexNotWritten.
        """
        with self._turn_to_write(timeout):
            writer = self._writer()
            try:
                yield Batch(self.fields, writer)
            except BaseException:
                writer.rollback()
                raise
            with writing(self.folder):
                writer.commit()
                writer.wait_merging_threads()
            self._index.reload()

    def search(
        self,
        text: str = "",
        *,
        where: Sequence[Filter] = (),
        sort: str = "",
        fuzzy: bool = False,
        prefix: bool = False,
        offset: int = 0,
        limit: int = 20,
        highlight: Collection[str] = (),
    ) -> Hits:
        """The documents in which all of `text` occurs and every filter holds; all if both are
        empty.

        Best first, or by the field `sort`, as in "size" or, largest first, "-size"; documents
        without it come last. With `fuzzy`, words of four letters or more may differ in one letter,
        of eight in two. With `prefix`, the last word may be only begun. `highlight` are text
        fields to give snippets of. Raises QueryInvalid or IndexDamaged.
        """
        _check_page(offset, limit)
        for name in highlight:
            require(self.fields, name, Text)
        if sort:
            require(self.fields, sort.removeprefix("-"), Keyword, Number, Date)
        wanted = words_of(text, self._analyzer.analyze, prefix=prefix)
        with reading(self.folder):
            query = query_of(self._index.schema, self.fields, wanted, where, fuzzy=fuzzy)
            searcher = self._index.searcher()
            found = _found(searcher, query, sort, offset, limit)
            total = int(found.count)  # type: ignore[attr-defined]  # missing in the stubs
            matches = matcher(self._analyzer, wanted.words, fuzzy=fuzzy)
            items: list[Hit] = []
            for score, address in found.hits:
                document = searcher.doc(address)
                snippets = {
                    name: snippet_of(written, matches)
                    for name in highlight
                    if isinstance(written := document.get_first(name), str)
                }
                items.append(_hit(document, 0.0 if sort else score, snippets))
            return Hits(total, tuple(items))

    @contextmanager
    def _turn_to_write(self, timeout: float) -> Iterator[None]:
        if self.folder is None:
            with self._turn:
                yield
            return
        from symphony.commons.locks import locked
        from symphony.commons.search._files import lock_of

        with locked(lock_of(self.folder), timeout=timeout):
            yield

    def _writer(self) -> tantivy.IndexWriter:
        with writing(self.folder):
            return self._index.writer(_WRITER_BYTES, 1)


def _found(
    searcher: tantivy.Searcher, query: tantivy.Query, sort: str, offset: int, limit: int
) -> tantivy.SearchResult:
    from tantivy import Order

    if not sort:
        return searcher.search(query, limit, offset=offset)
    order = Order.Desc if sort.startswith("-") else Order.Asc
    name = sort.removeprefix("-")
    return searcher.search(query, limit, offset=offset, order_by_field=name, order=order)


def _hit(document: tantivy.Document, score: float, snippets: Mapping[str, Snippet]) -> Hit:
    key, data = document.get_first(KEY), document.get_first(DATA)
    return Hit(cast("str", key), score, bytes(cast("bytes", data)).decode(), snippets)


def _check_page(offset: int, limit: int) -> None:
    if limit < 1 or offset < 0 or offset + limit > MAX_REACH:
        reason = f"a page of {limit:,} from {offset:,} is not within the first {MAX_REACH:,}"
        raise QueryInvalid(reason)
