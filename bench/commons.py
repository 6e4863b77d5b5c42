"""The ground floor's speed: audit log, prechecks, durable writes.

    python bench/commons.py [--json] [--rows 100000] [--passes 5] [--dir FOLDER]

Every figure is the median over the passes, in which ours and the peer take turns; times are in
milliseconds, and a ratio under 1 means that ours is faster. The peers are what one would write
without us: a log file of JSON lines scanned from the start, a plain SQLite insert that is just as
durable (but not chained), checks as `if` statements, and write + fsync + rename without making
the name durable. FOLDER (default: the folder for temporary files) should lie on a real disk.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from symphony.commons.audit import AuditFilter, AuditLog, Draft
from symphony.commons.clock import SystemClock
from symphony.commons.files import write_atomic
from symphony.commons.precheck import (
    Rule,
    all_of,
    folder_readable,
    folder_writable,
    free_space,
    in_range,
    matches,
    max_length,
    on,
    one_of,
)

ACTORS, ACTIONS, SUBJECTS = 50, 20, 5000
Row = dict[str, str | float | bool | None]


class Job(NamedTuple):
    name: str
    folder: Path
    workers: int
    mode: str


def timed(call: Callable[[], object], repeat: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat * 1000


def compare(
    ours: Callable[[], object], peer: Callable[[], object], passes: int, repeat: tuple[int, int]
) -> tuple[float, float]:
    """The medians of both, who take turns."""
    pairs = [(timed(ours, repeat[0]), timed(peer, repeat[1])) for _ in range(passes)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def row(measure: str, ours: float, peer: float, peer_name: str, goal: float | None = None) -> Row:
    return {
        "measure": measure,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "peer_name": peer_name,
        "ratio": round(ours / peer, 3),
        "goal": None if goal is None else f"< {goal:g} ms",
        "met": None if goal is None else ours < goal,
    }


def draft(number: int) -> Draft:
    """Spread so that each actor, action and subject occurs all over the log."""
    return Draft(
        f"user-{number * 7 % ACTORS}",
        f"permission.{number * 11 % ACTIONS}",
        f"extension/{number * 13 % SUBJECTS}",
        "denied" if number % 97 == 0 else "allowed",
        {"path": f"/data/{number}", "attempt": number % 3},
    )


def fill(log: AuditLog, lines: Path, rows: int) -> None:
    with lines.open("w", encoding="utf-8") as file:
        for start in range(0, rows, 10_000):
            entries = log.append_all(map(draft, range(start, min(start + 10_000, rows))))
            for entry in entries:
                fields = (entry.seq, entry.actor, entry.action, entry.subject, entry.outcome)
                file.write(json.dumps(fields) + "\n")


def scan(lines: Path, wanted: AuditFilter) -> int:
    """The first 100 that agree; what a log file needs for the same answer."""
    found = 0
    with lines.open(encoding="utf-8") as file:
        for line in file:
            _, actor, action, subject, outcome = json.loads(line)
            found += (
                wanted.actor in (None, actor)
                and wanted.action in (None, action)
                and wanted.subject in (None, subject)
                and wanted.outcome in (None, outcome)
            )
            if found == 100:
                break
    return found


def measure_queries(folder: Path, rows: int, passes: int) -> Iterator[Row]:
    kinds = {
        "by actor": AuditFilter(actor="user-7"),
        "by subject": AuditFilter(subject="extension/4711"),
        "by actor, action and outcome": AuditFilter(
            actor="user-7", action="permission.1", outcome="denied"
        ),
        "by outcome, no index": AuditFilter(outcome="denied"),
        "nothing found, no index": AuditFilter(outcome="nothing"),
    }
    lines = folder / "audit.jsonl"
    with closing(AuditLog(folder / "audit.db", SystemClock())) as log:
        fill(log, lines, rows)
        for kind, wanted in kinds.items():
            found = len(log.query(wanted))
            if found != scan(lines, wanted):
                raise SystemExit(f"query {kind!r} and scan disagree")
            ours, peer = compare(
                partial(log.query, wanted), partial(scan, lines, wanted), passes, (5, 1)
            )
            measure = f"audit query of {rows:,} rows, {kind} ({found} found)"
            yield row(measure, ours, peer, "JSON lines, scanned", 100)
        ours, peer = compare(log.verify, partial(parse, lines), passes, (1, 1))
        yield row(f"audit verify of {rows:,} rows", ours, peer, "JSON lines, parsed only")


def parse(lines: Path) -> None:
    with lines.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)


def measure_appends(folder: Path, passes: int) -> Row:
    with (
        closing(AuditLog(folder / "appends.db", SystemClock())) as log,
        closing(sqlite3.connect(folder / "plain.db", isolation_level=None)) as plain,
    ):
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute("PRAGMA synchronous = FULL")
        plain.execute("CREATE TABLE log (actor TEXT, action TEXT, subject TEXT, outcome TEXT)")
        values = ("user", "grant", "extension", "allowed")
        insert = "INSERT INTO log VALUES (?, ?, ?, ?)"
        ours, peer = compare(
            partial(log.append, *values), partial(plain.execute, insert, values), passes, (50, 50)
        )
    return row("audit append, durable", ours, peer, "SQLite insert, synchronous FULL")


def job_rule() -> Rule[Job]:
    return all_of(
        on(
            "name",
            lambda job: job.name,
            all_of(matches(r"[a-z][a-z0-9-]*", "a name"), max_length(64)),
        ),
        on("workers", lambda job: job.workers, in_range(1, 64)),
        on("mode", lambda job: job.mode, one_of(("fast", "safe"))),
        on(
            "folder",
            lambda job: job.folder,
            all_of(folder_readable(), folder_writable(), free_space(1 << 20)),
        ),
    )


def by_hand(job: Job, name: re.Pattern[str]) -> list[str]:
    faults = []
    if not name.fullmatch(job.name) or len(job.name) > 64:
        faults.append("name")
    if not 1 <= job.workers <= 64:
        faults.append("workers")
    if job.mode not in ("fast", "safe"):
        faults.append("mode")
    os.scandir(job.folder).close()
    if not os.access(job.folder, os.W_OK | os.X_OK):
        faults.append("folder")
    if shutil.disk_usage(job.folder).free < 1 << 20:
        faults.append("space")
    return faults


def measure_prechecks(folder: Path, passes: int) -> Iterator[Row]:
    rule, name = job_rule(), re.compile(r"[a-z][a-z0-9-]*")
    good = Job("nightly-report", folder, 4, "safe")
    bad = Job("Nightly Report!", folder, 400, "wild")
    for kind, job, faults in (("holds", good, 0), ("three faults", bad, 3)):
        if len(rule.check(job)) != faults or len(by_hand(job, name)) != faults:
            raise SystemExit(f"the precheck that {kind} found something else")
        ours, peer = compare(
            partial(rule.check, job), partial(by_hand, job, name), passes, (500, 500)
        )
        yield row(f"precheck of 7 rules, {kind}", ours, peer, "`if` statements", 1)


def write_plainly(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def measure_writes(folder: Path, passes: int) -> Iterator[Row]:
    for size in (4 << 10, 1 << 20):
        data = os.urandom(size)
        ours, peer = compare(
            partial(write_atomic, folder / "ours", data),
            partial(write_plainly, folder / "plain", data),
            passes,
            (20, 20),
        )
        measure = f"atomic durable write of {size >> 10} KiB"
        yield row(measure, ours, peer, "write + fsync + rename")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = Path(name)
        rows = [
            *measure_queries(folder, options.rows, options.passes),
            measure_appends(folder, options.passes),
            *measure_prechecks(folder, options.passes),
            *measure_writes(folder, options.passes),
        ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for each in rows:
        print(" | ".join(f"{key} {value}" for key, value in each.items() if value is not None))


if __name__ == "__main__":
    main()
