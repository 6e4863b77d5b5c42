"""The command `symphony`."""

from __future__ import annotations

import sys


def main() -> int:
    from symphony.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
