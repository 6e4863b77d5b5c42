"""The types of fields, what a value of each is, and the filters on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    import tantivy

#: The field that a document's key is in, for filters.
KEY: Final = "_key"
DATA: Final = "_data"
#: Of a keyword or key, in bytes; and of a word, beyond which it is left out.
MAX_KEYWORD: Final = 4096
MAX_WORD: Final = 64

ANALYZER: Final = "symphony"


class Text(msgspec.Struct, frozen=True):
    """Words to be found; what occurs here counts `boost` times."""

    boost: float = 1.0


class Keyword(msgspec.Struct, frozen=True):
    """One or several texts, each matched as a whole."""


class Number(msgspec.Struct, frozen=True):
    """A decimal number, of which 15 digits count."""


class Date(msgspec.Struct, frozen=True):
    """A moment with a time zone."""


Field: TypeAlias = Text | Keyword | Number | Date
FieldValue: TypeAlias = "str | float | datetime | Sequence[str]"


class OneOf(NamedTuple):
    """Documents in which a keyword is one of these."""

    field: str
    values: Collection[str]


class NoneOf(NamedTuple):
    """Documents in which a keyword is none of these."""

    field: str
    values: Collection[str]


class Between(NamedTuple):
    """Documents in which a number or date is within these bounds; None is no bound."""

    field: str
    low: float | datetime | None = None
    high: float | datetime | None = None


Filter: TypeAlias = OneOf | NoneOf | Between


def schema_of(fields: Mapping[str, Field]) -> tantivy.Schema:
    import tantivy

    builder = tantivy.SchemaBuilder()
    raw: dict[str, str] = {"tokenizer_name": "raw", "index_option": "basic"}
    builder.add_text_field(KEY, stored=True, **raw)  # type: ignore[arg-type]  # of one type here
    builder.add_bytes_field(DATA, stored=True)
    for name, field in fields.items():
        match field:
            case Text():
                builder.add_text_field(name, stored=True, tokenizer_name=ANALYZER)
            case Keyword():
                builder.add_text_field(name, fast=True, **raw)  # type: ignore[arg-type]
            case Number():
                builder.add_float_field(name, indexed=True, fast=True)
            case Date():
                builder.add_date_field(name, indexed=True, fast=True)
    return builder.build()


def analyzer() -> tantivy.TextAnalyzer:
    from tantivy import Filter as Step
    from tantivy import TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(Step.remove_long(MAX_WORD))
    return builder.filter(Step.lowercase()).filter(Step.ascii_fold()).build()


def fault_of(field: Field | None, value: FieldValue) -> str:
    """What keeps a value from being one of this field; empty if nothing does."""
    match field:
        case None:
            return "is no field of the index"
        case Number():
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            return "" if good and isfinite(cast("float", value)) else "must be a finite number"
        case Date():
            return _date_fault(value)
        case Text() | Keyword():
            return _text_fault(value, is_keyword=isinstance(field, Keyword))


def _date_fault(value: FieldValue) -> str:
    import tantivy

    if not isinstance(value, datetime) or value.tzinfo is None:
        return "must be a moment with a time zone"
    within = tantivy.MIN_DATETIME <= value <= tantivy.MAX_DATETIME
    return "" if within else "is too far away"


def _text_fault(value: FieldValue, *, is_keyword: bool) -> str:
    if isinstance(value, (int, float, datetime)):
        return "must be text"
    for each in [value] if isinstance(value, str) else value:
        if is_keyword and len(each.encode("utf-8", "replace")) > MAX_KEYWORD:
            return f"is longer than {MAX_KEYWORD:,} bytes"
    return ""


def plain(text: str) -> str:
    """Halves of surrogate pairs, as in undecodable names of files, become question marks."""
    return text.encode("utf-8", "replace").decode()
