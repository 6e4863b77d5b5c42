"""`symphony templates`: find templates, make workflows of them, and templates of workflows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from symphony.cli._messages import error_lines, write_json
from symphony.cli._options import run_options
from symphony.commons.files import make_folder, write_atomic
from symphony.commons.folders import Home, find_home
from symphony.commons.values import Value
from symphony.templates import Library, Summary

if TYPE_CHECKING:
    from symphony.workflow import Parameter, Template, Workflow

#: Columns of a name or description in a table.
WIDTH = 60

_filters = [
    click.option("--category", default="", help="Only those of this category."),
    click.option("--tag", "tags", multiple=True, help="Only those with this tag; may be repeated."),
    click.option("--author", default="", help="Only those by this author."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
]
_values = click.option(
    "-p",
    "--parameter",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter its value.",
)


def _filtered(command: click.Command) -> click.Command:
    for option in reversed(_filters):
        command = option(command)
    return command


@click.group()
def templates() -> None:
    """Find templates, and make workflows of them.

    TEMPLATE is the id of a template, with a version if you like, as in `summary@^1.2`; or the
    path of a file.
    """


@_filtered
@templates.command("list")
def list_templates(category: str, tags: Sequence[str], author: str, as_json: bool) -> None:
    """List the newest version of every template."""
    library = _library()
    found = library.browse(category=category, tags=tags, author=author)
    broken = library.broken()
    if as_json:
        write_json({"templates": found, "broken": broken})
        return
    _table(found)
    for each in broken:
        for line in error_lines(each.error) if each.error else ():
            click.echo(line, err=True)


@_filtered
@templates.command()
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def search(
    words: Sequence[str],
    limit: int,
    category: str,
    tags: Sequence[str],
    author: str,
    as_json: bool,
) -> None:
    """Search templates by WORDS, begun or nearly right ones too; best first."""
    text = " ".join(words)
    found = _library().search(text, category=category, tags=tags, author=author, limit=limit)
    if as_json:
        write_json({"templates": found})
        return
    _table(found)
    if not found:
        click.echo(f"No template has {text!r}.", err=True)


@templates.command()
@click.argument("template")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(template: str, as_json: bool) -> None:
    """Show what a template makes and which parameters it takes."""
    from symphony.workflow import template_schema

    library = _library()
    loaded = library.load(template)
    if as_json:
        write_json(
            {
                "id": loaded.id,
                "version": loaded.version,
                "name": loaded.name,
                "description": loaded.description,
                "metadata": loaded.metadata,
                "file": loaded.source.name,
                "schema": template_schema(loaded),
                "examples": loaded.examples,
            }
        )
        return
    click.echo(f"{click.style(loaded.id, bold=True)} {loaded.version}  {loaded.name}")
    click.echo(f"{loaded.source.name}\n")
    click.echo(loaded.description)
    for parameter in loaded.parameters:
        click.echo(f"\n  {_usage(parameter)}")
        for line in filter(None, (parameter.title, parameter.description)):
            click.echo(f"      {line}")
    for example in loaded.examples:
        values = " ".join(f"-p {name}={_typed(value)}" for name, value in example.values.items())
        click.echo(f"\n{example.name}:\n  symphony templates run {template} {values}".rstrip())


@templates.command()
@click.argument("template")
@_values
@click.option("--from", "source", type=click.Path(path_type=Path), help="Make a template of this.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--force", is_flag=True, help="Write over the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def new(
    template: str,
    given: Sequence[str],
    source: Path | None,
    target: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a workflow file made from TEMPLATE; or, with --from, a template made from a workflow.

    A workflow is written to ID.workflow.json in the current folder. With --from, TEMPLATE is the
    id of the new template, each -p NAME=NODE.PORT makes a parameter of a constant, and it is
    written where the other commands find it.
    """
    if source is not None:
        path, data = _new_template(template, source, given, target)
    else:
        path, data = _new_workflow(template, given, target)
    _write(path, data, force=force)
    if as_json:
        write_json({"file": str(path)})
    else:
        click.echo(str(path))


@templates.command()
@click.argument("template")
@_values
@run_options
def run(
    template: str,
    given: Sequence[str],
    inputs: Sequence[str],
    answers: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> int:
    """Make a workflow from TEMPLATE, run it, and show where its results lie."""
    from symphony.cli._run import perform

    workflow = _made(_library().load(template), given)
    return perform(workflow, inputs, answers, base=Path.cwd(), out=out, as_json=as_json)


def _library() -> Library:
    home = _home()
    home.create()
    return Library.at(home, Path.cwd())


def _home() -> Home:
    return find_home(os.environ)


def _new_workflow(reference: str, given: Sequence[str], target: Path | None) -> tuple[Path, bytes]:
    from symphony.workflow import Format, encode, format_of

    workflow = _made(_library().load(reference), given)
    path = target or Path(f"{workflow.id}.workflow.json")
    named, packed = format_of(path)
    return path, encode(workflow, named or Format.JSON, packed)


def _new_template(
    id_: str, source: Path, given: Sequence[str], target: Path | None
) -> tuple[Path, bytes]:
    from symphony.templates import template_from
    from symphony.workflow import load, loads_template

    workflow = msgspec.structs.replace(_placed(load(source), source), id=id_)
    text = template_from(workflow, dict(map(_pair, given)))
    path = target or _home().templates / f"{id_}.template.json"
    loads_template(text, str(path))  # the names of its parameters are somebody's
    return path, text.encode()


def _write(path: Path, data: bytes, *, force: bool) -> None:
    from symphony.cli._import import WouldOverwrite

    if os.path.lexists(path) and not force:
        raise WouldOverwrite(path)
    make_folder(path.absolute().parent)
    write_atomic(path, data)


def _made(template: Template, given: Sequence[str]) -> Workflow:
    from symphony.workflow import instantiate

    pairs = dict(map(_pair, given))
    return _placed(instantiate(template, _parsed(template, pairs)), Path(template.source.name))


def _parsed(template: Template, pairs: Mapping[str, str]) -> dict[str, Value]:
    """What is typed, as what the parameters take; what is wrong is told when they are bound."""
    from symphony.workflow import InputsInvalid, parse_input

    schemas = {each.name: each.json_schema for each in template.parameters}
    values: dict[str, Value] = dict(pairs)
    for name in pairs.keys() & schemas.keys():
        with suppress(InputsInvalid):
            values[name] = parse_input(schemas[name], pairs[name], name)
    return values


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="-p")
    return name, value


def _placed(workflow: Workflow, file: Path) -> Workflow:
    """With folders of extensions that are found from anywhere: those of its file, else those of
    the current folder."""
    found = [
        next((str(place) for place in (file.absolute().parent / each, Path.cwd() / each)
              if place.is_dir()), each)
        for each in workflow.extensions
    ]  # fmt: skip
    return msgspec.structs.replace(workflow, extensions=tuple(found))


def _table(found: Iterable[Summary]) -> None:
    rows = [(each.id, each.version, each.shelf, each.name or each.description) for each in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for id_, version, shelf, name in rows:
        cells = (click.style(f"{id_:<{widths[0]}}", bold=True), f"{version:<{widths[1]}}",
                 f"{shelf:<{widths[2]}}", _cut(name))  # fmt: skip
        click.echo("  ".join(cells))


def _usage(parameter: Parameter) -> str:
    name = click.style(parameter.name, bold=True)
    if parameter.default is not msgspec.UNSET:
        default = _cut(msgspec.json.encode(parameter.default).decode())
        return f"{name}  {parameter.type}, {default}"
    return f"{name}  {parameter.type}, {'needed' if parameter.required else 'may be left out'}"


def _typed(value: Value) -> str:
    """A value as it is typed for -p."""
    import shlex

    return shlex.quote(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
