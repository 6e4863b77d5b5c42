"""Groups of similar texts: spherical k-means on unit vectors, named by their telling words.

Everything is deterministic: the same vectors give the same clusters on the same machine.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.int64]

MOST_CLUSTERS = 12
FEWEST_TEXTS = 6
ROUNDS = 25
#: Rows whose separation is measured when the number of clusters is chosen.
JUDGED_ROWS = 1000
SEED = 20

_WORD = re.compile(r"[^\W\d_]{3,24}")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Clustering:
    """`labels` gives each row its cluster; cluster 0 is the largest."""

    labels: Labels
    centres: Floats

    @property
    def count(self) -> int:
        return len(self.centres)

    def members(self, cluster: int) -> Labels:
        return np.flatnonzero(self.labels == cluster)

    def central(self, vectors: Floats, cluster: int, most: int) -> list[int]:
        """The rows nearest to a cluster's centre, nearest first."""
        rows = self.members(cluster)
        order = np.argsort(-(vectors[rows] @ self.centres[cluster]), kind="stable")
        return [int(row) for row in rows[order[:most]]]


def find_clusters(vectors: Floats) -> Clustering:
    """As many clusters as separate the rows best, within reason; one for very few rows.

    Left free, texts that are much alike would be split in two, which tells a reader nothing: at
    least half as many clusters are made as the rule of thumb, the root of half the rows, says.
    """
    if len(vectors) < FEWEST_TEXTS:
        return _one_cluster(vectors)
    usual = min(MOST_CLUSTERS, round(math.sqrt(len(vectors) / 2)))
    fewest = max(2, usual // 2)
    most = min(MOST_CLUSTERS, max(fewest, len(vectors) // 3))
    tried = [_k_means(vectors, count) for count in range(fewest, most + 1)]
    best = max(tried, key=lambda clustering: _separation(vectors, clustering))
    return _by_size(best)


def _one_cluster(vectors: Floats) -> Clustering:
    centre = _unit(vectors.mean(axis=0, keepdims=True)) if len(vectors) else vectors[:0]
    return Clustering(np.zeros(len(vectors), dtype=np.int64), centre)


def _k_means(vectors: Floats, count: int) -> Clustering:
    centres = _far_apart(vectors, count)
    labels = np.full(len(vectors), -1, dtype=np.int64)
    for _ in range(ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        sums = (labels == np.arange(len(centres))[:, None]).astype(np.float32) @ vectors
        # A centre that lost all its rows stays where it was, and may win some back.
        sizes = np.bincount(labels, minlength=len(centres))
        centres = np.where(sizes[:, None] > 0, _unit(sums), centres)
    return Clustering(labels, centres)


def _far_apart(vectors: Floats, count: int) -> Floats:
    """k-means++: each further centre is drawn with a chance that grows with its distance."""
    random = np.random.default_rng(SEED)
    chosen = [int(random.integers(len(vectors)))]
    distance = 1 - vectors @ vectors[chosen[0]]
    while len(chosen) < count:
        weight = np.maximum(distance, 0).astype(np.float64) ** 2
        total = weight.sum()
        if total <= 1e-12:
            break
        chosen.append(int(random.choice(len(vectors), p=weight / total)))
        distance = np.minimum(distance, 1 - vectors @ vectors[chosen[-1]])
    return vectors[chosen].copy()


def _separation(vectors: Floats, clustering: Clustering) -> float:
    """Mean simplified silhouette: how much nearer the own centre is than the next one."""
    rows = vectors[:: max(1, len(vectors) // JUDGED_ROWS)]
    if clustering.count < 2:
        return 0.0
    distance = np.sort(np.maximum(1 - rows @ clustering.centres.T, 0), axis=1)
    own, other = distance[:, 0], distance[:, 1]
    return float(((other - own) / np.maximum(other, 1e-9)).mean())


def _by_size(clustering: Clustering) -> Clustering:
    sizes = np.bincount(clustering.labels, minlength=clustering.count)
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    position = np.zeros(clustering.count, dtype=np.int64)
    position[order] = np.arange(len(order))
    return Clustering(position[clustering.labels], clustering.centres[order])


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def name_clusters(
    texts: Sequence[str], clustering: Clustering, *, most: int = 4
) -> list[list[str]]:
    """The words that set each cluster apart, most telling first.

    Class-based TF-IDF over which texts hold a word: its share of the cluster's texts, times the
    log of how much larger that is than its share of all texts. A word that every text has weighs
    nothing, and a long text does not name its cluster alone.
    """
    counts = [Counter[str]() for _ in range(clustering.count)]
    spoken = [Counter[str]() for _ in range(clustering.count)]
    for text, label in zip(texts, clustering.labels, strict=True):
        vocabulary = _vocabulary(text)
        counts[int(label)].update(vocabulary.keys())
        spoken[int(label)].update(vocabulary)
    everywhere: Counter[str] = Counter()
    for of_cluster in counts:
        everywhere.update(of_cluster)
    shares = {word: count / len(texts) for word, count in everywhere.items()}
    sizes = np.bincount(clustering.labels, minlength=clustering.count)
    return [
        _most_telling(of_cluster, often, shares, size=int(size), most=most)
        for of_cluster, often, size in zip(counts, spoken, sizes, strict=True)
    ]


def _vocabulary(text: str) -> Counter[str]:
    return Counter(_WORD.findall(_CAMEL.sub(" ", text).replace("_", " ").lower()))


def _most_telling(
    counts: Counter[str], often: Counter[str], shares: dict[str, float], *, size: int, most: int
) -> list[str]:
    # A word of one text in many says nothing of the group.
    enough = math.ceil(0.15 * size)
    weight = {
        word: count / size * math.log(count / size / shares[word])
        for word, count in counts.items()
        if count >= enough and count / size > shares[word]
    }
    ranked = sorted(weight, key=lambda word: (-weight[word], -often[word], word))
    chosen: list[str] = []
    for word in ranked:
        if not any(_same_stem(word, other) for other in chosen):
            chosen.append(word)
        if len(chosen) == most:
            break
    return chosen


def _same_stem(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return longer.startswith((shorter, shorter[: max(5, len(shorter) - 2)]))


def project(vectors: Floats) -> Floats:
    """Two dimensions that keep the most of the spread (PCA), each scaled into -1 ... 1."""
    if len(vectors) == 0:
        return np.zeros((0, 2), dtype=np.float32)
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    flat = centred @ axes[:, -2:][:, ::-1].astype(np.float32)
    reach = np.abs(flat).max(axis=0)
    scaled: Floats = flat / np.maximum(reach, 1e-9)
    return scaled
