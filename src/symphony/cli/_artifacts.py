"""`symphony artifacts`: put, get and look at what is in the store of this home."""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path
from typing import Literal

import click
import msgspec

from symphony.cli._artifacts_upkeep import UPKEEP
from symphony.cli._house_store import as_json_option, house_store, moment, say
from symphony.cli._messages import write_json
from symphony.commons.files import format_size, write_atomic
from symphony.pit.artifacts import (
    About,
    ArtifactSearch,
    Difference,
    Lineage,
    Version,
    as_svg,
    diff,
    lineage,
    pin,
    shred,
    statistics,
    unpin,
)

UNKNOWN = "application/octet-stream"


@click.group()
def artifacts() -> None:
    """Put, get, compare and clean what the store holds.

    An artifact is named by its id (`blake3:…`; the beginning will do), by a name (its newest
    version), or as NAME@VERSION or NAME@ALIAS.
    """


@artifacts.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", "save_as", default="", help="Make it the next version of this name.")
@click.option("-m", "--message", default="", help="Why there is a new version.")
@click.option("--type", "media_type", help="Media type; by default told by the file's name.")
@click.option("--tag", "tags", multiple=True, help="A tag; may be given several times.")
@click.option("--creator", default="", help="Who made it.")
@as_json_option
def put(
    file: Path,
    save_as: str,
    message: str,
    media_type: str | None,
    tags: tuple[str, ...],
    creator: str,
    as_json: bool,
) -> None:
    """Store a copy of FILE and show its id. `-` is stdin."""
    kind = media_type or mimetypes.guess_type(file.name)[0] or UNKNOWN
    about = About(creator=creator, tags=tags, save_as=save_as, message=message)
    with house_store() as store:
        if str(file) == "-":
            pieces = iter(lambda: sys.stdin.buffer.read(2**20), b"")
            ref = store.put_stream(pieces, kind, "", about)
        else:
            ref = store.put_file(file, kind, file.name, about)
    if as_json:
        write_json(ref)
    else:
        click.echo(ref.id)


@artifacts.command()
@click.argument("artifact")
@click.argument("target", type=click.Path(path_type=Path))
def get(artifact: str, target: Path) -> None:
    """Write the content of ARTIFACT to the file TARGET."""
    with house_store() as store:
        store.export(store.resolve(artifact), target)


@artifacts.command()
@click.argument("artifact")
def cat(artifact: str) -> None:
    """Write the content of ARTIFACT to stdout."""
    with house_store() as store:
        for piece in store.stream(store.resolve(artifact)):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@artifacts.command("list")
@click.option("--tag", help="Only those with this tag.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True)
@as_json_option
def list_artifacts(tag: str | None, limit: int, as_json: bool) -> None:
    """Show the newest artifacts."""
    with house_store() as store:
        found = store.newest(limit, tag)
    if as_json:
        write_json(found)
        return
    for each in found:
        tags = " ".join(f"#{tag}" for tag in each.tags)
        size = format_size(each.size)
        say(f"{each.id[:23]}  {moment(each.created)}  {size:>10}  {each.media_type}  {tags}")


@artifacts.command()
@click.argument("words", nargs=-1)
@click.option("--tag", default="", help="Only those with this tag.")
@click.option("--type", "media_type", default="", help="Only those of this media type.")
@click.option("--exact", is_flag=True, help="No word may differ by a letter.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json_option
def search(
    words: tuple[str, ...], tag: str, media_type: str, exact: bool, limit: int, as_json: bool
) -> None:
    """Find artifacts by WORDS in their names, tags, messages, metadata and text."""
    with house_store() as store:
        found = ArtifactSearch(store).search(
            " ".join(words), tag=tag, media_type=media_type, fuzzy=not exact, limit=limit
        )
    if as_json:
        write_json(found)
        return
    for each in found:
        info = each.artifact
        say(f"{info.id[:23]}  {format_size(info.size):>10}  {info.media_type}  {each.snippet}")


@artifacts.command()
@click.argument("artifact")
@as_json_option
def show(artifact: str, as_json: bool) -> None:
    """Show what is known of ARTIFACT."""
    with house_store() as store:
        info = store.stat(store.resolve(artifact))
        versions = store.versions_of(info.id)
    if as_json:
        write_json({**msgspec.to_builtins(info), "versions": versions})
        return
    say(info.id)
    say(f"  {info.media_type}, {format_size(info.size)}, stored {moment(info.created)}")
    if info.creator:
        say(f"  made by {info.creator}")
    if info.tags:
        say(f"  tags: {', '.join(info.tags)}")
    for key, value in info.metadata.items():
        say(f"  {key} = {msgspec.json.encode(value).decode()}")
    for version in versions:
        say(f"  {_version(version)}")


@artifacts.command()
@click.argument("name", required=False)
@click.option("--alias", nargs=2, metavar="ALIAS VERSION", help="Let an alias stand for a version.")
@click.option("--drop-alias", metavar="ALIAS", help="Take an alias away.")
@click.option("--add", metavar="ARTIFACT", help="Make an artifact the next version.")
@click.option("-m", "--message", default="", help="Why there is a new version.")
@as_json_option
def versions(
    name: str | None,
    alias: tuple[str, str] | None,
    drop_alias: str | None,
    add: str | None,
    message: str,
    as_json: bool,
) -> None:
    """List the names, or the versions of NAME, newest first."""
    with house_store() as store:
        if name is None:
            _show_names(store.names(), as_json=as_json)
            return
        if add:
            store.record(name, store.resolve(add), message)
        if alias:
            store.set_alias(name, *alias)
        if drop_alias:
            store.drop_alias(name, drop_alias)
        history = store.history(name)
    if as_json:
        write_json(history)
        return
    for version in history:
        say(f"{_version(version)}  {version.id[:23]}  {format_size(version.size)}")


def _show_names(names: list[str], *, as_json: bool) -> None:
    if as_json:
        write_json(names)
        return
    for each in names:
        say(each)


def _version(version: Version) -> str:
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    message = f"  {version.message}" if version.message else ""
    return f"{version.name}@{version.number}{aliases}  {moment(version.created)}{message}"


@artifacts.command("diff")
@click.argument("one")
@click.argument("other")
@as_json_option
def show_diff(one: str, other: str, as_json: bool) -> None:
    """Show what is different between two artifacts."""
    with house_store() as store:
        found = diff(store, store.resolve(one), store.resolve(other))
    if as_json:
        write_json(found)
        return
    for line in _difference(found):
        say(line)


def _difference(found: Difference) -> list[str]:
    if found.text is not None:
        return found.text
    if found.json is not None:
        return [
            f"{each.path or '/'}: {_side(each.before)} -> {_side(each.after)}"
            for each in found.json
        ]
    if found.binary is not None:
        one, other = map(format_size, found.binary.sizes)
        return [f"binary: {one} -> {other}, the first {found.binary.same} bytes are the same"]
    return []


def _side(value: object) -> str:
    return "nothing" if value is msgspec.UNSET else msgspec.json.encode(value).decode()


@artifacts.command("lineage")
@click.argument("artifact")
@click.option(
    "--direction",
    type=click.Choice(["ancestors", "descendants", "both"]),
    default="both",
    show_default=True,
)
@click.option("--depth", type=click.IntRange(1), help="How many steps away; all by default.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw it to this file.")
@as_json_option
def show_lineage(
    artifact: str,
    direction: Literal["ancestors", "descendants", "both"],
    depth: int | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Show what ARTIFACT was made of, and what was made of it."""
    with house_store() as store:
        found = lineage(store, store.resolve(artifact), direction, depth=depth)
    if svg is not None:
        write_atomic(svg, as_svg(found).encode())
    if as_json:
        write_json(found)
    elif svg is None:
        for line in _lineage(found):
            say(line)


def _lineage(found: Lineage) -> list[str]:
    lines = []
    for id_, distance in sorted(found.distance.items(), key=lambda item: item[1]):
        info = found.artifacts[id_]
        lines.append(f"{distance:+3}  {id_[:23]}  {info.media_type}  {format_size(info.size)}")
        for at, made in found.outputs:
            if made == id_:
                step = found.steps[at]
                model = f", {step.model}" if step.model else ""
                lines.append(f"       by {step.node} of {step.run}{model}")
    return lines


@artifacts.command()
@click.argument("artifact")
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take the tags away.")
def tag(artifact: str, tags: tuple[str, ...], remove: bool) -> None:
    """Give ARTIFACT tags."""
    with house_store() as store:
        change = store.untag if remove else store.tag
        change(store.resolve(artifact), *tags)


@artifacts.command("pin")
@click.argument("artifact")
@click.option("--why", default="", help="For whoever wonders later.")
@click.option("--remove", is_flag=True, help="Unpin it.")
def set_pin(artifact: str, why: str, remove: bool) -> None:
    """Keep ARTIFACT whatever gc finds."""
    with house_store() as store:
        id_ = store.resolve(artifact)
        if remove:
            unpin(store, id_)
        else:
            pin(store, id_, why)


@artifacts.command("shred")
@click.argument("artifact")
@click.confirmation_option(prompt="This cannot be undone. Go on?")
def shred_content(artifact: str) -> None:
    """Make the content of ARTIFACT unreadable at once, also for who has the key."""
    with house_store() as store:
        shred(store, store.resolve(artifact))


@artifacts.command()
@as_json_option
def stats(as_json: bool) -> None:
    """Show how much there is and how much it takes."""
    with house_store() as store:
        found = statistics(store)
    if as_json:
        write_json(found)
        return
    say(
        f"{found.artifacts} artifacts, {format_size(found.bytes)};"
        f" {format_size(found.stored)} stored"
    )
    say(f"{found.names} names, {found.versions} versions, {found.pins} pins")
    say(
        f"{found.inline} in the database, {found.in_segments} in {found.segments} segments of"
        f" {format_size(found.segment_bytes)}, {found.in_files} in files, {found.chunked} in chunks"
    )
    say(f"{format_size(found.saved)} saved by keeping the same content once")
    if found.marked:
        say(f"{found.marked} marked as garbage, {format_size(found.marked_bytes)}")
    say("encrypted" if found.encrypted else "not encrypted")


for command in UPKEEP:
    artifacts.add_command(command)
