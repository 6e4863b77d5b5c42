"""Parts of texts to show, with the words that matched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from symphony.commons.search._query import Word, tolerance

if TYPE_CHECKING:
    import tantivy

_words = re.compile(r"[^\W_]+").finditer

SNIPPET: Final = 160
#: Of a text; what stands further on is found, but not shown as a snippet.
SNIPPET_REACH: Final = 100_000


class Snippet(NamedTuple):
    """A part of a text; `marks` are where in it matching words begin and end."""

    text: str
    marks: tuple[tuple[int, int], ...]


def snippet_of(text: str, matches: Callable[[str], bool]) -> Snippet:
    """The part of a text round the first words that match, or its beginning.

    Tantivy's own snippets mark neither words that are only begun nor those that differ; and its
    tokens of a text, handed over one by one, take ten times as long as those of `re`.
    """
    marks: list[tuple[int, int]] = []
    for word in _words(text, 0, SNIPPET_REACH):
        if marks and word.end() > marks[0][0] + SNIPPET:
            break
        if matches(word[0]):
            marks.append(word.span())
    start = max(0, marks[0][0] - SNIPPET // 4) if marks else 0
    while 0 < start < len(text) and not text[start - 1].isspace():
        start -= 1  # a whole word first
    end = start + SNIPPET
    return Snippet(
        text[start:end], tuple((low - start, high - start) for low, high in marks if high <= end)
    )


def matcher(
    analyzer: tantivy.TextAnalyzer, words: Sequence[Word], *, fuzzy: bool
) -> Callable[[str], bool]:
    """Whether a word of a text is one of those that were looked for."""
    exact = {token for word in words for token in word.tokens}
    begun = tuple(word.tokens[-1] for word in words if word.open)
    near = [word.tokens[0] for word in words if fuzzy and len(word.tokens) == 1]

    @cache
    def matches(word: str) -> bool:
        return any(
            token in exact
            or (bool(begun) and token.startswith(begun))
            or any(_is_near(token, each) for each in near)
            for token in analyzer.analyze(word)
        )

    return matches


def _is_near(token: str, word: str) -> bool:
    """Whether so many letters as are allowed, added, left out, replaced or swapped with the next,
    make one of the other."""
    allowed = tolerance(word)
    if abs(len(token) - len(word)) > allowed:
        return False
    before: list[int] = []
    row = list(range(len(word) + 1))
    for here, left in enumerate(token, 1):
        earlier, before, row = before, row, [here]
        for there, right in enumerate(word, 1):
            cost = min(before[there] + 1, row[-1] + 1, before[there - 1] + (left != right))
            if here > 1 and there > 1 and left == word[there - 2] and token[here - 2] == right:
                cost = min(cost, earlier[there - 2] + 1)
            row.append(cost)
        if min(row) > allowed and min(before) > allowed:
            return False
    return row[-1] <= allowed
