"""Templates by name, version and content."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from symphony.commons.folders import Home
from symphony.commons.search import KEY, Filter, Hits, IndexDamaged, NoneOf, OneOf
from symphony.templates._catalogue import SUFFIXES, Catalogue, Shelf, Summary
from symphony.templates._errors import TemplateNotFound, VersionNotFound

if TYPE_CHECKING:
    from symphony.workflow import Template

#: The folder of a project's templates, in the project's own.
PROJECT: Final = Path(".symphony", "templates")
BUILTIN: Final = Path(__file__).parent / "builtin"


def project_folder(start: Path) -> Path | None:
    """The nearest `.symphony/templates`, in `start` or a folder above it."""
    start = start.absolute()
    places = (folder / PROJECT for folder in (start, *start.parents))
    return next((place for place in places if place.is_dir()), None)


class Library:
    """Every template that can be used: a project's, then your own, then those that come along.

    A nearer shelf hides the templates of the same id on those behind it; they are still found by
    a version that the nearer one does not have. Everything here reads the disk, and what has
    changed since the last time.
    """

    def __init__(self, user: Path, kept: Path, *, project: Path | None = None) -> None:
        """`user` is the folder of your own, `kept` the one for copies that make it fast."""
        shelves = {Shelf.PROJECT: project, Shelf.USER: user, Shelf.BUILTIN: BUILTIN}
        folders = {shelf: folder for shelf, folder in shelves.items() if folder is not None}
        self._catalogue = Catalogue(folders, kept)

    @classmethod
    def at(cls, home: Home, start: Path) -> Library:
        """That of a home and of the project that `start` is in."""
        return cls(home.templates, home.indexes, project=project_folder(start))

    def browse(
        self, *, category: str = "", tags: Collection[str] = (), author: str = ""
    ) -> list[Summary]:
        """The newest version of each, by id; only those with all of these. Case does not count."""
        wanted = {tag.casefold() for tag in tags}
        return [
            each
            for each in sorted(_shown(self._good()), key=lambda summary: summary.id)
            if (not category or each.category.casefold() == category.casefold())
            and (not author or each.author.casefold() == author.casefold())
            and wanted <= {tag.casefold() for tag in each.tags}
        ]

    def search(
        self,
        text: str,
        *,
        category: str = "",
        tags: Collection[str] = (),
        author: str = "",
        limit: int = 20,
    ) -> list[Summary]:
        """The templates in which these words occur, begun or nearly too, best first.

        Raises QueryInvalid.
        """
        summaries = self._catalogue.summaries()
        shown = {each.path: each for each in _shown(_good(summaries))}
        hidden = [each.path for each in summaries if each.path not in shown]
        where: list[Filter] = [OneOf("root", self._catalogue.roots), NoneOf(KEY, hidden)]
        where += [OneOf("tag", [tag.casefold()]) for tag in tags]
        where += [OneOf("of_category", [category.casefold()])] if category else []
        where += [OneOf("of_author", [author.casefold()])] if author else []
        hits = self._hits(text, where, limit)
        return [shown[hit.key] for hit in hits.items if hit.key in shown]

    def broken(self) -> list[Summary]:
        """The files that are no templates, with what is wrong with them."""
        return [each for each in self._catalogue.summaries() if each.error is not None]

    def versions(self, id_: str) -> list[Summary]:
        """Every version of a template: by shelf, on each the newest first. Raises
        TemplateNotFound."""
        found = [each for each in self._good() if each.id == id_]
        if not found:
            raise TemplateNotFound(id_, {each.id for each in self._good()})
        return [each for shelf in Shelf for each in _newest_first(found, shelf)]

    def find(self, reference: str) -> Summary:
        """The template that `id` or `id@constraint` names, such as `summary@^1.2`: the newest
        version that will do, on the nearest shelf that has one.

        Raises TemplateNotFound, VersionNotFound or VersionInvalid.
        """
        from symphony.commons.versions import Constraint, Version

        id_, at, text = reference.partition("@")
        versions = self.versions(id_)
        if not at:
            return _latest(versions)
        constraint = Constraint.parse(text)
        allowed = [each for each in versions if constraint.allows(Version.parse(each.version))]
        if not allowed:
            raise VersionNotFound(id_, text, [each.version for each in versions])
        return allowed[0]

    def load(self, reference: str) -> Template:
        """The template that `find` finds, or that the file of this name holds; its placeholders
        and examples have been tried. Raises what `find` raises, or TemplateInvalid."""
        from symphony.workflow import check_template, load_template

        path = Path(reference) if is_path(reference) else Path(self.find(reference).path)
        template = load_template(path)
        check_template(template)
        return template

    def _good(self) -> list[Summary]:
        return _good(self._catalogue.summaries())

    def _hits(self, text: str, where: Sequence[Filter], limit: int) -> Hits:
        def search() -> Hits:
            index = self._catalogue.index
            index.refresh()
            return index.search(text, where=where, fuzzy=True, prefix=True, limit=limit)

        try:
            return search()
        except IndexDamaged:
            self._catalogue.renew()
            return search()


def is_path(reference: str) -> bool:
    """Whether a reference is the path of a file: no id has a slash, or ends like that."""
    return "/" in reference or reference.endswith(SUFFIXES)


def _good(summaries: Iterable[Summary]) -> list[Summary]:
    return [each for each in summaries if each.error is None]


def _newest_first(found: Iterable[Summary], shelf: Shelf) -> list[Summary]:
    from symphony.commons.versions import Version

    here = [each for each in found if each.shelf is shelf]
    return sorted(here, key=lambda each: Version.parse(each.version), reverse=True)


def _latest(versions: Sequence[Summary]) -> Summary:
    """The newest on the nearest shelf; a pre-release only if there is nothing else there."""
    nearest = [each for each in versions if each.shelf is versions[0].shelf]
    return next((each for each in nearest if "-" not in each.version), nearest[0])


def _shown(summaries: Iterable[Summary]) -> list[Summary]:
    """One of each id."""
    by_id: dict[str, list[Summary]] = {}
    for each in summaries:
        by_id.setdefault(each.id, []).append(each)
    return [found[0] if len(found) == 1 else _latest(_ordered(found)) for found in by_id.values()]


def _ordered(found: Sequence[Summary]) -> list[Summary]:
    return [each for shelf in Shelf for each in _newest_first(found, shelf)]
