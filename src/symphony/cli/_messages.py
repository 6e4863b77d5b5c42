"""How the command line speaks: errors to stderr in one shape, documents to stdout in one shape."""

from __future__ import annotations

import sys
import traceback

import click
import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.commons.logging import CONTROLS_IN_LINES, harmless
from symphony.commons.secrets import scrub_record


def write_json(document: object) -> None:
    """Write one JSON document, and nothing else, to stdout."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def error_lines(error: ErrorRecord) -> list[str]:
    """What happened, what to do, and the code to look up."""
    label = click.style("error:", fg="red", bold=True)
    lines = [f"{label} {harmless(error.message, CONTROLS_IN_LINES)}"]
    if error.hint:
        lines.append(f"  {click.style('hint:', fg='cyan')} {harmless(error.hint)}")
    lines.append(click.style(f"  code: {error.code}", dim=True))
    return lines


def show_error(error: ErrorRecord, *, as_json: bool) -> None:
    error = scrub_record(error)
    if as_json:
        write_json({"error": error})
    for line in error_lines(error):
        click.echo(line, err=True)


def show_crash(error: Exception, *, as_json: bool) -> None:
    """Report a bug of ours: here a traceback is what the reader needs."""
    record = ErrorRecord(
        code="cli.internal",
        message=f"Symphony has a bug: {type(error).__name__}: {error}",
        hint="Please report it with the lines above.",
    )
    traceback.print_exception(error, file=sys.stderr)
    show_error(record, as_json=as_json)
