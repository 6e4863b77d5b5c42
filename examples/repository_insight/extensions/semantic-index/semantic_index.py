from __future__ import annotations

import io
from typing import Any, TypedDict

import msgspec
import numpy as np
from index import Hit, Index

from symphony.sdk import Artifact, Context, Operator


class Text(msgspec.Struct):
    path: str
    text: str


class Result(TypedDict):
    index: Artifact
    hits: list[Hit]


class SemanticIndex(Operator):
    def run(
        self,
        context: Context,
        *,
        texts: dict[str, Any],
        vectors: dict[str, Any],
        paths: list[str],
        model: str,
        index: dict[str, Any],
        query: str,
        query_vectors: dict[str, Any],
        top: int,
    ) -> Result:
        if index:
            asked = Index.unpack(context.read(index))
        else:
            given = msgspec.json.decode(context.read(texts), type=list[Text])
            pairs = [(text.path, text.text) for text in given]
            asked = Index.build(model, pairs, paths, _rows(context, vectors))
        hits: list[Hit] = []
        if query.strip():
            meaning = _rows(context, query_vectors)
            hits = asked.search(query, meaning[0] if len(meaning) else None, top=top)
        kept = context.write(asked.pack(), "application/zip", "semantic-index.zip")
        return {"index": kept, "hits": hits}


def _rows(context: Context, vectors: dict[str, Any]) -> np.ndarray:
    rows: np.ndarray = np.load(io.BytesIO(context.read(vectors)), allow_pickle=False)
    return rows
