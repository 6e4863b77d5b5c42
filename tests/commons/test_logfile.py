from __future__ import annotations

import logging
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from symphony.commons.files import FileError
from symphony.commons.locks import locked
from symphony.commons.logfile import RotatingFile


@contextmanager
def _open(path: Path, max_bytes: int = 100, backups: int = 3) -> Iterator[RotatingFile]:
    file = RotatingFile(path, max_bytes, backups)
    try:
        yield file
    finally:
        file.close()


def _write(file: RotatingFile, line: str) -> None:
    file.handle(logging.LogRecord("test", logging.INFO, __file__, 1, line, None, None))


def _files(folder: Path) -> list[Path]:
    """The newest first."""
    files = [path for path in folder.glob("log*") if "lock" not in path.name]
    return sorted(files, key=lambda path: (len(path.name), path.name))


def _lines(folder: Path) -> list[str]:
    """Of all files together, the oldest first."""
    return [line for file in reversed(_files(folder)) for line in file.read_text().splitlines()]


def test_file_is_put_aside_before_it_grows_above_its_size(tmp_path: Path) -> None:
    with _open(tmp_path / "log") as file:
        for number in range(25):
            _write(file, f"line {number:04}")
    sizes = [(path.name, path.stat().st_size) for path in _files(tmp_path)]
    assert sizes == [("log", 50), ("log.1", 100), ("log.2", 100)]
    assert _lines(tmp_path) == [f"line {number:04}" for number in range(25)]


def test_oldest_files_are_dropped(tmp_path: Path) -> None:
    with _open(tmp_path / "log", backups=2) as file:
        for number in range(95):
            _write(file, f"line {number:04}")
    assert _lines(tmp_path) == [f"line {number:04}" for number in range(70, 95)]


def test_without_backups_only_the_newest_lines_stay(tmp_path: Path) -> None:
    with _open(tmp_path / "log", backups=0) as file:
        for number in range(25):
            _write(file, f"line {number:04}")
    assert _lines(tmp_path) == [f"line {number:04}" for number in range(20, 25)]


def test_line_longer_than_the_limit_gets_a_file_of_its_own(tmp_path: Path) -> None:
    with _open(tmp_path / "log") as file:
        for line in ("x" * 500, "a", "x" * 500):
            _write(file, line)
    assert [path.stat().st_size for path in _files(tmp_path)] == [501, 2, 501]


def test_existing_file_is_continued_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"
    for line in ("one", "two"):
        with _open(path) as file:
            _write(file, line)
    assert path.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_file_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    with _open(tmp_path / "log") as file:
        _write(file, "one")
        (tmp_path / "log").unlink()
        _write(file, "two")
    assert _lines(tmp_path) == ["two"]


def test_undecodable_name_does_not_stop_the_line(tmp_path: Path) -> None:
    with _open(tmp_path / "log") as file:
        _write(file, "caf\udce9")
    assert (tmp_path / "log").read_text() == "caf\\udce9\n"


def test_many_writers_lose_no_line_and_tear_none(tmp_path: Path) -> None:
    def work(writer: int) -> None:
        with _open(tmp_path / "log", max_bytes=500, backups=1000) as file:
            for number in range(100):
                _write(file, f"writer {writer} line {number}")

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [f"writer {writer} line {number}" for writer in range(4) for number in range(100)]
    assert sorted(_lines(tmp_path)) == sorted(written)
    assert all(path.stat().st_size > 450 for path in _files(tmp_path)[1:])


def test_writer_who_comes_too_late_to_rotate_takes_the_new_file(tmp_path: Path) -> None:
    with _open(tmp_path / "log") as first, _open(tmp_path / "log") as late:
        for number in range(11):
            _write(first, f"line {number:04}")
        late._rotate()
        _write(late, "late")
    assert [path.stat().st_size for path in _files(tmp_path)] == [15, 100]


def test_line_is_written_also_while_another_process_rotates(tmp_path: Path) -> None:
    with _open(tmp_path / "log") as file, locked(tmp_path / "log.lock"):
        for number in range(11):
            _write(file, f"line {number:04}")
    assert [path.stat().st_size for path in _files(tmp_path)] == [110]


@pytest.mark.slow
def test_many_processes_lose_no_line_and_tear_none(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import logging, pathlib, sys
        from symphony.commons.logfile import RotatingFile
        logging.getLogger().addHandler(RotatingFile(pathlib.Path(sys.argv[1]), 500, 1000))
        for number in range(300):
            logging.warning("writer %s line %d", sys.argv[2], number)
    """)
    commands = [[sys.executable, "-c", program, str(tmp_path / "log"), str(n)] for n in range(3)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait() for process in processes] == [0, 0, 0]
    written = [f"writer {writer} line {number}" for writer in range(3) for number in range(300)]
    assert sorted(_lines(tmp_path)) == sorted(written)


def test_folder_that_cannot_be_made_is_an_error_of_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError):
        RotatingFile(tmp_path / "file" / "log", 100, 1)


def test_file_that_could_not_be_opened_leaves_nothing_to_close_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    program = textwrap.dedent("""
        import pathlib, sys
        from symphony.commons.files import FileError
        from symphony.commons.logfile import RotatingFile
        try:
            RotatingFile(pathlib.Path(sys.argv[1]), 100, 1)
        except FileError as error:
            kept = error  # and with it the frames that know the handler
            print(error.code)
    """)
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("files.wrong_kind\n", "")


def test_failing_disk_is_told_once_and_fails_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with _open(tmp_path / "log") as file:
        (tmp_path / "log").unlink()
        (tmp_path / "log").symlink_to("/dev/full")
        _write(file, "one")
        _write(file, "two")
        assert capsys.readouterr().err.count("No space left on device") == 1
        (tmp_path / "log").unlink()
        _write(file, "three")
    assert _lines(tmp_path) == ["three"]


def test_closing_twice_leaves_other_files_alone(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", 100, 1)
    file.close()
    with (tmp_path / "other").open("w") as other:
        file.close()
        other.write("still open")
    assert (tmp_path / "other").read_text() == "still open"


def test_debug_messages_of_the_lock_do_not_rotate_in_circles(tmp_path: Path) -> None:
    lock_log = logging.getLogger("filelock")
    with _open(tmp_path / "log") as file:
        lock_log.addHandler(file)
        lock_log.setLevel(logging.DEBUG)
        try:
            for number in range(10):
                _write(file, f"{number}" * 60)
        finally:
            lock_log.setLevel(logging.NOTSET)
            lock_log.removeHandler(file)
    assert (tmp_path / "log").read_text().endswith(f"{'9' * 60}\n")
