"""`symphony config show`: every setting in force, and where it comes from."""

from __future__ import annotations

import os

import click
import msgspec

from symphony.app import read_config
from symphony.cli._messages import write_json
from symphony.commons.folders import find_home


@click.group()
def config() -> None:
    """Show the settings in force and their origin."""


@config.command()
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(origin: bool, as_json: bool) -> None:
    """List every setting."""
    rows = read_config(find_home(os.environ), {}).rows()
    if as_json:
        write_json(
            {
                row.key: {"value": row.value, "layer": row.origin.layer, "source": str(row.origin)}
                for row in rows
            }
        )
        return
    width = max(len(row.key) for row in rows)
    for row in rows:
        value = msgspec.json.encode(row.value).decode()
        where = f"   # {row.origin.layer}: {row.origin}" if origin else ""
        click.echo(f"{row.key:<{width}} = {value}{where}")
