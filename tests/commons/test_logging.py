from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.errors import ExtraMissing
from symphony.commons.logging import (
    FILE_NAME,
    JsonLines,
    LevelName,
    LoggingConfig,
    bound,
    configure,
    get_logger,
)
from symphony.commons.secrets import HIDDEN, redact

log = get_logger("pit.tracker")

EVERYTHING = LoggingConfig(level="debug", console="debug", file=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def start() -> Iterator[Callable[..., io.StringIO]]:
    """Configures logging for the test; returns the console's stream."""
    closers: list[Callable[[], None]] = []

    def start(
        settings: LoggingConfig = EVERYTHING,
        folder: Path = Path("/nowhere"),
        console: io.StringIO | None = None,
        **options: Any,  # those of configure
    ) -> io.StringIO:
        stream = io.StringIO() if console is None else console
        closers.append(configure(settings, folder, console=stream, environ={}, **options))
        return stream

    yield start
    for close in closers:
        close()


def _json(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_line_holds_time_level_logger_event_and_facts(
    start: Callable[..., io.StringIO],
) -> None:
    stream = start(json=True)
    log.info("node finished", node="walk", seconds=0.5, path=Path("/x"), items=[1, None])
    (line,) = _json(stream)
    assert datetime.fromisoformat(str(line.pop("timestamp"))).utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "logger": "pit.tracker",
        "event": "node finished",
        "node": "walk",
        "seconds": 0.5,
        "path": "/x",
        "items": [1, None],
    }


def test_every_level_has_its_method(start: Callable[..., io.StringIO]) -> None:
    stream = start(json=True)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    log.log("critical", "e")
    assert [(line["event"], line["level"]) for line in _json(stream)] == [
        ("a", "debug"),
        ("b", "info"),
        ("c", "warning"),
        ("d", "error"),
        ("e", "critical"),
    ]


def test_console_line_is_for_people(start: Callable[..., io.StringIO]) -> None:
    stream = start()
    log.warning("node is slow", node="walk")
    line = stream.getvalue()
    assert line.split()[0].count(":") == 2
    assert line.split()[1:] == ["[warning", "]", "node", "is", "slow", "[pit.tracker]", "node=walk"]


@pytest.mark.parametrize(
    ("console", "environ", "coloured"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_colour_is_for_terminals_that_did_not_refuse_it(
    console: type[io.StringIO],
    environ: dict[str, str],
    coloured: bool,
    tmp_path: Path,
) -> None:
    stream = console()
    close = configure(EVERYTHING, tmp_path, console=stream, environ=environ)
    log.warning("look")
    close()
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_console_is_the_stderr_of_the_moment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    close = configure(EVERYTHING, tmp_path, environ={})
    replaced = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", replaced)
        log.warning("while replaced")
    log.warning("afterwards")
    close()
    assert "while replaced" in replaced.getvalue()
    assert "afterwards" in capsys.readouterr().err


def test_file_gets_its_own_level_and_json(
    start: Callable[..., io.StringIO], tmp_path: Path
) -> None:
    stream = start(LoggingConfig(), tmp_path / "logs")
    log.debug("neither")
    log.info("file only", name="caf\udce9 é")
    log.warning("both")
    lines = (tmp_path / "logs" / FILE_NAME).read_text("utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["file only", "both"]
    assert json.loads(lines[0])["name"] == "caf\udce9 é"
    assert "file only" not in stream.getvalue()
    assert "both" in stream.getvalue()


@pytest.mark.parametrize(
    ("levels", "lowest"),
    [
        ({}, ["info", "info", "info", "warning"]),
        ({"pit": "error"}, ["error", "error", "info", "warning"]),
        ({"pit": "error", "pit.tracker": "debug"}, ["error", "debug", "info", "warning"]),
        ({"lib": "info", "pit.track": "error"}, ["info", "info", "info", "info"]),
    ],
)
def test_level_of_a_room_or_library_goes_by_the_longest_name(
    start: Callable[..., io.StringIO], levels: dict[str, LevelName], lowest: list[str]
) -> None:
    settings = LoggingConfig(level="info", console="debug", file=False, levels=levels)
    stream = start(settings, json=True)
    names = ("symphony.pit", "symphony.pit.tracker", "symphony.ipc", "lib.inner")
    for name in names:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "said")
    first: dict[object, object] = {}
    for line in _json(stream):
        first.setdefault(line["logger"], line["level"])
    assert first == dict(zip(("pit", "pit.tracker", "ipc", "lib.inner"), lowest, strict=True))


def test_records_of_libraries_take_the_same_way(start: Callable[..., io.StringIO]) -> None:
    stream = start(json=True)
    with bound(run="r1"):
        logging.getLogger("httpx").warning("GET %s", "https://joe:pa55word@host/")
    (line,) = _json(stream)
    assert (line["logger"], line["run"]) == ("httpx", "r1")
    assert line["event"] == f"GET https://{HIDDEN}@host/"


def test_bound_facts_follow_tasks_and_threads_and_end_with_the_block(
    start: Callable[..., io.StringIO],
) -> None:
    stream = start(json=True)

    async def node(name: str) -> None:
        with bound(node=name):
            await asyncio.sleep(0)
            log.info("in task")
            await asyncio.to_thread(log.info, "in thread")

    async def main() -> None:
        with bound(run="r1", node="none"):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(node("a"))
                tasks.create_task(node("b"))
            log.info("after")
        log.info("outside")

    asyncio.run(main())
    lines = [(line["event"], line.get("run"), line.get("node")) for line in _json(stream)]
    assert sorted(lines[:4], key=str) == [
        ("in task", "r1", "a"),
        ("in task", "r1", "b"),
        ("in thread", "r1", "a"),
        ("in thread", "r1", "b"),
    ]
    assert lines[4:] == [("after", "r1", "none"), ("outside", None, None)]


def test_bound_facts_end_also_when_the_block_fails(start: Callable[..., io.StringIO]) -> None:
    stream = start(json=True)
    with pytest.raises(LookupError), bound(run="r1"):
        raise LookupError
    log.info("outside")
    assert "run" not in _json(stream)[0]


def test_fact_wins_over_a_bound_one_and_spares_what_the_line_needs(
    start: Callable[..., io.StringIO],
) -> None:
    stream = start(json=True)
    with bound(node="outer", level="bound"):
        log.info("said", node="inner", event="fact", timestamp=1)
    (line,) = _json(stream)
    assert (line["event"], line["level"], line["node"]) == ("said", "info", "inner")
    assert (line["event_"], line["level_"], line["timestamp_"]) == ("fact", "bound", 1)


def test_error_object_is_recorded_with_its_traceback_and_code(
    start: Callable[..., io.StringIO],
) -> None:
    stream = start(json=True)
    with pytest.raises(ExtraMissing) as caught:
        raise ExtraMissing("keyring", "keyring")
    log.error("secret not found", error=caught.value)
    (line,) = _json(stream)
    assert line["error"] == "The optional package 'keyring' is not installed."
    assert line["code"] == "commons.extra_missing"
    assert str(line["exception"]).startswith("Traceback (most recent call last):\n")
    assert "test_error_object_is_recorded" in str(line["exception"])


def test_exception_being_handled_need_not_be_named(start: Callable[..., io.StringIO]) -> None:
    stream = start(json=True)
    try:
        int("seven")
    except ValueError:
        log.exception("not a number", given="seven")
    (line,) = _json(stream)
    assert (line["level"], line["given"]) == ("error", "seven")
    assert str(line["exception"]).endswith("invalid literal for int() with base 10: 'seven'")
    assert "code" not in line


@pytest.mark.parametrize("json_lines", [True, False])
def test_secrets_reach_neither_facts_nor_events_nor_tracebacks(
    start: Callable[..., io.StringIO], json_lines: bool
) -> None:
    stream = start(json=json_lines)
    secret = redact("hunter2-logged")
    with pytest.raises(LookupError) as caught:
        raise LookupError(f"no {secret}")
    with bound(bound_fact=secret):
        log.error(secret, error=caught.value, facts={"deep": [secret]}, api_key="unknown")
    logging.getLogger("lib").warning("said %s", secret)
    said = stream.getvalue()
    assert HIDDEN in said
    assert "Traceback" in said
    assert secret not in said
    assert "unknown" not in said


def test_nothing_that_is_logged_controls_the_terminal(start: Callable[..., io.StringIO]) -> None:
    stream = start()
    hostile = "name\x1b]0;owned\x07\r\nforged line\udce9\x9b"
    with pytest.raises(LookupError) as caught:
        raise LookupError(hostile)
    log.warning(hostile, name=hostile, nested=[hostile], error=caught.value, **{hostile: 1})
    first, *traceback = stream.getvalue().split("\n")
    assert "forged line" in first
    assert traceback[0].startswith("Traceback")
    assert traceback[1].startswith("  File")
    assert not set(stream.getvalue()) & set("\x1b\x07\r\udce9\x9b")


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_object_without_text_does_not_fail_its_caller(start: Callable[..., io.StringIO]) -> None:
    stream = start(json=True)
    log.info("odd", thing=Broken(), number=float("nan"))
    assert _json(stream)[0]["thing"] == "<Broken that has no text>"


def test_closing_restores_what_was_before(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    settings = LoggingConfig(level="debug", levels={"pit": "error", "closelib": "info"})
    close = configure(settings, tmp_path, console=io.StringIO(), environ={})
    assert len(root.handlers) == len(before) + 2
    close()
    assert root.handlers == before
    names = ("symphony", "symphony.pit", "closelib")
    assert {logging.getLogger(name).level for name in names} == {logging.NOTSET}


def test_unconfigured_logger_speaks_to_the_program_that_embeds_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log.info("not asked for")
    log.warning("100% sure", node="walk")
    assert caplog.record_tuples == [("symphony.pit.tracker", logging.WARNING, "100% sure")]


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.text(max_size=8) | st.floats() | st.binary(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.integers(), inner, max_size=3)
            ),
            max_leaves=4,
        ),
        max_size=3,
    )
)
@settings(max_examples=50)
def test_any_facts_make_one_valid_line(facts: dict[str, object]) -> None:
    record = logging.LogRecord("symphony.x", logging.INFO, "", 1, "%s", ("said",), None)
    record.facts = facts
    line = JsonLines().format(record).encode("utf-8", "backslashreplace").decode()
    assert "\n" not in line
    assert json.loads(line, parse_constant=pytest.fail)["event"] == "said"


def test_import_and_set_up_bring_neither_structlog_nor_rich(tmp_path: Path) -> None:
    program = (
        "import sys; from symphony.commons import logging; from pathlib import Path;"
        "logging.configure(logging.LoggingConfig(), Path(sys.argv[1]));"
        "logging.get_logger('x').info('to the file');"
        "assert not {'structlog', 'rich', 'asyncio'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / FILE_NAME).stat().st_size > 0
