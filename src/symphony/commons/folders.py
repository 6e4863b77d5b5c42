"""Where Symphony keeps what lasts: one home folder, and the names inside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from symphony.commons.files import FileFailed, make_folder, translated

VARIABLE = "SYMPHONY_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The layout of a home folder; naming a file does not create it."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def runs(self) -> Path:
        return self.root / "runs.db"

    @property
    def audit(self) -> Path:
        return self.root / "audit.db"

    @property
    def bus(self) -> Path:
        """The messages that a served bus keeps."""
        return self.root / "bus.db"

    @property
    def run(self) -> Path:
        """What exists while something runs: sockets, and the locks beside them."""
        return self.root / "run"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def keys(self) -> Path:
        """What opens encrypted stores: to be backed up apart from them."""
        return self.root / "keys"

    @property
    def extensions(self) -> Path:
        return self.root / "extensions"

    @property
    def templates(self) -> Path:
        """The user's own templates of workflows."""
        return self.root / "templates"

    @property
    def indexes(self) -> Path:
        """Copies that make a search fast; each is made again if it is lost."""
        return self.root / "indexes"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def create(self) -> None:
        """Make the home folder, readable by its owner only; raises a `files.*` error."""
        make_folder(self.root, mode=0o700)


def find_home(environ: Mapping[str, str]) -> Home:
    """`SYMPHONY_HOME`, else the platform's folder for a user's data.

    Raises a `files.*` error for a path that is none or is not UTF-8: results name files in the
    home, and JSON could not hold those names.
    """
    if given := environ.get(VARIABLE):
        return Home(_require_utf8(user_path(given)))
    from platformdirs import user_data_path

    return Home(_require_utf8(user_data_path("symphony", appauthor=False)))


def user_path(text: str) -> Path:
    """A path as people write it, made absolute: `~` and `~name` are home folders.

    Raises a `files.*` error if that user is unknown, or if no file can have such a name.
    """
    if "\0" in text:
        raise FileFailed(Path(text), "it contains a NUL character")
    try:
        os.fsencode(text)
        with translated(Path(text)):
            return Path(text).expanduser().absolute()
    except UnicodeEncodeError as error:
        reason = "no file name can hold such characters"
        raise FileFailed(Path(text), reason) from error
    except RuntimeError as error:
        reason = f"the home folder of {Path(text).parts[0]!r} is not known"
        raise FileFailed(Path(text), reason) from error


def _require_utf8(path: Path) -> Path:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise FileFailed(path, "the path of the home folder must be UTF-8") from error
    return path
