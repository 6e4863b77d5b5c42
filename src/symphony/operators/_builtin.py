"""The operators that need no installation."""

from __future__ import annotations

from symphony.operators._artifacts import from_file, from_value
from symphony.operators._declare import Operator
from symphony.operators._http import request
from symphony.operators._json import read_json, write_json
from symphony.operators._lists import (
    evaluate,
    filter_items,
    group_items,
    map_items,
    select_fields,
    sort_items,
)
from symphony.operators._report import render, run_timings
from symphony.operators._template import fill_template
from symphony.operators._texts import read_text, read_texts, write_text
from symphony.operators._walk import walk
from symphony.operators._words import key_sentences, overlap, passages, rank

_FILES = (walk, read_text, read_texts, write_text, read_json, write_json)
_LISTS = (map_items, filter_items, select_fields, sort_items, group_items)
_WORDS = (fill_template, passages, rank, key_sentences, overlap)
_RUN = (render, run_timings, from_value, from_file)

#: By the names that workflows use.
BUILTIN: dict[str, Operator] = {
    each.name: each for each in (*_FILES, *_LISTS, *_RUN, *_WORDS, evaluate, request)
}
