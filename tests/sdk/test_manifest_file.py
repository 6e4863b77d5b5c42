from __future__ import annotations

from pathlib import Path

import pytest

from symphony.commons.files import FileMissing, NotText
from symphony.sdk import BadManifest, ExtensionType, Manifest, load_manifest

GOOD = """
[extension]
id = "file-type"
type = "instrument"
version = "0.1.0"
entry = "file_type:FileType"
"""

WHOLE = """
[extension]
id = "file-type"
type = "instrument"
version = "1.2.3-rc.1"
name = "File type"
description = "Tells the type of a file."
sdk = "^0.1"
entry = "package.file_type:FileType"
requires = ["magika>=1.0"]
optional = ["numpy"]
secrets = ["openai_api_key"]

[inputs.files]
type = "array"
description = "Paths, relative to the folder."
items.type = "string"

[inputs.limit]
type = "integer"
default = 10

[inputs.anything]

[outputs.types]
type = "array"
"""


def load(folder: Path, text: str) -> Manifest:
    (folder / "symphony.toml").write_text(text)
    return load_manifest(folder)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(BadManifest) as caught:
        load(folder, text)
    assert caught.value.path == folder / "symphony.toml"
    return f"{caught.value.reason} {caught.value.hint}".strip()


def test_a_whole_manifest(tmp_path: Path) -> None:
    manifest = load(tmp_path, WHOLE)
    assert manifest.type is ExtensionType.INSTRUMENT
    assert (manifest.id, manifest.version, manifest.sdk) == ("file-type", "1.2.3-rc.1", "^0.1")
    assert (manifest.requires, manifest.optional) == (("magika>=1.0",), ("numpy",))
    assert manifest.secrets == ("openai_api_key",)
    files, limit, anything = manifest.inputs
    assert files.schema["items"] == {"type": "string"}
    assert (files.required, files.description) == (True, "Paths, relative to the folder.")
    assert (limit.required, limit.default) == (False, 10)
    assert (anything.required, anything.schema) == (True, {})
    assert [port.name for port in manifest.outputs] == ["types"]


def test_a_short_manifest(tmp_path: Path) -> None:
    manifest = load(tmp_path, GOOD)
    assert (manifest.inputs, manifest.outputs, manifest.sdk) == ((), (), "*")


def test_a_default_may_be_false_or_empty(tmp_path: Path) -> None:
    manifest = load(tmp_path, GOOD + "[inputs.deep]\ndefault = false\n[inputs.text]\ndefault=''")
    assert [(port.required, port.default) for port in manifest.inputs] == [
        (False, False),
        (False, ""),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[extension]", "[extension", "line 2"),
        ("[extension]", "[extensoin]", "line 2, extensoin: there is no such key Did you mean"),
        (GOOD, "", "extension: this section is missing"),
        (GOOD, "extension = 3", "line 1, extension: expected a table"),
        (
            "entry =",
            "enrty =",
            "line 6, extension.enrty: there is no such key Did you mean 'entry'",
        ),
        ('id = "file-type"', "", "extension.id: this key is missing"),
        ('"file-type"', '"File Type"', "line 3, extension.id: expected lower-case letters"),
        ('"file-type"', '"../evil"', "line 3, extension.id: expected lower-case letters"),
        ('"file-type"', '"a\\n"', "line 3, extension.id: expected lower-case letters"),
        ('"file-type"', "3", "line 3, extension.id: Expected `str`, got `int`"),
        ('"instrument"', '"gadget"', "line 4, extension.type: Invalid enum value 'gadget'"),
        ('"0.1.0"', '"new"', "line 5, extension.version: 'new' is not a version"),
        ("_type:FileType", "_type", "line 6, extension.entry: expected module:Class"),
        ("file_type:", "../up:", "line 6, extension.entry: expected module:Class"),
        ("entry", "sdk = 'soon'\nentry", "line 6, extension.sdk: 'soon' is not a version constr"),
        ("entry", "secrets = ['A KEY']\nentry", "line 6, extension.secrets: expected lower-case"),
        ("entry", "requires = 'magika'\nentry", "line 6, extension.requires: Expected `array`"),
    ],
)
def test_faults_in_the_section(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in fault(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ("inputs = []", "line 1, inputs: expected a table"),
        ("[inputs]\nfiles = 'array'", "line 2, inputs.files: expected a table"),
        ("[inputs.File]", "line 1, inputs.File: a port's name has lower-case"),
        ("[inputs.a-b]", "line 1, inputs.a-b: a port's name has lower-case"),
        ("[inputs.context]", "inputs.context: this name cannot be an argument"),
        ("[inputs.self]", "inputs.self: this name cannot be an argument"),
        ("[inputs.class]", "inputs.class: this name cannot be an argument"),
        ("[outputs.x]\ntype = 'aray'", "line 2, outputs.x.type:"),
        ("[inputs.x]\ntype = 'integer'\ndefault = 'ten'", "line 3, inputs.x.default: it does not"),
        ("[inputs.x]\n'$ref' = 'http://example.org/'", "inputs.x"),
        ("[inputs.x]\ndefault = nan", "line 1, inputs.x: nan is not a JSON number (at .default)"),
        ("[inputs.x]\ndefault = 2026-01-01", "inputs.x: datetime.date is not a JSON value"),
    ],
)
def test_faults_in_the_ports(tmp_path: Path, ports: str, expected: str) -> None:
    assert expected in fault(tmp_path, ports + GOOD)


def test_a_file_that_is_missing_or_binary_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        load_manifest(tmp_path)
    (tmp_path / "symphony.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotText):
        load_manifest(tmp_path)


def test_no_code_of_the_extension_is_run(tmp_path: Path) -> None:
    (tmp_path / "file_type.py").write_text("raise SystemExit")
    assert load(tmp_path, GOOD).id == "file-type"
