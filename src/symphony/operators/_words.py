"""Work on the words of texts, without a model: passages, what fits a question, key sentences.

Words are runs of letters and digits, whatever their case. The measures are those of text
retrieval; they look at words alone and know nothing of meaning.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from symphony.commons.values import Value
from symphony.operators._declare import operator
from symphony.operators._errors import BadInput

Texts: TypeAlias = Annotated[
    list[str | dict[str, Any]],
    Meta(description="Texts, or objects with a `text`, as files.read_texts gives them."),
]
Method: TypeAlias = Literal["frequency", "lead"]

#: How BM25 weighs repetition and length; the values that everybody uses.
_SATURATION, _LENGTH = 1.2, 0.75

_words = re.compile(r"[^\W_]+").findall
_sentences = re.compile(
    r"""[^\n]+?(?:[.!?]+["'”’)]*(?=\s|\Z)|[。！？]+|(?=\n)|\Z)"""  # noqa: RUF001
).findall
_paragraphs = re.compile(r"\n\s*\n").split


@operator("text.passages", title="Cut texts into passages")
def passages(
    texts: Texts,
    size: Annotated[int, Meta(ge=50, description="At most so many characters each.")] = 800,
) -> list[dict[str, Value]]:
    """Passages of whole sentences, in order; none goes over the end of a paragraph that fits."""
    return [
        {**facts, "text": passage, "number": number}
        for facts in map(_as_object, texts)
        for number, passage in enumerate(_passages(_text_of("text.passages", facts), size))
    ]


@operator("text.rank", title="Find what fits a question")
def rank(
    query: Annotated[str, Meta(description="A question, or words.")],
    texts: Texts,
    limit: Annotated[int, Meta(ge=1, description="At most so many.")] = 5,
) -> list[dict[str, Value]]:
    """The texts that share most words with the query, rare words counting most, best first, with
    their `score`. Those that share none are left out."""
    facts = [_as_object(each) for each in texts]
    bags = [Counter(_tokens(_text_of("text.rank", each))) for each in facts]
    scores = list(_bm25(set(_tokens(query)), bags))
    order = sorted(range(len(facts)), key=lambda place: -scores[place])
    return [
        {**facts[place], "score": round(scores[place], 4)}
        for place in order[:limit]
        if scores[place] > 0
    ]


@operator("text.key_sentences", title="Pick key sentences")
def key_sentences(
    texts: Texts,
    count: Annotated[int, Meta(ge=1, description="Sentences of each text.")] = 3,
    method: Annotated[
        Method,
        Meta(description="Those with the words that count most in the text; or its first ones."),
    ] = "frequency",
) -> list[str]:
    """For each text its most telling sentences, as they stand in it. An extract, not a summary:
    nothing is put into other words."""
    found = [_text_of("text.key_sentences", _as_object(each)) for each in texts]
    return [_extract(text, count, method) for text in found]


@operator("text.overlap", title="Compare texts by their words")
def overlap(
    texts: Texts,
    expected: Annotated[list[str], Meta(description="What each text is compared with.")],
) -> list[float]:
    """For each pair a figure from 0, no word in common, to 1: how much of their words is shared
    (ROUGE-1, F)."""
    if len(texts) != len(expected):
        reason = f"there must be as many as texts: {len(texts)}, not {len(expected)}"
        raise BadInput("text.overlap", "expected", reason)
    found = [_text_of("text.overlap", _as_object(each)) for each in texts]
    return [_shared(one, other) for one, other in zip(found, expected, strict=True)]


def _as_object(item: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"text": item} if isinstance(item, str) else dict(item)


def _text_of(name: str, facts: Mapping[str, Any]) -> str:
    text = facts.get("text")
    if not isinstance(text, str):
        raise BadInput(name, "texts", "an object in it has no `text`")
    return text


def _tokens(text: str) -> list[str]:
    return [word.casefold() for word in _words(text)]


def _split(text: str) -> list[str]:
    """The sentences of a text."""
    return [sentence.strip() for sentence in _sentences(text) if sentence.strip()]


def _passages(text: str, size: int) -> Iterator[str]:
    passage = ""
    for paragraph in map(str.strip, _paragraphs(text)):
        pieces = [paragraph] if len(paragraph) <= size else _pieces(paragraph, size)
        for piece in pieces:
            if passage and len(passage) + len(piece) + 2 > size:
                yield passage
                passage = ""
            passage = f"{passage}\n\n{piece}".strip()
    if passage:
        yield passage


def _pieces(paragraph: str, size: int) -> Iterator[str]:
    """A paragraph that is too long, sentence by sentence, and such a sentence in parts."""
    piece = ""
    for sentence in _split(paragraph):
        for start in range(0, len(sentence), size):
            part = sentence[start : start + size]
            if piece and len(piece) + len(part) + 1 > size:
                yield piece
                piece = ""
            piece = f"{piece} {part}".strip()
    if piece:
        yield piece


def _bm25(query: set[str], bags: Sequence[Mapping[str, int]]) -> Iterator[float]:
    holding = {word: sum(word in bag for bag in bags) for word in query}
    lengths = [sum(bag.values()) for bag in bags]
    mean = (sum(lengths) / len(lengths) if lengths else 0) or 1
    for bag, length in zip(bags, lengths, strict=True):
        norm = _SATURATION * (1 - _LENGTH + _LENGTH * length / mean)
        yield sum(
            math.log(1 + (len(bags) - holding[word] + 0.5) / (holding[word] + 0.5))
            * bag[word]
            * (_SATURATION + 1)
            / (bag[word] + norm)
            for word in query
            if word in bag
        )


def _extract(text: str, count: int, method: Method) -> str:
    sentences = _split(text)
    if method == "lead" or len(sentences) <= count:
        return " ".join(sentences[:count])
    bags = [set(_tokens(sentence)) for sentence in sentences]
    holding = Counter(word for bag in bags for word in bag)
    often = Counter(_tokens(text))

    def worth(place: int) -> float:
        """A word counts that occurs again, but not in every other sentence."""
        bag = bags[place]
        weights = ((often[word] - 1) * math.log(len(bags) / holding[word]) for word in bag)
        return sum(weights) / math.sqrt(len(bag)) if bag else 0.0

    best = sorted(range(len(sentences)), key=lambda place: -worth(place))[:count]
    return " ".join(sentences[place] for place in sorted(best))


def _shared(one: str, other: str) -> float:
    left, right = Counter(_tokens(one)), Counter(_tokens(other))
    shared = sum((left & right).values())
    whole = left.total() + right.total()
    return round(2 * shared / whole, 4) if whole else 1.0
