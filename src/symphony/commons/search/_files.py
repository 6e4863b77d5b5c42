"""An index on disk: opened if it is whole, made if it is not."""

from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import tantivy

from symphony.commons.files import translated
from symphony.commons.search._errors import IndexDamaged, reading, writing
from symphony.commons.search._fields import Field, schema_of

_META: Final = "meta.json"
#: After the footer of each file: its length, and a number that says that there is one.
_TRAILER: Final = 8
#: The files that each segment has; one from which documents were deleted has one more.
_PARTS: Final = frozenset({".fast", ".fieldnorm", ".idx", ".pos", ".store", ".term"})
_OWN_FILE = re.compile(r"(?:\.managed|meta)\.json|[0-9a-f]{32}\..+|\.tantivy-.+\.lock")


class _Segment(msgspec.Struct):
    segment_id: str


class _Meta(msgspec.Struct):
    """What there is in an index, as Tantivy notes it."""

    segments: list[_Segment]


class _Footer(msgspec.Struct):
    crc: int


def opened(folder: Path, fields: Mapping[str, Field]) -> tantivy.Index | None:
    """The index in `folder`; None if there is none, or none that can be used."""
    for _ in range(2):  # a second time, if another process replaced files in between
        try:
            with reading(folder):
                if not (folder / _META).exists():
                    return None
                _verify(folder)
                index = tantivy.Index(schema_of(fields), str(folder))
                index.config_reader("manual")
                index.searcher()
                return index
        except IndexDamaged:
            continue
    return None


def created(folder: Path, fields: Mapping[str, Field]) -> tantivy.Index:
    """An empty index, in place of what is in the folder; files that are not ours stay."""
    with translated(folder):
        for path in folder.iterdir():
            if _OWN_FILE.fullmatch(path.name):
                path.unlink()
    with writing(folder):
        index = tantivy.Index(schema_of(fields), str(folder))
        index.config_reader("manual")
        return index


def _verify(folder: Path) -> None:
    """Compare the checksum in each file of the index; raises IndexDamaged.

    Tantivy writes them, and looks at them only when asked, which the binding cannot.
    """
    try:
        meta = msgspec.json.decode((folder / _META).read_bytes(), type=_Meta)
        for segment in meta.segments:
            files = list(folder.glob(segment.segment_id.replace("-", "") + ".*"))
            missing = _PARTS - {path.suffix for path in files}
            if missing or not all(map(_is_whole, files)):
                raise IndexDamaged(folder, f"segment {segment.segment_id} is not what was written")
    except (FileNotFoundError, ValueError) as error:
        raise IndexDamaged(folder, str(error)) from error


def _is_whole(path: Path) -> bool:
    """A file is its body, a footer that has the body's CRC-32, and the footer's length."""
    with path.open("rb") as file:
        if path.stat().st_size < _TRAILER:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            end = len(view) - _TRAILER
            start = end - int.from_bytes(view[end : end + 4], "little")
            if start < 0:
                return False
            footer = msgspec.json.decode(bytes(view[start:end]), type=_Footer)
            return zlib.crc32(view[:start]) == footer.crc


def lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
