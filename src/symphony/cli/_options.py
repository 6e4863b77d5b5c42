"""The options of the commands that run a workflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

C = TypeVar("C", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "-i",
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=VALUE",
        help="Give an input its value.",
    ),
    click.option(
        "--answer",
        "answers",
        multiple=True,
        metavar="NODE=VALUE",
        help="Answer a node that waits for a person.",
    ),
    click.option(
        "--out", type=click.Path(path_type=Path), help="Where to copy the outputs that are files."
    ),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
)


def run_options(command: C) -> C:
    """They come as `inputs`, `answers`, `out` and `as_json`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
