"""Configuration: layers of values, merged into one typed struct, each value with its origin.

    default.toml < test.toml or production.toml < the user's config.toml < SYMPHONY_* < flags

A room that has settings owns a frozen `msgspec.Struct` for them; the root struct is put together
where the rooms are wired. Nested structs are TOML tables. A `dict[str, T]` field is merged entry
by entry; every other value is replaced whole by the next layer.

Values are checked one by one, not the merged document at the end: only so can a message name the
file, the line and the key even of an entry of a dict.
"""

from __future__ import annotations

import json
import re
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import FileMissing, read_text
from symphony.commons.names import did_you_mean
from symphony.commons.positions import KeyPath, key_lines

T = TypeVar("T", bound=msgspec.Struct)

PREFIX = "SYMPHONY_"
ENVIRONMENT = "SYMPHONY_ENV"
RESERVED = re.compile(r"SYMPHONY_(HOME|ENV|PROCESS|CHANNEL|SECRET_.*)")
FILE_LIMIT = 1024 * 1024
TOO_DEEP = "its values are nested too deeply"
PACKAGED = Path(__file__).parents[1] / "config"


class Origin(NamedTuple):
    """Where a value comes from: the layer, and the file or variable that says so."""

    layer: str
    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


BUILT_IN = Origin("built-in", "built in")


class ConfigError(SymphonyError):
    """The configuration cannot be used; `source`, `line` and `key` say where it is wrong."""

    category = Category.VALIDATION

    def __init__(self, origin: Origin, key: str, reason: str, hint: str) -> None:
        self.source = origin.source
        self.line = origin.line
        self.layer = origin.layer
        self.key = key
        super().__init__(f"{origin}: {key}: {reason}" if key else f"{origin}: {reason}", hint=hint)


class UnknownKey(ConfigError):
    """A key that nothing reads."""

    code = "config.unknown_key"

    def __init__(self, origin: Origin, key: str, known: Iterable[str]) -> None:
        super().__init__(origin, key, "there is no such setting.", did_you_mean(key, known))


class InvalidValue(ConfigError):
    """A value of the wrong type, or outside of its limits."""

    code = "config.invalid_value"


class ConfigSyntax(ConfigError):
    """A file that is not TOML."""

    code = "config.syntax"

    def __init__(self, origin: Origin, column: int | None, reason: str) -> None:
        self.column = column
        place = "" if column is None else f"column {column}: "
        super().__init__(origin, "", f"{place}{reason}.", "The file must be valid TOML 1.0.")


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values: nested mappings, and the origin of each key path that has its own.

    In a `textual` layer a value may be text that stands for a number, a boolean or, as JSON, a
    list or a table.
    """

    name: str
    source: str
    values: tuple[Mapping[str, object], ...]
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)
    textual: bool = False

    def origin(self, path: KeyPath) -> Origin:
        """The place of `path`, or of the nearest table that encloses it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return Origin(self.name, self.source)


def toml_layer(name: str, path: Path) -> Layer:
    """The values of a TOML file; raises ConfigSyntax, or a `files.*` error if it is unreadable."""
    text = read_text(path, limit=FILE_LIMIT)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(name, path, text, str(error)) from error
    except RecursionError as error:
        raise ConfigSyntax(Origin(name, str(path)), None, TOO_DEEP) from error
    lines = key_lines(text)
    origins = {key: Origin(name, str(path), line) for key, line in lines.items()}
    return Layer(name, str(path), (values,), origins)


def environment_layer(environ: Mapping[str, str], prefix: str = PREFIX) -> Layer:
    """`SYMPHONY_LOGGING__LEVEL=debug` sets `logging.level`; home, environment name and secrets
    have variables of their own, which are not settings."""
    variables = {
        tuple(name.removeprefix(prefix).lower().split("__")): name
        for name in sorted(environ)
        if name.startswith(prefix) and not RESERVED.fullmatch(name)
    }
    return Layer(
        "environment",
        f"{prefix}*",
        tuple(_nested(path, environ[name]) for path, name in variables.items()),
        {path: Origin("environment", name) for path, name in variables.items()},
        textual=True,
    )


def flags_layer(flags: Mapping[str, object]) -> Layer:
    """Settings by dotted key, as given on the command line or to `symphony.open`."""
    values = tuple(_nested(tuple(key.split(".")), value) for key, value in flags.items())
    return Layer("flags", "command line", values, textual=True)


def standard_layers(
    user_file: Path, environ: Mapping[str, str], flags: Mapping[str, object]
) -> list[Layer]:
    """All layers in order; `SYMPHONY_ENV` picks the second, a missing user's file is left out."""
    layers = [toml_layer("default", PACKAGED / "default.toml")]
    if chosen := environ.get(ENVIRONMENT, ""):
        layers.append(toml_layer(chosen, PACKAGED / f"{_environment_name(chosen)}.toml"))
    with suppress(FileMissing):
        layers.append(toml_layer("user", user_file))
    return [*layers, environment_layer(environ), flags_layer(flags)]


class Row(NamedTuple):
    """One setting in effect."""

    key: str
    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """The merged configuration. What no layer sets has the origin `BUILT_IN`."""

    value: T
    origin: Mapping[str, Origin]

    def rows(self) -> list[Row]:
        """Every setting, sorted by key; values as plain data."""
        found = _settings(type(self.value), msgspec.to_builtins(self.value), ())
        values = {dotted(path): value for path, value in found}
        return [Row(key, values[key], self.origin.get(key, BUILT_IN)) for key in sorted(values)]


def load_config(type_: type[T], layers: Iterable[Layer]) -> Loaded[T]:
    """Merge `layers`, later ones winning; raises the first ConfigError in their order."""
    given: dict[KeyPath, _Given] = {}
    for layer in layers:
        try:
            for values in layer.values:
                _collect(type_, values, (), layer, given)
        except RecursionError as error:
            origin = Origin(layer.name, layer.source)
            raise InvalidValue(origin, "", f"{TOO_DEEP}.", "") from error
    value = _build(type_, given, ())
    return Loaded(value, {dotted(path): entry.origin for path, entry in given.items()})


def dotted(path: KeyPath) -> str:
    """A key path as one writes it in TOML."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False)
        for part in path
    )


class _Given(NamedTuple):
    value: object
    origin: Origin


def _collect(
    type_: type[msgspec.Struct],
    values: Mapping[str, object],
    path: KeyPath,
    layer: Layer,
    given: dict[KeyPath, _Given],
) -> None:
    """Check the values of one table and put them over those of earlier layers."""
    fields = {each.encode_name: each.type for each in msgspec.structs.fields(type_)}
    for name, value in values.items():
        here = (*path, name)
        if name not in fields:
            known = (dotted((*path, each)) for each in fields)
            raise UnknownKey(layer.origin(here), dotted(here), known)
        table = _table_type(fields[name])
        content = _parsed(value, fields[name], here, layer) if layer.textual else value
        if table is None:
            given[here] = _checked(content, fields[name], here, layer)
        elif not isinstance(content, Mapping):
            reason = f"expected a table, got {_shown(content)}."
            raise InvalidValue(layer.origin(here), dotted(here), reason, "")
        elif issubclass(table, msgspec.Struct):
            _collect(table, content, here, layer, given)
        else:
            entry_type = typing.get_args(fields[name])[1]
            for key, entry in _entries(content, entry_type):
                given[*here, ".".join(key)] = _checked(entry, entry_type, (*here, *key), layer)


def _table_type(type_: object) -> type[msgspec.Struct | dict[str, object]] | None:
    """The kind of table that a field is, or None if its value is taken whole."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return type_
    return dict if typing.get_origin(type_) is dict else None


def _entries(
    values: Mapping[str, object], entry_type: object, path: KeyPath = ()
) -> Iterator[tuple[KeyPath, object]]:
    """The entries of a dict field; `pit.tracker = 1` without quotes is the entry "pit.tracker"."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value and _table_type(entry_type) is None:
            yield from _entries(value, entry_type, (*path, key))
        else:
            yield (*path, key), value


def _parsed(value: object, type_: object, path: KeyPath, layer: Layer) -> object:
    """Text that spells a list or a table in JSON, as such; anything else as it is."""
    if type_ is str or not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        reason = f"not valid JSON: {error}."
        raise InvalidValue(layer.origin(path), dotted(path), reason, "") from error


def _checked(value: object, type_: object, path: KeyPath, layer: Layer) -> _Given:
    origin = layer.origin(path)
    try:
        return _Given(msgspec.convert(value, type_, strict=not layer.textual), origin)
    except msgspec.ValidationError as error:
        reason = f"{str(error).replace('`', '')}, given {_shown(value)}."
        hint = did_you_mean(str(value), _choices(type_))
        raise InvalidValue(
            origin, dotted(path), reason[0].lower() + reason[1:], hint or _spelling(type_, layer)
        ) from error


def _choices(type_: object) -> list[str]:
    if isinstance(type_, type) and issubclass(type_, Enum):
        return [str(member.value) for member in type_]
    return [str(choice) for choice in typing.get_args(type_)] if _is_literal(type_) else []


def _is_literal(type_: object) -> bool:
    return typing.get_origin(type_) is typing.Literal


def _spelling(type_: object, layer: Layer) -> str:
    if layer.textual and typing.get_origin(type_) in (list, tuple, set, frozenset):
        return 'A list is spelled as JSON here: ["one", "two"].'
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _build(type_: type[T], given: Mapping[KeyPath, _Given], path: KeyPath) -> T:
    """The struct at `path`, with its own defaults for what was not given."""
    arguments: dict[str, object] = {}
    for each in msgspec.structs.fields(type_):
        here = (*path, each.encode_name)
        table = _table_type(each.type)
        entries = {key[-1]: entry.value for key, entry in given.items() if key[:-1] == here}
        if table is not None and issubclass(table, msgspec.Struct):
            arguments[each.name] = _build(table, given, here)
        elif table is not None and entries:
            arguments[each.name] = entries
        elif here in given:
            arguments[each.name] = given[here].value
        elif each.required:
            raise InvalidValue(BUILT_IN, dotted(here), "a value is required.", "")
    try:
        return type_(**arguments)
    except ValueError as error:
        origins = [entry.origin for key, entry in given.items() if key[: len(path)] == path]
        raise InvalidValue((origins or [BUILT_IN])[-1], dotted(path), f"{error}.", "") from error


def _settings(
    type_: type[msgspec.Struct], values: Mapping[str, object], path: KeyPath
) -> Iterator[tuple[KeyPath, object]]:
    for each in msgspec.structs.fields(type_):
        here, value = (*path, each.encode_name), values[each.encode_name]
        table = _table_type(each.type)
        if table is None or not isinstance(value, Mapping) or not value:
            yield here, value
        elif issubclass(table, msgspec.Struct):
            yield from _settings(table, value, here)
        else:
            yield from (((*here, key), entry) for key, entry in value.items())


def _nested(path: KeyPath, value: object) -> Mapping[str, object]:
    for name in reversed(path[1:]):
        value = {name: value}
    return {path[0]: value}


def _environment_name(name: str) -> str:
    known = sorted(file.stem for file in PACKAGED.glob("*.toml") if file.stem != "default")
    if name not in known:
        reason = f"there is no environment {name!r}."
        raise InvalidValue(
            Origin("environment", ENVIRONMENT), "", reason, did_you_mean(name, known)
        )
    return name


def _syntax(name: str, path: Path, text: str, message: str) -> ConfigSyntax:
    """tomllib of Python 3.11 tells the place in its message only."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    reason, line, column = found.groups() if found else (message, None, None)
    last = text.count("\n") + 1
    origin = Origin(name, str(path), int(line) if line else last)
    return ConfigSyntax(origin, int(column) if column else None, reason)
