"""The command line as a whole: its speed, its help, its documents."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from symphony.cli._commands import COMMANDS

from .conftest import Cli

ROOT = Path(__file__).parents[2]


def test_help_imports_nothing_heavy(symphony: Cli) -> None:
    """`--help` stays fast by what it does not import; bench/cli.py measures it."""
    code = (
        "import sys; sys.argv = ['symphony', '--help']\n"
        "from symphony.__main__ import main\n"
        "assert main() == 0\n"
        "heavy = {'rich', 'starlette', 'numpy', 'click', 'structlog', 'httpx', 'msgspec'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_is_documented(symphony: Cli, command: str) -> None:
    outcome = symphony(command, "--help")
    assert outcome.code == 0
    assert "Usage: symphony" in outcome.stdout
    assert f"symphony {command}" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_help_names_every_command(symphony: Cli) -> None:
    overview = symphony("--help").stdout
    assert all(f"  {command} " in overview for command in COMMANDS)


def test_unknown_command_suggests_the_nearest(symphony: Cli) -> None:
    outcome = symphony("rnu")
    assert outcome.code == 2
    assert "'run'" in outcome.stderr


def test_doctor_names_what_is_missing_and_the_fix(symphony: Cli) -> None:
    outcome = symphony("doctor", "--json")
    checks = {check["name"]: check for check in outcome.document["checks"]}
    assert outcome.code == 0
    assert checks["home"]["verdict"] == "ok"
    assert checks["sandbox files"]["verdict"] == "warn"
    assert all(check["fix"] for check in checks.values() if check["verdict"] == "fail")


def test_doctor_fails_on_a_broken_configuration(symphony: Cli) -> None:
    symphony.home.mkdir()
    (symphony.home / "config.toml").write_text("[run]\nconcurency = 3\n")
    outcome = symphony("doctor", "--json")
    checks = {check["name"]: check for check in outcome.document["checks"]}
    assert outcome.code == 1
    assert checks["configuration"]["verdict"] == "fail"
    assert "run.concurrency" in checks["configuration"]["fix"]


def test_unknown_setting_names_file_line_and_the_nearest(symphony: Cli) -> None:
    symphony.home.mkdir()
    path = symphony.home / "config.toml"
    path.write_text("[run]\nconcurency = 3\n")
    outcome = symphony("config", "show")
    assert outcome.code == 3
    assert f"{path}:2" in outcome.stderr
    assert "run.concurrency" in outcome.stderr


def test_config_show_tells_the_origin_of_every_layer(symphony: Cli) -> None:
    symphony.home.mkdir()
    (symphony.home / "config.toml").write_text("[run]\nconcurrency = 3\n")
    symphony.environment["SYMPHONY_LOGGING__LEVEL"] = "debug"
    rows = symphony("config", "show", "--json").document
    assert rows["run.concurrency"]["value"] == 3
    assert rows["run.concurrency"]["layer"] == "user"
    assert rows["logging.level"]["source"] == "SYMPHONY_LOGGING__LEVEL"
    assert "config.toml:2" in symphony("config", "show", "--origin").stdout


def test_every_run_stands_in_the_audit_log(
    symphony: Cli, write_workflow: Callable[..., Path]
) -> None:
    path = write_workflow(
        [{"id": "a", "kind": "input", "default": 1}, {"id": "b", "kind": "output"}], "a -> b"
    )
    run = symphony("run", path, "--json").document["run_id"]
    entries = json.loads(symphony("audit", "list", "--json").stdout)
    assert [(each["action"], each["outcome"]) for each in entries] == [
        ("run.finished", "completed"),
        ("run.started", "begun"),
    ]
    assert {each["subject"] for each in entries} == {run}
    assert symphony("audit", "verify", "--json").document["entries"] == 2
    assert "run.started" in symphony("audit", "export", "--format", "csv").stdout


def test_broken_audit_log_is_named(symphony: Cli, write_workflow: Callable[..., Path]) -> None:
    path = write_workflow(
        [{"id": "a", "kind": "input", "default": 1}, {"id": "b", "kind": "output"}], "a -> b"
    )
    symphony("run", path)
    edit = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1])\n"
        "db.executescript('DROP TRIGGER entries_are_not_changed; "
        'UPDATE entries SET outcome = "completed" WHERE seq = 1\')'
    )
    database = symphony.home / "audit.db"
    subprocess.run([sys.executable, "-c", edit, str(database)], check=True)
    outcome = symphony("audit", "verify")
    assert outcome.code == 3
    assert "row 1" in outcome.stderr


def test_results_stand_in_a_file_too(symphony: Cli, write_workflow: Callable[..., Path]) -> None:
    path = write_workflow(
        [{"id": "a", "kind": "input", "default": 1}, {"id": "b", "kind": "output"}], "a -> b"
    )
    outcome = symphony("run", path, "--json", "--out", "results")
    written = json.loads((symphony.work / "results" / "results.json").read_text())
    assert written == outcome.document
    assert outcome.document["outputs"] == {"b": 1}


ECHO = [{"id": "a", "kind": "input", "default": 1}, {"id": "b", "kind": "output"}]


def shell(symphony: Cli, command: str) -> subprocess.CompletedProcess[str]:
    """In bash; a pipe ends with the exit code of `symphony`."""
    script = f'symphony() {{ "{sys.executable}" -m symphony "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=symphony.work,
        env=symphony.environment,
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_run_goes_on_when_nobody_reads_its_progress(
    symphony: Cli, write_workflow: Callable[..., Path]
) -> None:
    path = write_workflow(ECHO, "a -> b")
    done = shell(symphony, f"symphony run {path} --json 2> >(head -n 1 >/dev/null)")
    assert json.loads(done.stdout)["state"] == "completed"
    assert done.returncode == 0


@pytest.mark.parametrize("command", ["--help", "config show", "runs --help"])
def test_closed_pipe_ends_a_command_silently(symphony: Cli, command: str) -> None:
    done = shell(symphony, f"symphony {command} | true")
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_full_stdout_is_told(symphony: Cli) -> None:
    done = shell(symphony, "symphony config show > /dev/full")
    assert done.returncode == 5
    assert "stdout cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_streams_are_survived(symphony: Cli, write_workflow: Callable[..., Path]) -> None:
    path = write_workflow(ECHO, "a -> b")
    assert shell(symphony, f"symphony run {path} >&- 2>&-").returncode == 0


def test_out_is_looked_at_before_the_run(
    symphony: Cli, write_workflow: Callable[..., Path]
) -> None:
    path = write_workflow(ECHO, "a -> b")
    (symphony.work / "a-file").write_text("")
    outcome = symphony("run", path, "--out", "a-file/results")
    assert outcome.code == 3
    assert "--out" in outcome.stderr
    assert json.loads(symphony("runs", "list", "--json").stdout) == []


def test_runs_are_listed_and_shown(symphony: Cli, write_workflow: Callable[..., Path]) -> None:
    run = symphony("run", write_workflow(ECHO, "a -> b"), "-i", "a=7", "--json").document["run_id"]
    assert run in symphony("runs", "list").stdout
    shown = symphony("runs", "show", run).stdout
    assert "completed" in shown
    assert "-i a=7" in shown
    outcome = symphony("runs", "show", "nope")
    assert outcome.code == 4
    assert "tracker.run_missing" in outcome.stderr


def test_doctor_finds_a_damaged_journal(symphony: Cli) -> None:
    symphony.home.mkdir()
    (symphony.home / "runs.db").write_bytes(b"this is no database" * 100)
    outcome = symphony("doctor", "--json")
    assert outcome.code == 1
    assert any(
        check["verdict"] == "fail" and "runs.db" in check["detail"]
        for check in outcome.document["checks"]
    )


def test_usage_error_is_json_when_asked(symphony: Cli) -> None:
    outcome = symphony("run", "--json", "--nonsense")
    assert outcome.code == 2
    assert outcome.document["error"]["code"] == "cli.usage"
