from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.audit import Anchor, AuditBroken, AuditFilter, AuditLog, Draft
from symphony.commons.clock import SystemClock
from symphony.commons.sqlite import DatabaseCorrupt
from symphony.commons.values import Value
from symphony.testing import FakeClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VALUES: st.SearchStrategy[Value] = st.recursive(st.none() | st.text(), st.lists, max_leaves=5)
DRAFTS = st.builds(
    Draft, st.text(), st.text(), st.text(), st.text(), st.dictionaries(st.text(), VALUES)
)
#: Appends `argv[2]` entries as actor `argv[3]`, and prints the number of each once it is safe.
APPENDER = """
import sys
from pathlib import Path
from symphony.commons.audit import AuditLog
from symphony.commons.clock import SystemClock
log = AuditLog(Path(sys.argv[1]), SystemClock())
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    print(log.append(sys.argv[3], "count", str(number), "done").seq, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def log(path: Path, clock: FakeClock) -> Iterator[AuditLog]:
    with closing(AuditLog(path, clock)) as opened:
        yield opened


def fill(log: AuditLog, count: int = 5) -> None:
    for number in range(1, count + 1):
        log.append("user", "grant", f"extension {number}", "allowed", {"number": number})


def tamper(path: Path, *statements: str) -> None:
    """Change the file as someone who owns it can: without the triggers."""
    with closing(sqlite3.connect(path)) as db:
        triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        db.commit()


class TestAppend:
    def test_entries_are_numbered_and_dated(self, log: AuditLog, clock: FakeClock) -> None:
        first = log.append("ada", "grant", "net", "allowed", {"host": "example.org"})
        asyncio.run(clock.advance(1.5))
        second = log.append("bob", "revoke", "net", "denied")
        assert (first.seq, first.at, first.details) == (1, NOON, {"host": "example.org"})
        assert (second.seq, second.at) == (2, NOON + timedelta(seconds=1.5))
        assert log.query() == [first, second]

    def test_many_at_once_are_all_or_none(self, log: AuditLog) -> None:
        drafts = [Draft("a", "b", str(number), "d") for number in range(3)]
        assert [entry.seq for entry in log.append_all(drafts)] == [1, 2, 3]
        not_json: dict[str, Value] = {"x": float("nan")}
        with pytest.raises(ValueError, match="JSON"):
            log.append_all([drafts[0], Draft("a", "b", "c", "d", not_json)])
        assert log.verify().count == 3

    def test_nothing_to_append_is_fine(self, log: AuditLog) -> None:
        assert log.append_all([]) == []
        assert log.verify() == Anchor(0, "00" * 32)

    @pytest.mark.slow
    @settings(max_examples=15, deadline=None)
    @given(drafts=st.lists(DRAFTS, max_size=20))
    def test_any_text_comes_back_and_verifies(
        self, tmp_path_factory: pytest.TempPathFactory, drafts: list[Draft]
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any-text" / "audit.db"
        with closing(AuditLog(path, FakeClock(NOON))) as log:
            before = log.verify().count
            log.append_all(drafts)
            found = log.query(after=before)
            assert [(e.actor, e.action, e.subject, e.outcome, e.details) for e in found] == [
                (d.actor, d.action, d.subject, d.outcome, d.details) for d in drafts
            ]
            assert log.verify().count == before + len(drafts)

    def test_undecodable_file_names_are_kept_readable(self, log: AuditLog) -> None:
        log.append("a", "read", os.fsdecode(b"caf\xe9.txt"), "done", {"name": "caf\udce9"})
        (entry,) = log.query()
        assert entry.subject == "caf\\udce9.txt"
        assert entry.details == {"name": "caf\udce9"}
        assert log.export(io.StringIO(), "json") == 1
        log.verify()

    def test_reopening_goes_on_where_it_ended(self, path: Path, clock: FakeClock) -> None:
        for number in (1, 2, 3):
            with closing(AuditLog(path, clock)) as log:
                assert log.append("a", "b", "c", "d").seq == number
        with closing(AuditLog(path, clock)) as log:
            assert log.verify().count == 3

    def test_threads_may_append_together(self, log: AuditLog) -> None:
        def append() -> None:
            fill(log, 20)

        threads = [threading.Thread(target=append) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.verify().count == 80

    def test_the_chain_can_be_checked_with_nothing_but_sha256(self, log: AuditLog) -> None:
        """The format is for ever: this is written down independently of the code."""
        log.append("ada", "grant", "net", "allowed", {"b": 1, "a": "ü"})
        parts = [bytes(32), b"1", str(int(NOON.timestamp() * 1e6)).encode()]
        parts += [b"ada", b"grant", b"net", b"allowed", b'{"a":"\\u00fc","b":1}']
        framed = b"".join(str(len(part)).encode() + b":" + part for part in parts)
        assert log.query()[0].hash == hashlib.sha256(framed).hexdigest()

    def test_a_full_disk_is_told_and_loses_nothing_acknowledged(
        self, on_small_disk: Callable[[str], str]
    ) -> None:
        printed = on_small_disk("""
from pathlib import Path
from symphony.commons.audit import AuditLog
from symphony.commons.clock import SystemClock
from symphony.commons.files import DiskFull
path = Path.cwd() / "audit.db"
log, acknowledged = AuditLog(path, SystemClock()), 0
try:
    while True:
        log.append("a", "b", "c" * 10_000, "d")
        acknowledged += 1
except DiskFull as error:
    print(error.code, acknowledged > 3)
print(log.verify().count == acknowledged)
""")
        assert printed.splitlines() == ["files.disk_full True", "True"]


class TestSeveralProcesses:
    def start(self, path: Path, count: int, actor: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(path), str(count), actor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self, child: subprocess.Popen[str]) -> subprocess.Popen[str]:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    def test_they_share_one_chain(self, path: Path) -> None:
        """The essential end to end: real processes, started together, one log."""
        children = [self.start(path, 25, f"process {n}") for n in range(3)]
        for child in children:
            self.ready(child)
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        printed = [child.communicate(timeout=30)[0].split() for child in children]
        assert sorted(int(seq) for seqs in printed for seq in seqs) == list(range(1, 76))
        with closing(AuditLog(path, SystemClock())) as log:
            assert log.verify().count == 75
            for n in range(3):
                mine = log.query(AuditFilter(actor=f"process {n}"))
                assert [entry.subject for entry in mine] == [str(number) for number in range(25)]

    @pytest.mark.slow
    @pytest.mark.parametrize("appended", [1, 7, 40, 41, 150])
    def test_killed_while_appending_it_loses_nothing_acknowledged(
        self, path: Path, appended: int
    ) -> None:
        with self.ready(self.start(path, 1_000_000, "victim")) as victim:
            assert victim.stdin is not None
            assert victim.stdout is not None
            victim.stdin.write("go\n")
            victim.stdin.flush()
            seen = [int(victim.stdout.readline()) for _ in range(appended)]
            victim.send_signal(signal.SIGKILL)
            # What was printed before the kill arrived counts as acknowledged too.
            seen += [int(line) for line in victim.stdout.read().split()]
        assert victim.returncode == -signal.SIGKILL
        assert seen == list(range(1, len(seen) + 1))
        with closing(AuditLog(path, SystemClock())) as log:
            assert log.verify().count in (len(seen), len(seen) + 1)
            assert log.append("survivor", "count", "on", "done").seq >= len(seen) + 1
            log.verify()


class TestVerify:
    @pytest.fixture
    def filled(self, path: Path, clock: FakeClock) -> Path:
        with closing(AuditLog(path, clock)) as log:
            fill(log)
        return path

    def verify(self, path: Path, anchor: Anchor | None = None) -> Anchor:
        with closing(AuditLog(path, FakeClock(NOON))) as log:
            return log.verify(anchor)

    def test_an_untouched_log_holds(self, filled: Path) -> None:
        anchor = self.verify(filled)
        assert anchor.count == 5
        assert self.verify(filled, anchor) == anchor

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE entries SET outcome = 'denied' WHERE seq = 3",
            "DELETE FROM entries WHERE seq = 3",
            "DELETE FROM entries",
            "INSERT INTO entries VALUES (9, 0, 'a', 'b', 'c', 'd', '{}', zeroblob(32))",
            "REPLACE INTO entries VALUES (3, 0, 'a', 'b', 'c', 'd', '{}', zeroblob(32))",
            "UPDATE head SET count = 4",
            "UPDATE head SET count = 6",
            "UPDATE head SET hash = zeroblob(32)",
            "REPLACE INTO head VALUES (1, 4, zeroblob(32))",
            "DELETE FROM head",
        ],
    )
    def test_plain_sql_cannot_change_it(self, filled: Path, statement: str) -> None:
        with (
            closing(sqlite3.connect(filled)) as db,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            db.execute(statement)
        assert self.verify(filled).count == 5

    @pytest.mark.parametrize(
        ("row", "statements"),
        [
            (1, ["UPDATE entries SET actor = 'eve' WHERE seq = 1"]),
            (3, ["UPDATE entries SET action = 'x' WHERE seq = 3"]),
            (3, ["UPDATE entries SET subject = 'x' WHERE seq = 3"]),
            (3, ["UPDATE entries SET outcome = 'denied' WHERE seq = 3"]),
            (3, ["UPDATE entries SET details = '{}' WHERE seq = 3"]),
            (3, ["UPDATE entries SET at = at + 1 WHERE seq = 3"]),
            (3, ["UPDATE entries SET hash = zeroblob(32) WHERE seq = 3"]),
            (3, ["UPDATE entries SET subject = CAST(x'ff' AS TEXT) WHERE seq = 3"]),
            # Two columns whose joined text stays the same.
            (2, ["UPDATE entries SET actor = 'userg', action = 'rant' WHERE seq = 2"]),
            # Cut at the beginning and in the middle, with and without renumbering.
            (1, ["DELETE FROM entries WHERE seq = 1"]),
            (3, ["DELETE FROM entries WHERE seq = 3"]),
            (
                3,
                [
                    "DELETE FROM entries WHERE seq = 3",
                    "UPDATE entries SET seq = seq - 1 WHERE seq > 3",
                ],
            ),
            # Reordered.
            (
                2,
                [
                    "UPDATE entries SET seq = 99 WHERE seq = 2",
                    "UPDATE entries SET seq = 2 WHERE seq = 3",
                    "UPDATE entries SET seq = 3 WHERE seq = 99",
                ],
            ),
            # The end cut off, also with the record of where it was.
            (4, ["DELETE FROM entries WHERE seq > 3"]),
            (1, ["DELETE FROM entries"]),
            (1, ["DELETE FROM head"]),
            (5, ["UPDATE head SET count = 4"]),
            (5, ["UPDATE head SET hash = zeroblob(32)"]),
            (1, ["DROP TABLE entries"]),
            (1, ["ALTER TABLE head RENAME TO tail"]),
        ],
    )
    def test_tampering_is_told_with_the_first_bad_row(
        self, filled: Path, row: int, statements: list[str]
    ) -> None:
        tamper(filled, *statements)
        with pytest.raises(AuditBroken) as caught:
            self.verify(filled)
        assert caught.value.row == row
        assert caught.value.code == "audit.broken"

    def test_an_anchor_shows_a_cut_that_hides_its_traces(self, filled: Path) -> None:
        anchor = self.verify(filled)
        tamper(
            filled,
            "DELETE FROM entries WHERE seq > 3",
            "UPDATE head SET count = 3, hash = (SELECT hash FROM entries WHERE seq = 3)",
        )
        assert self.verify(filled).count == 3
        with pytest.raises(AuditBroken, match="up to row 5, were cut off") as caught:
            self.verify(filled, anchor)
        assert caught.value.row == 4

    def test_an_anchor_shows_a_log_written_anew(self, filled: Path, tmp_path: Path) -> None:
        anchor = self.verify(filled)
        with closing(AuditLog(tmp_path / "forged.db", FakeClock(NOON))) as forged:
            fill(forged, 4)
            forged.append("user", "grant", "extension 5", "denied")
            fill(forged, 2)
            assert forged.verify().count == 7
            with pytest.raises(AuditBroken, match="not the one of the anchor") as caught:
                forged.verify(anchor)
        assert caught.value.row == 5

    def test_appending_behind_a_forged_end_is_refused(self, filled: Path) -> None:
        tamper(filled, "UPDATE head SET count = 3")
        with (
            closing(AuditLog(filled, FakeClock(NOON))) as log,
            pytest.raises(AuditBroken, match="where the log ends"),
        ):
            log.append("a", "b", "c", "d")

    def test_a_query_shows_damaged_text_and_tells_damaged_details(self, filled: Path) -> None:
        tamper(filled, "UPDATE entries SET subject = CAST(x'ff' AS TEXT) WHERE seq = 3")
        with closing(AuditLog(filled, FakeClock(NOON))) as log:
            assert log.query()[2].subject == "\ufffd"
        tamper(filled, "UPDATE entries SET details = '{' WHERE seq = 4")
        with closing(AuditLog(filled, FakeClock(NOON))) as log:
            with pytest.raises(AuditBroken) as caught:
                log.query()
            assert caught.value.row == 4

    def test_a_damaged_file_is_no_audit_log(self, filled: Path) -> None:
        filled.write_bytes(b"not a database at all, whatever its name says" * 10)
        with pytest.raises(DatabaseCorrupt):
            self.verify(filled)

    def test_verifying_does_not_hold_up_writers(self, log: AuditLog) -> None:
        fill(log)
        with log._reading() as reader:
            assert reader.execute("SELECT count(*) FROM entries").fetchone() == (5,)
            log.append("a", "b", "c", "d")
            assert reader.execute("SELECT count(*) FROM entries").fetchone() == (5,)
        assert log.verify().count == 6


class TestQuery:
    @pytest.fixture
    def mixed(self, log: AuditLog, clock: FakeClock) -> AuditLog:
        asyncio.run(self.append_for_an_hour(log, clock))
        return log

    async def append_for_an_hour(self, log: AuditLog, clock: FakeClock) -> None:
        for number in range(60):
            actor, action = ("ada", "bob", "eve")[number % 3], ("read", "write")[number % 2]
            outcome = "denied" if actor == "eve" else "allowed"
            log.append(actor, action, f"file {number % 5}", outcome)
            await clock.advance(60)

    @pytest.mark.parametrize(
        "wanted",
        [
            AuditFilter(),
            AuditFilter(actor="ada"),
            AuditFilter(action="write"),
            AuditFilter(subject="file 3"),
            AuditFilter(outcome="denied"),
            AuditFilter(actor="eve", action="read", subject="file 2", outcome="denied"),
            AuditFilter(actor="ada", outcome="denied"),
            AuditFilter(since=NOON + timedelta(minutes=10), until=NOON + timedelta(minutes=20)),
            AuditFilter(actor="bob", since=NOON + timedelta(minutes=30)),
        ],
    )
    @pytest.mark.parametrize("newest_first", [False, True])
    def test_pages_add_up_to_what_a_plain_scan_finds(
        self, mixed: AuditLog, wanted: AuditFilter, newest_first: bool
    ) -> None:
        expected = [
            entry
            for entry in mixed.query(limit=1000)
            if wanted.actor in (None, entry.actor)
            and wanted.action in (None, entry.action)
            and wanted.subject in (None, entry.subject)
            and wanted.outcome in (None, entry.outcome)
            and (wanted.since is None or entry.at >= wanted.since)
            and (wanted.until is None or entry.at < wanted.until)
        ]
        found = page = mixed.query(wanted, limit=7, newest_first=newest_first)
        while page:
            last = page[-1].seq
            page = mixed.query(wanted, limit=7, after=last, newest_first=newest_first)
            found = found + page
        assert found == (expected[::-1] if newest_first else expected)

    def test_text_in_a_filter_is_never_sql(self, mixed: AuditLog) -> None:
        assert mixed.query(AuditFilter(actor="' OR 1 = 1 --")) == []


class TestExport:
    def test_json_holds_every_entry_exactly(self, log: AuditLog) -> None:
        fill(log)
        stream = io.StringIO()
        assert log.export(stream, "json") == 5
        exported = json.loads(stream.getvalue())
        assert [entry["hash"] for entry in exported] == [entry.hash for entry in log.query()]
        assert exported[1] == {
            "seq": 2,
            "at": "2026-01-01T12:00:00Z",
            "actor": "user",
            "action": "grant",
            "subject": "extension 2",
            "outcome": "allowed",
            "details": {"number": 2},
            "hash": log.query()[1].hash,
        }

    def test_an_empty_export_is_valid(self, log: AuditLog) -> None:
        stream = io.StringIO()
        assert log.export(stream, "json") == 0
        assert json.loads(stream.getvalue()) == []

    def test_csv_reads_back_line_by_line_with_its_filter(self, log: AuditLog) -> None:
        fill(log)
        log.append('a "quoted", name', "x", "two\nlines", "done")
        stream = io.StringIO(newline="")
        assert log.export(stream, "csv", AuditFilter(action="x")) == 1
        (row,) = csv.DictReader(io.StringIO(stream.getvalue(), newline=""))
        assert (row["actor"], row["subject"]) == ('a "quoted", name', "two\nlines")
        assert row["at"] == "2026-01-01T12:00:00+00:00"

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
    def test_csv_runs_nothing_in_a_spreadsheet(self, log: AuditLog, start: str) -> None:
        log.append("a", "b", start + "1+1", "d")
        stream = io.StringIO(newline="")
        log.export(stream, "csv")
        (row,) = csv.DictReader(io.StringIO(stream.getvalue(), newline=""))
        assert row["subject"] == "'" + start + "1+1"
