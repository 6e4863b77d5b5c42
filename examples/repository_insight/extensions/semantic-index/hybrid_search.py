"""Search by words (BM25) and by meaning (embeddings), merged by reciprocal rank fusion.

Words find exact names; meaning finds paraphrases. Their scores do not compare, their ranks do:
a text's fused score is the sum of 1 / (RANK_OFFSET + rank) over the two lists, the list of words
weighted by WORD_WEIGHT. Both constants were chosen on the tuning half of bench/embedding.py.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

RANK_OFFSET = 30.0
WORD_WEIGHT = 1.0
SATURATION = 1.2
LENGTH_PENALTY = 0.75

_WORDS = re.compile(
    r"[A-Z]{2,}s(?![^\W\d_])"  # URLs
    r"|[A-Z]+(?![^\W\d_A-Z])"  # HTTP in HTTPServer
    r"|[A-Z]?[^\W\d_A-Z]+"
    r"|\d+"
)


def words(text: str) -> list[str]:
    """Lower-case words; `readTheFile_name2` gives read, the, file, name, 2. Plural s is dropped."""
    found = (word.lower() for word in _WORDS.findall(text))
    return [
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in found
    ]


@dataclass(frozen=True, slots=True)
class Bm25:
    """An inverted index; `score` gives one number a document, 0 for no word in common."""

    documents: int
    postings: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]]

    @classmethod
    def build(cls, texts: Sequence[str]) -> Bm25:
        counted = [Counter(words(text)) for text in texts]
        lengths = np.array([counts.total() for counts in counted], dtype=np.float32)
        mean = float(lengths.mean()) if len(lengths) else 1.0
        norms = SATURATION * (1 - LENGTH_PENALTY + LENGTH_PENALTY * lengths / max(mean, 1.0))
        where: dict[str, tuple[list[int], list[int]]] = {}
        for number, counts in enumerate(counted):
            for word, count in counts.items():
                numbers, times = where.setdefault(word, ([], []))
                numbers.append(number)
                times.append(count)
        postings = {
            word: _weights(numbers, times, norms, len(texts))
            for word, (numbers, times) in where.items()
        }
        return cls(len(texts), postings)

    def score(self, query: str) -> NDArray[np.float32]:
        scores = np.zeros(self.documents, dtype=np.float32)
        for word in set(words(query)):
            if word in self.postings:
                numbers, weights = self.postings[word]
                scores[numbers] += weights
        return scores


def _weights(
    numbers: list[int], times: list[int], norms: NDArray[np.float32], documents: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    rarity = np.log1p((documents - len(numbers) + 0.5) / (len(numbers) + 0.5))
    at = np.array(numbers, dtype=np.int32)
    count = np.array(times, dtype=np.float32)
    return at, (rarity * count * (SATURATION + 1) / (count + norms[at])).astype(np.float32)


def ranking(scores: NDArray[np.float32], *, above: float = 0.0) -> list[int]:
    """Document numbers, best first; equal scores keep the documents' order."""
    order = np.argsort(-scores, kind="stable")
    return [int(number) for number in order if scores[number] > above]


def fused(
    by_words: Iterable[int],
    by_meaning: Iterable[int],
    *,
    offset: float = RANK_OFFSET,
    word_weight: float = WORD_WEIGHT,
) -> list[tuple[int, float]]:
    """(document, score), best first; a document that one list lacks counts only in the other."""
    scores: dict[int, float] = {}
    for numbers, weight in ((by_words, word_weight), (by_meaning, 1.0)):
        for rank, number in enumerate(numbers, start=1):
            scores[number] = scores.get(number, 0.0) + weight / (offset + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
