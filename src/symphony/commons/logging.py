"""Logging: events with facts, rendered by structlog for people and as JSON lines for machines.

    log = get_logger("pit.tracker")
    with bound(run=run_id):                       # follows the tasks that are started in the block
        log.info("node finished", node="walk", seconds=0.2)

Everything goes through the standard library's loggers, named `symphony.<room>`, so that libraries'
records take the same way and a program that embeds Symphony hears of it by its own set-up.
`configure` is for programs: it adds the console and the file.

structlog brings rich along, which costs more than a short command needs altogether. So a `Logger`
is a few lines of our own, a JSON line is made without structlog, and the console's renderer is
imported when the first line is shown.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cached_property
from json import dumps
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TextIO, TypeAlias

import msgspec

from symphony.commons.errors import SymphonyError
from symphony.commons.secrets import scrub, scrub_value
from symphony.commons.values import Value

LevelName: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
Event: TypeAlias = dict[str, Value]

ROOT = "symphony"
FILE_NAME = "symphony.log"
_RESERVED = frozenset(("timestamp", "level", "logger", "event", "exception", "exc_info", "stack"))
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
CONTROLS_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_context: ContextVar[Mapping[str, object]] = ContextVar("log", default=MappingProxyType({}))


class LoggingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`levels` are by room, as in {"pit.tracker": "debug"}, or library; the longest name wins."""

    level: LevelName = "info"
    console: LevelName = "warning"
    file: bool = True
    max_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 10_000_000
    backups: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5
    levels: dict[str, LevelName] = {}


class Logger:
    """Writes events of one room. An event is a constant phrase; what varies goes into facts."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def debug(self, event: str, /, **facts: object) -> None:
        self.log("debug", event, **facts)

    def info(self, event: str, /, **facts: object) -> None:
        self.log("info", event, **facts)

    def warning(self, event: str, /, **facts: object) -> None:
        self.log("warning", event, **facts)

    def error(self, event: str, /, **facts: object) -> None:
        self.log("error", event, **facts)

    def exception(self, event: str, /, **facts: object) -> None:
        """An error with the exception that is being handled as its fact `error`."""
        self.log("error", event, error=sys.exception(), **facts)

    def log(self, level: LevelName, event: str, /, **facts: object) -> None:
        """An exception object as the fact `error` is recorded with its traceback and its code."""
        number = _number(level)
        if self._logger.isEnabledFor(number):
            error = facts.get("error")
            cause = error if isinstance(error, BaseException) else None
            self._logger.log(number, "%s", event, exc_info=cause, extra={"facts": facts})


def get_logger(room: str) -> Logger:
    """The logger of a room, as in "pit.tracker"; cheap, for the top of a module."""
    return Logger(room)


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Add facts to every event in the block, also of tasks and threads that it starts."""
    token = _context.set({**_context.get(), **facts})
    try:
        yield
    finally:
        _context.reset(token)


def configure(
    settings: LoggingConfig,
    folder: Path,
    *,
    console: TextIO | None = None,
    json: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Callable[[], None]:
    """Log to `console` (whatever `sys.stderr` is by then) and to a file in `folder`.

    Returns what undoes it. Raises a `files.*` error if the file cannot be opened; one that cannot
    be written later is reported once on stderr and costs no caller anything.
    """
    handlers = [_console(settings, console, json=json, environ=environ)]
    if settings.file:
        from symphony.commons.logfile import RotatingFile

        file = RotatingFile(folder / FILE_NAME, settings.max_bytes, settings.backups)
        file.setFormatter(JsonLines())
        handlers.append(file)
    before = _set_levels(_levels(settings))
    for handler in handlers:
        logging.getLogger().addHandler(handler)

    def close() -> None:
        for handler in handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()
        _set_levels(before)

    return close


def _levels(settings: LoggingConfig) -> dict[str, int]:
    """By name of a standard library's logger; a name may be a room or a library."""
    levels = {ROOT: _number(settings.level)}
    for name, level in settings.levels.items():
        levels[name] = levels[f"{ROOT}.{name}"] = _number(level)
    return levels


def _set_levels(levels: Mapping[str, int]) -> dict[str, int]:
    """Set them; returns those that were set before."""
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    return before


def _number(level: LevelName) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


class Stderr(logging.StreamHandler[TextIO]):
    """Writes to the `sys.stderr` of the moment, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _console(
    settings: LoggingConfig, stream: TextIO | None, *, json: bool, environ: Mapping[str, str]
) -> logging.Handler:
    handler = Stderr() if stream is None else logging.StreamHandler(stream)
    handler.setLevel(_number(settings.console))
    coloured = (
        handler.stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    )
    handler.setFormatter(JsonLines() if json else ConsoleLines(coloured=coloured))
    return handler


class JsonLines(logging.Formatter):
    """One JSON object a line, times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return dumps({"timestamp": moment.isoformat(), **_event(record)}, ensure_ascii=False)


class ConsoleLines(logging.Formatter):
    """A line for people, times of the day in their time zone, nothing that controls a terminal."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    @cached_property
    def _render(self) -> Callable[[Event], str]:
        from structlog.dev import ConsoleRenderer, plain_traceback

        renderer = ConsoleRenderer(colors=self._coloured, exception_formatter=plain_traceback)
        return lambda event: renderer(None, "", event)

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone()
        event = {"timestamp": f"{moment:%H:%M:%S}", **_event(record)}
        return self._render({harmless(key): _shown(key, value) for key, value in event.items()})


def _event(record: logging.LogRecord) -> Event:
    """What a record says, as scrubbed plain data."""
    facts: Mapping[str, object] = {**_context.get(), **getattr(record, "facts", {})}
    event: Event = {
        "level": record.levelname.lower(),
        "logger": record.name.removeprefix(f"{ROOT}."),
        "event": scrub(record.getMessage()),
    }
    for name, value in facts.items():
        event[f"{name}_" if name in _RESERVED else name] = scrub_value(value, name)
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, SymphonyError):
        event["code"] = error.code
    if error is not None:
        event["exception"] = scrub("".join(traceback.format_exception(error))).rstrip("\n")
    return event


def _shown(key: str, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    return harmless(value, CONTROLS_IN_LINES if key == "exception" else CONTROLS)


def harmless(text: str, controls: re.Pattern[str] = CONTROLS) -> str:
    """`text` with what would control a terminal written as escapes."""
    return controls.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
