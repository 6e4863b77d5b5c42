"""Reading a `symphony.toml`. Its faults are the author's, so each names the line and the key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import NoReturn, cast

import msgspec

from symphony.commons.files import read_text
from symphony.commons.names import did_you_mean
from symphony.commons.positions import KeyPath, key_lines
from symphony.commons.schemas import Schema, SchemaInvalid
from symphony.commons.values import Value
from symphony.commons.versions import Constraint, Version, VersionInvalid
from symphony.sdk._errors import BadManifest, BadValue
from symphony.sdk._manifest import MANIFEST_NAME, NAME_PATTERN, About, Manifest, PortSpec
from symphony.sdk._values import check_value

LARGEST_MANIFEST = 1024 * 1024

SECTIONS = ("extension", "inputs", "outputs")

#: What a port's table may say: JSON Schema as of 2020-12, without what points elsewhere. One that
#: is misspelled would be ignored by a validator, and the port would take anything.
SCHEMA_KEYWORDS = (
    *("type", "enum", "const", "default", "title", "description", "examples", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"),
    *("items", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems"),
    *("uniqueItems", "unevaluatedItems", "properties", "required", "additionalProperties"),
    *("patternProperties", "propertyNames", "minProperties", "maxProperties"),
    *("dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "deprecated"),
)

#: These would collide with the other arguments of `run`.
RESERVED_PORTS = frozenset(("self", "context"))

#: What the patterns of the manifest's fields mean, for people.
EXPECTED = {
    "id": "expected lower-case letters, digits, - and _, as in file-type",
    "entry": "expected module:Class, as in file_type:FileType",
    "secrets": "expected lower-case letters, digits and _, as in api_key",
}


def load_manifest(folder: Path) -> Manifest:
    """The manifest of the extension in `folder`; raises BadManifest, or a `files.*` error."""
    path = folder / MANIFEST_NAME
    text = read_text(path, LARGEST_MANIFEST)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadManifest(path, str(error)) from error
    return _Reading(path, key_lines(text)).manifest(document)


class _Reading:
    """Knows where in the file each key stands."""

    def __init__(self, path: Path, lines: Mapping[KeyPath, int]) -> None:
        self._path = path
        self._lines = lines

    def manifest(self, document: Mapping[str, object]) -> Manifest:
        self._refuse_unknown((), document, SECTIONS)
        section = self._table(document, ("extension",))
        self._refuse_unknown(("extension",), section, About.__struct_fields__)
        try:
            about = msgspec.convert(section, About)
        except msgspec.ValidationError as error:
            self._refuse_invalid(str(error))
        self._parse(Version.parse, "version", about.version)
        self._parse(Constraint.parse, "sdk", about.sdk)
        return Manifest(
            **msgspec.structs.asdict(about),
            inputs=self._ports(document, "inputs"),
            outputs=self._ports(document, "outputs"),
        )

    def _ports(self, document: Mapping[str, object], section: str) -> tuple[PortSpec, ...]:
        if section not in document:
            return ()
        ports = self._table(document, (section,))
        return tuple(self._port(ports, (section, name)) for name in ports)

    def _port(self, section: Mapping[str, object], key: KeyPath) -> PortSpec:
        name = key[-1]
        if not re.match(NAME_PATTERN, name):
            self._refuse(key, "a port's name has lower-case letters, digits and _ only")
        if name in RESERVED_PORTS or iskeyword(name):
            self._refuse(key, "this name cannot be an argument of run()")
        table = self._table(section, key)
        self._refuse_unknown(key, table, SCHEMA_KEYWORDS)
        schema = self._plain(key, table)
        faults = self._schema(key, schema).faults(schema.get("default"))
        if "default" in schema and faults:
            self._refuse((*key, "default"), f"it does not fit the schema: {faults[0].message}")
        return PortSpec(
            name=name,
            schema=schema,
            required="default" not in schema,
            default=schema.get("default"),
            description=str(schema.get("description", "")),
        )

    def _plain(self, key: KeyPath, table: Mapping[str, object]) -> dict[str, Value]:
        """TOML has dates and NaN, which no JSON Schema has."""
        try:
            return cast("dict[str, Value]", check_value("", key[-1], table))
        except BadValue as error:
            self._refuse(key, error.reason)

    def _schema(self, key: KeyPath, document: Mapping[str, Value]) -> Schema:
        try:
            return Schema(document)
        except SchemaInvalid as error:
            self._refuse((*key, *error.pointer.split("/")[1:]), error.reason)

    def _table(self, parent: Mapping[str, object], key: KeyPath) -> Mapping[str, object]:
        table = parent.get(key[-1])
        if table is None:
            self._refuse(key, "this section is missing")
        if not isinstance(table, dict):
            self._refuse(key, "expected a table")
        return table

    def _parse(self, parse: Callable[[str], object], field: str, text: str) -> None:
        try:
            parse(text)
        except VersionInvalid as error:
            self._refuse(("extension", field), error.message, error.hint)

    def _refuse_unknown(
        self, key: KeyPath, table: Mapping[str, object], known: Iterable[str]
    ) -> None:
        for name in table:
            if name not in known:
                self._refuse((*key, name), "there is no such key", did_you_mean(name, known))

    def _refuse_invalid(self, message: str) -> NoReturn:
        """A message of msgspec, which ends with a path such as $.secrets[0]."""
        reason, _, where = message.partition(" - at `$.")
        missing = re.match(r"Object missing required field `(\w+)`", reason)
        field = missing[1] if missing else where.partition("[")[0].rstrip("`")
        if missing:
            reason = "this key is missing"
        self._refuse(
            ("extension", field), EXPECTED.get(field, reason) if "regex" in reason else reason
        )

    def _refuse(self, key: KeyPath, reason: str, hint: str = "") -> NoReturn:
        known = next(
            (key[:size] for size in range(len(key), 0, -1) if key[:size] in self._lines), ()
        )
        line = self._lines.get(known, 0)
        where = f"line {line}, " if line else ""
        raise BadManifest(self._path, f"{where}{'.'.join(key)}: {reason.rstrip('.')}", hint=hint)
