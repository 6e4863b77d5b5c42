"""`symphony doctor`: what is installed, enforced or missing, and what mends it."""

from __future__ import annotations

import os

import click

from symphony.app import Check, Verdict, examine
from symphony.cli._messages import write_json
from symphony.commons.errors import EXIT_OK, EXIT_RUN_FAILED
from symphony.commons.folders import find_home

COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(as_json: bool) -> int:
    """Say what is installed, enforced or missing, with the fix. Exits with 1 if a check fails."""
    checks = examine(find_home(os.environ))
    failed = any(check.verdict is Verdict.FAIL for check in checks)
    if as_json:
        write_json({"ok": not failed, "checks": checks})
    else:
        for check in checks:
            _show(check)
    return EXIT_RUN_FAILED if failed else EXIT_OK


def _show(check: Check) -> None:
    verdict = click.style(f"{check.verdict:<4}", fg=COLOURS[check.verdict])
    click.echo(f"{verdict}  {check.name}: {check.detail}")
    if check.fix:
        click.echo(f"      {click.style('fix:', fg='cyan')} {check.fix}")
