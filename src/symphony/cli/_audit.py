"""`symphony audit`: who started what, and proof that nobody changed the record."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Literal

import click
import msgspec

from symphony.cli._messages import write_json
from symphony.commons.audit import AuditFilter, AuditLog
from symphony.commons.clock import SystemClock
from symphony.commons.folders import find_home


@click.group()
def audit() -> None:
    """List, verify or export the audit log."""


@contextmanager
def _opened() -> Iterator[AuditLog]:
    home = find_home(os.environ)
    home.create()
    with closing(AuditLog(home.audit, SystemClock())) as log:
        yield log


@audit.command("list")
@click.option("--action", help="Only this action, as in run.started.")
@click.option("--subject", help="Only this subject, as in the id of a run.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_entries(action: str | None, subject: str | None, limit: int, as_json: bool) -> None:
    """Show the newest entries."""
    with _opened() as log:
        wanted = AuditFilter(action=action, subject=subject)
        entries = log.query(wanted, limit=limit, newest_first=True)
    if as_json:
        write_json(entries)
        return
    for each in entries:
        details = msgspec.json.encode(each.details).decode()
        click.echo(
            f"{each.at:%Y-%m-%d %H:%M:%S}  {each.actor}  {each.action}  {each.subject}  "
            f"{each.outcome}  {details}"
        )


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def verify(as_json: bool) -> None:
    """Check that no entry was changed, removed or moved."""
    with _opened() as log:
        anchor = log.verify()
    if as_json:
        write_json({"entries": anchor.count, "hash": anchor.hash})
        return
    click.echo(f"{anchor.count} entries, all as they were written. Hash: {anchor.hash}")


@audit.command()
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json")
def export(form: Literal["json", "csv"]) -> None:
    """Write the whole log to stdout, oldest first."""
    with _opened() as log:
        log.export(sys.stdout, form)
