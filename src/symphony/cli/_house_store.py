"""The artifact store of this home, for commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from symphony.app import read_config
from symphony.commons.folders import find_home
from symphony.commons.logging import harmless
from symphony.pit.artifacts import BlockingStore, key_source, open_blocking_store

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout."
)


@contextmanager
def house_store() -> Iterator[BlockingStore]:
    home = find_home(os.environ)
    home.create()
    settings = read_config(home, {}).value.artifacts
    key = key_source(settings, home.keys / "artifacts.key", os.environ)
    with open_blocking_store(home.artifacts, key, hash_name=settings.hash) as store:
        yield store


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"


def say(line: str) -> None:
    """Names and messages come from anywhere; a terminal is not to be steered by them."""
    click.echo(harmless(line))
