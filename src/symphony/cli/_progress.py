"""A run as one watches it: a live bar on a terminal, plain lines elsewhere. All of it to stderr."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from symphony.cli._messages import error_lines
from symphony.execution import (
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    Progress,
    Recorded,
    RunStatus,
)
from symphony.pit.tracker import NodeProgress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

#: Names of running nodes that fit on a line; the rest is a number.
SHOWN = 3
#: How often a run in which nothing ends says what it is busy with.
REMINDER_S = 10.0


class Watch(Protocol):
    """Told of every event and of how far the running bodies are."""

    def event(self, recorded: Recorded, status: RunStatus) -> None: ...

    def progress(self, status: RunStatus, fractions: dict[str, float]) -> None: ...

    def remind(self, status: RunStatus, fractions: dict[str, float]) -> None:
        """Some seconds have passed."""
        ...


def format_seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def running_text(progress: Progress, fractions: dict[str, float]) -> str:
    """The running nodes by name, with how far each is where that is known."""
    shown = [
        f"{name} {fractions[name]:.0%}" if name in fractions else name
        for name in progress.running[:SHOWN]
    ]
    more = len(progress.running) - SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


class Spectator:
    """Follows a run from its first event, and tells a watch what it should know of it."""

    def __init__(self, watch: Watch) -> None:
        self._watch: Watch | None = watch
        self._status = RunStatus()
        self._fractions: dict[str, float] = {}

    def notice(self, news: Recorded | NodeProgress) -> None:
        if isinstance(news, Recorded):
            self._status.apply(news)
            self._tell(lambda watch: watch.event(news, self._status))
        elif news.total > 0:
            self._fractions[news.node] = news.done / news.total
            self._tell(lambda watch: watch.progress(self._status, self._fractions))

    def _tell(self, tell: Callable[[Watch], None]) -> None:
        """A run goes on when nobody reads stderr any more."""
        if self._watch is not None:
            try:
                tell(self._watch)
            except OSError:
                self._watch = None

    async def remind(self) -> None:
        """Until it is cancelled: let who waits know that the run goes on, and with what."""
        while True:
            await asyncio.sleep(REMINDER_S)
            self._tell(lambda watch: watch.remind(self._status, self._fractions))


class PlainWatch:
    """A line for each node that ends; for logs, pipes and `--json`."""

    def event(self, recorded: Recorded, status: RunStatus) -> None:
        line = _line(recorded, status)
        if line:
            done = Progress.of(status, time.time())
            click.echo(f"[{done.done}/{done.total}] {line}", err=True)
        if isinstance(recorded.event, NodeFailed):
            for each in error_lines(recorded.event.error):
                click.echo(f"    {each}", err=True)

    def progress(self, status: RunStatus, fractions: dict[str, float]) -> None:
        """Left to `remind`: a line for each report would be many."""

    def remind(self, status: RunStatus, fractions: dict[str, float]) -> None:
        now = Progress.of(status, time.time(), fractions)
        if now.running:
            busy = running_text(now, fractions)
            click.echo(f"[{now.done}/{now.total}] still running: {busy}", err=True)


def _line(recorded: Recorded, status: RunStatus) -> str:
    match recorded.event:
        case NodeFinished(node=node):
            return f"{node}: done in {format_seconds(_duration(status, node))}"
        case NodeFailed(node=node):
            return f"{node}: {click.style('failed', fg='red')}"
        case NodeSkipped(node=node, because=because):
            return f"{node}: skipped, it needs {because}"
        case NodeCancelled(node=node):
            return f"{node}: cancelled"
        case _:
            return ""


def _duration(status: RunStatus, node: str) -> float:
    of_node = status.nodes[node]
    if of_node.started_at is None or of_node.finished_at is None:
        return 0.0
    return of_node.finished_at - of_node.started_at


class LiveWatch:
    """One bar for the run: how much is done, which nodes run, how fast, how long still."""

    def __init__(self, bar: Bar, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def event(self, recorded: Recorded, status: RunStatus) -> None:
        if isinstance(recorded.event, NodeFailed):
            self._bar.console.print(
                f"[red]{recorded.event.node} failed:[/red]", highlight=False, end=" "
            )
            self._bar.console.print(recorded.event.error.message, markup=False, highlight=False)
        self.progress(status, {})

    def remind(self, status: RunStatus, fractions: dict[str, float]) -> None:
        self.progress(status, fractions)

    def progress(self, status: RunStatus, fractions: dict[str, float]) -> None:
        now = Progress.of(status, time.time(), fractions)
        left = "" if now.eta_s is None else f"about {format_seconds(now.eta_s)} left"
        self._bar.update(
            self._task,
            completed=now.fraction,
            nodes=f"{now.done}/{now.total}",
            rate=f"{now.rate:.1f} nodes/s",
            left=left,
            running=running_text(now, fractions),
        )


@contextmanager
def watching(title: str) -> Iterator[Watch]:
    """A live bar if stderr is a terminal, else plain lines."""
    if not sys.stderr.isatty():
        yield PlainWatch()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    fields = ("[dim]{task.fields[rate]}", "[dim]{task.fields[left]}", "{task.fields[running]}")
    running = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[nodes]}"),
        *(TextColumn(field) for field in fields[:2]),
        TextColumn(fields[2], table_column=running, markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task(title, total=1.0, nodes="", rate="", left="", running="")
        yield LiveWatch(bar, task)
