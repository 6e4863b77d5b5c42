"""The commands of `symphony artifacts` that look after the store as a whole."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import click

from symphony.app import read_config
from symphony.cli._house_store import as_json_option, house_store, say
from symphony.cli._messages import write_json
from symphony.commons.errors import EXIT_RUN_FAILED
from symphony.commons.files import format_size
from symphony.commons.folders import find_home
from symphony.pit.artifacts import (
    Keep,
    KeyFile,
    KeyringEntry,
    KeySource,
    Passphrase,
    begin_epoch,
    change_key,
    export_bundle,
    find_garbage,
    import_bundle,
    key_source,
    mark_garbage,
    open_blocking_store,
    reencrypt,
    snapshot,
    sweep_garbage,
    unmark_garbage,
)
from symphony.pit.artifacts import repair as mend
from symphony.pit.artifacts import verify as check
from symphony.pit.tracker import open_journal

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_RUNS = 1_000_000


class Duration(click.ParamType[float]):
    """`30d`, `12h`, `90s`; a bare 0."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,9})([smhdw])|0", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: write 90s, 15m, 12h, 30d or 4w.", param, ctx)
        return float(found[1]) * _UNITS[found[2]] if found[1] else 0.0


@click.command()
@click.option(
    "--sample", type=click.FloatRange(0, 100), default=100.0, help="Per cent of all to read."
)
@as_json_option
def verify(sample: float, as_json: bool) -> None:
    """Read everything again and compare it with its hash. Ends with 1 if something is damaged."""
    with house_store() as store:
        report = check(store, sample / 100)
    if as_json:
        write_json(report)
    else:
        for damage in report.damaged:
            say(f"{damage.id or 'an artifact whose id cannot be read'}: {damage.reason}")
        say(
            f"{report.checked} objects read, {format_size(report.bytes)};"
            f" {len(report.damaged)} damaged"
        )
    if not report.whole:
        sys.exit(EXIT_RUN_FAILED)


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@as_json_option
def repair(source: Path, as_json: bool) -> None:
    """Replace what is damaged from SOURCE, the folder of another store that the same key opens."""
    home = find_home(os.environ)
    settings = read_config(home, {}).value.artifacts
    key = key_source(settings, home.keys / "artifacts.key", os.environ)
    with house_store() as store, open_blocking_store(source, key) as other:
        damaged = check(store).damaged
        mended = mend(store, other, damaged)
    if as_json:
        write_json({"damaged": damaged, "mended": mended})
    else:
        say(f"{len(damaged)} damaged, {len(mended)} mended")
    if len(mended) < len(damaged):
        sys.exit(EXIT_RUN_FAILED)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be marked.")
@click.option(
    "--older-than",
    type=Duration(),
    default="30d",
    show_default=True,
    help="Leave alone what was used since.",
)
@click.option(
    "--sweep-after",
    type=Duration(),
    default="1d",
    show_default=True,
    help="Delete what has been marked for so long.",
)
@click.option("--undo", is_flag=True, help="Take back all marks, and do nothing else.")
@as_json_option
def gc(dry_run: bool, older_than: float, sweep_after: float, undo: bool, as_json: bool) -> None:
    """Delete what was marked by an earlier gc; mark what nobody needs now.

    Kept are all versions of all names, what is pinned, what runs that go on have made or been
    given, and what was used lately. Until it is deleted, a marked artifact can be read, and using
    it takes the mark away.
    """
    keep = Keep(_unfinished_runs(), older_than)
    with house_store() as store:
        if undo:
            count = unmark_garbage(store)
            write_json({"unmarked": count}) if as_json else say(f"{count} marks taken back")
            return
        swept = None if dry_run else sweep_garbage(store, keep, sweep_after)
        found = find_garbage(store, keep) if dry_run else mark_garbage(store, keep)
    if as_json:
        write_json({"garbage": found, "swept": swept})
        return
    if swept is not None:
        say(f"deleted: {swept.objects} objects, {format_size(swept.bytes)}")
    verb = "to be marked" if dry_run else "marked"
    say(f"{verb}: {len(found.ids)} artifacts, {format_size(found.bytes)}")
    if dry_run:
        for id_ in found.ids:
            say(f"  {id_}")


def _unfinished_runs() -> frozenset[str]:
    home = find_home(os.environ)
    home.create()

    async def ask() -> frozenset[str]:
        async with open_journal(home.runs) as journal:
            runs = await journal.runs(_RUNS)
        return frozenset(run.run_id for run in runs if run.finished_at is None)

    return asyncio.run(ask())


@click.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("artifacts", nargs=-1, required=True)
@click.option("--ancestors", is_flag=True, help="Also what they were made of.")
def export_set(target: Path, artifacts: tuple[str, ...], ancestors: bool) -> None:
    """Write ARTIFACTS with names, tags and lineage to one file TARGET, not encrypted."""
    with house_store() as store:
        ids = [store.resolve(each) for each in artifacts]
        count = export_bundle(store, ids, target, with_ancestors=ancestors)
    click.echo(f"{count} artifacts written to {target}", err=True)


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@as_json_option
def import_set(source: Path, as_json: bool) -> None:
    """Store what a file of `export` brings, and show the ids."""
    with house_store() as store:
        ids = import_bundle(store, source)
    if as_json:
        write_json(ids)
        return
    for id_ in ids:
        click.echo(id_)


@click.command("snapshot")
@click.argument("target", type=click.Path(path_type=Path))
def make_snapshot(target: Path) -> None:
    """Copy the whole store, as it is now, to the new folder TARGET. The same key opens it."""
    with house_store() as store:
        snapshot(store, target.absolute())


@click.command()
@click.option(
    "--key",
    "kind",
    type=click.Choice(["file", "keyring", "passphrase"]),
    help="Let another key open the store, and the old one no more; then change artifacts.key.",
)
@click.option("--file", type=click.Path(path_type=Path), help="Of the new key, with --key file.")
@click.option("--no-rewrite", is_flag=True, help="Leave what is there under its old key.")
@as_json_option
def rekey(kind: str | None, file: Path | None, no_rewrite: bool, as_json: bool) -> None:
    """Begin a new key for contents, and write again what the old ones have encrypted.

    Interrupted, it goes on where it was when it is called again.
    """
    if kind == "file" and file is None:
        raise click.UsageError("--key file needs --file.")
    source = _new_source(kind, file)
    with house_store() as store:
        if source is not None:
            change_key(store, source)
        epoch = begin_epoch(store)
        done = None if no_rewrite else reencrypt(store)
    if as_json:
        write_json({"epoch": epoch, "rewritten": done and done._asdict()})
    elif done is None:
        say(f"key {epoch} is in force; older contents keep theirs")
    else:
        say(
            f"key {epoch} is in force; {done.objects} objects written again, {done.damaged} damaged"
        )


def _new_source(kind: str | None, file: Path | None) -> KeySource | None:
    if kind == "file" and file is not None:
        return KeyFile(file.absolute())
    if kind == "keyring":
        return KeyringEntry("artifacts")
    if kind == "passphrase":
        return Passphrase(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True))
    return None


UPKEEP = (verify, repair, gc, export_set, import_set, make_snapshot, rekey)
