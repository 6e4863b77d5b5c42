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
        query: str,
        query_vectors: dict[str, Any],
        top: int,
    ) -> Result:
        given = msgspec.json.decode(context.read(texts), type=list[Text])
        index = Index.build(
            model, [(text.path, text.text) for text in given], paths, _rows(context, vectors)
        )
        hits: list[Hit] = []
        if query.strip():
            meaning = _rows(context, query_vectors)
            hits = index.search(query, meaning[0] if len(meaning) else None, top=top)
        kept = context.write(index.pack(), "application/zip", "semantic-index.zip")
        return {"index": kept, "hits": hits}


def _rows(context: Context, vectors: dict[str, Any]) -> np.ndarray:
    rows: np.ndarray = np.load(io.BytesIO(context.read(vectors)), allow_pickle=False)
    return rows
