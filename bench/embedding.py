"""How well do the demo's search methods find the right file? The basis of decision 0002.

    python bench/embedding.py [--json] [--tune] [--only wordllama,bm25]

Corpus: the public modules of this Python's standard library, each as its path and the head of
its source, prepared as the demo prepares files. Queries: embedding_queries.tsv, hand-written, with
the modules that answer them. Every second query of a kind is the tuning half: constants were
chosen on it alone (`--tune` prints it); the table is the other half.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
EXTENSIONS = HERE.parent / "examples" / "repository_insight" / "extensions"
sys.path[:0] = [str(EXTENSIONS / "text-embedding"), str(EXTENSIONS / "semantic-index")]
models = import_module("embedding_models")
search = import_module("hybrid_search")

STDLIB = Path(sysconfig.get_paths()["stdlib"])
HEAD = 4000
DEPTH = 10
NOT_LIBRARY = {"antigravity", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3"}
NOT_LIBRARY |= {"pydoc_data", "this", "turtledemo"}
NOT_LIBRARY_PARTS = {"test", "tests", "__main__", "site-packages", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Query:
    kind: str
    text: str
    answers: tuple[str, ...]
    tuning: bool

    def answered_by(self, module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in self.answers)


@dataclass(frozen=True, slots=True)
class Row:
    measure: str
    queries: int
    mrr_10: float
    recall_5: float
    ms_per_text: float
    ms_per_query: float


class Scorer(Protocol):
    def score(self, query: str) -> NDArray[np.float32]: ...


class Embedder(Protocol):
    def embed(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]: ...


Ranker = Callable[[str], list[int]]


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted([*STDLIB.glob("*.py"), *STDLIB.glob("*/*.py")]):
        parts = path.relative_to(STDLIB).with_suffix("").parts
        package = len(parts) == 1 or (STDLIB / parts[0] / "__init__.py").exists()
        if (
            not package
            or parts[0] in NOT_LIBRARY
            or NOT_LIBRARY_PARTS & set(parts)
            or parts[0].startswith(("_sysconfig", "lib-", "config-"))
        ):
            continue
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def queries(known: Sequence[str]) -> list[Query]:
    """Queries whose answer this Python has; halves alternate within a kind."""
    seen: dict[str, int] = {}
    found = []
    for line in (HERE / "embedding_queries.tsv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        kind, text, answers = line.split("\t")
        seen[kind] = seen.get(kind, 0) + 1
        query = Query(kind, text, tuple(answers.split(",")), tuning=seen[kind] % 2 == 0)
        if any(query.answered_by(module) for module in known):
            found.append(query)
    return found


def first_rank(ranking: Sequence[int], query: Query, names: Sequence[str]) -> int | None:
    for rank, number in enumerate(ranking[:DEPTH], start=1):
        if query.answered_by(names[number]):
            return rank
    return None


def measure(
    name: str, rank: Ranker, asked: Sequence[Query], names: Sequence[str], build_ms: float
) -> list[Row]:
    started = time.perf_counter()
    ranks = {query: first_rank(rank(query.text), query, names) for query in asked}
    query_ms = (time.perf_counter() - started) * 1000 / len(asked)
    rows = []
    for kind in ("all", *dict.fromkeys(query.kind for query in asked)):
        of_kind = [found for query, found in ranks.items() if kind in ("all", query.kind)]
        mrr = sum(1 / found for found in of_kind if found) / len(of_kind)
        recall = sum(1 for found in of_kind if found and found <= 5) / len(of_kind)
        rows.append(
            Row(
                f"{name}, {kind}",
                len(of_kind),
                round(mrr, 3),
                round(recall, 3),
                round(build_ms, 2),
                round(query_ms, 2),
            )
        )
    return rows


def by_words(index: Scorer) -> Ranker:
    return lambda text: search.ranking(index.score(text))


def by_meaning(model: Embedder, vectors: NDArray[np.float32]) -> Ranker:
    return lambda text: search.ranking(vectors @ model.embed([text], query=True)[0], above=-1.0)


def by_both(one: Ranker, other: Ranker) -> Ranker:
    return lambda text: [number for number, _ in search.fused(one(text)[:100], other(text)[:100])]


def candidates(texts: Sequence[str], only: Sequence[str]) -> Iterator[tuple[str, Ranker, float]]:
    """Each method with the milliseconds a text that its index took to build."""
    started = time.perf_counter()
    words = by_words(search.Bm25.build(texts))
    words_ms = (time.perf_counter() - started) * 1000 / len(texts)
    if "bm25" in only:
        yield "bm25", words, words_ms
    for name in models.MODEL_NAMES:
        if name not in only:
            continue
        try:
            model = models.open_model(name)
        except models.ModelMissing as error:
            print(error, file=sys.stderr)
            continue
        started = time.perf_counter()
        meaning = by_meaning(model, model.embed(texts))
        took_ms = (time.perf_counter() - started) * 1000 / len(texts)
        yield name, meaning, took_ms
        yield f"{name} + bm25", by_both(words, meaning), took_ms + words_ms


def compared(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The hybrids beside BM25 alone, which needs no model; no figures for a missing model."""
    of = {row.measure: row for row in rows}
    base = of["bm25, all"]
    lines: list[dict[str, object]] = []
    for name in models.MODEL_NAMES:
        row = of.get(f"{name} + bm25, all")
        lines += [
            beside(f"search by {name} and words, MRR@10", row.mrr_10 if row else None, base.mrr_10),
            beside(
                f"search by {name} and words, recall@5",
                row.recall_5 if row else None,
                base.recall_5,
            ),
        ]
    return lines


def beside(measured: str, ours: float | None, peer: float) -> dict[str, object]:
    ratio = None if ours is None else round(ours / peer, 2)
    met = None if ratio is None else ratio >= 1
    names = ("measure", "ours", "peer", "peer_name", "ratio", "goal", "met")
    return dict(zip(names, (measured, ours, peer, "BM25 alone", ratio, ">= 1", met), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--tune", action="store_true", help="the half that constants were chosen on"
    )
    parser.add_argument("--only", default="bm25,wordllama,e5")
    given = parser.parse_args()
    found = modules()
    names = list(found)
    texts = [
        f"{path.relative_to(STDLIB)}\n{path.read_text('utf-8', 'replace')[:HEAD]}"
        for path in found.values()
    ]
    asked = [query for query in queries(names) if query.tuning == given.tune]
    rows = [
        row
        for name, rank, build_ms in candidates(texts, given.only.split(","))
        for row in measure(name, rank, asked, names, build_ms)
    ]
    if given.json:
        print(json.dumps(compared(rows), indent=1))
        return
    print(f"{len(texts)} texts, {len(asked)} queries, Python {sys.version.split()[0]}")
    print("| method, queries | n | MRR@10 | recall@5 | ms a text | ms a query |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(str(fact) for fact in asdict(row).values()) + " |")


if __name__ == "__main__":
    main()
