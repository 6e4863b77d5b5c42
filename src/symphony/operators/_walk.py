"""Walk a folder: which files are there, and what could not be looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from symphony.commons.files import translated
from symphony.operators._declare import operator
from symphony.operators._paths import Folder, as_path
from symphony.operators._patterns import Patterns

#: What tools keep for themselves and can make again; `everything` walks these too.
TOOL_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".jj", ".bzr", "CVS"}
    | {
        "node_modules",
        "bower_components",
        ".yarn",
        ".pnpm-store",
        ".next",
        ".nuxt",
        ".parcel-cache",
    }
    | {".venv", "venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    | {".tox", ".nox", ".eggs", ".ipynb_checkpoints", ".import_linter_cache", "site-packages"}
    | {".gradle", ".terraform", ".idea", ".vs", ".cache", ".Trash", "$RECYCLE.BIN"}
)


class FoundFile(msgspec.Struct, frozen=True):
    """`path` is relative to the folder, with slashes; `size` in bytes; `modified` in UTC."""

    path: str
    size: int
    modified: str


class Problem(msgspec.Struct, frozen=True):
    """What could not be read, and why."""

    path: str
    reason: str


class Walked(msgspec.Struct, frozen=True):
    files: Annotated[list[FoundFile], Meta(description="In the order of their paths.")]
    problems: Annotated[list[Problem], Meta(description="What could not be looked at, and why.")]


@operator("files.walk", title="Walk a folder")
def walk(
    folder: Folder,
    pattern: Annotated[
        str,
        Meta(description="Which files: like a line of .gitignore.", examples=["*.py", "docs/**"]),
    ] = "**/*",
    ignore: Annotated[list[str], Meta(description="Which files and folders to leave out.")] = [],  # noqa: B006
    follow_links: Annotated[
        bool, Meta(description="Go through symbolic links, also out of the folder.")
    ] = False,
    everything: Annotated[
        bool, Meta(description="Also folders of tools, such as .git and node_modules.")
    ] = False,
    limit: Annotated[int, Meta(ge=1, description="At most so many files.")] = 1_000_000,
) -> Walked:
    """The files in a folder and in the folders below it."""
    root = as_path("files.walk", "folder", folder)
    search = _Search(
        root=root,
        wanted=Patterns.compile([pattern]),
        ignored=Patterns.compile(ignore),
        skipped=frozenset() if everything else TOOL_FOLDERS,
        follow=follow_links,
    )
    with translated(root):
        entries = _listed(root)
        search.visit_root()
    found: list[FoundFile] = []
    for file in search.files(entries, ""):
        if len(found) == limit:
            search.problems.append(
                Problem(".", f"there are more than {limit:,} files; the rest is left out")
            )
            break
        found.append(file)
    found.sort(key=lambda file: file.path)
    return Walked(found, sorted(search.problems, key=lambda problem: problem.path))


@dataclass(slots=True)
class _Search:
    root: Path
    wanted: Patterns
    ignored: Patterns
    skipped: frozenset[str]
    follow: bool
    problems: list[Problem] = field(default_factory=list)
    visited: set[tuple[int, int]] = field(default_factory=set)

    def visit_root(self) -> None:
        """A link back to the root is a loop like any other."""
        status = self.root.stat()
        self.visited.add((status.st_dev, status.st_ino))

    def files(self, entries: list[os.DirEntry[str]], above: str) -> Iterator[FoundFile]:
        """Those wanted among `entries` and below them, folders after the files beside them."""
        pending = [(entries, above)]
        while pending:
            entries, above = pending.pop()
            for entry in entries:
                path = above + entry.name
                kind = self._kind(entry, path)
                if kind == "folder":
                    below = self._entered(entry, path)
                    if below:
                        pending.append((below, f"{path}/"))
                elif kind == "file":
                    file = self._file(entry, path)
                    if file is not None:
                        yield file

    def _kind(self, entry: os.DirEntry[str], path: str) -> Literal["folder", "file"] | None:
        """None for what is passed over: links, unless they are followed, devices and sockets."""
        if not _is_text(path):
            self.problems.append(Problem(_shown(path), "its name is not valid Unicode"))
            return None
        try:
            if entry.is_dir(follow_symlinks=self.follow):
                return "folder"
            return "file" if entry.is_file(follow_symlinks=self.follow) else None
        except OSError as error:
            self.problems.append(Problem(path, _reason(error)))
            return None

    def _entered(self, entry: os.DirEntry[str], path: str) -> list[os.DirEntry[str]]:
        if entry.name in self.skipped or self.ignored.match_folder(path):
            return []
        try:
            if self.follow and self._seen_before(entry):
                return []
            return _listed(Path(entry.path))
        except OSError as error:
            self.problems.append(Problem(path, _reason(error)))
            return []

    def _seen_before(self, entry: os.DirEntry[str]) -> bool:
        status = entry.stat()
        identity = (status.st_dev, status.st_ino)
        seen = identity in self.visited
        self.visited.add(identity)
        return seen

    def _file(self, entry: os.DirEntry[str], path: str) -> FoundFile | None:
        if not self.wanted.match_file(path) or self.ignored.match_file(path):
            return None
        try:
            status = entry.stat(follow_symlinks=self.follow)
        except OSError as error:
            self.problems.append(Problem(path, _reason(error)))
            return None
        return FoundFile(path, status.st_size, _moment(status.st_mtime))


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _is_text(path: str) -> bool:
    """The system hands out bytes that are no text as lone surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _moment(seconds: float) -> str:
    """File systems hold times from before the year 1 and after 9999; such a one is left empty."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
