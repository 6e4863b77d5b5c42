"""An append-only record of who did what to what, in which every row vouches for all before it.

Each row holds the SHA-256 of its own content and of the row before, so an edit, a removal, an
insertion or a reordering breaks the chain at that row; a stored head (count and last hash) shows
when the end was cut off. Triggers stop accidents and plain SQL. What none of this can stop is
someone who may write the file and rebuilds the whole chain: against that keep the `Anchor` that
`verify` returns in another place, and give it to a later `verify`. SHA-256 rather than the faster
BLAKE3, because a log should be checkable anywhere in twenty years; the disk is the slow part.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TextIO, TypeAlias

import msgspec

from symphony.commons.clock import Clock
from symphony.commons.errors import Category, SymphonyError
from symphony.commons.sqlite import database_errors, open_database, open_reader, transaction
from symphony.commons.values import Value

_APPLICATION_ID: Final = 0x53594155  # "SYAU"
_MIGRATIONS: Final = (
    """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, outcome TEXT NOT NULL, details TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE INDEX entries_actor ON entries (actor);
CREATE INDEX entries_action ON entries (action);
CREATE INDEX entries_subject ON entries (subject);
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, zeroblob(32));
CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER entries_are_not_removed BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER head_follows_entries AFTER INSERT ON entries BEGIN
    UPDATE head SET count = NEW.seq, hash = NEW.hash;
END;
CREATE TRIGGER head_is_not_changed BEFORE UPDATE ON head
WHEN NEW.count IS NOT OLD.count + 1
    OR NEW.hash IS NOT (SELECT hash FROM entries WHERE seq = NEW.count) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER head_is_not_replaced BEFORE INSERT ON head BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER head_is_not_removed BEFORE DELETE ON head BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
""",
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_VERIFY: Final = """
SELECT seq, at, CAST(actor AS BLOB), CAST(action AS BLOB), CAST(subject AS BLOB),
    CAST(outcome AS BLOB), CAST(details AS BLOB), hash
FROM entries ORDER BY seq
"""
#: A cell that begins so would be run as a formula by a spreadsheet.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_Row: TypeAlias = tuple[int, int, str, str, str, str, str, bytes]
_RawRow: TypeAlias = tuple[int, int, bytes, bytes, bytes, bytes, bytes, bytes]


class Draft(msgspec.Struct, frozen=True):
    """What to record; `at` is filled in when it is appended."""

    actor: str
    action: str
    subject: str
    outcome: str
    details: Mapping[str, Value] = {}


class AuditEntry(msgspec.Struct, frozen=True):
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    outcome: str
    details: dict[str, Value]
    hash: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that agree with every field given; `since` is included, `until` is not."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Anchor(msgspec.Struct, frozen=True):
    """The state of a log: how many entries, and the hash that stands for all of them."""

    count: int
    hash: str


class AuditBroken(SymphonyError):
    """The log was tampered with or damaged; entries before `row` are as they were written."""

    code = "audit.broken"
    category = Category.SERIALIZATION

    def __init__(self, path: Path, row: int, reason: str) -> None:
        self.path = path
        self.row = row
        self.reason = reason
        super().__init__(
            f"The audit log {path} is broken at row {row}: {reason}.",
            hint="Keep a copy of the file as evidence; rows before it can be trusted.",
        )


class AuditLog:
    """The log in the database at `path`; several threads and processes may append to one.

    An entry that `append` returned is on the disk, even if the power fails. Everything blocks;
    reads hold up no writer. Details must hold no secrets: what is appended stays for ever.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._db = open_database(
            path, application_id=_APPLICATION_ID, migrations=_MIGRATIONS, synchronous="FULL"
        )

    def close(self) -> None:
        self._db.close()

    def append(
        self,
        actor: str,
        action: str,
        subject: str,
        outcome: str,
        details: Mapping[str, Value] = MappingProxyType({}),
    ) -> AuditEntry:
        return self.append_all([Draft(actor, action, subject, outcome, details)])[0]

    def append_all(self, drafts: Iterable[Draft]) -> list[AuditEntry]:
        """All or none, for the price of one durable write."""
        texts = [_texts(draft) for draft in drafts]
        with self._lock, database_errors(self.path), transaction(self._db):
            count, head = self._db.execute("SELECT count, hash FROM head").fetchone()
            at = (self._clock.now() - _EPOCH) // _MICROSECOND
            rows: list[_Row] = []
            for seq, row_texts in enumerate(texts, count + 1):
                head = _link(head, seq, at, [text.encode() for text in row_texts])
                rows.append((seq, at, *row_texts, head))
            self._insert(rows, count)
        return [self._entry(row) for row in rows]

    def _insert(self, rows: list[_Row], count: int) -> None:
        try:
            self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.IntegrityError as error:
            raise AuditBroken(self.path, count + 1, "it is not where the log ends") from error

    def query(
        self,
        wanted: AuditFilter = AuditFilter(),  # noqa: B008 - frozen
        *,
        limit: int = 100,
        after: int | None = None,
        newest_first: bool = False,
    ) -> list[AuditEntry]:
        """One page; `after` is the `seq` of the last entry of the page before."""
        conditions, values = _conditions(wanted)
        if after is not None:
            conditions.append("seq < ?" if newest_first else "seq > ?")
            values.append(after)
        statement = _select(conditions) + (" DESC LIMIT ?" if newest_first else " LIMIT ?")
        with self._reading() as db:
            return [self._entry(row) for row in db.execute(statement, (*values, limit))]

    def export(
        self,
        stream: TextIO,
        form: Literal["json", "csv"],
        wanted: AuditFilter = AuditFilter(),  # noqa: B008 - frozen
    ) -> int:
        """Write all wanted entries, oldest first, in constant memory, and return how many.

        JSON is exact. CSV is for spreadsheets: text that one would run as a formula gets an
        apostrophe in front. Open the stream with `newline=""`.
        """
        conditions, values = _conditions(wanted)
        with self._reading() as db:
            entries = (self._entry(row) for row in db.execute(_select(conditions), values))
            return (_write_json if form == "json" else _write_csv)(stream, entries)

    def verify(self, anchor: Anchor | None = None) -> Anchor:
        """Check every row, and the anchor of an earlier verification; raises AuditBroken."""
        last = Anchor(0, bytes(32).hex())
        with self._reading() as db:
            head = self._head(db)
            for row in db.execute(_VERIFY):
                last = self._follow(last, row)
                if anchor is not None and last.count == anchor.count and last != anchor:
                    raise AuditBroken(self.path, last.count, "it is not the one of the anchor")
        self._require_end(last, max(head.count, anchor.count if anchor else 0))
        if last != head:
            raise AuditBroken(self.path, last.count, "it is not where the log ends")
        return last

    def _head(self, db: sqlite3.Connection) -> Anchor:
        row = db.execute("SELECT count, hash FROM head").fetchone()
        if row is None:
            raise AuditBroken(self.path, 1, "the record of where the log ends is gone")
        return Anchor(row[0], bytes(row[1]).hex())

    def _follow(self, last: Anchor, row: _RawRow) -> Anchor:
        seq, at, *texts, found = row
        if seq != last.count + 1:
            raise AuditBroken(self.path, last.count + 1, "it is missing")
        if _link(bytes.fromhex(last.hash), seq, at, texts) != found:
            raise AuditBroken(self.path, seq, "its content, or its place in the log, was changed")
        return Anchor(seq, found.hex())

    def _require_end(self, last: Anchor, expected: int) -> None:
        if last.count < expected:
            missing = f"it and all after it, up to row {expected}, were cut off"
            raise AuditBroken(self.path, last.count + 1, missing)

    def _entry(self, row: _Row) -> AuditEntry:
        seq, at, actor, action, subject, outcome, text, digest = row
        moment = _EPOCH + at * _MICROSECOND
        try:
            details = json.loads(text)
        except ValueError as error:
            raise AuditBroken(self.path, seq, "its details cannot be read") from error
        return AuditEntry(seq, moment, actor, action, subject, outcome, details, digest.hex())

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One moment of the log, however long the reading takes."""
        try:
            with database_errors(self.path), closing(open_reader(self.path)) as db:
                # Damaged text is for `verify` to tell; a query shows what it can.
                db.text_factory = lambda raw: raw.decode("utf-8", "replace")
                db.execute("BEGIN")
                yield db
        except sqlite3.OperationalError as error:
            raise AuditBroken(self.path, 1, f"its tables were changed ({error})") from error


def _texts(draft: Draft) -> tuple[str, str, str, str, str]:
    """The text columns. Undecodable bytes of file names become `\\udcff` and the like."""
    details = json.dumps(
        dict(draft.details), sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    plain = (draft.actor, draft.action, draft.subject, draft.outcome)
    actor, action, subject, outcome = (
        text.encode("utf-8", "backslashreplace").decode() for text in plain
    )
    return actor, action, subject, outcome, details


def _link(previous: bytes, seq: int, at: int, texts: Sequence[bytes]) -> bytes:
    """Every part is preceded by its length: no two different rows look alike."""
    parts = (previous, str(seq).encode(), str(at).encode(), *texts)
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()


def _conditions(wanted: AuditFilter) -> tuple[list[str], list[str | int]]:
    tests: dict[str, str | int | None] = {
        "actor = ?": wanted.actor,
        "action = ?": wanted.action,
        "subject = ?": wanted.subject,
        "outcome = ?": wanted.outcome,
        "at >= ?": _microseconds(wanted.since),
        "at < ?": _microseconds(wanted.until),
    }
    given = {test: value for test, value in tests.items() if value is not None}
    return list(given), list(given.values())


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def _select(conditions: Sequence[str]) -> str:
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT * FROM entries{where} ORDER BY seq"  # noqa: S608 - our own words


def _write_json(stream: TextIO, entries: Iterable[AuditEntry]) -> int:
    """The standard library's encoder, since it takes undecodable file names."""
    count = 0
    stream.write("[")
    for entry in entries:
        count += 1
        stream.write(",\n" if count > 1 else "\n")
        stream.write(json.dumps(msgspec.to_builtins(entry)))
    stream.write("\n]\n")
    return count


def _write_csv(stream: TextIO, entries: Iterable[AuditEntry]) -> int:
    count = 0
    writer = csv.writer(stream)
    writer.writerow(AuditEntry.__struct_fields__)
    for entry in entries:
        count += 1
        texts = (entry.actor, entry.action, entry.subject, entry.outcome)
        cells = [f"'{text}" if text.startswith(_FORMULA_STARTS) else text for text in texts]
        details = json.dumps(entry.details, sort_keys=True)
        writer.writerow([entry.seq, entry.at.isoformat(), *cells, details, entry.hash])
    return count
