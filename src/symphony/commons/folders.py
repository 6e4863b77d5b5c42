"""Where Symphony keeps what lasts: one home folder, and the names inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from symphony.commons.files import make_folder

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
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def extensions(self) -> Path:
        return self.root / "extensions"

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
    """`SYMPHONY_HOME`, else the platform's folder for a user's data."""
    if given := environ.get(VARIABLE):
        return Home(Path(given).expanduser().absolute())
    from platformdirs import user_data_path

    return Home(user_data_path("symphony", appauthor=False))
