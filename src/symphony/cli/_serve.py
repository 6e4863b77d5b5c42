"""`symphony serve`: hold the bus of this home, until Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import os

import click

from symphony.app import Config, open_served_bus, read_config
from symphony.cli._interrupts import on_interrupt
from symphony.cli._traffic import json_line
from symphony.commons import loops
from symphony.commons.folders import Home, find_home
from symphony.commons.logging import configure


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout when it is ready.")
def serve(as_json: bool) -> None:
    """Hold the bus of this home for all your processes, and keep the messages that are to be kept.

    Runs of other processes are told there from then on. Ctrl-C or SIGTERM ends it in order:
    requests that are open have a moment to be answered. A second one ends it at once.
    """
    home = find_home(os.environ)
    config = read_config(home, {}).value
    home.create()
    close = configure(config.logging, home.logs)
    try:
        loops.run(_serve(home, config, as_json=as_json))
    finally:
        close()


async def _serve(home: Home, config: Config, *, as_json: bool) -> None:
    over = asyncio.Event()
    with on_interrupt(over.set):
        async with open_served_bus(home, config.bus) as broker:
            # What exists by now stays to the end: the collector need not go through it, between
            # everybody's messages, each time that it goes through the oldest.
            gc.collect()
            gc.freeze()
            (address,) = broker.addresses
            if as_json:
                click.echo(json_line({"address": address, "pid": os.getpid()}))
            click.echo(f"The bus of {home.root} is at {address}. Ctrl-C ends it.", err=True)
            await over.wait()
            click.echo("Ending.", err=True)
