"""The command line: data to stdout, messages to stderr, stable exit codes, no traceback for a
user's mistake. Each command lives in a module of its own, imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from symphony._version import __version__

__all__ = ("main",)


def main(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Codes are listed in docs/errors.md."""
    if list(arguments) in (["--version"], ["-V"]):
        sys.stdout.write(f"symphony {__version__}\n")
        return 0
    if list(arguments) in (["--help"], ["-h"]):
        from symphony.cli._commands import overview

        sys.stdout.write(overview())
        return 0
    from symphony.cli._main import run_command

    return run_command(arguments)
