from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons import precheck
from symphony.commons.precheck import Fault, PrecheckFailed, Rule

T = TypeVar("T")
IDENTIFIER: Rule[str] = precheck.all_of(
    precheck.matches(r"[a-z]+", "lower-case letters"), precheck.max_length(5)
)
even: Rule[int] = precheck.rule("even", lambda number: "must be even" if number % 2 else None)
positive: Rule[int] = precheck.rule("positive", lambda n: None if n > 0 else "must be positive")


def messages(rule: Rule[T], value: T) -> list[str]:
    return [fault.message for fault in rule.check(value)]


class TestCombining:
    def test_all_faults_are_told_in_order(self) -> None:
        assert messages(IDENTIFIER, "abc") == []
        assert IDENTIFIER.check("ABCDEF") == (
            Fault("matches", "must be lower-case letters, is 'ABCDEF'"),
            Fault("max_length", "must have a length of at most 5, has 6"),
        )

    def test_any_of_tells_every_alternative(self) -> None:
        either: Rule[int] = precheck.any_of(
            precheck.all_of(even, positive), precheck.in_range(-9, -9)
        )
        assert messages(either, 4) == messages(either, -9) == []
        assert either.check(-3) == (
            Fault("any_of", "must be even and must be positive, or must be from -9 to -9, is -3"),
        )

    def test_negate(self) -> None:
        odd = precheck.negate(even, "must be odd")
        assert odd.check(3) == ()
        assert odd.check(2) == (Fault("not even", "must be odd"),)

    def test_on_names_the_part(self) -> None:
        both: Rule[tuple[int, int]] = precheck.all_of(
            precheck.on("width", lambda size: size[0], positive),
            precheck.on("height", lambda size: size[1], precheck.all_of(even, positive)),
        )
        assert messages(both, (1, 2)) == []
        assert messages(both, (0, -1)) == [
            "width must be positive",
            "height must be even",
            "height must be positive",
        ]

    @given(number=st.integers())
    def test_they_obey_de_morgan(self, number: int) -> None:
        left = precheck.negate(precheck.all_of(even, positive), "no")
        right = precheck.any_of(precheck.negate(even, "odd"), precheck.negate(positive, "low"))
        assert bool(left.check(number)) == bool(right.check(number))

    def test_require_gives_the_value_or_all_faults(self) -> None:
        assert precheck.require(IDENTIFIER, "abc", subject="The name") == "abc"
        with pytest.raises(PrecheckFailed) as caught:
            precheck.require(IDENTIFIER, "ABCDEF", subject="The name")
        assert caught.value.code == "precheck.failed"
        assert [fault.rule for fault in caught.value.faults] == ["matches", "max_length"]
        assert caught.value.message == (
            "The name: must be lower-case letters, is 'ABCDEF'; "
            "must have a length of at most 5, has 6."
        )


class TestValues:
    @pytest.mark.parametrize("number", [0, 0.5, 1])
    def test_in_range_includes_its_ends(self, number: float) -> None:
        assert precheck.in_range(0, 1).check(number) == ()

    @pytest.mark.parametrize("number", [-0.1, 1.1, float("nan"), float("inf")])
    def test_out_of_range(self, number: float) -> None:
        (fault,) = precheck.in_range(0, 1).check(number)
        assert fault.message.startswith("must be from 0 to 1, is ")

    def test_the_whole_text_must_match(self) -> None:
        assert precheck.matches("a", "an a").check("a") == ()
        for text in ("ab", "ba", "a\n", ""):
            assert precheck.matches("a", "an a").check(text) != ()

    def test_long_values_are_shortened_in_messages(self) -> None:
        (message,) = messages(precheck.one_of(["x"]), "y" * 1000)
        assert len(message) < 100

    def test_one_of_lists_the_choices(self) -> None:
        assert precheck.one_of(["a", "b"]).check("a") == ()
        assert messages(precheck.one_of(["a", "b"]), "c") == ["must be one of 'a', 'b', is 'c'"]


class TestFiles:
    def test_what_is_there_passes(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert precheck.file_readable().check(tmp_path / "file") == ()
        assert precheck.folder_readable().check(tmp_path) == ()
        assert precheck.folder_writable().check(tmp_path) == ()
        assert precheck.free_space(1).check(tmp_path / "to" / "be" / "made") == ()

    @pytest.mark.parametrize(
        ("rule", "name", "expected"),
        [
            (precheck.file_readable(), "gone", "There is no file or folder "),
            (precheck.file_readable(), "folder", "is not a file"),
            (precheck.folder_readable(), "gone", "There is no file or folder "),
            (precheck.folder_readable(), "file", "is not a folder"),
            (precheck.folder_writable(), "file", "must be an existing folder"),
            (precheck.folder_writable(), "gone", "must be an existing folder"),
            (precheck.free_space(1 << 60), "gone", "must have 1048576.0 TiB of free space, has "),
        ],
    )
    def test_what_is_wrong_is_told(
        self, tmp_path: Path, rule: Rule[Path], name: str, expected: str
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        (fault,) = rule.check(tmp_path / name)
        assert fault.rule == rule.name
        assert expected in fault.message

    def test_permissions_are_respected(
        self, tmp_path: Path, without_root: Callable[[str], str]
    ) -> None:
        (tmp_path / "closed").mkdir(mode=0o000)
        (tmp_path / "read-only").mkdir(mode=0o555)
        (tmp_path / "file").touch(mode=0o000)
        printed = without_root("""
from pathlib import Path
from symphony.commons.precheck import all_of, file_readable, folder_readable, folder_writable
drop()
for name, rule in (
    ("closed", all_of(folder_readable(), folder_writable())),
    ("read-only", all_of(folder_readable(), folder_writable())),
    ("file", file_readable()),
):
    print(name, [fault.rule for fault in rule.check(Path(name))])
""")
        assert printed.splitlines() == [
            "closed ['folder_readable', 'folder_writable']",
            "read-only ['folder_writable']",
            "file ['file_readable']",
        ]

    def test_a_full_disk_has_no_free_space(self, on_small_disk: Callable[[str], str]) -> None:
        printed = on_small_disk("""
from pathlib import Path
from symphony.commons.precheck import free_space
for needed in (1_000_000, 2_000_000):
    print([fault.message for fault in free_space(needed).check(Path("new"))])
""")
        assert printed.splitlines() == [
            "[]",
            "['must have 1.9 MiB of free space, has 1.0 MiB']",
        ]
