"""What the author of an extension imports. An extension is a folder with a `symphony.toml` and a
class that derives from `Operator` or `Instrument`; it runs in a process of its own.

    class Shout(Operator):
        def run(self, context: Context, *, text: str) -> str:
            return text.upper()

Nothing here may import more than an extension's process needs to start: what reads manifests is
imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony.commons.values import ArtifactRef as Artifact
from symphony.sdk._bases import Instrument, Operator
from symphony.sdk._context import Context
from symphony.sdk._errors import (
    BadEntry,
    BadManifest,
    BadValue,
    Cancelled,
    HostRefused,
    Raised,
    SdkError,
    ValueTooLarge,
    error_of,
)
from symphony.sdk._manifest import MANIFEST_NAME, ExtensionType, Manifest, PortSpec
from symphony.sdk._values import check_value
from symphony.sdk._version import VERSION

if TYPE_CHECKING:
    from symphony.sdk._manifest_file import load_manifest

__all__ = (
    "MANIFEST_NAME",
    "VERSION",
    "Artifact",
    "BadEntry",
    "BadManifest",
    "BadValue",
    "Cancelled",
    "Context",
    "ExtensionType",
    "HostRefused",
    "Instrument",
    "Manifest",
    "Operator",
    "PortSpec",
    "Raised",
    "SdkError",
    "ValueTooLarge",
    "check_value",
    "error_of",
    "load_manifest",
)


def __getattr__(name: str) -> object:
    if name != "load_manifest":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from symphony.sdk._manifest_file import load_manifest

    return load_manifest
