"""Texts that are nearly the same.

Equal embeddings do not make equal texts: an average of word vectors hardly moves when a license
head outweighs a short body. So vectors only propose pairs, and the texts decide: the share of
four-word runs that both have (Jaccard).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR = 0.9
ALIKE = 0.7
RUN = 4
FEWEST_WORDS = 12
#: Neighbours of one text that are looked at; rows of the product held at once.
NEIGHBOURS = 8
CHUNK = 1024

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Group:
    """Numbers of texts, ascending; the least similarity that joined one of them to the others."""

    members: tuple[int, ...]
    similarity: float


def find_groups(texts: Sequence[str], vectors: NDArray[np.float32]) -> list[Group]:
    """Groups of equal or nearly equal texts, largest first; very short texts are left out."""
    words = [_WORD.findall(text.lower()) for text in texts]
    long_enough = [number for number, found in enumerate(words) if len(found) >= FEWEST_WORDS]
    first_of: dict[bytes, int] = {}
    joined = _Joined()
    for number in long_enough:
        key = hashlib.blake2b(" ".join(words[number]).encode(), digest_size=16).digest()
        joined.join(first_of.setdefault(key, number), number, 1.0)
    distinct = sorted(first_of.values())
    runs: dict[int, frozenset[int]] = {}
    for one, other in near_pairs(vectors[distinct]):
        left, right = distinct[one], distinct[other]
        for number in (left, right):
            if number not in runs:
                runs[number] = _runs(words[number])
        share = _jaccard(runs[left], runs[right])
        if share >= ALIKE:
            joined.join(left, right, share)
    return joined.groups()


def near_pairs(vectors: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Pairs of rows at least `NEAR` alike, each once: per row its `NEIGHBOURS` best later rows.

    A product of all rows with all is made in slices, so 20,000 rows need 80 MB and not 1.6 GB.
    """
    for start in range(0, len(vectors), CHUNK):
        block = vectors[start : start + CHUNK] @ vectors[start:].T
        block[np.tril_indices(len(block), m=block.shape[1])] = -1
        if block.shape[1] > NEIGHBOURS:
            best = np.argpartition(-block, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        else:
            best = np.broadcast_to(np.arange(block.shape[1]), block.shape)
        rows, places = np.nonzero(np.take_along_axis(block, best, axis=1) >= NEAR)
        for row, place in zip(rows, places, strict=True):
            yield start + int(row), start + int(best[row, place])


def _runs(words: Sequence[str]) -> frozenset[int]:
    return frozenset(hash(tuple(words[at : at + RUN])) for at in range(len(words) - RUN + 1))


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    either = len(one | other)
    return len(one & other) / either if either else 0.0


class _Joined:
    """Disjoint sets of numbers; remembers the weakest link of each."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._weakest: dict[int, float] = {}

    def _root(self, number: int) -> int:
        self._parent.setdefault(number, number)
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def join(self, one: int, other: int, similarity: float) -> None:
        low, high = sorted((self._root(one), self._root(other)))
        links = (similarity, self._weakest.get(low, 1.0), self._weakest.pop(high, 1.0))
        self._parent[high] = low
        self._weakest[low] = min(links)

    def groups(self) -> list[Group]:
        members: dict[int, list[int]] = {}
        for number in sorted(self._parent):
            members.setdefault(self._root(number), []).append(number)
        found = [
            Group(tuple(numbers), round(self._weakest[root], 3))
            for root, numbers in members.items()
            if len(numbers) > 1
        ]
        return sorted(found, key=lambda group: (-len(group.members), group.members))
