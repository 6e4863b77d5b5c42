"""What can go wrong with a search, and how Tantivy tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from symphony.commons.errors import Category, SymphonyError


class SearchError(SymphonyError):
    """Something about an index, a document or a query."""


class QueryInvalid(SearchError):
    """A query asks for what the index cannot answer; no text of a user's query but a too long
    one does."""

    code = "search.query_invalid"
    category = Category.VALIDATION

    def __init__(self, problem: str, *, hint: str = "") -> None:
        self.problem = problem
        super().__init__(f"The search is not possible: {problem}.", hint=hint)


class DocumentInvalid(SearchError):
    """A document does not fit the index; `key` names it."""

    code = "search.document_invalid"
    category = Category.VALIDATION

    def __init__(self, key: str, problem: str, *, hint: str = "") -> None:
        self.key = key[:100]
        self.problem = problem
        super().__init__(f"The document {self.key!r} cannot be indexed: {problem}.", hint=hint)


class IndexDamaged(SearchError):
    """The files of an index are not what was written."""

    code = "search.index_damaged"
    category = Category.SERIALIZATION

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder = folder
        self.reason = reason
        super().__init__(
            f"The search index in {folder} is damaged: {reason}.",
            hint="Nothing is lost with it: remove the folder, and it is made anew.",
        )


class IndexNotWritten(SearchError):
    """A batch could not be written; the index is as it was before."""

    code = "search.index_not_written"
    category = Category.IO

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder = folder
        self.reason = reason
        super().__init__(
            f"The search index in {folder} could not be written: {reason}.",
            hint="Check the space and the permissions there.",
        )


@contextmanager
def reading(folder: Path | None) -> Iterator[None]:
    """What goes wrong with a query that has been checked is the fault of the files."""
    try:
        yield
    except SymphonyError:
        raise
    except Exception as error:
        raise IndexDamaged(folder or Path("memory"), _reason(error)) from error
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise IndexDamaged(folder or Path("memory"), _reason(error)) from error


@contextmanager
def writing(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not isinstance(error, ValueError | OSError) and not _is_panic(error):
            raise
        raise IndexNotWritten(folder or Path("memory"), _reason(error)) from error


def _is_panic(error: BaseException) -> bool:
    """Rust's panics are no `Exception`, and their class cannot be imported."""
    return type(error).__name__ == "PanicException"


def _reason(error: BaseException) -> str:
    return (str(error).partition("\n")[0] or type(error).__name__)[:300].rstrip(".")
