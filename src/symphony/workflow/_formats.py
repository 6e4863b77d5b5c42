"""In which forms a workflow is written, and how each is known."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from symphony.workflow._compact import MARK
from symphony.workflow._compression import Compression


class Format(StrEnum):
    JSON = "json"
    #: For authors: read and written with the same tree as JSON.
    YAML = "yaml"
    TOML = "toml"
    #: For programs: the tree of JSON in MessagePack, and the smallest form.
    MSGPACK = "msgpack"
    COMPACT = "compact"


SUFFIXES: Final = {
    ".json": Format.JSON,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".toml": Format.TOML,
    ".msgpack": Format.MSGPACK,
    ".swf": Format.COMPACT,
}
COMPRESSED: Final = {".zst": Compression.ZSTD, ".lz4": Compression.LZ4}

#: First bytes of a map in MessagePack: no text in UTF-8 that could be ours begins so.
_MAPS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
#: The first line that says something: TOML has its keys before `=`, YAML before `:`.
_blank_or_comment = r"(?:[ \t]*(?:\#[^\n]*)?\r?\n)*"
_toml = re.compile(_blank_or_comment + r"[ \t]*[\w\"'.-]+[ \t]*=")
_yaml = re.compile(_blank_or_comment + r"(?:---|%|[ \t]*[\w\"'-]+[ \t]*:(?:\s|$))")


def format_of(path: Path) -> tuple[Format | None, Compression]:
    """What the suffixes of a file say."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    compression = COMPRESSED.get(suffixes[-1], Compression.NONE) if suffixes else Compression.NONE
    if compression is not Compression.NONE:
        suffixes.pop()
    return (SUFFIXES.get(suffixes[-1]) if suffixes else None), compression


def binary_format(data: bytes) -> Format | None:
    """The format of data that is no text."""
    if data.startswith(MARK):
        return Format.COMPACT
    return Format.MSGPACK if data and data[0] in _MAPS else None


def text_format(text: str) -> Format:
    """The format of a text, which is JSON unless it begins as no JSON does."""
    if _toml.match(text):
        return Format.TOML
    return Format.YAML if _yaml.match(text) and text.lstrip()[:1] != '"' else Format.JSON
