"""The command line: data to stdout, messages to stderr, stable exit codes, no traceback for a
user's mistake. Each command lives in a module of its own, imported only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from symphony._version import __version__

__all__ = ("main",)

#: As a shell reports a command that SIGPIPE ended, and as docs/errors.md numbers a full disk.
EXIT_NOBODY_READS = 141
EXIT_CANNOT_WRITE = 5


def main(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Codes are listed in docs/errors.md."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us, as in `symphony ... >&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    try:
        code = _answer(list(arguments))
        sys.stdout.flush()
    except OSError as error:
        return _cannot_write(error)
    return code


def _answer(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):
        sys.stdout.write(f"symphony {__version__}\n")
        return 0
    if arguments in (["--help"], ["-h"]):
        from symphony.cli._commands import overview

        sys.stdout.write(overview())
        return 0
    from symphony.cli._main import run_command

    return run_command(arguments)


def _cannot_write(error: OSError) -> int:
    """Errors about files do not get here: this one is about stdout."""
    # What is still buffered must not fail once more when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        return EXIT_NOBODY_READS
    sys.stderr.write(f"error: stdout cannot be written: {error.strerror or error}\n")
    return EXIT_CANNOT_WRITE
