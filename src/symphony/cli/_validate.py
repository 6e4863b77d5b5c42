"""`symphony validate`: every fault of a workflow file, without running it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from symphony.app import open_symphony
from symphony.cli._messages import write_json
from symphony.workflow import Problem, Severity, Workflow, WorkflowInvalid, load


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def validate(file: Path, as_json: bool) -> None:
    """Check the workflow in FILE and list every fault with its place."""
    workflow = load(file)
    problems = asyncio.run(_problems(workflow, file.absolute().parent))
    errors = [each for each in problems if each.severity is Severity.ERROR]
    if errors:
        raise WorkflowInvalid(str(file), problems)
    if as_json:
        write_json({"valid": True, "warnings": problems})
        return
    for each in problems:
        click.echo(f"{file}:{each}", err=True)
    click.echo(f"{file} is valid: {len(workflow.nodes)} nodes, {len(workflow.edges)} edges.")


async def _problems(workflow: Workflow, base: Path) -> list[Problem]:
    async with open_symphony() as symphony:
        return await symphony.validate(workflow, base)
