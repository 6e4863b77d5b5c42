from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.config import (
    BUILT_IN,
    PACKAGED,
    ConfigSyntax,
    InvalidValue,
    Layer,
    Origin,
    UnknownKey,
    dotted,
    environment_layer,
    flags_layer,
    load_config,
    standard_layers,
    toml_layer,
)
from symphony.commons.errors import Category
from symphony.commons.files import FileMissing, NotText
from symphony.commons.logging import LoggingConfig


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Limits(msgspec.Struct, frozen=True):
    low: int = 1
    high: Annotated[int, msgspec.Meta(le=100)] = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


class Site(msgspec.Struct, frozen=True):
    url: str = ""


class House(msgspec.Struct, frozen=True, rename="kebab"):
    name: str = "home"
    is_open: bool = False
    rent: float | None = None
    colour: Colour = Colour.RED
    size: Literal["small", "large"] = "small"
    rooms: list[str] = []
    levels: dict[str, int] = {}
    sites: dict[str, Site] = {}
    limits: Limits = Limits()


class Strict(msgspec.Struct, frozen=True):
    path: str


def _file(folder: Path, text: str, name: str = "config.toml") -> Layer:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return toml_layer("user", path)


def test_without_layers_every_value_is_the_built_in_one() -> None:
    loaded = load_config(House, [])
    assert loaded.value == House()
    assert {row.origin for row in loaded.rows()} == {BUILT_IN}


def test_later_layers_win_and_each_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    layers = [
        _file(tmp_path, 'name = "base"\nis-open = true\n[limits]\nlow = 2\n', "base.toml"),
        _file(tmp_path, '\nname = "mine"\nlimits.high = 20\n'),
        environment_layer({"SYMPHONY_LIMITS__LOW": "3"}),
        flags_layer({"rent": 7}),
    ]
    loaded = load_config(House, layers)
    assert loaded.value == House(name="mine", is_open=True, rent=7.0, limits=Limits(3, 20))
    base, mine = str(tmp_path / "base.toml"), str(tmp_path / "config.toml")
    assert loaded.origin == {
        "name": Origin("user", mine, 2),
        "is-open": Origin("user", base, 2),
        "limits.high": Origin("user", mine, 3),
        "limits.low": Origin("environment", "SYMPHONY_LIMITS__LOW"),
        "rent": Origin("flags", "command line"),
    }


def test_rows_are_sorted_and_plain_and_complete(tmp_path: Path) -> None:
    layer = _file(tmp_path, 'colour = "green"\n[levels]\n"pit.tracker" = 1\n')
    rows = load_config(House, [layer]).rows()
    assert [(row.key, row.value) for row in rows] == [
        ("colour", "green"),
        ("is-open", False),
        ('levels."pit.tracker"', 1),
        ("limits.high", 10),
        ("limits.low", 1),
        ("name", "home"),
        ("rent", None),
        ("rooms", []),
        ("sites", {}),
        ("size", "small"),
    ]
    assert [str(row.origin) for row in rows[1:3]] == ["built in", f"{tmp_path / 'config.toml'}:3"]


def test_dict_is_merged_by_entry_and_a_list_replaced_whole(tmp_path: Path) -> None:
    first = _file(tmp_path, 'rooms = ["a", "b"]\nlevels = {pit = 1, ipc = 2}\n')
    second = _file(tmp_path, 'rooms = ["c"]\n[levels]\nipc = 3\n[sites.x]\nurl = "u"\n')
    value = load_config(House, [first, second]).value
    assert value.rooms == ["c"]
    assert value.levels == {"pit": 1, "ipc": 3}
    assert value.sites == {"x": Site("u")}


@pytest.mark.parametrize(
    "layer",
    [
        environment_layer({"SYMPHONY_LEVELS__PIT__TRACKER": "1"}),
        environment_layer({"SYMPHONY_LEVELS": '{"pit.tracker": 1}'}),
        flags_layer({"levels.pit.tracker": "1"}),
        flags_layer({"levels": {"pit.tracker": 1}}),
    ],
)
def test_dotted_name_in_a_dict_needs_no_quotes(layer: Layer) -> None:
    assert load_config(House, [layer]).value.levels == {"pit.tracker": 1}


def test_text_of_the_environment_becomes_what_the_key_needs() -> None:
    environ = {
        "SYMPHONY_NAME": "[12]",
        "SYMPHONY_IS-OPEN": "TRUE",
        "SYMPHONY_RENT": "1e3",
        "SYMPHONY_COLOUR": "green",
        "SYMPHONY_SIZE": "large",
        "SYMPHONY_ROOMS": '["hall", "pit"]',
        "SYMPHONY_LIMITS__HIGH": "50",
    }
    assert load_config(House, [environment_layer(environ)]).value == House(
        "[12]", True, 1000.0, Colour.GREEN, "large", ["hall", "pit"], limits=Limits(high=50)
    )


def test_home_and_environment_name_and_secrets_are_not_settings() -> None:
    reserved = {
        "SYMPHONY_HOME": "/x",
        "SYMPHONY_ENV": "test",
        "SYMPHONY_SECRET_KEY": "k",
        "PATH": "x",
    }
    assert load_config(House, [environment_layer(reserved)]).value == House()


def test_toml_values_are_not_converted_from_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        load_config(House, [_file(tmp_path, 'rent = "12"')])


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ("\nnmae = 1", 2, "nmae", "Did you mean 'name'?"),
        ("[limits]\n\nhihg = 1", 3, "limits.hihg", "Did you mean 'limits.high'?"),
        ("[limit]\nlow = 1", 1, "limit", "Did you mean 'limits'?"),
        ('[zzz."a.b"]', 1, "zzz", ""),
    ],
)
def test_unknown_key_is_refused_with_its_place_and_the_nearest(
    tmp_path: Path, text: str, line: int, key: str, hint: str
) -> None:
    with pytest.raises(UnknownKey) as caught:
        load_config(House, [_file(tmp_path, text)])
    error = caught.value
    assert (error.line, error.key) == (line, key)
    assert hint in error.hint
    assert str(error) == f"{tmp_path / 'config.toml'}:{line}: {key}: there is no such setting."
    assert (error.code, error.category) == ("config.unknown_key", Category.VALIDATION)


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("\nis-open = 1", 2, "is-open", "expected bool, got int, given 1."),
        ("[limits]\nhigh = 101", 2, "limits.high", "expected int <= 100, given 101."),
        ("\nlimits = {low = 1, high = 101}", 2, "limits.high", "expected int <= 100, given 101."),
        ("limits = 3", 1, "limits", "expected a table, got 3."),
        ("levels = 3", 1, "levels", "expected a table, got 3."),
        ('[levels]\n"a.b" = "x"', 2, 'levels."a.b"', "expected int, got str, given 'x'."),
        ('[levels]\na.b = "x"', 2, "levels.a.b", "expected int, got str, given 'x'."),
        ('rooms = [\n"a",\n2]', 1, "rooms", "expected str, got int - at $[1], given ['a', 2]."),
        ("[sites.x]\nurl = 1", 1, "sites.x", "expected str, got int - at $.url, given {'url': 1}."),
        ("\n[limits]\nlow = 9\nhigh = 8", 4, "limits", "low must not be above high."),
        (
            f'rent = "{"x" * 99}"',
            1,
            "rent",
            f"expected float | null, got str, given '{'x' * 56}....",
        ),
    ],
)
def test_wrong_value_is_refused_with_its_place_and_the_reason(
    tmp_path: Path, text: str, line: int, key: str, reason: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        load_config(House, [_file(tmp_path, text)])
    assert str(caught.value) == f"{tmp_path / 'config.toml'}:{line}: {key}: {reason}"


@pytest.mark.parametrize(
    ("variable", "value", "reason", "hint"),
    [
        ("COLOUR", "grren", "colour: invalid enum value 'grren'", "Did you mean 'green'?"),
        ("SIZE", "huge", "size: invalid enum value 'huge'", "Known: large, small."),
        ("RENT", "much", "rent: expected float | null, got str, given 'much'.", ""),
        ("ROOMS", "a,b", "rooms: expected array, got str", 'spelled as JSON here: ["one", "two"]'),
        ("ROOMS", '["a"', "rooms: not valid JSON: Input data was truncated.", ""),
        ("LIMITS", "5", "limits: expected a table, got '5'.", ""),
    ],
)
def test_wrong_variable_is_named_with_what_would_be_right(
    variable: str, value: str, reason: str, hint: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        load_config(House, [environment_layer({f"SYMPHONY_{variable}": value})])
    assert str(caught.value).startswith(f"SYMPHONY_{variable}: {reason}")
    assert hint in caught.value.hint
    assert caught.value.record().facts["source"] == f"SYMPHONY_{variable}"


def test_unknown_variable_and_unknown_flag_are_refused() -> None:
    with pytest.raises(UnknownKey, match=r"^SYMPHONY_LIMITS__HIHG: limits\.hihg: "):
        load_config(House, [environment_layer({"SYMPHONY_LIMITS__HIHG": "1"})])
    with pytest.raises(UnknownKey, match=r"^command line: nam: "):
        load_config(House, [flags_layer({"nam": "x"})])


def test_value_that_has_no_default_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="path: a value is required"):
        load_config(Strict, [])
    assert load_config(Strict, [_file(tmp_path, 'path = "x"')]).value == Strict("x")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\nb = \n", 2, 5),
        ("a = 1\na = 2\n", 2, 6),
        ("\n[x", 2, None),
        ("x = [1,\n\n", 3, None),
    ],
)
def test_what_is_not_toml_is_refused_with_line_and_column(
    tmp_path: Path, text: str, line: int, column: int | None
) -> None:
    with pytest.raises(ConfigSyntax) as caught:
        _file(tmp_path, text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"{tmp_path / 'config.toml'}:{line}: ")


def test_file_that_is_missing_or_not_text_is_an_error_of_files(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        toml_layer("user", tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotText):
        toml_layer("user", tmp_path / "binary.toml")


class Logged(msgspec.Struct, frozen=True):
    logging: LoggingConfig = LoggingConfig()


def _logged(layer: Layer) -> Layer:
    """Only the table that `Logged` knows."""
    kept = tuple({"logging": values["logging"]} for values in layer.values if "logging" in values)
    return Layer(layer.name, layer.source, kept, layer.origins, layer.textual)


def test_packaged_defaults_tell_every_setting_and_agree_with_the_code() -> None:
    loaded = load_config(Logged, [_logged(toml_layer("default", PACKAGED / "default.toml"))])
    assert loaded.value == Logged()
    silent = {row.key for row in loaded.rows() if row.origin is BUILT_IN}
    assert silent == {"logging.levels"}


def test_standard_layers_stand_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[logging]\nbackups = 1\n")
    environ = {"SYMPHONY_ENV": "test", "SYMPHONY_LOGGING__FILE": "true"}
    layers = standard_layers(tmp_path / "config.toml", environ, {"logging.console": "info"})
    assert [layer.name for layer in layers] == ["default", "test", "user", "environment", "flags"]
    assert load_config(Logged, map(_logged, layers)).value == Logged(
        LoggingConfig(level="debug", console="info", file=True, backups=1)
    )


def test_standard_layers_do_without_an_environment_name_and_a_users_file(tmp_path: Path) -> None:
    layers = standard_layers(tmp_path / "config.toml", {}, {})
    assert [layer.name for layer in layers] == ["default", "environment", "flags"]


def test_every_packaged_environment_is_valid(tmp_path: Path) -> None:
    for name in ("test", "production"):
        layers = standard_layers(tmp_path / "none", {"SYMPHONY_ENV": name}, {})
        assert load_config(Logged, map(_logged, layers)).value != Logged()


@pytest.mark.parametrize("name", ["prodution", "default", "../../etc/passwd"])
def test_unknown_environment_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValue, match=r"^SYMPHONY_ENV: there is no environment") as caught:
        standard_layers(tmp_path / "none", {"SYMPHONY_ENV": name}, {})
    assert "production" in caught.value.hint


@given(st.lists(st.tuples(st.sampled_from(["name", "rent", "limits.low"]), st.integers(0, 9))))
@settings(max_examples=40)
def test_the_last_layer_that_speaks_of_a_key_decides(said: list[tuple[str, int]]) -> None:
    layers = [flags_layer({key: str(value)}) for key, value in said]
    value = load_config(House, layers).value
    last = dict(said)
    assert value.name == str(last.get("name", "home"))
    assert value.rent == last.get("rent")
    assert value.limits.low == last.get("limits.low", 1)


def test_key_is_written_as_in_toml() -> None:
    assert dotted(("a", "b.c", 'd"', "é")) == 'a."b.c"."d\\""."é"'


def test_file_nested_too_deeply_is_an_error_of_its_syntax(tmp_path: Path) -> None:
    with pytest.raises(ConfigSyntax, match="nested too deeply") as caught:
        _file(tmp_path, f"a={'[' * 100_000}")
    assert caught.value.source == str(tmp_path / "config.toml")


@pytest.mark.parametrize(
    "values",
    [{"SYMPHONY_ROOMS": "[" * 100_000}, {"SYMPHONY_LEVELS__" + "__".join("a" * 5000): "1"}],
)
def test_variable_nested_too_deeply_is_an_invalid_value(values: dict[str, str]) -> None:
    with pytest.raises(InvalidValue, match="nested too deeply"):
        load_config(House, [environment_layer(values)])
