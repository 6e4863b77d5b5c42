"""The lazy command group, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from symphony.cli._commands import COMMANDS, overview
from symphony.cli._messages import show_crash, show_error, write_json
from symphony.commons.errors import (
    EXIT_CODES,
    EXIT_INTERNAL,
    EXIT_OK,
    EXIT_USAGE,
    Category,
    ErrorRecord,
    SymphonyError,
)
from symphony.commons.names import did_you_mean


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            ctx.fail(f"There is no command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        return overview().rstrip()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def symphony() -> None:
    """Compose AI models and tools into workflows that run on your own machine."""


def run_command(arguments: Sequence[str]) -> int:
    """Run one command through click; returns the exit code. Lets an OSError out: see `main`."""
    as_json = "--json" in arguments
    try:
        # Not `symphony.main`: click would end a broken pipe with 1, which means a failed run.
        with symphony.make_context("symphony", list(arguments)) as context:
            outcome = symphony.invoke(context)
    except SymphonyError as error:
        show_error(error.record(), as_json=as_json)
        return error.exit_code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        if as_json:
            usage = ErrorRecord("cli.usage", error.format_message(), Category.VALIDATION)
            write_json({"error": usage})
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("Interrupted.\n")
        return EXIT_CODES[Category.CANCELLED]
    except Exception as error:
        # The last line of defence: a bug of ours, unless stdout failed.
        # Errors about files are translated where they happen; one without a name is stdout's.
        if isinstance(error, OSError) and error.filename is None:
            raise
        show_crash(error, as_json=as_json)
        return EXIT_INTERNAL
    return outcome if isinstance(outcome, int) else EXIT_OK
