"""`symphony show`: a workflow as one wants to see it, without running it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from symphony.cli._messages import write_json
from symphony.commons.files import write_atomic
from symphony.workflow import NodeKind, load
from symphony.workflow.pictures import Role, facts, line, mermaid, svg, tree

#: Where nobody says how wide the screen is.
WIDTH = 100
_COLOURS: dict[Role, str] = {
    NodeKind.INPUT: "cyan",
    NodeKind.OUTPUT: "green",
    NodeKind.OPERATOR: "blue",
    NodeKind.INSTRUMENT: "magenta",
    NodeKind.WORKFLOW: "bright_cyan",
    NodeKind.MAP: "bright_cyan",
    NodeKind.LOOP: "bright_cyan",
    NodeKind.BRANCH: "yellow",
    NodeKind.MERGE: "yellow",
    NodeKind.JOIN: "yellow",
    NodeKind.WAIT: "bright_red",
    "condition": "yellow",
    "fault": "red",
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mermaid", "form", flag_value="mermaid", help="A Mermaid flowchart.")
@click.option("--svg", "form", flag_value="svg", help="A drawing, for light and dark pages.")
@click.option("--line", "form", flag_value="line", help="One line.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write to this file, not to stdout."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout: the facts.")
def show(file: Path, form: str | None, out: Path | None, as_json: bool) -> None:
    """Show the workflow in FILE, by default as lines for a terminal.

    Faulty workflows are shown too, if their file has the right shape.
    """
    workflow = load(file)
    if as_json:
        if form or out:
            raise click.UsageError("--json goes without the other options.")
        write_json(facts(workflow))
        return
    width = shutil.get_terminal_size((WIDTH, 24)).columns if out is None else WIDTH
    match form:
        case "mermaid":
            text = mermaid(workflow)
        case "svg":
            text = svg(workflow)
        case "line":
            text = line(workflow, width=width) + "\n"
        case _:
            colour = out is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            text = tree(workflow, width=width, paint=_paint if colour else _plain)
    if out is not None:
        write_atomic(out, text.encode())
    else:
        sys.stdout.write(text)


def _paint(text: str, role: Role) -> str:
    if role == "name":
        return click.style(text, bold=True)
    if role == "faint":
        return click.style(text, dim=True)
    return click.style(text, fg=_COLOURS[role])


def _plain(text: str, _: Role) -> str:
    return text
