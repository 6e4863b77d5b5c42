"""What can go wrong in a library."""

from __future__ import annotations

from collections.abc import Iterable

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.names import did_you_mean


class TemplatesError(SymphonyError):
    """Something about the library of templates."""


class TemplateNotFound(TemplatesError):
    """No template has the id `id`."""

    code = "templates.not_found"
    category = Category.NOT_FOUND

    def __init__(self, id_: str, known: Iterable[str]) -> None:
        self.id = id_
        hint = did_you_mean(id_, known) or "`symphony templates list` shows all."
        super().__init__(f"There is no template {id_!r}.", hint=hint)


class VersionNotFound(TemplatesError):
    """There is a template `id`, but in no version that `constraint` admits."""

    code = "templates.version_not_found"
    category = Category.NOT_FOUND

    def __init__(self, id_: str, constraint: str, known: Iterable[str]) -> None:
        self.id = id_
        self.constraint = constraint
        versions = ", ".join(known)
        super().__init__(
            f"There is no version {constraint} of the template {id_!r}.",
            hint=f"There is {versions}.",
        )


class NoSuchConstant(TemplatesError):
    """What is to become a parameter is no constant of the workflow: `place`."""

    code = "templates.no_such_constant"
    category = Category.VALIDATION

    def __init__(self, place: str, known: Iterable[str]) -> None:
        self.place = place
        super().__init__(
            f"The workflow has no constant {place!r} to make a parameter of.",
            hint=did_you_mean(place, known) or "Name it as NODE.PORT.",
        )
