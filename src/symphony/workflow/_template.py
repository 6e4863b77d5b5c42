"""Templates: workflow documents with a `template` section, which says what may be chosen.

A template is kept as a document, since parts of it become a workflow only when values are put in
for `${...}`; how they are put in is told in `_template_expand`. Its section names the parameters.
The document's own `id`, `version`, `name` and `description` are the template's too, unless they
hold placeholders; then the section has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from symphony.commons.files import read_text
from symphony.commons.names import did_you_mean
from symphony.commons.schemas import Schema, SchemaInvalid
from symphony.commons.values import Value
from symphony.commons.versions import Constraint, Version, VersionInvalid
from symphony.workflow._errors import Problem, ProblemCode, TemplateInvalid
from symphony.workflow._file import document_of
from symphony.workflow._formats import Format, format_of
from symphony.workflow._json import MAX_BYTES
from symphony.workflow._model import Metadata
from symphony.workflow._scanner import pointer_to
from symphony.workflow._source import Source

SECTION: Final = "template"

_NAME = re.compile(r"[a-z][a-zA-Z0-9_]{0,63}")
#: Words that CEL keeps for itself.
_RESERVED = frozenset(
    [
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void"),
        "while",
    ]
)
_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")

S = TypeVar("S", bound=msgspec.Struct)


class ParameterType(StrEnum):
    """What a parameter takes, and so which field of a form shows it."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    #: One of `choices`.
    CHOICE = "choice"
    LIST = "list"
    OBJECT = "object"
    #: The path of a file or folder.
    FILE = "file"
    FOLDER = "folder"
    #: The name of a model.
    MODEL = "model"
    #: The name under which a secret is kept; never the secret.
    SECRET = "secret"  # noqa: S105 - a word for a kind of field


_SCHEMAS: Final[dict[ParameterType, dict[str, Value]]] = {
    ParameterType.TEXT: {"type": "string"},
    ParameterType.NUMBER: {"type": "number"},
    ParameterType.INTEGER: {"type": "integer"},
    ParameterType.BOOLEAN: {"type": "boolean"},
    ParameterType.CHOICE: {},
    ParameterType.LIST: {"type": "array"},
    ParameterType.OBJECT: {"type": "object"},
    ParameterType.FILE: {"type": "string", "format": "file"},
    ParameterType.FOLDER: {"type": "string", "format": "folder"},
    ParameterType.MODEL: {"type": "string", "format": "model"},
    ParameterType.SECRET: {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.-]{0,63}$"},
}


class Hints(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a form may show a parameter: the kind of field, what stands in it while it is empty,
    and its place; those without an `order` come last, as they are declared."""

    widget: str = ""
    placeholder: str = ""
    order: int | None = None


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something to be chosen, known in expressions by its name.

    `schema` adds to what the type says. A `default` may hold placeholders over the parameters
    before it. One that is not `required` and has no default is null when it is not given.
    """

    name: str
    type: ParameterType = ParameterType.TEXT
    title: str = ""
    description: str = ""
    schema: dict[str, Value] = {}
    choices: tuple[Value, ...] = ()
    default: Value | msgspec.UnsetType = msgspec.UNSET
    required: bool = True
    group: str = ""
    ui: Hints = Hints()

    @property
    def json_schema(self) -> dict[str, Value]:
        """What a value of it must be."""
        schema = {**_SCHEMAS[self.type], **self.schema}
        return {**schema, "enum": list(self.choices)} if self.choices else schema

    @property
    def needs_value(self) -> bool:
        return self.required and self.default is msgspec.UNSET


class Group(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Parameters that a form shows together."""

    name: str
    title: str = ""
    description: str = ""


class Example(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Values with which the template makes a valid workflow."""

    name: str
    values: dict[str, Value] = {}
    description: str = ""


class Section(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The `template` of a document. `requires` are constraints on versions: of `symphony`."""

    id: str = ""
    version: str = ""
    name: str = ""
    description: str = ""
    requires: dict[str, str] = {}
    groups: tuple[Group, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    examples: tuple[Example, ...] = ()


class Template(msgspec.Struct, frozen=True):
    """A workflow with choices left open. `document` is all of it but the section.

    Get one from `loads_template`; `instantiate` makes a workflow of it.
    """

    id: str
    version: str
    name: str
    description: str
    metadata: Metadata
    section: Section
    document: dict[str, Value]
    source: Source

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.section.parameters

    @property
    def examples(self) -> tuple[Example, ...]:
        return self.section.examples

    def requires_newer(self, symphony: str) -> str:
        """The constraint that this version of Symphony does not meet; empty if it does."""
        constraint = self.section.requires.get("symphony", "*")
        return "" if Constraint.parse(constraint).allows(Version.parse(symphony)) else constraint


def is_parameter_name(name: str) -> bool:
    """Whether an expression can call a parameter that."""
    return bool(_NAME.fullmatch(name)) and name not in _RESERVED


def read_template(document: Value, source: Source) -> Template:
    """The template that a document spells, its declarations checked, its placeholders not yet.

    Raises TemplateInvalid with all that is wrong.
    """
    reader = _Reader()
    template = reader.template(document, source)
    if template is None or reader.problems:
        raise TemplateInvalid(source.name, source.located(reader.problems))
    return template


def loads_template(
    text: str,
    source: str = "<text>",
    format: Format | None = None,  # noqa: A002
) -> Template:
    """As `read_template`, of a text; raises WorkflowInvalid if it spells nothing."""
    return read_template(*document_of(text, source, format))


def load_template(path: str | Path) -> Template:
    """The template in a text file of at most 64 MiB; raises also a FileError."""
    path = Path(path)
    return loads_template(read_text(path, MAX_BYTES), str(path), format_of(path)[0])


class _Reader:
    """Collects the problems of a section."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def template(self, document: Value, source: Source) -> Template | None:
        given = document.get(SECTION) if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(given, dict):
            hint = "A template is a workflow with an object `template`, which lists `parameters`."
            self._add(ProblemCode.MISSING_FIELD, "This is no template.", "", hint)
            return None
        section = self._section(given)
        body = {name: value for name, value in document.items() if name != SECTION}
        metadata = self._convert(body.get("metadata", {}), Metadata, "/metadata")
        named = {
            field: getattr(section, field) or _plain(body.get(field))
            for field in ("id", "version", "name", "description")
        }
        named["version"] = named["version"] or "0.1.0"
        self._check_head(named)
        self._check_groups(section)
        self._check_parameters(section)
        self._check_examples(section)
        return Template(
            **named, metadata=metadata or Metadata(), section=section, document=body, source=source
        )

    def _section(self, given: dict[str, Value]) -> Section:
        """Each parameter is read by itself, so that all that is wrong is told."""
        here = f"/{SECTION}"
        lists = ("groups", "parameters", "examples")
        rest = {name: value for name, value in given.items() if name not in lists}
        section = self._convert(rest, Section, here) or Section()
        groups, parameters, examples = ((given.get(name, []), f"{here}/{name}") for name in lists)
        return msgspec.structs.replace(
            section,
            groups=tuple(self._items(*groups, Group)),
            parameters=tuple(self._items(*parameters, Parameter)),
            examples=tuple(self._items(*examples, Example)),
        )

    def _items(self, given: Value, pointer: str, kind: type[S]) -> Iterator[S]:
        if not isinstance(given, list):
            self._add(ProblemCode.BAD_VALUE, "This must be a list of objects.", pointer)
            return
        for number, item in enumerate(given):
            converted = self._convert(item, kind, f"{pointer}/{number}")
            if converted is not None:
                yield converted

    def _convert(self, value: Value, kind: type[S], pointer: str) -> S | None:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.problems.append(_shape_problem(str(error), value, kind, pointer))
            return None

    def _check_head(self, named: dict[str, str]) -> None:
        if not named["id"]:
            hint = f"Write it in `{SECTION}` if the id of the workflow is to be chosen."
            self._add(ProblemCode.MISSING_FIELD, "The template has no id of its own.", "", hint)
        try:
            Version.parse(named["version"])
        except VersionInvalid as error:
            self._add(ProblemCode.BAD_VALUE, error.message, "/version", error.hint)

    def _check_groups(self, section: Section) -> None:
        groups = [group.name for group in section.groups]
        for number, parameter in enumerate(section.parameters):
            if parameter.group and parameter.group not in groups:
                here = f"/{SECTION}/parameters/{number}/group"
                message = f"The parameter {parameter.name!r} is in no group that there is."
                self._add(
                    ProblemCode.BAD_PARAMETER, message, here, did_you_mean(parameter.group, groups)
                )
        for name, text in section.requires.items():
            here = pointer_to(f"/{SECTION}/requires", name)
            if name != "symphony":
                message = f"Nothing is known of versions of {name!r}."
                self._add(ProblemCode.BAD_VALUE, message, here, "Known: symphony.")
                continue
            try:
                Constraint.parse(text)
            except VersionInvalid as error:
                self._add(ProblemCode.BAD_VALUE, error.message, here, error.hint)

    def _check_parameters(self, section: Section) -> None:
        seen: set[str] = set()
        for number, parameter in enumerate(section.parameters):
            for reason in _faults_of(parameter, seen):
                message = f"The parameter {parameter.name!r} {reason}."
                here = f"/{SECTION}/parameters/{number}"
                self._add(ProblemCode.BAD_PARAMETER, message, here)
            seen.add(parameter.name)

    def _check_examples(self, section: Section) -> None:
        names = [parameter.name for parameter in section.parameters]
        for number, example in enumerate(section.examples):
            for name in example.values.keys() - set(names):
                here = pointer_to(f"/{SECTION}/examples/{number}/values", name)
                message = f"The example {example.name!r} gives {name!r}, which is no parameter."
                hint = did_you_mean(name, names)
                self._add(ProblemCode.UNKNOWN_PARAMETER, message, here, hint)

    def _add(self, code: ProblemCode, message: str, pointer: str, hint: str = "") -> None:
        self.problems.append(Problem(code, message, pointer, hint))


def _plain(value: Value) -> str:
    """A text of the workflow that the template can share."""
    return value if isinstance(value, str) and "${" not in value else ""


def _faults_of(parameter: Parameter, seen: set[str]) -> Iterator[str]:
    if not is_parameter_name(parameter.name):
        yield "must have a name of letters, digits and _ that begins with a small letter"
    if parameter.name in seen:
        yield "is declared twice"
    if (parameter.type is ParameterType.CHOICE) != bool(parameter.choices):
        yield "must have the type choice and `choices`, or neither"
    kept = _SCHEMAS[parameter.type].get("type")
    if kept and parameter.schema.get("type", kept) != kept:
        yield f"is of type {parameter.type.value}, and its schema says another"
    try:
        schema = Schema(parameter.json_schema)
    except SchemaInvalid as error:
        yield f"has a schema that is none: {error.reason}"
        return
    default = parameter.default
    if default is not msgspec.UNSET and "${" not in msgspec.json.encode(default).decode():
        faults = schema.faults(default)
        yield from (f"has a default that does not fit: {fault.message}" for fault in faults)


def _shape_problem(message: str, value: Value, kind: type[msgspec.Struct], pointer: str) -> Problem:
    """A complaint of the decoder's, with its place as a pointer."""
    place = _PLACE.search(message)
    reason = _PLACE.sub("", message)
    for name, number in _STEP.findall(place[1]) if place else ():
        pointer = pointer_to(pointer, name or number)
    subject = value.get("name") if isinstance(value, dict) else None
    of = f" of {subject!r}" if isinstance(subject, str) else ""
    unknown = _UNKNOWN.match(reason)
    if unknown:
        fields = [field.encode_name for field in msgspec.structs.fields(kind)]
        hint = did_you_mean(unknown[1], fields)
        text = f"There is no field {unknown[1]!r} in the {kind.__name__.lower()}{of}."
        return Problem(ProblemCode.UNKNOWN_FIELD, text, pointer_to(pointer, unknown[1]), hint)
    text = f"The {kind.__name__.lower()}{of} is not right: {reason[:1].lower()}{reason[1:]}."
    return Problem(ProblemCode.BAD_VALUE, text, pointer)
