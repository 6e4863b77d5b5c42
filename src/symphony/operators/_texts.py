"""Text files: told apart from binary ones, decoded whatever they were written in, read in part."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from symphony.commons.files import (
    FileError,
    NotText,
    inside,
    make_folder,
    open_regular,
    translated,
    write_atomic,
)
from symphony.commons.values import Value
from symphony.operators._declare import operator
from symphony.operators._paths import FilePath, Folder, as_path
from symphony.operators._walk import Problem

Characters: TypeAlias = Annotated[
    int, Meta(ge=1, le=100_000_000, description="Read at most so many characters of a file.")
]

#: Longest first: the mark of UTF-16 is the beginning of that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BYTES_PER_CHARACTER = 4
#: Text has few control characters other than these: tab, line ends, form feed, backspace, escape.
_USUAL_CONTROLS = b"\t\n\r\f\b\x1b"
_UNUSUAL_CONTROLS = bytes(set(range(32)) - set(_USUAL_CONTROLS))
_MOST_CONTROLS = 0.02


class ReadText(msgspec.Struct, frozen=True):
    value: Annotated[str, Meta(description="The text.")]
    encoding: Annotated[str, Meta(description="What it was decoded from.")]
    truncated: Annotated[bool, Meta(description="Whether the file goes on after it.")]


class ReadTexts(msgspec.Struct, frozen=True):
    texts: Annotated[
        list[dict[str, Any]],
        Meta(description="What was given for each file, with `text`, `encoding`, `truncated`."),
    ]
    problems: Annotated[list[Problem], Meta(description="The files that are not read, and why.")]


class Written(msgspec.Struct, frozen=True):
    path: Annotated[str, Meta(description="The absolute path of the file.")]
    size: Annotated[int, Meta(description="In bytes.")]


@operator("files.read_text", title="Read a text file")
def read_text(path: FilePath, limit: Characters = 1_000_000) -> ReadText:
    """The beginning of a text file. A binary file is an error."""
    return _read(as_path("files.read_text", "path", path), limit)


@operator("files.read_texts", title="Read text files")
def read_texts(
    folder: Folder,
    files: Annotated[
        list[str | dict[str, Value]],
        Meta(
            description="Paths in the folder, or objects with a `path`, as files.walk finds them."
        ),
    ],
    limit: Characters = 20_000,
    total: Annotated[
        int, Meta(ge=1, description="At most so many characters of all files together.")
    ] = 50_000_000,
) -> ReadTexts:
    """The beginnings of many text files. Those that are not text become problems, not errors."""
    root = as_path("files.read_texts", "folder", folder)
    texts: list[dict[str, Value]] = []
    problems: list[Problem] = []
    left = total
    for file in files:
        facts = {"path": file} if isinstance(file, str) else file
        path = str(facts.get("path", ""))
        if left <= 0:
            problems.append(Problem(path, f"left out: {total:,} characters have been read"))
            continue
        try:
            found = _read(inside(root, path), min(limit, left))
        except FileError as error:
            problems.append(Problem(path, error.message))
            continue
        left -= len(found.value)
        texts.append(_with_text(facts, found))
    return ReadTexts(texts, problems)


@operator("files.write_text", title="Write a text file")
def write_text(
    path: FilePath, text: Annotated[str, Meta(description="What to write, as UTF-8.")]
) -> Written:
    """Replaces the whole file at once; folders above it are made as needed."""
    return write_bytes(as_path("files.write_text", "path", path), text.encode())


def write_bytes(path: Path, data: bytes) -> Written:
    make_folder(path.parent)
    write_atomic(path, data)
    return Written(str(path.absolute()), len(data))


def _read(path: Path, limit: int) -> ReadText:
    """Reads no more of the file than `limit` characters can take."""
    with open_regular(path) as file, translated(path):
        data = file.read((limit + 1) * _BYTES_PER_CHARACTER)
        ended = not file.read(1)
    text, encoding = _decoded(path, data, final=ended)
    return ReadText(text[:limit], encoding, truncated=len(text) > limit or not ended)


def _decoded(path: Path, data: bytes, *, final: bool) -> tuple[str, str]:
    """The text and its encoding. Unless `final`, a character cut off at the end is dropped."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(path, data[len(mark) :], encoding, final=final), encoding
    if b"\0" in data:
        raise NotText(path, "utf-8", "it holds NUL bytes, as binary files do")
    try:
        return codecs.getincrementaldecoder("utf-8")("strict").decode(data, final), "utf-8"
    except UnicodeDecodeError as error:
        return _guessed(path, data, error), "cp1252"


def _strictly(path: Path, data: bytes, encoding: str, *, final: bool) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data, final)
    except UnicodeDecodeError as error:
        raise NotText(
            path, encoding, f"the byte at offset {error.start} does not belong"
        ) from error
    if "\0" in text:
        raise NotText(path, encoding, "it holds NUL characters, as binary files do")
    return text


def _guessed(path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    """Old text is mostly Windows-1252, in which nearly every byte is a character.

    The five bytes that are not are read as in Latin-1. Compressed data would pass as text too,
    but for its many control characters.
    """
    controls = len(data) - len(data.translate(None, _UNUSUAL_CONTROLS))
    if controls > len(data) * _MOST_CONTROLS:
        raise NotText(
            path, "utf-8", "it is full of control characters, as binary files are"
        ) from error
    return data.decode("cp1252", "symphony.latin1")


def _latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("symphony.latin1", _latin1)


def _with_text(facts: Mapping[str, Value], found: ReadText) -> dict[str, Value]:
    return {
        **facts,
        "text": found.value,
        "encoding": found.encoding,
        "truncated": found.truncated,
    }
