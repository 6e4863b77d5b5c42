"""Workflows in files of their own: found relative to the file that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from symphony.commons.files import FileError
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._model import Workflow
from symphony.workflow._scanner import pointer_to

#: Files that lead to each other in a row.
MAX_FILES: Final = 16
#: Workflows in all, one that is named by several counted each time.
MAX_WORKFLOWS: Final = 10_000


class _Whole(NamedTuple):
    """A workflow without open references, how many files are below it, and how many workflows."""

    workflow: Workflow
    depth: int
    total: int


class _Refused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def resolved(path: Path, read: Callable[[Path], Workflow]) -> Workflow:
    """The workflow in a file, with all that it keeps in other files.

    Raises what `read` does for this file, and WorkflowInvalid for what is wrong with a reference
    or with a file that is referred to.
    """
    return _Reader(read).whole(path, ()).workflow


class _Reader:
    """Reads each file once."""

    def __init__(self, read: Callable[[Path], Workflow]) -> None:
        self._read = read
        self._known: dict[Path, _Whole] = {}

    def whole(self, path: Path, above: tuple[Path, ...]) -> _Whole:
        """`above` are the files that led to this one, the first outermost."""
        real = path.resolve()
        if real not in self._known:
            self._known[real] = self._complete(self._read(path), path, (*above, real))
        return self._known[real]

    def _complete(self, workflow: Workflow, path: Path, above: tuple[Path, ...]) -> _Whole:
        problems: list[Problem] = []
        try:
            found = self._inner(workflow, path, above, "", problems)
        except _Refused as refused:
            problems.append(refused.problem)
        if problems:
            located = workflow.source.located(problems) if workflow.source else problems
            raise WorkflowInvalid(str(path), located)
        return found

    def _inner(
        self,
        workflow: Workflow,
        path: Path,
        above: tuple[Path, ...],
        pointer: str,
        problems: list[Problem],
    ) -> _Whole:
        """A workflow that stands in the file `path` at `pointer`."""
        parts: dict[str, _Whole] = {}
        for name, each in workflow.workflows.items():
            here = pointer_to(f"{pointer}/workflows", name)
            try:
                if each.file:
                    parts[name] = self._referred(name, each, path, above, here)
                else:
                    parts[name] = self._inner(each, path, above, here, problems)
            except _Refused as refused:
                problems.append(refused.problem)
        depth = max((part.depth for part in parts.values()), default=0)
        total = 1 + sum(part.total for part in parts.values())
        if total > MAX_WORKFLOWS:
            message = f"These are more than {MAX_WORKFLOWS:,} workflows in each other."
            raise _Refused(Problem(ProblemCode.LIMIT, message, pointer))
        whole = {name: part.workflow for name, part in parts.items()}
        return _Whole(msgspec.structs.replace(workflow, workflows=whole), depth, total)

    def _referred(
        self, name: str, nested: Workflow, path: Path, above: tuple[Path, ...], pointer: str
    ) -> _Whole:
        here = f"{pointer}/file"
        if nested.nodes or nested.edges or nested.workflows:
            message = f"Workflow {name!r} is in a file, and has nodes here too."
            raise _Refused(Problem(ProblemCode.BAD_VALUE, message, pointer, "Remove one of them."))
        if reason := _path_fault(nested.file):
            message = f"Workflow {name!r}: the path {nested.file!r} {reason}."
            hint = "Write it relative to this file, such as ./parts/clean.workflow.json."
            raise _Refused(Problem(ProblemCode.BAD_VALUE, message, here, hint))
        target = path.parent / nested.file
        if target.resolve() in above:
            names = " -> ".join(each.name for each in (*above, target))
            message = f"Workflow {name!r} leads back to a file that it is part of: {names}."
            raise _Refused(Problem(ProblemCode.RECURSION, message, here))
        try:
            found = self.whole(target, above)
        except FileError as error:
            message = f"Workflow {name!r} cannot be read. {error.message}"
            raise _Refused(Problem(ProblemCode.BAD_VALUE, message, here, error.hint)) from error
        if len(above) + found.depth >= MAX_FILES:
            message = f"More than {MAX_FILES} files lead to each other."
            raise _Refused(Problem(ProblemCode.LIMIT, message, here))
        workflow = msgspec.structs.replace(found.workflow, id=name, file=nested.file)
        return _Whole(workflow, found.depth + 1, found.total)


def _path_fault(path: str) -> str:
    if "\0" in path:
        return "contains a NUL character"
    return "is absolute" if Path(path).is_absolute() else ""
