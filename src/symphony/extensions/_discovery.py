"""Which extensions there are. Reads manifests only; one that is broken does not hide the others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from symphony.commons.errors import SymphonyError
from symphony.commons.files import FileError, FileFailed, FileMissing, translated
from symphony.commons.versions import Constraint, Version
from symphony.extensions._errors import (
    ExtensionDuplicate,
    FolderMissing,
    RequirementMissing,
    SdkMismatch,
)
from symphony.sdk import MANIFEST_NAME, VERSION, BadManifest, Manifest, load_manifest


@dataclass(frozen=True, slots=True)
class Found:
    """An extension, or a place where one should be. With an `error` it cannot be called, though
    its manifest may well be known. `lacks` are optional packages that are not installed."""

    folder: Path
    manifest: Manifest | None
    error: SymphonyError | None
    lacks: tuple[str, ...] = ()

    def require(self) -> Manifest:
        """The manifest of an extension that can be called; raises `error`."""
        if self.error is not None:
            raise self.error
        if self.manifest is None:
            raise FolderMissing(self.folder)
        return self.manifest


def discover(folders: Iterable[Path]) -> list[Found]:
    """What is in `folders`: each is an extension itself, or holds extensions. Blocks; never raises.

    The order is that of the folders, then of the names in them. Of two with the same id the
    second is the one in error.
    """
    places: dict[Path, Found] = {}
    first: dict[str, Path] = {}
    for folder in folders:
        for found in _look_in(folder):
            places[found.folder] = _unless_second(found, first)
    return list(places.values())


def _unless_second(found: Found, first: dict[str, Path]) -> Found:
    if found.manifest is None:
        return found
    name = found.manifest.id
    earlier = first.setdefault(name, found.folder)
    if earlier == found.folder:
        return found
    return replace(found, error=ExtensionDuplicate(name, found.folder, earlier))


def _look_in(folder: Path) -> Iterator[Found]:
    try:
        folder = _real(folder)
        itself = _has_manifest(folder)
        with translated(folder):
            places = [folder] if itself else sorted(folder.iterdir())
    except (FolderMissing, FileError) as error:
        yield Found(folder, None, error)
        return
    for place in places:
        if (found := _examine(place)) is not None:
            yield found


def _real(folder: Path) -> Path:
    """The folder with all links resolved; raises FolderMissing, or a `files.*` error."""
    try:
        with translated(folder):
            real = Path(os.path.realpath(folder))
            is_folder = stat.S_ISDIR(real.stat().st_mode)
    except FileMissing as error:
        raise FolderMissing(folder) from error
    except ValueError as error:  # a NUL, or a character that no file name can hold
        raise FileFailed(folder, str(error)) from error
    if not is_folder:
        raise FolderMissing(real)
    return real


def _has_manifest(folder: Path) -> bool:
    with translated(folder):
        return (folder / MANIFEST_NAME).exists()


def _examine(folder: Path) -> Found | None:
    """None if there is no extension."""
    try:
        if not _has_manifest(folder):
            return None
        manifest = load_manifest(folder)
        lacks = _missing(folder, manifest.optional)
        missing = _missing(folder, manifest.requires)
    except (BadManifest, FileError) as error:
        return Found(folder, None, error)
    except RecursionError:
        reason = "its values are nested too deeply"
        return Found(folder, None, BadManifest(folder / MANIFEST_NAME, reason))
    return Found(folder, manifest, _unfit(manifest, missing), lacks)


def _unfit(manifest: Manifest, missing: tuple[str, ...]) -> SymphonyError | None:
    if not Constraint.parse(manifest.sdk).allows(Version.parse(VERSION)):
        return SdkMismatch(manifest.id, manifest.sdk, VERSION)
    return RequirementMissing(manifest.id, missing) if missing else None


def _missing(folder: Path, requirements: Iterable[str]) -> tuple[str, ...]:
    """Those that this Python environment, which is also the extension's, does not satisfy."""
    return tuple(text for text in requirements if not _is_satisfied(folder, text))


def _is_satisfied(folder: Path, text: str) -> bool:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = f"{text!r} is not a requirement as pip knows it"
        raise BadManifest(folder / MANIFEST_NAME, reason) from error
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return False
    return requirement.specifier.contains(installed, prereleases=True)
