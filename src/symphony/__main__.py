"""The command `symphony`."""

from __future__ import annotations

import sys


def main() -> int:
    try:
        from symphony.cli import main as run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules load; later ones are answered where they can be
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
