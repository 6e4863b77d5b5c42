"""`symphony convert`: the same workflow in another format, compression or version of the format."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import click
import msgspec

from symphony.cli._import import WouldOverwrite
from symphony.cli._messages import write_json
from symphony.commons.files import format_size, write_atomic
from symphony.workflow import FORMAT, Compression, Format, Workflow, encode, format_of, load


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in Format]),
    help="By default as the name of OUT says, else JSON.",
)
@click.option(
    "--compression",
    type=click.Choice([each.value for each in Compression]),
    help="By default as the name of OUT says, else none.",
)
@click.option(
    "--to-format", "version", type=int, default=FORMAT, help="The number of an older format."
)
@click.option("--force", is_flag=True, help="Write over OUT if it is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def convert(
    source: Path,
    target: Path,
    form: str | None,
    compression: str | None,
    version: int,
    force: bool,
    as_json: bool,
) -> None:
    """Write the workflow in IN to the file OUT, in the format and compression of its name.

    Comments are not kept. Paths in the file are written as seen from the folder of OUT.
    """
    named, packed = format_of(target)
    chosen = Format(form) if form else named or Format.JSON
    packing = Compression(compression) if compression else packed
    workflow = _seen_from(target.absolute().parent, load(source), source.absolute().parent)
    data = encode(workflow, chosen, packing, version=version)
    if os.path.lexists(target) and not force:
        raise WouldOverwrite(target)
    write_atomic(target, data)
    if as_json:
        write_json(
            {
                "file": str(target),
                "format": chosen,
                "compression": packing,
                "symphony": version,
                "size": len(data),
            }
        )
    else:
        click.echo(f"{target}: {chosen}, {format_size(len(data))}.", err=True)


def _seen_from(folder: Path, workflow: Workflow, old: Path) -> Workflow:
    """The workflow with its paths relative to another folder than they were."""
    if folder == old:
        return workflow
    workflows = {
        name: _with_path(each, folder, old) if each.file else _seen_from(folder, each, old)
        for name, each in workflow.workflows.items()
    }
    extensions = tuple(_path_from(folder, old, path) for path in workflow.extensions)
    return msgspec.structs.replace(workflow, workflows=workflows, extensions=extensions)


def _with_path(nested: Workflow, folder: Path, old: Path) -> Workflow:
    return msgspec.structs.replace(nested, file=_path_from(folder, old, nested.file))


def _path_from(folder: Path, old: Path, path: str) -> str:
    if Path(path).is_absolute():
        return path
    return str(PurePosixPath(Path(os.path.relpath(old / path, folder))))
