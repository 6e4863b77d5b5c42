"""That one process alone carries out a run.

The system frees the lock when its holder dies. `commons.locks` does the same on all systems and
takes 12 ms to be imported, as long as a short run; here it is for Windows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from symphony.commons.files import make_folder
from symphony.pit.tracker._errors import RunBusy


@contextmanager
def sole(journal: Path, run_id: str) -> Iterator[None]:
    """For the block, nobody else carries out this run of the journal; raises RunBusy.

    It blocks for some 50 us and does not wait.
    """
    name = sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    path = journal.with_name(f"{journal.name}.locks") / f"{name}.lock"
    make_folder(path.parent)
    with _held(path, run_id):
        yield
        path.unlink(missing_ok=True)


if sys.platform == "win32":

    @contextmanager
    def _held(path: Path, run_id: str) -> Iterator[None]:
        from symphony.commons.locks import LockHeld, locked

        try:
            with locked(path):
                yield
        except LockHeld as error:
            raise RunBusy(run_id, error.holder) from error

else:
    import fcntl

    @contextmanager
    def _held(path: Path, run_id: str) -> Iterator[None]:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunBusy(run_id, _holder(file)) from error
            os.truncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(file)

    def _holder(file: int) -> int | None:
        try:
            return int(os.pread(file, 20, 0))
        except ValueError:
            return None
