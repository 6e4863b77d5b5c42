"""JSON in and out: strict, with the place of what is wrong, and pleasant to read when written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._forms import FileForm
from symphony.workflow._layout import in_one_line, layout, table
from symphony.workflow._plain import depth_of
from symphony.workflow._scanner import MAX_DEPTH
from symphony.workflow._source import Source

#: Of a file and of a text, in bytes; of a compressed one, of what comes out of it.
MAX_BYTES: Final = 64 * 2**20

_form: Final = msgspec.json.Decoder(FileForm)
_byte = re.compile(r"\(byte (\d+)\)")
_escaped_colon = re.compile(rb"(?<!\\)(?:\\\\)*\\u003[aA]")
#: The most arrays and objects around a value in a file without nested workflows.
_AROUND_VALUES: Final = 5
_NEXT: Final = ",\n  "


def parse(source: Source) -> Value:
    """The value that a text spells; WorkflowInvalid if it is not strict JSON within the limits."""
    data = encoded(source)
    try:
        value: Value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(source, data, str(error)) from error
    if _has_duplicates(value, data) or depth_of(value) > MAX_DEPTH:
        raise _malformed(source, data, "It has a name twice, or is nested too deeply.")
    return value


def encoded(source: Source) -> bytes:
    """A text in UTF-8; raises WorkflowInvalid if it is too long, or none."""
    try:
        data = source.text.encode()
    except UnicodeEncodeError as error:
        problem = Problem(ProblemCode.SYNTAX, "Half of a surrogate pair is no character.")
        raise WorkflowInvalid(source.name, [source.at(problem, error.start)]) from error
    if len(data) > MAX_BYTES:
        message = f"The text is longer than {MAX_BYTES >> 20} MiB."
        raise WorkflowInvalid(source.name, [Problem(ProblemCode.LIMIT, message)])
    return data


def parse_form(data: bytes) -> FileForm | None:
    """The form that a text spells, in one go: in half the time of a document and its conversion.

    None if something may be wrong with it, if it has another format or nested workflows.
    """
    try:
        form = _form.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    if form.workflows or _has_duplicates(form, data):
        return None
    return form if depth_of(*_values(form)) <= MAX_DEPTH - _AROUND_VALUES else None


def write(form: FileForm) -> str:
    """The text of a file."""
    header = msgspec.structs.replace(form, nodes=(), edges=form.edges[:1])
    tables = {"nodes": form.nodes, "edges": form.edges}
    return _lined(msgspec.to_builtins(header), tables)


def write_document(document: dict[str, Value]) -> str:
    """The text of a file in any format."""
    tables = {
        name: value for name in ("nodes", "edges") if isinstance(value := document.get(name), list)
    }
    return _lined(document, tables)


def _lined(document: dict[str, Value], tables: Mapping[str, Sequence[object]]) -> str:
    members = (
        f"{in_one_line(name)}: "
        + (table(tables[name]) if name in tables else layout(value, broken=False, indent=2))
        for name, value in document.items()
    )
    return f"{{\n  {_NEXT.join(members)}\n}}\n"


def _values(form: FileForm) -> Iterator[object]:
    """What may be deep in it."""
    yield form.metadata.custom
    for node in form.nodes:
        yield node.params
        if node.schema or node.default:
            yield from (node.schema, node.default)
        if node.policy.fallback or node.policy.skip:
            yield msgspec.to_builtins(node.policy)
    for edge in form.edges:
        if edge.transform:
            yield from (step.initial for step in edge.transform)


def _malformed(source: Source, data: bytes, reason: str) -> WorkflowInvalid:
    faults = source.scan.faults or [_unscanned(data, reason)]
    return WorkflowInvalid(source.name, [source.at(*fault) for fault in faults])


def _unscanned(data: bytes, reason: str) -> tuple[Problem, int]:
    """What the fast parser says of a text that is too long to be scanned."""
    found = _byte.search(reason)
    offset = len(data[: int(found.group(1))].decode(errors="ignore")) if found else 0
    return Problem(ProblemCode.SYNTAX, f"{reason.rstrip('.')}."), offset


def _has_duplicates(value: object, data: bytes) -> bool:
    """Whether an object in `data` may have a name twice, of which `value` has kept one.

    Each member costs one colon, and colons in strings are written alike on both sides unless
    they are escaped. Counting is ten times faster than a parser with a hook for each object.
    """
    colons = data.count(b":")
    if b"\\u003" in data:
        colons += len(_escaped_colon.findall(data))
    return msgspec.json.encode(value).count(b":") != colons
