"""`symphony.toml`: what an extension is, needs and does, readable without running its code.

[extension]
id = "file-type"
type = "instrument"                # or "operator"
version = "0.1.0"
entry = "file_type:FileType"       # module in the folder : class
sdk = "^0.1"
requires = ["magika>=1.0"]         # Python packages
secrets = []                       # secrets that it may ask for

[inputs.files]                     # JSON Schema; `default` makes a port optional
type = "array"

[outputs.types]
type = "array"
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from symphony.commons.values import Value

MANIFEST_NAME = "symphony.toml"

NAME_PATTERN = r"\A[a-z][a-z0-9_]{0,63}\Z"

Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,63}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Entry = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z")]


class ExtensionType(StrEnum):
    """What an extension is to a workflow."""

    INSTRUMENT = "instrument"
    OPERATOR = "operator"


class PortSpec(msgspec.Struct, frozen=True):
    """A port as the manifest declares it; a port with a default need not be given a value."""

    name: Name
    schema: dict[str, Value]
    required: bool = True
    default: Value = None
    description: str = ""


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [extension]."""

    id: Id
    type: ExtensionType
    version: str
    entry: Entry
    name: str = ""
    description: str = ""
    sdk: str = "*"
    requires: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    secrets: tuple[Name, ...] = ()


class Manifest(About, frozen=True, kw_only=True):
    """What a `symphony.toml` says, checked."""

    inputs: tuple[PortSpec, ...] = ()
    outputs: tuple[PortSpec, ...] = ()
