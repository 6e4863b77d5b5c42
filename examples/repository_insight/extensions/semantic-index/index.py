"""A small index of texts that can be asked in words: one file, answered by hybrid search."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from hybrid_search import Bm25, fused, ranking, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FORMAT = 1
#: How many of each ranking are merged; what both rank lower is no answer.
MERGED = 100
SNIPPET = 180

_BLANKS = re.compile(r"\s+")
_OPENING = re.compile(r"[^\W\d_]{3,}\W+[^\W\d_]{2,}\W+[^\W\d_]{2,}")


class NotAnIndex(ValueError):
    """The bytes are not a packed index of this format."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The artifact is not a semantic index: {reason}.")


class OtherModel(ValueError):
    """The query was embedded by another model than the index."""

    def __init__(self, model: str, expected: int, given: int) -> None:
        super().__init__(
            f"The index was made with the model {model!r}, with {expected} dimensions; "
            f"the query's has {given}. Embed the query with {model!r}."
        )


@dataclass(frozen=True, slots=True)
class Hit:
    path: str
    score: float
    snippet: str
    by: Literal["words", "meaning", "both"]


@dataclass(frozen=True, slots=True)
class Index:
    """Texts with their vectors; a text without a vector (all zeros) is found by its words alone."""

    model: str
    paths: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        model: str,
        texts: Sequence[tuple[str, str]],
        embedded: Sequence[str],
        vectors: NDArray[np.float32],
    ) -> Index:
        """`texts` are (path, text); `embedded` names the path of each row of `vectors`."""
        row_of = {path: row for row, path in enumerate(embedded)}
        aligned = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
        for number, (path, _) in enumerate(texts):
            if path in row_of:
                aligned[number] = vectors[row_of[path]]
        return cls(
            model, tuple(path for path, _ in texts), tuple(text for _, text in texts), aligned
        )

    def pack(self) -> bytes:
        """One compressed file; vectors lose digits that no ranking needs (16-bit floats)."""
        rows = io.BytesIO()
        np.save(rows, self.vectors.astype(np.float16), allow_pickle=False)
        head = {"format": FORMAT, "model": self.model, "paths": self.paths, "texts": self.texts}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
            # Fixed names and times: equal indexes are equal bytes, and stored once.
            for name, content in (("head.json", _json(head)), ("vectors.npy", rows.getvalue())):
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 3)
        return packed.getvalue()

    @classmethod
    def unpack(cls, packed: bytes) -> Index:
        try:
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                head = json.loads(archive.read("head.json"))
                rows = archive.read("vectors.npy")
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise NotAnIndex(str(error)) from error
        if head.get("format") != FORMAT:
            raise NotAnIndex(f"format {head.get('format')}, expected {FORMAT}")
        vectors = np.load(io.BytesIO(rows), allow_pickle=False).astype(np.float32)
        return cls(head["model"], tuple(head["paths"]), tuple(head["texts"]), vectors)

    def search(self, query: str, meaning: NDArray[np.float32] | None, *, top: int) -> list[Hit]:
        """Best first. `meaning` is the query's vector by the index's model, or None."""
        if meaning is not None and meaning.shape != self.vectors.shape[1:]:
            raise OtherModel(self.model, self.vectors.shape[1], meaning.shape[0])
        asked = set(words(query))
        by_words = ranking(Bm25.build(self._documents()).score(query))[:MERGED]
        by_meaning: list[int] = []
        if meaning is not None and len(self.vectors):
            by_meaning = ranking(self.vectors @ meaning)[:MERGED]
        return [
            Hit(
                path=self.paths[number],
                score=round(score, 4),
                snippet=snippet(self.texts[number], asked),
                by=_found_by(number in by_words, number in by_meaning),
            )
            for number, score in fused(by_words, by_meaning)[:top]
        ]

    def _documents(self) -> list[str]:
        return [f"{path}\n{text}" for path, text in zip(self.paths, self.texts, strict=True)]


def _json(value: object) -> bytes:
    # Lone surrogates from odd file names are kept as escapes.
    return json.dumps(value, ensure_ascii=True).encode("ascii")


def _found_by(words: bool, meaning: bool) -> Literal["words", "meaning", "both"]:
    if words and meaning:
        return "both"
    return "words" if words else "meaning"


def snippet(text: str, asked: set[str]) -> str:
    """The lines of `text` with the most of the asked words; else its first that reads as prose."""
    lines = [_BLANKS.sub(" ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return ""
    shared = [len(asked & set(words(line))) for line in lines]
    start = max(range(len(lines)), key=lambda number: (shared[number], -number))
    if not shared[start]:
        start = next((number for number, line in enumerate(lines) if _OPENING.search(line)), 0)
    excerpt = " ".join(lines[start : start + 3])
    return excerpt if len(excerpt) <= SNIPPET else excerpt[: SNIPPET - 1].rstrip() + "…"
