"""SQLite as we use it: write-ahead log, explicit transactions, numbered migrations, our errors.

A database file says what it is: its `application_id` names the kind, its `user_version` counts
the migrations applied. A file of another program or of a newer Symphony is refused, untouched.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import DiskFull, FileNotPermitted, make_folder, sync_folder

#: How long a statement waits for another process's transaction.
BUSY_SECONDS = 10.0
_UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_FAILED = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM)
#: On a full disk SQLite may say "I/O error" instead of "full"; with less than this we say "full".
_LITTLE_SPACE = 64 * 1024


class DatabaseError(SymphonyError):
    """Something about one database file: `path`."""

    category = Category.IO

    def __init__(self, path: Path, message: str, *, hint: str = "") -> None:
        self.path = path
        super().__init__(message, hint=hint)


class DatabaseLocked(DatabaseError):
    code = "database.locked"
    category = Category.CONFLICT

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"The database {path} has been locked by another process for {BUSY_SECONDS:g} s.",
            hint="Wait for the other process, or end it, and try again.",
        )


class DatabaseCorrupt(DatabaseError):
    """The file is damaged, or is no database of the expected kind."""

    code = "database.corrupt"
    category = Category.SERIALIZATION

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(
            path,
            f"The file {path} cannot be read as Symphony's database: {reason}.",
            hint="Move it away to start afresh, or restore it from a backup.",
        )


class DatabaseNewer(DatabaseError):
    code = "database.newer"
    category = Category.CONFLICT

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            path,
            f"The database {path} has format {found}, newer than {known}, the last one known here.",
            hint="Update Symphony, or use another SYMPHONY_HOME.",
        )


class DatabaseFailed(DatabaseError):
    """The disk or the operating system failed under SQLite."""

    code = "database.failed"

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(
            path,
            f"The database {path} could not be used: {reason}.",
            hint="Check that its folder exists, is writable, and lies on a healthy local disk.",
        )


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Raise what the environment did to the database at `path` as our errors.

    Raises DatabaseError, or DiskFull and FileNotPermitted of `commons.files`. Constraint
    violations and faults in our SQL pass through as they are.
    """
    try:
        yield
    except sqlite3.Error as error:
        translation = _translation(path, error)
        if translation is None:
            raise
        raise translation from error


def _translation(path: Path, error: sqlite3.Error) -> SymphonyError | None:
    # The low byte is the kind of failure, the rest its detail. Python's own errors have no code.
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and _disk_is_full(path)):
        return DiskFull(path)
    if kind in _BUSY:
        return DatabaseLocked(path)
    if kind in _UNREADABLE:
        return DatabaseCorrupt(path, str(error))
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return FileNotPermitted(path, str(error))
    return DatabaseFailed(path, str(error)) if kind in _FAILED else None


def open_database(
    path: Path,
    *,
    application_id: int,
    migrations: Sequence[str],
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
) -> sqlite3.Connection:
    """Open or create the database at `path`, and its folder, and bring it to the newest format.

    With NORMAL a committed transaction survives the death of the process, with FULL also a power
    cut. Each migration is a script whose statements end at a line's end; it is applied whole or
    not at all, by one process only. Transactions are begun by hand: see `transaction`. The
    connection may move between threads; one thread at a time uses it.
    """
    make_folder(path.parent, mode=0o700)
    existed = path.exists()
    with database_errors(path), ExitStack() as undo:
        connection = _connect(path)
        undo.callback(connection.close)
        # All of its reads at one moment: another process may be creating the database.
        connection.execute("BEGIN")
        _require_kind(connection, path, application_id, len(migrations))
        connection.execute("COMMIT")
        _use_write_ahead_log(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path, application_id, migrations)
        if not existed:
            sync_folder(path.parent)
        undo.pop_all()
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A second connection that only reads, so that a long read holds up no writer.

    Begin a transaction (`BEGIN`) to see one moment of the database however long the read takes.
    """
    with database_errors(path):
        return _connect(path, read_only=True)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of the block or nothing; takes the write lock at once, so it never has to upgrade.

    When the block ends without an error its writes are committed. SQLite's own errors come out
    as they are: put `database_errors` around it.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # A full disk makes SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    target = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    return sqlite3.connect(
        target, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _require_kind(connection: sqlite3.Connection, path: Path, kind: int, known: int) -> None:
    found_kind = _pragma(connection, "application_id")
    empty = connection.execute("SELECT NOT EXISTS (SELECT * FROM sqlite_master)").fetchone()[0]
    if found_kind != kind and not (found_kind == 0 and empty):
        raise DatabaseCorrupt(path, "it belongs to another program, or to another part of ours")
    version = _pragma(connection, "user_version")
    if version > known:
        raise DatabaseNewer(path, version, known)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switching needs the file alone, and SQLite does not wait for that: so we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(
    connection: sqlite3.Connection, path: Path, kind: int, migrations: Sequence[str]
) -> None:
    if _pragma(connection, "user_version") == len(migrations):
        return
    with transaction(connection):
        # Asked again: a newer version may have migrated it since, and must not be set back.
        _require_kind(connection, path, kind, len(migrations))
        for script in migrations[_pragma(connection, "user_version") :]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {kind}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit before it begins; this keeps a migration in its transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _disk_is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LITTLE_SPACE
    except OSError:
        return False
