from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from symphony.commons import files, sqlite
from symphony.commons.errors import SymphonyError
from symphony.commons.sqlite import database_errors, open_database, open_reader, transaction

KIND = 0x53594D54
FIRST = """CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TRIGGER keep BEFORE DELETE ON notes BEGIN
    SELECT RAISE(ABORT, 'kept; for ever');
END;
"""
SECOND = "ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 0;"


def opened(path: Path, *migrations: str) -> closing[sqlite3.Connection]:
    return closing(open_database(path, application_id=KIND, migrations=migrations or (FIRST,)))


def pragma(db: sqlite3.Connection, name: str) -> object:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


class TestOpening:
    def test_a_new_database_gets_its_kind_format_and_folder(self, tmp_path: Path) -> None:
        with opened(tmp_path / "new" / "notes.db") as db:
            assert pragma(db, "application_id") == KIND
            assert pragma(db, "user_version") == 1
            assert pragma(db, "journal_mode") == "wal"
            assert pragma(db, "synchronous") == 1
            assert pragma(db, "foreign_keys") == 1

    def test_full_means_durable_against_power_cuts(self, path: Path) -> None:
        db = open_database(path, application_id=KIND, migrations=(), synchronous="FULL")
        with closing(db):
            assert pragma(db, "synchronous") == 2

    def test_odd_characters_in_the_path(self, tmp_path: Path) -> None:
        odd = tmp_path / "a?b#c%20 d" / "ü.db"
        with opened(odd):
            assert odd.exists()

    def test_reopening_keeps_the_content(self, path: Path) -> None:
        with opened(path) as db, transaction(db):
            db.execute("INSERT INTO notes (text) VALUES ('kept')")
        with opened(path) as db:
            assert db.execute("SELECT text FROM notes").fetchall() == [("kept",)]

    def test_a_newer_format_is_refused_and_left_as_it_is(self, path: Path) -> None:
        with opened(path, FIRST, SECOND):
            pass
        before = path.read_bytes()
        with pytest.raises(sqlite.DatabaseNewer) as caught:
            opened(path, FIRST)
        assert (caught.value.found, caught.value.known) == (2, 1)
        assert path.read_bytes() == before

    def test_a_database_of_another_program_is_refused_and_left_as_it_is(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE theirs (x)")
        before = path.read_bytes()
        with pytest.raises(sqlite.DatabaseCorrupt, match="another program"):
            opened(path)
        assert path.read_bytes() == before

    def test_a_file_that_is_no_database_is_refused(self, path: Path) -> None:
        path.write_bytes(b"just some text, and not a short one" * 100)
        with pytest.raises(sqlite.DatabaseCorrupt, match="not a database") as caught:
            opened(path)
        assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)

    def test_a_folder_in_its_place(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(sqlite.DatabaseFailed, match="unable to open"):
            opened(path)

    def test_a_file_in_place_of_its_folder(self, tmp_path: Path) -> None:
        (tmp_path / "home").touch()
        with pytest.raises(files.WrongFileKind):
            opened(tmp_path / "home" / "notes.db")


class TestMigrations:
    def test_an_old_database_is_brought_up_to_date(self, path: Path) -> None:
        with opened(path, FIRST) as db, transaction(db):
            db.execute("INSERT INTO notes (text) VALUES ('old')")
        with opened(path, FIRST, SECOND) as db:
            assert db.execute("SELECT text, stars FROM notes").fetchall() == [("old", 0)]
            assert pragma(db, "user_version") == 2

    def test_a_failing_migration_changes_nothing(self, path: Path) -> None:
        with opened(path, FIRST):
            pass
        broken = SECOND + "\nCREATE TABLE more (x);\nINSERT INTO nowhere VALUES (1);"
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            opened(path, FIRST, broken)
        with opened(path, FIRST) as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            assert tables == [("notes",)]

    def test_a_last_statement_without_semicolon_counts(self, path: Path) -> None:
        with opened(path, FIRST, "CREATE TABLE more (x)") as db:
            assert db.execute("SELECT * FROM more").fetchall() == []

    @pytest.mark.slow
    def test_many_processes_may_create_it_at_once(self, path: Path) -> None:
        program = f"""
import sys
from pathlib import Path
from symphony.commons.sqlite import open_database, transaction
print("ready", flush=True)
sys.stdin.readline()
db = open_database(Path(sys.argv[1]), application_id={KIND}, migrations=({FIRST!r}, {SECOND!r}))
with transaction(db):
    db.execute("INSERT INTO notes (text) VALUES ('here')")
"""
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(6)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.communicate("go\n", timeout=30)
        assert [child.returncode for child in children] == [0] * 6
        with opened(path, FIRST, SECOND) as db:
            assert db.execute("SELECT count(*) FROM notes").fetchone() == (6,)

    @pytest.mark.slow
    def test_no_first_opener_loses_the_race_for_the_journal_mode(self, tmp_path: Path) -> None:
        """Without our waiting about one in two hundred gets "database is locked"."""
        failures: list[BaseException] = []

        def open_at_once(path: Path, barrier: threading.Barrier) -> None:
            barrier.wait()
            try:
                open_database(path, application_id=KIND, migrations=(FIRST,)).close()
            except (sqlite3.Error, SymphonyError) as error:
                failures.append(error)

        for number in range(150):
            at_once = tmp_path / f"{number}.db", threading.Barrier(6)
            threads = [threading.Thread(target=open_at_once, args=at_once) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert failures == []


class TestTransactions:
    def test_an_error_undoes_the_whole_block(self, path: Path) -> None:
        with opened(path) as db:

            def write_half() -> None:
                with transaction(db):
                    db.execute("INSERT INTO notes (text) VALUES ('lost')")
                    raise ValueError("midway")

            with pytest.raises(ValueError, match="midway"):
                write_half()
            assert not db.in_transaction
            assert db.execute("SELECT * FROM notes").fetchall() == []

    def test_violations_of_our_own_rules_pass_through(self, path: Path) -> None:
        with opened(path) as db:
            with transaction(db):
                db.execute("INSERT INTO notes (text) VALUES ('x')")
            with (
                pytest.raises(sqlite3.IntegrityError, match="kept; for ever"),
                database_errors(path),
                transaction(db),
            ):
                db.execute("DELETE FROM notes")
            with pytest.raises(sqlite3.OperationalError, match="syntax"), database_errors(path):
                db.execute("SELEKT")

    def test_a_lock_held_too_long_is_told(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.01)
        with (
            opened(path) as first,
            opened(path) as second,
            transaction(first),
            pytest.raises(sqlite.DatabaseLocked, match=r"0\.01 s"),
            database_errors(path),
        ):
            second.execute("BEGIN IMMEDIATE")

    def test_a_reader_sees_one_moment_and_cannot_write(self, path: Path) -> None:
        with opened(path) as db, closing(open_reader(path)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM notes").fetchone() == (0,)
            with transaction(db):
                db.execute("INSERT INTO notes (text) VALUES ('new')")
            assert reader.execute("SELECT count(*) FROM notes").fetchone() == (0,)
            reader.execute("COMMIT")
            assert reader.execute("SELECT count(*) FROM notes").fetchone() == (1,)
            with pytest.raises(files.FileNotPermitted), database_errors(path):
                reader.execute("INSERT INTO notes (text) VALUES ('x')")

    def test_a_reader_never_creates_a_database(self, path: Path) -> None:
        with pytest.raises(sqlite.DatabaseFailed):
            open_reader(path).execute("SELECT 1 FROM sqlite_master")
        assert not path.exists()

    def test_damage_is_found_on_use(self, path: Path) -> None:
        with opened(path) as db, transaction(db):
            db.executemany("INSERT INTO notes (text) VALUES (?)", [("x" * 3000,)] * 50)
        content = bytearray(path.read_bytes())
        content[4096 : 4096 * 20] = b"\xff" * (4096 * 19)
        path.write_bytes(content)
        with pytest.raises(sqlite.DatabaseCorrupt), database_errors(path), opened(path) as db:
            db.execute("SELECT sum(length(text)) FROM notes").fetchone()


PROLOGUE = f"""
from pathlib import Path
from symphony.commons.sqlite import database_errors, open_database, transaction
from symphony.commons.errors import SymphonyError
path = Path.cwd() / "notes.db"
def opened():
    return open_database(path, application_id={KIND}, migrations=({FIRST!r},))
db, committed = opened(), 0
"""
FILL = (
    PROLOGUE
    + """
try:
    while True:
        with database_errors(path), transaction(db):
            db.execute("INSERT INTO notes (text) VALUES (?)", ("x" * 20_000,))
        committed += 1
except SymphonyError as error:
    print(error.code, committed > 3, db.in_transaction)
print(db.execute("SELECT count(*) FROM notes").fetchone()[0] == committed)
print(opened().execute("PRAGMA integrity_check").fetchone()[0])
"""
)


def test_a_full_disk_keeps_what_was_committed(on_small_disk: Callable[[str], str]) -> None:
    assert on_small_disk(FILL).splitlines() == ["files.disk_full True False", "True", "ok"]


def test_a_limit_on_file_sizes_keeps_what_was_committed(
    with_small_files: Callable[[str], str],
) -> None:
    """SQLite does not tell this limit from a broken disk."""
    assert with_small_files(FILL).splitlines() == ["database.failed True False", "True", "ok"]


def test_opening_on_a_disk_that_is_full_to_the_last_byte(
    on_small_disk: Callable[[str], str],
) -> None:
    """Here SQLite fails to grow its shared memory, and calls that an I/O error."""
    program = """
db.close()
try:
    with Path("filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
except OSError:
    pass
try:
    opened()
except SymphonyError as error:
    print(error.code, error.__cause__.sqlite_errorname)
"""
    printed = on_small_disk(PROLOGUE + program)
    assert printed == "files.disk_full SQLITE_IOERR_SHMSIZE\n"
