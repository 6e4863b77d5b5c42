"""Run every benchmark and rewrite the table in docs/benchmarks.md.

    python bench/all.py

Each bench/<area>.py prints, with --json, a list of rows
{"measure", "ours", "peer", "peer_name", "ratio", "goal", "met"}.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
START, END = "<!-- measured -->", "<!-- /measured -->"


def measure(script: Path) -> list[dict[str, object]]:
    print(f"{script.name} ...", file=sys.stderr, flush=True)
    output = subprocess.run(
        [sys.executable, str(script), "--json"], check=True, capture_output=True, text=True
    ).stdout
    rows: list[dict[str, object]] = json.loads(output)
    return rows


def cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(area: str, rows: list[dict[str, object]]) -> str:
    columns = ("measure", "ours", "peer", "peer_name", "ratio", "goal", "met")
    lines = [f"### {area}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(cell(row.get(name)) for name in columns)} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    scripts = sorted(
        path
        for path in HERE.glob("*.py")
        if path.name != "all.py" and not path.name.startswith("workflow_")  # workflow.py has them
    )
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, {kernel}, "
        f"Python {platform.python_version()}, {dt.datetime.now(dt.UTC).date()}"
    )
    tables = [table(script.stem, measure(script)) for script in scripts]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    body = "\n\n".join([f"Machine: {machine}.", *tables])
    PAGE.write_text(f"{before}{START}\n{body}\n{END}{after}", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(HERE.parent)}", file=sys.stderr)


if __name__ == "__main__":
    main()
