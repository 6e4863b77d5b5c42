"""`symphony workflow`: what is done with workflow files besides running them."""

from __future__ import annotations

import click

from symphony.cli._diff import diff_
from symphony.cli._import import import_


@click.group()
def workflow() -> None:
    """Compare workflows; import those of other programs."""


workflow.add_command(diff_)
workflow.add_command(import_)
