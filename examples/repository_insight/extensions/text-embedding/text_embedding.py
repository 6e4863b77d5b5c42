from __future__ import annotations

import io
from typing import Any, Literal, TypedDict

import msgspec
import numpy as np
from embedding_models import EmbeddingModel, ModelName, open_model

from symphony.sdk import Artifact, Context, Instrument

BATCH = 32


class Text(msgspec.Struct):
    path: str
    text: str


class Result(TypedDict):
    vectors: Artifact
    paths: list[str]
    model: str


class TextEmbedding(Instrument):
    """Models are opened when first asked for and kept: a run uses one of them, seldom both."""

    def load(self, context: Context) -> None:
        self._models: dict[ModelName, EmbeddingModel] = {}

    def run(
        self,
        context: Context,
        *,
        texts: list[str] | dict[str, Any],
        model: ModelName,
        role: Literal["passage", "query"],
        most: int,
    ) -> Result:
        given = read_texts(context, texts)
        chosen = spread(given, most) if most else given
        if model not in self._models:
            self._models[model] = open_model(model)
        engine = self._models[model]
        rows = [np.zeros((0, engine.dimensions), dtype=np.float32)]
        for start in range(0, len(chosen), BATCH):
            context.progress(start, len(chosen), "texts embedded")
            batch = [labelled(text) for text in chosen[start : start + BATCH]]
            rows.append(engine.embed(batch, query=role == "query"))
        file = io.BytesIO()
        np.save(file, np.concatenate(rows), allow_pickle=False)
        vectors = context.write(file.getvalue(), "application/x-npy", f"vectors-{model}.npy")
        return {"vectors": vectors, "paths": [text.path for text in chosen], "model": model}


def read_texts(context: Context, texts: list[str] | dict[str, Any]) -> list[Text]:
    if isinstance(texts, dict):
        return msgspec.json.decode(context.read(texts), type=list[Text])
    return [Text("", text) for text in texts]


def labelled(text: Text) -> str:
    """A path says much about what a file is for."""
    return f"{text.path}\n{text.text}" if text.path else text.text


def spread(texts: list[Text], most: int) -> list[Text]:
    """At most `most` of them, evenly over the list."""
    if len(texts) <= most:
        return texts
    return [texts[number * len(texts) // most] for number in range(most)]
