from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.operators._patterns import Patterns


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*.py", ["a.py", "x/y/a.py", ".py"], ["a.pyc", "a.py/b"]),
        ("**/*", ["a", "a/b/c", ".hidden"], []),
        ("**", ["a", "a/b"], []),
        ("src/**", ["src/a", "src/a/b"], ["src", "xsrc/a", "a/src/b"]),
        ("src/*.py", ["src/a.py"], ["src/x/a.py", "a/src/a.py"]),
        ("**/x/*.md", ["x/a.md", "q/x/a.md"], ["x/y/a.md"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/x"]),
        ("/a.py", ["a.py"], ["b/a.py"]),
        ("a?.py", ["ab.py"], ["a.py", "a/.py"]),
        ("[!a]b", ["cb", "x/cb"], ["ab"]),
        ("[", ["["], ["a"]),
        ("[]x]a", ["]a", "xa"], ["a"]),
        ("été*", ["été.txt"], ["ete.txt"]),
        ("a\nb", ["a\nb"], ["a"]),
        ("", [], ["a", ""]),
        ("/", [], ["a"]),
    ],
)
def test_patterns_match_as_in_gitignore(
    pattern: str, inside: list[str], outside: list[str]
) -> None:
    patterns = Patterns.compile([pattern])
    assert [path for path in inside if not patterns.match_file(path)] == []
    assert [path for path in outside if patterns.match_file(path)] == []


def test_a_slash_at_the_end_admits_folders_alone() -> None:
    patterns = Patterns.compile(["build/", "*.egg-info"])
    assert patterns.match_folder("x/build")
    assert not patterns.match_file("x/build")
    assert patterns.match_folder("a.egg-info")
    assert patterns.match_file("a.egg-info")


@pytest.mark.parametrize("pattern", ["*a" * 40, "**/a/" * 40 + "b", "[" * 200, "?*" * 60 + "b"])
def test_a_pattern_of_many_stars_cannot_hang(pattern: str) -> None:
    began = time.process_time()
    Patterns.compile([pattern]).match_file("/".join(["a" * 200] * 15) + "c")
    Patterns.compile([pattern]).match_file("a/" * 1000 + "c")
    assert time.process_time() - began < 0.5


names = st.text(st.characters(exclude_characters="/*?[]\0"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=40)
@given(st.lists(names, min_size=2, max_size=5))
def test_a_path_without_wildcards_matches_itself_alone(steps: list[str]) -> None:
    path = "/".join(steps)
    patterns = Patterns.compile([path])
    assert patterns.match_file(path)
    assert not patterns.match_file(f"{path}x")
    assert not patterns.match_file(f"x/{path}")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_pattern_can_be_compiled_and_asked(pattern: str, path: str) -> None:
    assert Patterns.compile([pattern]).match_file(path) in (True, False)
