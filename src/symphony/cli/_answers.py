"""Answers for the nodes of a run that wait for a person: given with the command, or typed."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
import msgspec

from symphony.app import Run
from symphony.cli._messages import error_lines
from symphony.commons import blocking
from symphony.commons.errors import SymphonyError
from symphony.commons.logging import CONTROLS_IN_LINES, harmless
from symphony.commons.values import Value
from symphony.execution import NodeWaiting
from symphony.pit.tracker import CommandRefused
from symphony.workflow import described, parse_input


def parsed_answers(given: Iterable[str]) -> dict[str, str]:
    """By the name of the node; raises BadParameter."""
    answers = {}
    for text in given:
        node, equals, answer = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NODE=VALUE.", param_hint="--answer")
        answers[node] = answer
    return answers


async def answer(run: Run, given: dict[str, str]) -> None:
    """Answer whatever waits, one after the other, until the run ends. A node that gets no answer,
    since nobody types one, goes on waiting for its default."""
    async for recorded in run.events():
        if isinstance(recorded.event, NodeWaiting):
            await _answer(run, recorded.event, given.pop(recorded.event.node, None))


async def _answer(run: Run, waiting: NodeWaiting, text: str | None) -> None:
    if text is None:
        _ask(waiting)
    while (text := await _typed() if text is None else text) is not None:
        try:
            run.provide(waiting.node, parse_input(waiting.schema, text, waiting.node))
        except CommandRefused:  # its default was taken meanwhile, or the run is being cancelled
            return
        except SymphonyError as error:
            for line in error_lines(error.record()):
                click.echo(line, err=True)
            text = None
        else:
            return
    hint = f"Nobody answers {waiting.node!r}; start with --answer {waiting.node}=VALUE."
    click.echo(hint, err=True)


def _ask(waiting: NodeWaiting) -> None:
    if waiting.context is not None:
        context = waiting.context
        shown = context if isinstance(context, str) else msgspec.json.encode(context).decode()
        click.echo(harmless(shown, CONTROLS_IN_LINES), err=True)
    question = waiting.prompt or f"{waiting.node!r} waits for a value."
    click.echo(click.style(harmless(question, CONTROLS_IN_LINES), bold=True), err=True)
    if waiting.schema:
        click.echo(f"It takes {harmless(_expected(waiting.schema))}.", err=True)


def _expected(schema: dict[str, Value]) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return described(schema)
    members = (f'"{name}": {described(each, schema)}' for name, each in properties.items())
    return f"an object {{{', '.join(members)}}}"


async def _typed() -> str | None:
    """A line of stdin without its end; None if no more will come."""
    line: str = await blocking.run_abandonable(sys.stdin.readline)
    return line.rstrip("\r\n") if line else None
