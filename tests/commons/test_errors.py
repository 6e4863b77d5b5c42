from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from symphony.commons.errors import (
    EXIT_CODES,
    EXIT_OK,
    EXIT_RUN_FAILED,
    EXIT_USAGE,
    Category,
    ErrorRecord,
    ExtraMissing,
    SymphonyError,
    leaves,
)


class _Sinking(SymphonyError):
    category = Category.IO

    def __init__(self, path: Path, depth: float, *, cause: object = None) -> None:
        self.path = path
        self.depth = depth
        self.name = None
        self.cause = cause
        self._secret = "inner"
        super().__init__(f"{path} sinks.", hint="Swim.")


class _Sunk(_Sinking):
    code = "test.sunk"


def test_record_carries_code_message_hint_and_plain_facts() -> None:
    error = _Sunk(Path("/boat"), 2.5, cause=object())
    assert error.record() == ErrorRecord(
        code="test.sunk",
        message="/boat sinks.",
        category=Category.IO,
        hint="Swim.",
        facts={"path": "/boat", "depth": 2.5, "name": None},
    )


def test_fact_added_after_construction_is_recorded() -> None:
    error = _Sunk(Path("/boat"), 1)
    error.name = "Titanic"  # type: ignore[assignment] # a caller that knows more
    assert error.record().facts["name"] == "Titanic"


def test_record_survives_json_and_messagepack() -> None:
    record = _Sunk(Path("/böat"), 1).record()
    assert msgspec.json.decode(msgspec.json.encode(record), type=ErrorRecord) == record
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=ErrorRecord) == record


def test_message_is_what_str_shows() -> None:
    assert str(_Sunk(Path("/boat"), 1)) == "/boat sinks."


def test_every_category_has_an_exit_code_that_means_nothing_else() -> None:
    assert set(EXIT_CODES) == set(Category)
    assert not set(EXIT_CODES.values()) & {EXIT_OK, EXIT_RUN_FAILED, EXIT_USAGE}
    assert _Sunk(Path("/boat"), 1).exit_code == EXIT_CODES[Category.IO]


def test_leaves_are_the_classes_with_a_code_of_their_own() -> None:
    assert leaves(_Sinking) == [_Sunk]
    assert {_Sunk, ExtraMissing} <= set(leaves())
    assert _Sinking not in leaves()


def test_missing_extra_names_the_line_that_installs_it() -> None:
    with pytest.raises(ExtraMissing) as caught:
        raise ExtraMissing("demo", "magika")
    assert caught.value.hint == 'Install it with: pip install "symphony[demo]"'
    assert caught.value.record().facts == {"extra": "demo", "package": "magika"}
