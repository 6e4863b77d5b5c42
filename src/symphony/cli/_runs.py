"""`symphony runs`: what the journal knows of the past."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import TypeVar

import click
import msgspec

from symphony.cli._messages import error_lines, write_json
from symphony.cli._progress import format_seconds
from symphony.commons.folders import find_home
from symphony.execution import NodeStatus, RunStatus, fold
from symphony.pit.tracker import Journal, RunSummary, open_journal

T = TypeVar("T")


@click.group()
def runs() -> None:
    """List the runs of the past, or show one."""


def _ask(question: Callable[[Journal], Coroutine[None, None, T]]) -> T:
    home = find_home(os.environ)
    home.create()

    async def answer() -> T:
        async with open_journal(home.runs) as journal:
            return await question(journal)

    return asyncio.run(answer())


@runs.command("list")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_runs(limit: int, as_json: bool) -> None:
    """Show the newest runs."""
    summaries = _ask(lambda journal: journal.runs(limit))
    if as_json:
        write_json(summaries)
        return
    for each in summaries:
        click.echo(_summary(each))


@runs.command()
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(run_id: str, as_json: bool) -> None:
    """Show what became of a run and of each of its nodes."""
    status = fold(_ask(lambda journal: journal.read(run_id)))
    if as_json:
        write_json(status)
        return
    click.echo(f"{status.run_id}  {status.workflow_id} {status.workflow_version}  {status.state}")
    click.echo(_times(status))
    for name, value in status.inputs.items():
        click.echo(f"  -i {name}={msgspec.json.encode(value).decode()}")
    for name, node in status.nodes.items():
        click.echo(_node(name, node))
        for line in error_lines(node.error) if node.error else ():
            click.echo(f"    {line}")
    _show_error(status)


def _times(status: RunStatus) -> str:
    if status.started_at is None:
        return "  not begun"
    begun = f"  begun {datetime.fromtimestamp(status.started_at).astimezone():%Y-%m-%d %H:%M:%S}"
    if status.finished_at is None:
        return begun
    return f"{begun}, took {format_seconds(status.finished_at - status.started_at)}"


def _show_error(status: RunStatus) -> None:
    if status.error is not None:
        for line in error_lines(status.error):
            click.echo(line)


def _summary(run: RunSummary) -> str:
    begun = datetime.fromtimestamp(run.created_at).astimezone()
    took = "" if run.finished_at is None else format_seconds(run.finished_at - run.created_at)
    return f"{run.run_id}  {begun:%Y-%m-%d %H:%M:%S}  {run.state:<10}  {run.workflow_id}  {took}"


def _node(name: str, node: NodeStatus) -> str:
    if node.started_at is None or node.finished_at is None:
        return f"  {name}: {node.state}{f', it needs {node.because}' if node.because else ''}"
    return f"  {name}: {node.state} in {format_seconds(node.finished_at - node.started_at)}"
