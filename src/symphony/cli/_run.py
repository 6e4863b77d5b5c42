"""`symphony run`: perform a workflow file, watched, and show what came of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from symphony.app import Results, Run, collect, open_symphony
from symphony.cli._answers import answer, parsed_answers
from symphony.cli._interrupts import on_interrupt
from symphony.cli._messages import error_lines, write_json
from symphony.cli._options import run_options
from symphony.cli._progress import Spectator, format_seconds, watching
from symphony.commons.errors import EXIT_CODES, EXIT_OK, EXIT_RUN_FAILED, Category
from symphony.commons.files import existing_part
from symphony.commons.logging import CONTROLS_IN_LINES, harmless
from symphony.commons.precheck import all_of, folder_writable, on, require, rule
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.execution import NodeState, RunState
from symphony.workflow import NodeKind, Workflow, load, parse_input

#: Longer values are shown in part; `--json` has them whole.
SHOWN = 400


def _utf8_fault(path: Path) -> str | None:
    """The path stands in the results, which are JSON."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "must be a path in UTF-8"
    return None


#: What --out may name; asked before the run, not after it.
RESULTS_FOLDER = all_of(
    rule("utf8", _utf8_fault),
    on("the folder", existing_part, folder_writable()),
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@run_options
def run(
    file: Path, inputs: Sequence[str], answers: Sequence[str], out: Path | None, as_json: bool
) -> int:
    """Run the workflow in FILE and show where its results lie.

    A node that waits for a person asks on stderr and takes a line of stdin, unless --answer gives
    it its value. Ctrl-C cancels the run in order, and keeps what is done; a second one stops at
    once.
    """
    base = file.absolute().parent
    return perform(load(file), inputs, answers, base=base, out=out, as_json=as_json)


def perform(
    workflow: Workflow,
    inputs: Sequence[str],
    answers: Sequence[str],
    *,
    base: Path,
    out: Path | None,
    as_json: bool,
) -> int:
    """Run a workflow with inputs and answers as they are typed, and show it; returns the exit
    code."""
    if out is not None:
        require(RESULTS_FOLDER, out.absolute(), subject="--out")
    values = dict(_parsed(workflow, each) for each in inputs)
    prepared = parsed_answers(answers)
    results = asyncio.run(
        _perform(workflow, values, base=base, out=out and out.absolute(), answers=prepared)
    )
    if as_json:
        write_json(results)
    else:
        _show(results)
    return _exit_code(results)


def _parsed(workflow: Workflow, text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="-i")
    schemas = {str(node.id): node.schema for node in workflow.of_kind(NodeKind.INPUT)}
    # An unknown name is told with all other faults of the inputs, when they are bound.
    return name, parse_input(schemas[name], value, name) if name in schemas else value


async def _perform(
    workflow: Workflow,
    inputs: dict[str, Value],
    *,
    base: Path,
    out: Path | None,
    answers: dict[str, str],
) -> Results:
    async with open_symphony() as symphony:
        with watching(workflow.name or workflow.id) as watch:
            run = await symphony.run(workflow, inputs, base=base)
            spectator = Spectator(watch)
            run.watch(spectator.notice)
            async with task_scope() as tasks:
                beside = [
                    tasks.create_task(spectator.remind()),
                    tasks.create_task(answer(run, answers)),
                ]
                with on_interrupt(lambda: _cancel(run)):
                    status = await run.result()
                for task in beside:
                    task.cancel()
        folder = out or symphony.home.results / run.id
        return await collect(workflow, status, symphony.store, folder)


def _cancel(run: Run) -> None:
    click.echo("Cancelling; Ctrl-C again to stop at once.", err=True)
    run.cancel("interrupted")


def _show(results: Results) -> None:
    """Outputs to stdout; what became of the run to stderr."""
    for name, value in results.outputs.items():
        text = _text(value)
        shown = harmless(text, CONTROLS_IN_LINES) if sys.stdout.isatty() else text
        click.echo(f"{click.style(name, bold=True)}: {shown}")
    colour = {RunState.COMPLETED: "green", RunState.CANCELLED: "yellow"}.get(results.state, "red")
    counts = dict.fromkeys(NodeState, 0)
    for node in results.nodes.values():
        counts[node.state] += 1
    counted = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    took = format_seconds(results.duration_s)
    state = click.style(results.state, fg=colour, bold=True)
    click.echo(f"Run {results.run_id} {state} in {took}: {counted} nodes.", err=True)
    if results.error is not None:
        for line in error_lines(results.error):
            click.echo(line, err=True)
    click.echo(f"Results: {results.folder}", err=True)


def _text(value: Value) -> str:
    """A value for people: objects by their members, lists in them by their length."""
    if isinstance(value, dict):
        text = ", ".join(f"{name} {_brief(member)}" for name, member in value.items())
    else:
        text = _brief(value) if not isinstance(value, list) else _json(value)
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]}… ({len(text):,} characters; --json has all)"


def _brief(value: Value) -> str:
    if isinstance(value, str):
        return value
    return f"[{len(value)}]" if isinstance(value, (list, dict)) else _json(value)


def _json(value: Value) -> str:
    return msgspec.json.encode(value).decode()


def _exit_code(results: Results) -> int:
    if results.state is RunState.COMPLETED:
        return EXIT_OK
    if results.state is RunState.CANCELLED:
        return EXIT_CODES[Category.CANCELLED]
    return EXIT_RUN_FAILED
