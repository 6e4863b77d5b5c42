"""Full-text search over documents with typed fields: the one wrapper over Tantivy.

    FIELDS = {"title": Text(boost=3), "body": Text(), "tag": Keyword(), "made": Date()}

    index = SearchIndex.on_disk(folder, FIELDS)  # or SearchIndex.in_memory(FIELDS)
    if not index.size:                           # new, of other fields, or it was damaged
        fill(index)
    with index.write() as batch:                 # all of it or nothing; the lock's holder alone
        batch.put("a1", {"title": "Ada's report", "tag": ["draft", "q3"], "made": when}, "any text")
        batch.delete("a0")
    hits = index.search("raport", fuzzy=True, where=[OneOf("tag", ["draft"])], highlight=["title"])
    hits.total, hits.items[0].key, hits.items[0].data, hits.items[0].snippets["title"]

An index is a copy of what its owner knows better: one that cannot be read is emptied when it is
opened, and whoever opens it fills it again (so the `size` above). Every file's checksum is looked
at then, 2 GB a second. Damage that shows later raises IndexDamaged: open it with `anew=True`.

A query is words, all of which must occur, in any fields; "several in quotes" must follow each
other; a word after a minus must not occur. There is no other syntax: Tantivy's own parser takes
`a:b` for a field and gives up at a bracket, where people mean what they typed. Case and accents
do not count. Text between blanks is a word even if it is Chinese or Japanese.

Nothing is held between batches, so several processes can write in turns. Everything here blocks,
and is safe to call from several threads. A batch takes 15 ms however small it is; a search of
5,000 documents a fraction of one.
"""

from __future__ import annotations

from symphony.commons.search._errors import (
    DocumentInvalid,
    IndexDamaged,
    IndexNotWritten,
    QueryInvalid,
    SearchError,
)
from symphony.commons.search._fields import (
    KEY,
    Between,
    Date,
    Field,
    FieldValue,
    Filter,
    Keyword,
    NoneOf,
    Number,
    OneOf,
    Text,
)
from symphony.commons.search._index import Batch, Hit, Hits, SearchIndex
from symphony.commons.search._snippets import Snippet

__all__ = (
    "KEY",
    "Batch",
    "Between",
    "Date",
    "DocumentInvalid",
    "Field",
    "FieldValue",
    "Filter",
    "Hit",
    "Hits",
    "IndexDamaged",
    "IndexNotWritten",
    "Keyword",
    "NoneOf",
    "Number",
    "OneOf",
    "QueryInvalid",
    "SearchError",
    "SearchIndex",
    "Snippet",
    "Text",
)
