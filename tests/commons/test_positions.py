from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symphony.commons.positions import key_lines

EVERYTHING = '''\
# a comment with [brackets] = "and quotes
top = 1
"quoted key" = 2   # tail = 1

[logging]
level = "debug = [no]"
levels = { "pit.tracker" = "debug", pit = 'in]fo' }

  [ logging . "odd \\" name" ]
text = """
fake = 1
[fake]
""\\" still in """""
literal = \'\'\'
also = "fake"
\'\'\'
list = [
  "a", # b = 1
  { x = 1 },
]
quotes = ["""a"""", "[", 1]
after = 1979-05-27T07:32:00Z

[[plugin]]
name = "a"
[[plugin]]
name = "b"
a.b."c.d" = 1.5
'''


def test_each_spelling_of_toml_is_found_on_its_line() -> None:
    tomllib.loads(EVERYTHING)
    assert key_lines(EVERYTHING) == {
        ("top",): 2,
        ("quoted key",): 3,
        ("logging",): 5,
        ("logging", "level"): 6,
        ("logging", "levels"): 7,
        ("logging", 'odd " name'): 9,
        ("logging", 'odd " name', "text"): 10,
        ("logging", 'odd " name', "literal"): 14,
        ("logging", 'odd " name', "list"): 17,
        ("logging", 'odd " name', "quotes"): 21,
        ("logging", 'odd " name', "after"): 22,
        ("plugin",): 24,
        ("plugin", "name"): 25,
        ("plugin", "a"): 28,
        ("plugin", "a", "b"): 28,
        ("plugin", "a", "b", "c.d"): 28,
    }


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_of_both_kinds_count_alike(newline: str) -> None:
    assert key_lines(newline.join(["", "[a]", "b = 1"])) == {("a",): 2, ("a", "b"): 3}


NAMES = st.text("abé .\"'#[]{}=\\\n", min_size=1, max_size=6)
TEXTS = st.text("ab\"'#[]{}=\\\n", max_size=6)
VALUES = st.recursive(
    st.integers() | st.booleans() | TEXTS, lambda inner: st.lists(inner), max_leaves=3
)
TABLES = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=3)


def _spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@given(TABLES, st.data())
@settings(max_examples=40)
@example({"#": {"]": ["#", "]"]}}, None)
def test_every_key_stands_on_the_line_where_it_was_written(
    tables: dict[str, dict[str, object]], data: st.DataObject | None
) -> None:
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for table, values in tables.items():
        lines.append(f"[{_spelled(table)}]")
        expected[table,] = len(lines)
        for key, value in values.items():
            if data and data.draw(st.booleans()):
                lines.append('# [comment] = "')
            lines.append(f"{_spelled(key)} = {_spelled(value)}")
            expected[table, key] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    assert key_lines(text) == expected
