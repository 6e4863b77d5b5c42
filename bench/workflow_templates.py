"""What it costs to search 5,000 templates, and to make a workflow of one.

    python bench/workflow_templates.py [--json] [--seed 1] [--repeat 7]

`cold` is a new process: it imports the library, looks at all 5,000 files, and searches what it
kept the last time. `warm` is the second search in one process. Figures are milliseconds, medians.
`peer` is SQLite's FTS5, in the standard library, with the same texts and no typos forgiven, where
it can do the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from symphony.commons.search import Field, Keyword, OneOf, SearchIndex, Text
from symphony.commons.values import Value
from symphony.templates import Library
from symphony.workflow import FORMAT, instantiate, loads_template

Row = dict[str, str | float | bool | None]

TEMPLATES = 5_000
GOAL_SEARCH_MS, GOAL_INDEX_MS, GOAL_NODES_MS = 100.0, 5.0, 1_000.0
SYLLABLES = [f"{one}{two}" for one in "bdfgklmnprstvz" for two in ("a", "e", "i", "on", "ul")]


def rows(seed: int = 1, repeat: int = 7) -> list[Row]:
    random.seed(seed)
    words = ["".join(random.choices(SYLLABLES, k=random.randint(2, 4))) for _ in range(3_000)]
    with tempfile.TemporaryDirectory() as root:
        return [
            *_library_rows(Path(root), words, repeat),
            *_index_rows(words, repeat),
            *_made(repeat),
        ]


def _library_rows(root: Path, words: list[str], repeat: int) -> list[Row]:
    user = root / "templates"
    user.mkdir()
    for number in range(TEMPLATES):
        text = json.dumps(_template(number, words))
        (user / f"t{number}.template.json").write_text(text)
    library = Library(user, root / "indexes")
    query = f"{words[0]} {words[1][:3]}"
    start = time.perf_counter()
    library.search(query)
    first = (time.perf_counter() - start) * 1000
    warm = _median(lambda: library.search(query), repeat)
    program = (
        "import time; start = time.perf_counter()\n"
        "from pathlib import Path; from symphony.templates import Library\n"
        f"Library(Path({str(user)!r}), Path({str(root / 'indexes')!r})).search({query!r})\n"
        "print((time.perf_counter() - start) * 1000)"
    )
    command = [sys.executable, "-c", program]
    # With compiled modules, as an installed package has them.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(root / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    _output(command, environment)
    inside = [float(_output(command, environment)) for _ in range(repeat)]
    whole = _median(lambda: _output(command, environment), repeat)
    bare = _median(lambda: _output([sys.executable, "-c", "pass"], environment), repeat)
    return [
        _row("first search of 5,000 templates, all read", first, None),
        _row("search 5,000 templates, warm", warm, GOAL_SEARCH_MS),
        _row(
            "search 5,000 templates, cold, imports included",
            statistics.median(inside),
            GOAL_SEARCH_MS,
        ),
        _row("the same process from start to end", whole, None, bare, "an empty process"),
    ]


def _template(number: int, words: list[str]) -> dict[str, object]:
    return {
        "symphony": FORMAT,
        "id": f"t{number}",
        "version": "1.0.0",
        "name": " ".join(random.choices(words, k=4)),
        "description": " ".join(random.choices(words, k=30)),
        "metadata": {"tags": random.choices(words[:50], k=3), "category": words[number % 10]},
        "template": {"parameters": [{"name": "folder", "type": "folder", "default": "."}]},
        "nodes": [{"id": "in", "kind": "input", "default": "${folder}"}],
    }


def _index_rows(words: list[str], repeat: int) -> list[Row]:
    """Documents of 80 words: one search in memory, beside FTS5."""
    fields: dict[str, Field] = {"name": Text(boost=4), "body": Text(), "tag": Keyword()}
    index = SearchIndex.in_memory(fields)
    peer = sqlite3.connect(":memory:")
    peer.execute("CREATE VIRTUAL TABLE found USING fts5(name, body)")
    with index.write() as batch:
        for number in range(TEMPLATES):
            name, body = random.choices(words, k=4), random.choices(words, k=80)
            tag = words[number % 10]
            batch.put(str(number), {"name": " ".join(name), "body": " ".join(body), "tag": tag})
            peer.execute("INSERT INTO found VALUES (?, ?)", (" ".join(name), " ".join(body)))
    question = words[7]
    ranked = "SELECT rowid FROM found WHERE found MATCH ? ORDER BY rank LIMIT 20"
    theirs = _median(lambda: peer.execute(ranked, (question,)).fetchall(), repeat * 20)
    ours = _median(lambda: index.search(question), repeat * 20)
    fuzzy = _median(lambda: index.search(question, fuzzy=True, prefix=True), repeat * 20)
    where = [OneOf("tag", [words[3]])]
    shown = _median(
        lambda: index.search(question, fuzzy=True, where=where, highlight=["body"]), repeat * 20
    )
    return [
        _row("search 5,000 documents, a word", ours, GOAL_INDEX_MS, theirs, "SQLite FTS5"),
        _row("search 5,000 documents, fuzzy and begun", fuzzy, GOAL_INDEX_MS),
        _row("search 5,000 documents, fuzzy, filtered, with snippets", shown, GOAL_INDEX_MS),
    ]


def _made(repeat: int) -> list[Row]:
    each = {"$each": "${items}", "as": "item", "index": "n", "do": {
        "id": "n${n}", "kind": "operator", "use": "list.filter",
        "params": {"expression": "item > 0", "with": {"limit": "${item * 2}"}}}}  # fmt: skip
    section = {"parameters": [{"name": "items", "type": "list"}]}
    document = {"symphony": FORMAT, "id": "many", "template": section, "nodes": [each]}
    template = loads_template(json.dumps(document))
    values: dict[str, Value] = {"items": list(range(10_000))}
    many = _median(lambda: instantiate(template, values), repeat)
    few = _median(lambda: instantiate(template, {"items": [1, 2, 3]}), repeat)
    return [
        _row("make a workflow of 10,000 copied nodes", many, GOAL_NODES_MS),
        _row("make a workflow of 3 nodes", few, None),
    ]


def _median(action: Callable[[], object], repeat: int) -> float:
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        spent.append((time.perf_counter() - start) * 1000)
    return statistics.median(spent)


def _output(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _row(
    measure: str, ours: float, goal: float | None, peer: float | None = None, name: str = ""
) -> Row:
    return {
        "measure": f"{measure}, ms",
        "ours": round(ours, 3),
        "peer": None if peer is None else round(peer, 3),
        "peer_name": name or None,
        "ratio": None if peer is None else round(ours / peer, 3),
        "goal": goal,
        "met": None if goal is None else ours <= goal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    found = rows(options.seed, options.repeat)
    for row in found:
        print(json.dumps(row) if options.json else f"{row['measure']:<64}{row['ours']:>10}  {row}")


if __name__ == "__main__":
    main()
