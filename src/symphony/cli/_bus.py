"""`symphony bus`: watch the bus of this home, and take part in it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from symphony.app import as_address, bus_address, open_endpoint, read_config
from symphony.cli._interrupts import on_interrupt
from symphony.cli._messages import show_error, write_json
from symphony.cli._monitor import Monitor
from symphony.cli._progress import format_seconds
from symphony.cli._traffic import (
    TrafficView,
    content_line,
    content_of,
    cut,
    doing,
    heard,
    json_line,
    printable,
)
from symphony.commons import blocking, loops
from symphony.commons.errors import EXIT_CODES, EXIT_OK, Category, ErrorRecord, SymphonyError
from symphony.commons.files import read_bytes
from symphony.commons.folders import find_home, user_path
from symphony.commons.logging import CONTROLS_IN_LINES, LoggingConfig, configure, harmless
from symphony.commons.tasks import task_scope
from symphony.ipc import (
    BusStats,
    DeadLetter,
    Endpoint,
    EndpointInfo,
    HeaderFraming,
    JsonRpcBridge,
    LineFraming,
    Message,
    Policy,
    Subscription,
    stdio,
)

T = TypeVar("T")
Decorated = TypeVar("Decorated", bound=Callable[..., object])

#: The most that a bus carries by default, as shared memory.
LARGEST_FILE = 1024 * 1024 * 1024

#: How well an endpoint is, as colours.
HEALTH = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}


@click.group()
def bus() -> None:
    """Watch the bus that `symphony serve` holds, and take part in it."""


def _common(command: Decorated) -> Decorated:
    """The options that all commands have."""
    address = click.option(
        "--address", help="Another bus: a socket's path, or an address such as unix:/run/x.sock."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
    return address(as_json(command))


_PAYLOAD = click.argument("payload", required=False, metavar="[JSON|@FILE|-]")
_RAW = click.option("--raw", is_flag=True, help="Send the text or file as it is, not as JSON.")


def _connected(given: str | None, role: str) -> AbstractAsyncContextManager[Endpoint]:
    if given is not None:
        return open_endpoint(as_address(given), role)
    home = find_home(os.environ)
    return open_endpoint(bus_address(home, read_config(home, {}).value.bus), role)


def _perform(main: Coroutine[Any, Any, T]) -> T:  # Any: what it yields is the loop's business
    """Run it with what the bus logs on stderr, errors alone: the rest is told by the command."""
    close = configure(LoggingConfig(console="error", file=False), Path())
    try:
        return loops.run(main)
    finally:
        close()


def _stream(main: Coroutine[Any, Any, int], *, as_json: bool) -> int:  # Any: as above
    """Run what writes a line for each message: with `--json` an error is one line as well."""
    try:
        return _perform(main)
    except SymphonyError as error:
        if not as_json:
            raise
        click.echo(json_line({"error": error.record()}))
        show_error(error.record(), as_json=False)
        return error.exit_code


def _ask(given: str | None, question: Callable[[Endpoint], Coroutine[Any, Any, T]]) -> T:
    async def answer() -> T:
        async with _connected(given, "command") as endpoint:
            return await question(endpoint)

    return _perform(answer())


# Watching.


@bus.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--count", type=click.IntRange(1), help="End after so many messages.")
@click.option("--for", "seconds", type=click.FloatRange(0, min_open=True), help="End in seconds.")
@_common
def monitor(
    patterns: tuple[str, ...],
    count: int | None,
    seconds: float | None,
    as_json: bool,
    address: str | None,
) -> int:
    """Show what is published, as it comes: the topics of each PATTERN, by default `>`, all.

    In a pattern `*` stands for one name, `#` for any number of names, and `>` at the end for one
    or more. Who comes and goes is shown only if a pattern is given, such as `bus.>`. What comes
    faster than it can be shown is dropped: watching slows nobody. Ctrl-C ends it.
    """
    watching = _monitor(address, patterns, count, seconds, as_json=as_json)
    return _stream(watching, as_json=as_json)


async def _monitor(
    address: str | None,
    patterns: Sequence[str],
    count: int | None,
    seconds: float | None,
    *,
    as_json: bool,
) -> int:
    watch = Monitor(_json_of if as_json else _view(), count)

    async def work() -> None:
        shown = patterns or (">",)
        async with _connected(address, "monitor") as endpoint:
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, watch.stop)
            if sys.stderr.isatty():
                click.echo(f"Watching {printable(' '.join(shown))}; Ctrl-C ends it.", err=True)
            await watch.watch(endpoint, shown, hidden="" if patterns else "bus.endpoint.*")

    await _interruptible(work(), lambda task: watch.stop() if watch.begun else task.cancel())
    dropped = f", {watch.dropped:,} dropped" if watch.dropped else ""
    click.echo(f"{watch.shown:,} messages shown{dropped}.", err=True)
    return EXIT_OK


async def _interruptible(
    work: Coroutine[Any, Any, None],  # Any: what it yields is the loop's business
    interrupt: Callable[[asyncio.Task[None]], object],
) -> bool:
    """Run `work`, and let `interrupt` end it at Ctrl-C; whether it was cancelled."""

    def act() -> None:
        if sys.stderr.isatty():
            click.echo(err=True)  # behind the terminal's ^C
        interrupt(task)

    async with task_scope() as tasks:
        task = tasks.create_task(work)
        with on_interrupt(act):
            await asyncio.wait([task])
    return task.cancelled()


def _json_of(message: Message, source: str) -> str:
    return json_line(heard(message, source, datetime.now(UTC)))


def _view() -> Callable[[Message, str], str]:
    on_terminal = sys.stdout.isatty()
    view = TrafficView(colour=on_terminal and not os.environ.get("NO_COLOR"))

    def render(message: Message, source: str) -> str:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if on_terminal else 0
        return view.line(message, source, datetime.now().astimezone(), columns)

    return render


# Taking part.


@bus.command()
@click.argument("pattern")
@click.option("--count", type=click.IntRange(1), help="End after so many messages.")
@click.option("--group", default="", help="Share the messages with the others of this group.")
@click.option("--where", default="", help="A condition in CEL, as in: payload.size > 3.")
@click.option("--after", type=click.IntRange(0), help="Kept messages behind this position; 0: all.")
@click.option("--durable", default="", help="Kept messages since this name was last here.")
@_common
def subscribe(
    pattern: str,
    count: int | None,
    group: str,
    where: str,
    after: int | None,
    durable: str,
    as_json: bool,
    address: str | None,
) -> int:
    """Write the payloads of the topics of PATTERN to stdout, one a line: JSON, or text.

    Nothing is dropped: who publishes waits for you. With --after or --durable kept messages come,
    from there on, and no others. Ctrl-C ends it.
    """

    async def work() -> None:
        async with _connected(address, "subscribe") as endpoint:
            subscribing = endpoint.subscribe(
                pattern,
                # One at a time if it is to end in the middle: nothing is taken that is not shown.
                credit=1 if count else 4096,
                group=group,
                where=where,
                after=after,
                epoch=endpoint.epoch if after is not None else "",
                durable=durable,
            )
            async with subscribing as subscription:
                await _write_messages(subscription, count, as_json=as_json)

    async def main() -> int:
        interrupted = await _interruptible(work(), lambda task: task.cancel())
        incomplete = interrupted and count is not None
        return EXIT_CODES[Category.CANCELLED] if incomplete else EXIT_OK

    return _stream(main(), as_json=as_json)


async def _write_messages(subscription: Subscription, count: int | None, *, as_json: bool) -> None:
    render = partial(_json_of, source="") if as_json else content_line
    written = 0
    async for batch in subscription:
        await blocking.run(_write_lines, map(render, batch))
        written += len(batch)
        if written == count:
            break
    # To ask for more says that what has come was dealt with, which a durable name remembers.
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await anext(subscription, None)


def _write_lines(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


@bus.command()
@click.argument("topic")
@_PAYLOAD
@_RAW
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the answer; 0 is for ever.",
)
@_common
def call(
    topic: str,
    payload: str | None,
    raw: bool,
    timeout: float,
    as_json: bool,
    address: str | None,
) -> None:
    """Ask whoever serves TOPIC, and write the answer to stdout.

    The payload is JSON, a file that holds it, or - for stdin; without one the request is empty.
    """
    content = _payload(payload, raw=raw)
    reply = _ask(address, lambda bus: bus.request(topic, content, timeout_s=timeout))
    said = content_of(reply)
    if as_json:
        write_json(said)
    elif said.payload is not msgspec.UNSET:
        text = msgspec.json.format(said.payload, indent=2).decode()
        click.echo(harmless(text, CONTROLS_IN_LINES) if sys.stdout.isatty() else text)
    elif not reply.body:
        click.echo("Answered, with nothing.", err=True)
    elif sys.stdout.isatty():
        click.echo(content_line(reply))
    else:
        click.echo(reply.body, nl=False)


@bus.command()
@click.argument("topic")
@_PAYLOAD
@_RAW
@click.option("--keep", is_flag=True, help="Have it kept, for those who subscribe later.")
@_common
def publish(
    topic: str, payload: str | None, raw: bool, keep: bool, as_json: bool, address: str | None
) -> int:
    """Publish a message on TOPIC.

    The payload is JSON, a file that holds it, or - for stdin; without one the message is empty.
    With --keep the command ends when the message is in the log.
    """
    content = _payload(payload, raw=raw)
    refused = _ask(address, lambda bus: _publish(bus, topic, content, keep=keep))
    if refused is not None:
        show_error(refused, as_json=as_json)
        return EXIT_CODES[refused.category]
    if as_json:
        write_json({"topic": topic, "kept": keep})
    return EXIT_OK


async def _publish(
    endpoint: Endpoint, topic: str, payload: object, *, keep: bool
) -> ErrorRecord | None:
    """Why the bus has refused the message, if it has: it says so in a dead letter alone."""
    refused: asyncio.Future[ErrorRecord] = asyncio.get_running_loop().create_future()

    def take(message: Message) -> None:
        letter = message.payload_as(DeadLetter)
        if letter.endpoint == endpoint.name and not refused.done():
            refused.set_result(letter.reason)

    say = endpoint.publish_kept if keep else endpoint.publish
    async with endpoint.subscribe("bus.dead", take, policy=Policy.DROP_OLDEST):
        async with task_scope() as tasks:
            saying = tasks.create_task(say(topic, payload))
            refused.add_done_callback(lambda _: saying.cancel())
        # The answer comes behind the letter, if there is one.
        await endpoint.stats()
    return refused.result() if refused.done() else None


def _payload(given: str | None, *, raw: bool) -> object:
    if given is None:
        return b""
    if given == "-":
        data = sys.stdin.buffer.read()
    elif given.startswith("@"):
        data = read_bytes(user_path(given[1:]), LARGEST_FILE)
    else:
        data = given.encode("utf-8", "surrogateescape")
    if raw:
        return data
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.BadParameter(
            f"it is not JSON: {error}. Text is written '\"so\"'; or give --raw.",
            param_hint="the payload",
        ) from error


# Looking around.


@bus.command()
@click.option("--capability", default="", help="Only those with this capability.")
@click.option("--serves", default="", help="Only those that answer requests for this topic.")
@_common
def endpoints(capability: str, serves: str, as_json: bool, address: str | None) -> None:
    """List who is on the bus, and how they are.

    LAG is how long the last sign of life took, QUEUED what waits in the bus for it, ASKS its open
    requests, ANSWERS those of others that it is to answer.
    """
    found = _ask(address, lambda bus: _others(bus, capability, serves))
    if as_json:
        write_json(found)
        return
    if not found:
        click.echo("There is nobody.", err=True)
        return
    columns = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    for line in _table(found):
        click.echo(cut(line, columns) if columns else line)


async def _others(endpoint: Endpoint, capability: str, serves: str) -> list[EndpointInfo]:
    """All but this command."""
    found = await endpoint.endpoints(capability, serves)
    return sorted(
        (each for each in found if each.name != endpoint.name), key=lambda each: each.name
    )


def _table(found: Sequence[EndpointInfo]) -> Iterable[str]:
    title = ("NAME", "HEALTH", "LAG", "QUEUED", "DROPPED", "ASKS", "ANSWERS", "WHAT IT DOES")
    rows = [title, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(title) - 1)]
    for row in rows:
        cells = [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=False))
        ]
        if row is title:
            yield click.style("  ".join((*cells, row[-1])), dim=True)
            continue
        cells[0] = click.style(cells[0], bold=True)
        cells[1] = click.style(cells[1], fg=HEALTH.get(row[1]))
        yield "  ".join((*cells, row[-1]))


def _row(info: EndpointInfo) -> tuple[str, ...]:
    queued = sum(each.queued for each in info.subscriptions)
    dropped = sum(each.dropped for each in info.subscriptions)
    return (
        printable(info.name),
        printable(info.health),
        f"{info.lag_s * 1000:.1f} ms",
        f"{queued:,}",
        f"{dropped:,}",
        f"{info.open_requests:,}",
        f"{info.answering:,}",
        doing(info) or "-",
    )


@bus.command()
@_common
def stats(as_json: bool, address: str | None) -> None:
    """Show what has gone over the bus since it began. This command counts too."""
    found = _ask(address, lambda bus: bus.stats())
    if as_json:
        write_json(found)
        return
    for name, value in _lines(found):
        click.echo(f"{name:<20}{value:>16}")


def _lines(found: BusStats) -> Iterable[tuple[str, str]]:
    for name, value in msgspec.structs.asdict(found).items():
        if name == "uptime_s":
            yield "uptime", format_seconds(value)
        else:
            yield name.replace("_", " "), f"{value:,}"


@bus.command()
@click.option(
    "--framing",
    type=click.Choice(["headers", "lines"]),
    default="headers",
    help="Content-Length headers, as editors write them, or one text a line.",
)
@click.option("--address", help="Another bus: a socket's path, or an address.")
def rpc(framing: str, address: str | None) -> None:
    """Speak JSON-RPC 2.0 on stdin and stdout, for an editor that starts this command.

    The method `build/start` is a request for the topic `build.start`, and as a notification a
    publication there. `bus/subscribe` and `bus/unsubscribe` take a {"pattern": ...}; what is
    published then comes as notifications `bus/message`. Ends with the end of stdin.
    """
    _perform(_speak_rpc(address, HeaderFraming() if framing == "headers" else LineFraming()))


async def _speak_rpc(address: str | None, framing: HeaderFraming | LineFraming) -> None:
    async with (
        _connected(address, "editor") as endpoint,
        task_scope() as tasks,
        stdio(lambda: JsonRpcBridge(endpoint, framing, tasks)) as (_, bridge),
    ):
        await bridge.closed
