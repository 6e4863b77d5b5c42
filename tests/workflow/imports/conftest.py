from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from symphony.workflow import Node, Workflow
from symphony.workflow.imports import Imported, import_document

SAMPLES = Path(__file__).parents[2] / "samples" / "imports"
GOOD = sorted(path for path in SAMPLES.rglob("*.json") if path.name != "broken.json")


def read(name: str) -> Imported:
    path = SAMPLES / name
    return import_document(path.read_text(encoding="utf-8"), path.name)


def document(name: str) -> Any:  # Any: tests change it freely
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def edges_of(workflow: Workflow) -> set[str]:
    return {f"{edge.source} -> {edge.target}" for edge in workflow.edges}


def original(workflow: Workflow, node: Node) -> Any:  # Any: tests read it freely
    imported = workflow.metadata.custom["imported"]
    assert isinstance(imported, dict)
    return imported[node.id]


def notes_of(imported: Imported, node: str = "") -> str:
    return "\n".join(note.text for note in imported.notes if note.node == node)
