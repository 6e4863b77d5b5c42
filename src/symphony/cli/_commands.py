"""Which commands there are. The overview is drawn from here, by hand: importing click costs
70 ms, three times all else that `symphony --help` needs."""

from __future__ import annotations

#: name -> (where the command is, one line of help).
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("symphony.cli._run:run", "Run a workflow file and show where its results lie."),
    "validate": ("symphony.cli._validate:validate", "Check a workflow file; list every fault."),
    "show": ("symphony.cli._show:show", "Show a workflow: as lines, a chart or a drawing."),
    "convert": ("symphony.cli._convert:convert", "Write a workflow file in another format."),
    "workflow": ("symphony.cli._workflow:workflow", "Compare workflows; import other programs'."),
    "templates": ("symphony.cli._templates:templates", "Find templates; make workflows of them."),
    "runs": ("symphony.cli._runs:runs", "List the runs of the past, or show one."),
    "artifacts": (
        "symphony.cli._artifacts:artifacts",
        "Put, get, compare and clean what the store holds.",
    ),
    "bus": ("symphony.cli._bus:bus", "Watch the bus, and take part in it."),
    "serve": ("symphony.cli._serve:serve", "Hold the bus of this home, until Ctrl-C."),
    "config": ("symphony.cli._config:config", "Show the settings in force and their origin."),
    "audit": ("symphony.cli._audit:audit", "List, verify or export the audit log."),
    "doctor": ("symphony.cli._doctor:doctor", "Say what is installed, enforced or missing."),
}

_OVERVIEW = """\
Usage: symphony [OPTIONS] COMMAND [ARGS]...

  Compose AI models and tools into workflows that run on your own machine.

Options:
  -V, --version  Show the version and exit.
  -h, --help     Show this message and exit.

Commands:
{commands}

  `symphony COMMAND --help` tells more of each. --json makes stdout one JSON document.
"""


def overview() -> str:
    """The text of `symphony --help`."""
    width = max(map(len, COMMANDS)) + 2
    rows = (f"  {name:<{width}}{line}" for name, (_, line) in COMMANDS.items())
    return _OVERVIEW.format(commands="\n".join(rows))
