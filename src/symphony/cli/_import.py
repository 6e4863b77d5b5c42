"""`symphony workflow import`: a workflow of another program, as one of ours."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from symphony.cli._messages import write_json
from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import read_text, write_atomic
from symphony.commons.logging import harmless
from symphony.workflow import dumps
from symphony.workflow.imports import Imported, Origin, import_document

#: Of a file that is imported, in bytes.
MAX_BYTES = 64 * 2**20


class WouldOverwrite(SymphonyError):
    """There is a file where one is to be written."""

    code = "cli.would_overwrite"
    category = Category.CONFLICT

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} exists already.", hint="Name another file, or add --force.")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write; by default beside FILE, named <id>.workflow.json. - is stdout.",
)
@click.option(
    "--from",
    "origin",
    type=click.Choice([each.value for each in Origin]),
    help="Where FILE comes from, if that cannot be told.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def import_(file: Path, out: Path | None, origin: str | None, force: bool, as_json: bool) -> None:
    """Make a workflow of FILE, which ComfyUI or n8n has saved.

    What has no counterpart becomes a placeholder; notes on stderr say what to look at.
    """
    imported = import_document(
        read_text(file, MAX_BYTES), str(file), Origin(origin) if origin else None
    )
    text = dumps(imported.workflow)
    if out == Path("-"):
        if as_json:
            raise click.UsageError("--json and -o - would both write to stdout.")
        sys.stdout.write(text)
        _tell(imported, None)
        return
    path = out or file.parent / f"{imported.workflow.id}.workflow.json"
    if path.exists() and not force:
        raise WouldOverwrite(path)
    write_atomic(path, text.encode())
    if as_json:
        write_json(
            {
                "file": str(path),
                "from": imported.origin,
                "nodes": len(imported.workflow.nodes),
                "edges": len(imported.workflow.edges),
                "ids": imported.ids,
                "notes": imported.notes,
            }
        )
    else:
        _tell(imported, path)


def _tell(imported: Imported, path: Path | None) -> None:
    for note in imported.notes:
        click.echo(f"note: {harmless(str(note))}", err=True)
    workflow = imported.workflow
    size = f"{len(workflow.nodes)} nodes, {len(workflow.edges)} edges"
    where = f" written to {path}" if path else ""
    click.echo(f"{workflow.name or workflow.id}: {size}{where}.", err=True)
