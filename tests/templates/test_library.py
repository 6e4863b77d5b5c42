"""The library: what is found, what hides what, and what one broken file does to the others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from symphony.commons.errors import Category
from symphony.commons.search import QueryInvalid
from symphony.commons.versions import VersionInvalid
from symphony.templates import (
    Library,
    Shelf,
    TemplateNotFound,
    VersionNotFound,
    project_folder,
)
from symphony.workflow import FORMAT, TemplateInvalid


class Shelves:
    """Folders of templates, written by hand."""

    def __init__(self, root: Path) -> None:
        self.user = root / "user"
        self.project = root / "project" / ".symphony" / "templates"
        self.kept = root / "home" / "indexes"
        self.project.mkdir(parents=True)

    def library(self, *, project: bool = True) -> Library:
        return Library(self.user, self.kept, project=self.project if project else None)

    def put(self, id_: str, version: str = "1.0.0", *, at: str = "user", **fields: Any) -> Path:
        folder: Path = getattr(self, at)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{id_}-{version}.template.json"
        document = {"symphony": FORMAT, "id": id_, "version": version, "nodes": [], **fields}
        path.write_text(json.dumps({"template": {}} | document))
        return path


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path)


def own(library: Library, **filters: Any) -> list[tuple[str, str, Shelf]]:
    return [
        (each.id, each.version, each.shelf)
        for each in library.browse(**filters)
        if each.shelf is not Shelf.BUILTIN
    ]


def test_browsing_shows_the_newest_of_each(shelves: Shelves) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"):
        shelves.put("summary", version)
    shelves.put("draft", "0.1.0-alpha")
    assert own(shelves.library()) == [
        ("draft", "0.1.0-alpha", Shelf.USER),
        ("summary", "1.10.0", Shelf.USER),
    ]


def test_a_nearer_shelf_hides_the_templates_behind_it(shelves: Shelves) -> None:
    shelves.put("summary", "3.0.0")
    shelves.put("summary", "1.0.0", at="project")
    assert own(shelves.library()) == [("summary", "1.0.0", Shelf.PROJECT)]
    assert own(shelves.library(project=False)) == [("summary", "3.0.0", Shelf.USER)]


@pytest.mark.parametrize(
    ("reference", "version", "shelf"),
    [
        ("summary", "1.4.0", Shelf.PROJECT),
        ("summary@^1.2", "1.4.0", Shelf.PROJECT),
        ("summary@~1.2", "1.2.5", Shelf.PROJECT),
        ("summary@1.3.0", "1.3.0", Shelf.USER),
        ("summary@>=2", "2.0.0", Shelf.USER),
        ("summary@*", "1.4.0", Shelf.PROJECT),
    ],
)
def test_references(shelves: Shelves, reference: str, version: str, shelf: Shelf) -> None:
    for number in ("1.2.0", "1.2.5", "1.4.0"):
        shelves.put("summary", number, at="project")
    for number in ("1.3.0", "1.4.0", "2.0.0"):
        shelves.put("summary", number)
    found = shelves.library().find(reference)
    assert (found.version, found.shelf) == (version, shelf)


def test_what_is_not_there_is_told(shelves: Shelves) -> None:
    shelves.put("summary", "1.0.0")
    library = shelves.library()
    with pytest.raises(TemplateNotFound) as missing:
        library.find("sumary@^1")
    assert missing.value.category is Category.NOT_FOUND
    assert missing.value.hint == "Did you mean 'summary'?"
    with pytest.raises(VersionNotFound) as wrong:
        library.find("summary@^2")
    assert "1.0.0" in wrong.value.hint
    with pytest.raises(VersionInvalid):
        library.find("summary@new")


def test_filters(shelves: Shelves) -> None:
    shelves.put("one", metadata={"category": "Text", "tags": ["A", "b"], "author": "Ada"})
    shelves.put("two", metadata={"category": "text", "tags": ["b"], "author": "Bob"})
    library = shelves.library()
    assert [id_ for id_, *_ in own(library, category="TEXT")] == ["one", "two"]
    assert [id_ for id_, *_ in own(library, tags=["a", "B"])] == ["one"]
    assert [id_ for id_, *_ in own(library, author="bob")] == ["two"]


def found(library: Library, text: str, **filters: Any) -> list[str]:
    return [each.id for each in library.search(text, **filters)]


def test_search(shelves: Shelves) -> None:
    shelves.put(
        "minutes",
        name="Feed the quokka",
        description="From a recording to a zebra.",
        metadata={"category": "Office", "tags": ["zebra-audio"], "author": "Ada"},
        template={"parameters": [{"name": "recording_zebra"}]},
    )
    shelves.put("other", name="Something else", description="A zebra.", metadata={"author": "Bob"})
    library = shelves.library()
    assert found(library, "quokka") == ["minutes"]
    assert found(library, "zebr") == ["minutes", "other"]
    assert found(library, "zebar") == ["minutes", "other"]
    assert found(library, "zebra", author="BOB") == ["other"]
    assert found(library, "zebra", tags=["Zebra-Audio"], category="office") == ["minutes"]
    assert found(library, "zebra", limit=1) == ["minutes"]
    assert found(library, "(((") == []
    with pytest.raises(QueryInvalid):
        found(library, "a" * 5000)


def test_a_search_finds_what_is_shown_and_nothing_hidden(shelves: Shelves) -> None:
    shelves.put("summary", "1.0.0", description="the old zebra")
    shelves.put("summary", "2.0.0", description="the new zebra")
    shelves.put("summary", "1.5.0", at="project", description="our own")
    assert found(shelves.library(), "zebra") == []
    assert found(shelves.library(project=False), "zebra") == ["summary"]
    assert found(shelves.library(project=False), "old zebra") == []


def test_what_changes_on_the_disk_is_seen(shelves: Shelves) -> None:
    path = shelves.put("one", description="zebra")
    library = shelves.library()
    assert found(library, "zebra") == ["one"]
    shelves.put("one", description="okapi now")
    inside = shelves.put("two", at="project", description="zebra")
    assert (found(library, "zebra"), found(library, "okapi")) == (["two"], ["one"])
    path.unlink()
    assert found(library, "okapi") == []
    inside.parent.joinpath("deeper").mkdir()
    inside.rename(inside.parent / "deeper" / inside.name)
    assert found(library, "zebra") == ["two"]
    assert own(library) == [("two", "1.0.0", Shelf.PROJECT)]


def test_another_project_does_not_see_what_was_indexed_for_this_one(
    shelves: Shelves, tmp_path: Path
) -> None:
    shelves.put("one", at="project", description="zebra")
    assert found(shelves.library(), "zebra") == ["one"]
    other = Library(shelves.user, shelves.kept, project=tmp_path / "elsewhere")
    assert found(other, "zebra") == []
    assert found(shelves.library(), "zebra") == ["one"]


def test_one_broken_file_does_not_stop_the_rest(shelves: Shelves) -> None:
    shelves.put("good", description="zebra")
    shelves.put("bad", template={"parameters": [{"name": "1"}]})
    (shelves.user / "cut.template.json").write_text('{"symphony": 2, "id"')
    (shelves.user / "binary.template.json").write_bytes(b"\0\xff")
    (shelves.user / "nowhere.template.json").symlink_to(shelves.user / "gone")
    (shelves.user / "folder.template.json").mkdir()
    os.mkfifo(shelves.user / "pipe.template.json")
    library = shelves.library()
    assert own(library) == [("good", "1.0.0", Shelf.USER)]
    assert found(library, "zebra") == ["good"]
    broken = {each.id: each.error.code for each in library.broken() if each.error}
    assert broken == {
        "bad-1.0.0": "workflow.bad_parameter",
        "binary": "files.not_text",
        "cut": "workflow.syntax",
        "folder": "files.wrong_kind",
        "pipe": "files.wrong_kind",
    }
    with pytest.raises(TemplateNotFound):
        library.find("bad")


@pytest.mark.parametrize("damage", ["cut", "empty", "index", "both"])
def test_damaged_copies_are_made_again(shelves: Shelves, damage: str) -> None:
    shelves.put("one", description="zebra")
    assert found(shelves.library(), "zebra") == ["one"]
    kept = shelves.kept / "templates.msgpack"
    if damage in ("cut", "both"):
        kept.write_bytes(kept.read_bytes()[:-5])
    if damage == "empty":
        kept.write_bytes(b"")
    if damage in ("index", "both"):
        for path in (shelves.kept / "templates").glob("*.term"):
            path.write_bytes(b"damaged")
    assert found(shelves.library(), "zebra") == ["one"]
    assert own(shelves.library()) == [("one", "1.0.0", Shelf.USER)]


def test_an_index_that_is_damaged_while_open_is_made_again(shelves: Shelves) -> None:
    shelves.put("one", description="zebra")
    library = shelves.library()
    assert found(library, "zebra") == ["one"]
    for path in (shelves.kept / "templates").iterdir():
        if not path.name.startswith(".tantivy"):
            path.unlink()
    shelves.put("two", description="zebra")
    assert found(library, "zebra") == ["one", "two"]


def test_what_is_kept_is_not_read_again(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        shelves.put(f"one{number}")
    before = own(shelves.library())
    monkeypatch.setattr("symphony.workflow.load_template", None)
    assert own(shelves.library()) == before


def test_loading_tries_the_template(shelves: Shelves) -> None:
    path = shelves.put("good", template={"parameters": [{"name": "x", "default": "y"}]})
    shelves.put("bad", template={"parameters": [{"name": "x", "default": "${y}"}]})
    library = shelves.library()
    assert library.load("good").parameters[0].name == "x"
    assert library.load(str(path)).id == "good"
    with pytest.raises(TemplateInvalid, match="undeclared reference"):
        library.load("bad")


def test_the_templates_of_a_project_are_found_from_inside_it(tmp_path: Path) -> None:
    folder = tmp_path / "project" / ".symphony" / "templates"
    folder.mkdir(parents=True)
    deep = tmp_path / "project" / "src" / "deep"
    deep.mkdir(parents=True)
    assert project_folder(deep) == project_folder(tmp_path / "project") == folder
    assert project_folder(tmp_path) is None


def test_templates_in_yaml_are_read_and_their_faults_placed(shelves: Shelves) -> None:
    shelves.user.mkdir()
    good = f"symphony: {FORMAT}\nid: spoken\ntemplate:\n  parameters:\n    - name: x\nnodes: []\n"
    (shelves.user / "spoken.template.yaml").write_text(good)
    (shelves.user / "bad.template.yml").write_text(good.replace("name: x", "name: X"))
    library = shelves.library()
    assert library.load("spoken").parameters[0].name == "x"
    (broken,) = library.broken()
    assert broken.error is not None
    assert ":5:" in broken.error.message


def test_a_page_is_filled_with_what_is_shown(shelves: Shelves) -> None:
    """Neither old versions nor files that are gone take the places of others."""
    zebra = "zebra"
    better: dict[str, Any] = {"name": zebra, "description": zebra, "metadata": {"tags": [zebra]}}
    for minor in range(3):
        shelves.put("summary", f"1.{minor}.0", **better)
    shelves.put("summary", "2.0.0", description="nothing of that")
    gone = shelves.put("gone", **better)
    shelves.put("other", description="one zebra among many other animals")
    library = shelves.library()
    assert found(library, "zebra", limit=1) == ["gone"]
    gone.unlink()
    assert found(library, "zebra", limit=1) == ["other"]


def test_a_pre_release_on_the_nearest_shelf_is_nearer_than_a_release(shelves: Shelves) -> None:
    shelves.put("summary", "1.0.0")
    shelves.put("summary", "2.0.0-rc.1", at="project")
    assert own(shelves.library()) == [("summary", "2.0.0-rc.1", Shelf.PROJECT)]
