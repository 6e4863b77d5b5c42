from __future__ import annotations

import io
from typing import Any, TypedDict

import msgspec
import numpy as np
from clusters import Clustering, find_clusters, name_clusters, project
from duplicates import find_groups
from excerpts import prose

from symphony.sdk import Context, Operator

EXAMPLES = 4
EXCERPT = 250


class Text(msgspec.Struct):
    path: str
    text: str


class Cluster(TypedDict):
    name: str
    size: int
    examples: list[str]
    excerpt: str


class Point(TypedDict):
    path: str
    x: float
    y: float
    cluster: int


class Alike(TypedDict):
    paths: list[str]
    similarity: float


class Result(TypedDict):
    clusters: list[Cluster]
    points: list[Point]
    duplicates: list[Alike]


class Similarity(Operator):
    def run(
        self,
        context: Context,
        *,
        texts: dict[str, Any],
        vectors: dict[str, Any],
        paths: list[str],
    ) -> Result:
        by_path = {
            text.path: text.text
            for text in msgspec.json.decode(context.read(texts), type=list[Text])
        }
        rows = np.load(io.BytesIO(context.read(vectors)), allow_pickle=False)
        chosen = [by_path[path] for path in paths]
        context.progress(0, 3, "near-duplicates")
        groups = find_groups(chosen, rows)
        context.progress(1, 3, "clusters")
        clustering = find_clusters(rows)
        context.progress(2, 3, "names")
        return {
            "clusters": _described(clustering, rows, paths, chosen),
            "points": [
                {
                    "path": path,
                    "x": round(float(x), 4),
                    "y": round(float(y), 4),
                    "cluster": int(label),
                }
                for path, (x, y), label in zip(paths, project(rows), clustering.labels, strict=True)
            ],
            "duplicates": [
                {
                    "paths": [paths[number] for number in group.members],
                    "similarity": group.similarity,
                }
                for group in groups
            ],
        }


def _described(
    clustering: Clustering, rows: np.ndarray, paths: list[str], texts: list[str]
) -> list[Cluster]:
    described: list[Cluster] = []
    for cluster, words in enumerate(name_clusters(texts, clustering)):
        central = clustering.central(rows, cluster, EXAMPLES)
        described.append(
            {
                "name": ", ".join(words) or _nameless(cluster, clustering),
                "size": len(clustering.members(cluster)),
                "examples": [paths[number] for number in central],
                "excerpt": " ".join(prose(texts[number], EXCERPT) for number in central).strip(),
            }
        )
    return described


def _nameless(cluster: int, clustering: Clustering) -> str:
    return "all texts" if clustering.count == 1 else f"cluster {cluster + 1}"
