"""`symphony workflow diff`: what has changed between two workflow files."""

from __future__ import annotations

from pathlib import Path

import click

from symphony.cli._messages import write_json
from symphony.commons.logging import harmless
from symphony.workflow import Action, diff, load

#: As `diff` and `git diff --exit-code` end where they find a difference.
EXIT_DIFFERENT = 1
_COLOURS = {
    Action.ADDED: "green",
    Action.REMOVED: "red",
    Action.CHANGED: "yellow",
    Action.RENAMED: "cyan",
    Action.MOVED: "cyan",
}


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def diff_(old: Path, new: Path, as_json: bool) -> int:
    """Tell what turns the workflow in OLD into that in NEW, one change a line.

    Spelling, format and layout of the files do not count. Ends with 1 if there is a change.
    """
    changes = diff(load(old), load(new))
    if as_json:
        write_json({"changes": changes})
    else:
        for change in changes:
            click.secho(harmless(str(change)), fg=_COLOURS[change.action])
    return EXIT_DIFFERENT if changes else 0
