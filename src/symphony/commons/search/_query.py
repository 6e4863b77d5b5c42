"""What people type, and filters, as a query of Tantivy's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from symphony.commons.names import did_you_mean
from symphony.commons.search._errors import QueryInvalid
from symphony.commons.search._fields import (
    KEY,
    Between,
    Date,
    Field,
    Filter,
    Keyword,
    NoneOf,
    Number,
    Text,
    fault_of,
    plain,
)

if TYPE_CHECKING:
    import tantivy

MAX_QUERY: Final = 4096
MAX_WORDS: Final = 64

#: What a word counts that matches only in its beginning or nearly, beside one that is the same.
_PREFIX_WEIGHT, _FUZZY_WEIGHT = 0.2, 0.1
_CHUNK = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')


class Word(NamedTuple):
    """What must occur: tokens that follow each other; `open` if the last may go on."""

    tokens: tuple[str, ...]
    open: bool = False


class Wanted(NamedTuple):
    """What a text asks for; `nothing` if it has no words, as `(((` has none."""

    words: tuple[Word, ...] = ()
    unwanted: tuple[Word, ...] = ()
    nothing: bool = False


def words_of(text: str, tokens: Callable[[str], list[str]], *, prefix: bool) -> Wanted:
    """Raises QueryInvalid for a text that is too long."""
    if len(text) > MAX_QUERY:
        raise QueryInvalid(f"{len(text):,} characters of text, {MAX_QUERY:,} are allowed")
    words: list[Word] = []
    unwanted: list[Word] = []
    chunks = list(_CHUNK.finditer(plain(text)))
    for chunk in chunks:
        found = tuple(tokens(chunk[2] or chunk[3] or ""))
        is_open = prefix and chunk is chunks[-1] and not chunk[1] and chunk[2] is None
        if found:
            (unwanted if chunk[1] else words).append(Word(found, is_open))
    if sum(len(word.tokens) for word in (*words, *unwanted)) > MAX_WORDS:
        raise QueryInvalid(f"more than {MAX_WORDS} words")
    nothing = bool(chunks) and not words and not unwanted
    return Wanted(tuple(words), tuple(unwanted), nothing)


def query_of(
    schema: tantivy.Schema,
    fields: Mapping[str, Field],
    wanted: Wanted,
    where: Sequence[Filter],
    *,
    fuzzy: bool,
) -> tantivy.Query:
    """Raises QueryInvalid for a filter on a field that has no such."""
    from tantivy import Occur, Query

    if wanted.nothing:
        return Query.empty_query()
    texts = {name: field.boost for name, field in fields.items() if isinstance(field, Text)}
    parts = [
        (Occur.Must, _anywhere(schema, texts, word, fuzzy=fuzzy)) for word in wanted.words
    ] or [(Occur.Must, Query.all_query())]
    parts += [
        (Occur.MustNot, _anywhere(schema, texts, word, fuzzy=False)) for word in wanted.unwanted
    ]
    for each in where:
        # Which documents a filter lets through says nothing of how good they are.
        silent = Query.const_score_query(_filter(schema, fields, each), 0.0)
        parts.append((Occur.MustNot if isinstance(each, NoneOf) else Occur.Must, silent))
    return Query.boolean_query(parts)


def require(fields: Mapping[str, Field], name: str, *kinds: type[Field]) -> Field:
    """The field, which must be of one of these types; raises QueryInvalid."""
    field = fields.get(name)
    if isinstance(field, kinds):
        return field
    known = [name for name, each in fields.items() if isinstance(each, kinds)]
    wanted = " or ".join(kind.__name__.lower() for kind in kinds)
    raise QueryInvalid(f"there is no {wanted} field {name!r}", hint=did_you_mean(name, known))


def tolerance(token: str) -> int:
    """How many letters may be wrong; in short words each makes another word."""
    return 0 if len(token) < 4 else 1 if len(token) < 8 else 2


def _anywhere(
    schema: tantivy.Schema, texts: Mapping[str, float], word: Word, *, fuzzy: bool
) -> tantivy.Query:
    """The word, in any text field."""
    from tantivy import Occur, Query

    return Query.boolean_query(
        [
            (Occur.Should, Query.boost_query(each, boost))
            for name, boost in texts.items()
            for each in _in_field(schema, name, word, fuzzy=fuzzy)
        ]
    )


def _in_field(
    schema: tantivy.Schema, name: str, word: Word, *, fuzzy: bool
) -> Iterator[tantivy.Query]:
    from tantivy import Query

    *_, last = word.tokens
    if len(word.tokens) > 1:
        phrase = Query.phrase_prefix_query if word.open else Query.phrase_query
        yield phrase(schema, name, list(word.tokens))
        return
    yield Query.term_query(schema, name, last)
    if word.open:
        begun = Query.fuzzy_term_query(schema, name, last, distance=0, prefix=True)
        yield Query.const_score_query(begun, _PREFIX_WEIGHT)
    if fuzzy and (distance := tolerance(last)):
        near = Query.fuzzy_term_query(schema, name, last, distance=distance)
        yield Query.const_score_query(near, _FUZZY_WEIGHT)


def _filter(schema: tantivy.Schema, fields: Mapping[str, Field], each: Filter) -> tantivy.Query:
    from tantivy import Query

    if isinstance(each, Between):
        return _between(schema, fields, each)
    if each.field != KEY:
        require(fields, each.field, Keyword)
    return Query.term_set_query(schema, each.field, [plain(value) for value in each.values])


def _between(schema: tantivy.Schema, fields: Mapping[str, Field], each: Between) -> tantivy.Query:
    from tantivy import FieldType, Query

    field = require(fields, each.field, Number, Date)
    for bound in (each.low, each.high):
        if bound is not None and (fault := fault_of(field, bound)):
            raise QueryInvalid(f"a bound of {each.field!r} {fault}")
    if each.low is None and each.high is None:
        return Query.all_query()
    kind = FieldType.Date if isinstance(field, Date) else FieldType.Float
    return Query.range_query(schema, each.field, kind, _bound(each.low), _bound(each.high))


def _bound(value: float | datetime | None) -> float | datetime | None:
    """Tantivy takes no whole number for a bound of decimal ones."""
    return value if value is None or isinstance(value, datetime) else float(value)
