"""From files, texts and bytes to workflows, and back."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from symphony.commons.files import NotText, read_bytes, write_atomic
from symphony.commons.values import Value
from symphony.workflow._compact import read_compact, write_compact
from symphony.workflow._compression import Compression, compressed, expanded
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._formats import Format, binary_format, format_of, text_format
from symphony.workflow._forms import FORMAT, FileForm, form_of, workflow_of
from symphony.workflow._json import MAX_BYTES, encoded, parse, parse_form, write, write_document
from symphony.workflow._migrations import MIGRATIONS, migrated
from symphony.workflow._model import Workflow
from symphony.workflow._plain import Inexpressible, impurities, is_plain
from symphony.workflow._references import resolved
from symphony.workflow._shape import shape_problems
from symphony.workflow._source import Source, placeless

#: Faults of one file that are told at once: who has more mends these first.
MOST_PROBLEMS: Final = 100


def load(path: str | Path) -> Workflow:
    """Read a workflow file, and the files that it refers to, each of at most 64 MiB.

    What a file is shows in its content; its suffix tells YAML and TOML from JSON. Raises
    WorkflowInvalid, or a FileError.
    """
    return resolved(Path(path), _load_one)


def _load_one(path: Path) -> Workflow:
    data = expanded(read_bytes(path, MAX_BYTES), str(path), MAX_BYTES)
    try:
        return _read(data, str(path), format_of(path)[0])
    except UnicodeDecodeError as error:
        raise NotText(path, "utf-8", _reason(error)) from error


def loads(text: str, source: str = "<text>", format: Format | None = None) -> Workflow:  # noqa: A002
    """The workflow that a text in JSON, YAML or TOML spells, in the right shape but not yet
    validated against a catalog; those that it keeps in other files have no nodes.

    Without a `format`, the first line decides. Raises WorkflowInvalid with what is wrong with the
    shape, up to 100 faults.
    """
    text = text.removeprefix("\ufeff")
    form = format or text_format(text)
    if form is Format.JSON:
        return _from_json(Source(source, text))
    return from_document(*document_of(text, source, form))


def document_of(text: str, source: str, format: Format | None = None) -> tuple[Value, Source]:  # noqa: A002
    """What a text spells, as a plain value, and the places in it. Raises WorkflowInvalid."""
    text = text.removeprefix("\ufeff")
    match format or text_format(text):
        case Format.JSON:
            origin = Source(source, text)
            return parse(origin), origin
        case Format.YAML:
            from symphony.workflow._yaml import parse_yaml, scan_yaml

            origin = Source(source, text, scan_yaml)
            encoded(origin)
            return _plain(parse_yaml(origin), origin), origin
        case Format.TOML:
            from symphony.workflow._toml import parse_toml, scan_toml

            origin = Source(source, text, scan_toml)
            encoded(origin)
            return _plain(parse_toml(origin), origin), origin
        case _:
            raise ValueError(f"{format} is no text: decode it")


def decode(data: bytes, source: str = "<data>", format: Format | None = None) -> Workflow:  # noqa: A002
    """As `loads`, of the content of a file in any format and compression.

    What the data begins with decides; `format` only tells texts apart.
    """
    try:
        return _read(expanded(data, source, MAX_BYTES), source, format)
    except UnicodeDecodeError as error:
        problem = Problem(ProblemCode.SYNTAX, f"It is not text in UTF-8: {_reason(error)}.")
        raise WorkflowInvalid(source, [problem]) from error


def dumps(workflow: Workflow) -> str:
    """The JSON of a file: readable, and the same for equal workflows but for the order inside
    parameters. Raises WorkflowInvalid for a value that JSON cannot write."""
    return encode(workflow).decode()


def encode(
    workflow: Workflow,
    format: Format = Format.JSON,  # noqa: A002
    compression: Compression = Compression.NONE,
    *,
    version: int = FORMAT,
) -> bytes:
    """The content of a file, in an older format if `version` says so.

    Raises WorkflowInvalid for what the format cannot say.
    """
    try:
        data = _written(workflow, _checked(workflow), format, version)
    except Inexpressible as error:
        raise WorkflowInvalid(workflow.id, error.problems) from error
    except (TypeError, ValueError, OverflowError) as error:
        message = f"It cannot be written as {format.value}: {error}."
        raise WorkflowInvalid(workflow.id, [Problem(ProblemCode.BAD_VALUE, message)]) from error
    return compressed(data, compression)


def dump(workflow: Workflow, path: str | Path) -> None:
    """Write a file, in the format and compression of its suffixes (JSON without one); whole or not
    at all, over what is there. Raises WorkflowInvalid, or a FileError."""
    format, compression = format_of(Path(path))  # noqa: A001
    write_atomic(Path(path), encode(workflow, format or Format.JSON, compression))


def _read(data: bytes, name: str, format: Format | None) -> Workflow:  # noqa: A002
    """Raises UnicodeDecodeError for what is neither text nor one of our own."""
    match binary_format(data):
        case Format.COMPACT:
            return read_compact(data, name)
        case Format.MSGPACK:
            origin = Source(name, "", placeless)
            return from_document(_plain(_unpacked(data, name), origin), origin)
        case _:
            return loads(data.decode(), name, format)


def _from_json(source: Source) -> Workflow:
    form = parse_form(encoded(source))
    if form is not None:
        with suppress(msgspec.ValidationError):  # an end of an edge: told with all else below
            return workflow_of(form, source)
    return from_document(parse(source), source)


def _plain(document: object, source: Source) -> Value:
    """A document of a format that can say more than JSON; raises WorkflowInvalid if it does."""
    if not is_plain(document):
        problems = list(islice(impurities(document), MOST_PROBLEMS))
        raise WorkflowInvalid(source.name, source.located(problems))
    plain: Value = document  # type: ignore[assignment]  # which is what is_plain found out
    return plain


def from_document(document: Value, source: Source) -> Workflow:
    """The workflow that a plain value is, in this format or an older one; `source` is where it
    stands. Raises WorkflowInvalid with what is wrong with the shape, up to 100 faults."""
    if isinstance(document, dict):
        document = migrated(document, FORMAT, MIGRATIONS) or document
    try:
        return workflow_of(msgspec.convert(document, FileForm), source)
    except msgspec.ValidationError as error:
        problems = list(islice(shape_problems(document), MOST_PROBLEMS))
        problems = problems or [Problem(ProblemCode.BAD_VALUE, f"{error}.")]
        raise WorkflowInvalid(source.name, source.located(problems)) from error


def _checked(workflow: Workflow) -> FileForm:
    """Numbers that are none would be written as null."""
    form = form_of(workflow)
    if b"null" in msgspec.json.encode(form):
        for problem in impurities(msgspec.to_builtins(form)):
            raise WorkflowInvalid(workflow.id, [problem])
    return form


def _written(workflow: Workflow, form: FileForm, format: Format, version: int) -> bytes:  # noqa: A002
    if format is Format.JSON and version == FORMAT:
        return write(form).encode()
    if format is Format.COMPACT:
        if version != FORMAT:
            raise ValueError(f"the compact form has format {FORMAT} only")
        return write_compact(workflow)
    document = msgspec.json.decode(msgspec.json.encode(form))
    if version != FORMAT:
        document = migrated(document, version, MIGRATIONS)
        if document is None:
            raise ValueError(f"there is no way from format {FORMAT} to format {version}")
    return _spelled(document, format)


def _spelled(document: dict[str, Value], format: Format) -> bytes:  # noqa: A002
    match format:
        case Format.MSGPACK:
            return msgspec.msgpack.encode(document)
        case Format.YAML:
            from symphony.workflow._yaml import write_yaml

            return write_yaml(document).encode()
        case Format.TOML:
            from symphony.workflow._toml import write_toml

            return write_toml(document).encode()
        case _:
            return write_document(document).encode()


def _unpacked(data: bytes, name: str) -> object:
    try:
        return msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        problem = Problem(ProblemCode.SYNTAX, f"It is not MessagePack: {error}.")
        raise WorkflowInvalid(name, [problem]) from error


def _reason(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at offset {error.start} does not belong"
