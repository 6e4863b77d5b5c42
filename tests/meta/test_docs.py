"""The tables of the pages say what the code says, and all of it."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import get_args

import msgspec
import pytest

import symphony
from symphony.app import Config
from symphony.cli._messages import show_crash
from symphony.commons import expressions
from symphony.commons.config import PACKAGED, load_config, toml_layer
from symphony.commons.errors import (
    EXIT_CODES,
    EXIT_OK,
    EXIT_RUN_FAILED,
    EXIT_USAGE,
    Category,
    SymphonyError,
    leaves,
)
from symphony.commons.folders import Home
from symphony.execution import NODE_TRANSITIONS, RUN_TRANSITIONS, NodeState, RunState
from symphony.execution._events import KINDS
from symphony.operators import BUILTIN
from symphony.operators._blocks import Block
from symphony.pit.artifacts._objects import INLINE_LIMIT as LARGEST_IN_DATABASE
from symphony.pit.tracker._outputs import INLINE_LIMIT as LARGEST_IN_JOURNAL
from symphony.pit.tracker._shell import _record_of
from symphony.sandbox import probe
from symphony.sandbox._policy import PASSED_VARIABLES
from symphony.sdk import Context, Manifest
from symphony.workflow import Port, ProblemCode

from .conftest import DOCS, SOURCE, named_rows, rows_of

#: Records that no class of error stands for: an exception that is not ours, in a run or a command.
CODES_WITHOUT_CLASS = {SymphonyError.code: Category.INTERNAL, "cli.internal": Category.INTERNAL}


@cache
def modules() -> list[str]:
    """Every module of Symphony, imported, but for programs and what another system takes."""
    found = [each.name for each in pkgutil.walk_packages(symphony.__path__, "symphony.")]
    left_out = ("__main__", "_macos")
    return [importlib.import_module(each).__name__ for each in found if not each.endswith(left_out)]


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def test_every_operator_and_port_is_documented() -> None:
    sections = re.split(r"^### `([\w.]+)`$", text_of("operators.md"), flags=re.MULTILINE)[1:]
    documented = dict(zip(sections[::2], sections[1::2], strict=True))
    assert documented.keys() == BUILTIN.keys()
    for name, operator in BUILTIN.items():
        given = re.findall(
            r"^\| `([\w.]+)` \| (in, needed|in, `.*?`|out) \| .+ \|$",
            documented[name],
            re.MULTILINE,
        )
        inputs = [
            (port.name, "in, needed" if port.required else _default(port))
            for port in operator.signature.inputs
        ]
        outputs = [(port.name, "out") for port in operator.signature.outputs]
        assert given == inputs + outputs, name


def _default(port: Port) -> str:
    return f"in, `{json.dumps(port.default)}`"


def test_overview_of_operators_lists_all_in_the_order_of_the_page() -> None:
    page = text_of("operators.md")
    listed = re.findall(r"^\| \[`([\w.]+)`\]\(#", page, re.MULTILINE)
    assert listed == re.findall(r"^### `([\w.]+)`$", page, re.MULTILINE)


def test_every_block_of_a_report_is_documented_with_its_fields() -> None:
    rows = named_rows("operators.md", heading="Reports")
    for block in get_args(Block):
        (fields,) = rows[str(block.__struct_config__.tag)]
        for field in set(block.__struct_fields__) - {"title", "wide", "note"}:
            assert f"`{field}`" in fields


def test_every_setting_is_documented_with_its_default() -> None:
    rows = named_rows("configuration.md", heading="Settings")
    documented = {
        key: tomllib.loads(f"value = {cells[0].strip('`')}")["value"] for key, cells in rows.items()
    }
    settings = {row.key: row.value for row in load_config(Config, []).rows()}
    assert documented == msgspec.json.decode(msgspec.json.encode(settings))


def test_packaged_defaults_are_those_of_the_code_and_name_every_setting() -> None:
    loaded = load_config(Config, [toml_layer("default", PACKAGED / "default.toml")])
    assert loaded.value == Config()
    unnamed = {row.key for row in loaded.rows()} - loaded.origin.keys()
    assert unnamed == {"logging.levels"}  # a table without entries


def test_layers_for_an_environment_are_documented() -> None:
    page = " ".join(text_of("configuration.md").split())
    for name in ("production", "test"):
        rows = load_config(Config, [toml_layer(name, PACKAGED / f"{name}.toml")])
        sentence = page.split(f"With `SYMPHONY_ENV={name}`, ")[1].split(". ")[0]
        for key in rows.origin.keys() - {"logging.file"}:
            assert f"`{key}`" in sentence
    assert "there is no log file" in page


def test_every_error_code_is_documented_with_its_category() -> None:
    modules_known = modules()
    classes = {leaf.code: leaf.category for leaf in leaves() if leaf.__module__ in modules_known}
    problems = {code.value: Category.VALIDATION for code in ProblemCode}
    rows = {code: cells for code, cells in named_rows("errors.md").items() if len(cells) == 3}
    documented = {code: cells[0].strip("`") for code, cells in rows.items()}
    assert documented == {
        code: category.value
        for code, category in (classes | problems | CODES_WITHOUT_CLASS).items()
    }
    assert all(cell for cells in rows.values() for cell in cells)


def test_error_codes_are_unique_and_belong_to_a_room() -> None:
    ours = [leaf for leaf in leaves() if leaf.__module__ in modules()]
    assert len({leaf.code for leaf in ours}) == len(ours)
    assert [leaf.code for leaf in ours if not re.fullmatch(r"[a-z]+\.[a-z_]+", leaf.code)] == []


def test_codes_without_a_class_are_those_of_foreign_exceptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_crash(ZeroDivisionError(), as_json=True)
    in_command = json.loads(capsys.readouterr().out)["error"]["code"]
    in_run = _record_of(ZeroDivisionError())
    assert {in_command, in_run.code} == CODES_WITHOUT_CLASS.keys()


def test_exit_codes_are_documented() -> None:
    rows = [cells for cells in rows_of("errors.md", heading="Exit codes") if cells[0].isdigit()]
    documented = [(cells[1].strip("`"), int(cells[0])) for cells in rows]
    plain = [("", EXIT_OK), ("", EXIT_RUN_FAILED), ("", EXIT_USAGE)]
    categories = [(category.value, code) for category, code in EXIT_CODES.items()]
    assert sorted(documented) == sorted(plain + categories)


def test_every_key_of_a_manifest_is_documented() -> None:
    rows = named_rows("extensions.md", heading="The manifest")
    sections = ("inputs", "outputs")
    assert rows.keys() == set(Manifest.__struct_fields__) - set(sections)
    needed = {key for key, cells in rows.items() if cells[0] == "needed"}
    required = set(Manifest.__struct_fields__) - set(_defaults_of_manifest()) - set(sections)
    assert needed == required
    for key in rows.keys() - needed:
        default = json.dumps(_defaults_of_manifest()[key])
        assert rows[key][0] == f"`{default}`"


def _defaults_of_manifest() -> dict[str, object]:
    names, defaults = Manifest.__struct_fields__, Manifest.__struct_defaults__
    values = dict(zip(reversed(names), reversed(defaults), strict=False))
    return {name: value for name, value in values.items() if not _is_missing(value)}


def _is_missing(value: object) -> bool:
    return type(value).__name__ == "NoDefaultType"


def test_all_that_a_context_can_do_is_documented() -> None:
    cells = [row[0] for row in rows_of("extensions.md", heading="Operator, Instrument, Context")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)", cell)}
    assert named == _public_of(Context) | {"run_id", "node", "attempt"}


def _public_of(type_: type) -> set[str]:
    return {name for name in vars(type_) if not name.startswith("_")}


def test_layers_of_the_sandbox_are_told_as_they_are() -> None:
    rows = rows_of("extensions.md", heading="What is enforced")
    told = [(cells[0], cells[1]) for cells in rows if cells[0] != "layer"]
    assert told == [(layer.name, layer.state.value) for layer in probe().layers]


def test_variables_that_an_extension_gets_are_listed() -> None:
    page = " ".join(text_of("extensions.md").split())
    (names,) = re.findall(r"These variables are passed on: (.*?)\. #", page)
    assert tuple(name.strip("`") for name in names.split(", ")) == PASSED_VARIABLES


def test_every_event_is_documented() -> None:
    assert named_rows("execution.md", heading="Events").keys() == KINDS


def test_life_cycles_are_documented() -> None:
    rows = [cells for cells in rows_of("execution.md", heading="States") if cells[0][0] == "`"]
    told = [(cells[0].strip("`"), set(re.findall(r"`(\w+)`", cells[1]))) for cells in rows]
    assert told == [*_steps(RUN_TRANSITIONS), *_steps(NODE_TRANSITIONS)]


def _steps(
    table: dict[RunState, frozenset[RunState]] | dict[NodeState, frozenset[NodeState]],
) -> Iterator[tuple[str, set[str]]]:
    return ((state.value, {each.value for each in after}) for state, after in table.items())


def test_every_module_of_commons_is_documented() -> None:
    commons = SOURCE / "commons"
    modules = {path.stem for path in commons.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in commons.glob("*/__init__.py")}
    assert named_rows("commons.md").keys() == modules | packages


@pytest.mark.parametrize(
    "cap",
    [
        expressions.MAX_TEXT_BYTES,
        expressions.MAX_NESTING,
        expressions.MAX_GROWTH,
        expressions.MAX_VALUES,
        expressions.MAX_CHARACTERS,
        expressions.MAX_MADE_TEXT,
    ],
)
def test_caps_of_expressions_are_told(cap: int) -> None:
    cells = [row[1] for row in rows_of("decisions/0003-cel.md", heading="What we add")]
    assert any(re.match(rf"{cap:,}\b", cell) for cell in cells)


def test_limits_of_stored_values_are_told() -> None:
    assert f"up to {LARGEST_IN_DATABASE >> 10} KiB" in " ".join(text_of("artifacts.md").split())
    assert f"Above {LARGEST_IN_JOURNAL >> 10} KiB" in " ".join(text_of("execution.md").split())


def test_names_in_the_home_folder_are_told() -> None:
    rows = rows_of("architecture.md", heading="How a run flows")
    told = {re.split(r"[/<]", cells[0].strip("`"))[0] for cells in rows if cells[0][0] == "`"}
    properties = [name for name, each in vars(Home).items() if isinstance(each, property)]
    assert told == {getattr(Home(DOCS), name).name for name in properties}
