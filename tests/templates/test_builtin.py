"""The templates that come along: each of their examples makes a workflow without a fault, and what
needs no model does what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

import symphony
from symphony.app import collect
from symphony.commons.values import Value
from symphony.execution import RunState
from symphony.operators import BUILTIN
from symphony.sdk import load_manifest
from symphony.templates import Library, Shelf
from symphony.workflow import (
    Example,
    NodeKind,
    Port,
    Signature,
    Template,
    instantiate,
    load_template,
    validate,
)

FOLDER = Path(symphony.__file__).parent / "templates" / "builtin"
FILES = sorted(FOLDER.iterdir())
MODEL = Path(__file__).parents[2] / "examples" / "repository_insight" / "extensions" / "local-llm"


class Installed:
    """The operators that come along, and the model of the examples."""

    def __init__(self) -> None:
        manifest = load_manifest(MODEL)
        self._model = Signature(
            tuple(Port(each.name, each.schema, each.required) for each in manifest.inputs),
            tuple(Port(each.name, each.schema) for each in manifest.outputs),
        )

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        if kind is NodeKind.INSTRUMENT:
            return self._model if use == "local-llm" else None
        operator = BUILTIN.get(use)
        return None if operator is None else operator.signature

    def names(self, kind: NodeKind) -> Iterable[str]:
        return BUILTIN if kind is NodeKind.OPERATOR else ["local-llm"]


def examples() -> list[tuple[Template, Example]]:
    loaded = [load_template(path) for path in FILES]
    return [(template, example) for template in loaded for example in template.examples]


def test_there_are_templates_and_the_library_has_them(tmp_path: Path) -> None:
    library = Library(tmp_path / "none", tmp_path / "kept")
    assert library.broken() == []
    assert [f"{each.id}.template.json" for each in library.browse()] == [
        each.name for each in FILES
    ]
    assert {each.shelf for each in library.browse()} == {Shelf.BUILTIN}
    assert len(FILES) >= 6
    assert [each.id for each in library.search("aproval")] == ["human-approval"]


@pytest.mark.parametrize(
    ("template", "example"), examples(), ids=lambda each: getattr(each, "id", None) or each.name
)
def test_every_example_makes_a_workflow_without_a_fault(
    template: Template, example: Example
) -> None:
    workflow = instantiate(template, example.values)
    assert validate(workflow, Installed()) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_template_can_be_found_and_understood(path: Path) -> None:
    template = load_template(path)
    assert template.name
    assert template.description
    assert template.metadata.category
    assert template.metadata.tags
    assert template.examples
    assert all(parameter.title for parameter in template.parameters)
    used = json.dumps([template.document, *(str(each.default) for each in template.parameters)])
    assert [each.name for each in template.parameters if each.name not in used] == []


def outputs_of(path: Path, values: dict[str, Value], home: Path) -> dict[str, Value]:
    async def run() -> dict[str, Value]:
        async with symphony.open(home) as opened:
            workflow = instantiate(load_template(path), values)
            status = await (await opened.run(workflow, {})).result()
            assert status.state is RunState.COMPLETED
            results = await collect(workflow, status, opened.store, home / "results")
            return results.outputs

    return asyncio.run(run())


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "mars.md").write_text("Mars is red. It has two moons. They are small.")
    (folder / "sun.md").write_text("The sun is a star. It is far away.")
    return folder


@pytest.mark.slow
def test_repository_insight_draws_a_report(documents: Path, tmp_path: Path) -> None:
    path = FOLDER / "repository-insight.template.json"
    found = outputs_of(path, {"folder": str(documents), "rows": 1}, tmp_path / "home")
    assert found["kinds-of-files"] == [{"key": ".md", "count": 2, "bytes": 80}]
    assert "mars.md" in Path(str(found["report"])).read_text(encoding="utf-8")


@pytest.mark.slow
def test_questions_are_answered_from_the_documents(documents: Path, tmp_path: Path) -> None:
    path = FOLDER / "document-question-answering.template.json"
    home = tmp_path / "home"
    values: dict[str, Value] = {"folder": str(documents), "question": "Which has moons?"}
    assert "It has two moons." in str(outputs_of(path, values, home)["text"])
    values["question"] = "Zebras?"
    assert "No document" in str(outputs_of(path, values, home)["text"])


@pytest.mark.slow
def test_the_best_candidate_is_chosen(tmp_path: Path) -> None:
    path = FOLDER / "evaluate-and-choose.template.json"
    found = outputs_of(path, {}, tmp_path / "home")
    assert found["best"] == "frequent words"
    ranking = found["ranking"]
    assert isinstance(ranking, list)
    assert len(ranking) == 2
