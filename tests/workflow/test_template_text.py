"""Placeholders in texts are told apart from text, and values become literals and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.expressions import Expression
from symphony.commons.values import Value
from symphony.workflow._template_text import (
    Hole,
    PlaceholderFault,
    check_formula,
    escaped,
    formula,
    literal,
    parts_of,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("",)),
        ("plain $5 {x} $", ("plain $5 {x} $",)),
        ("${a}", (Hole("a"),)),
        ("${ a }", (Hole("a"),)),
        ("x${a}y${b}", ("x", Hole("a"), "y", Hole("b"))),
        ("$${a}", ("${a}",)),
        ("$$${a}", ("$${a}",)),
        ("${a}$${b}${c}", (Hole("a"), "${b}", Hole("c"))),
        ("${ {'k': '}'}.k }", (Hole("{'k': '}'}.k"),)),
        ("${'}'}", (Hole("'}'"),)),
        ('${"a\\"}"}', (Hole('"a\\"}"'),)),
        ("${r'\\'}}", (Hole("r'\\'"), "}")),
        ("${'''a'}'''}", (Hole("'''a'}'''"),)),
        ("${a // }\n}", (Hole("a // }"),)),
        ("${bar'}'}", (Hole("bar'}'"),)),
    ],
)
def test_parts(text: str, parts: tuple[str | Hole, ...]) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize("text", ["${", "${a", "x ${a{}", "${}", "${  }", "${'}", "a$${b} ${"])
def test_what_is_no_placeholder_is_refused(text: str) -> None:
    with pytest.raises(PlaceholderFault, match="placeholder"):
        parts_of(text)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("${}$a'\"\\/\n"), max_size=12))
def test_escaping_gives_the_text_back(text: str) -> None:
    assert "".join(map(str, parts_of(escaped(text)))) == text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
    | st.text(st.sampled_from("'\"\\`${}()|&\n\r ua0/"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc'\"\\", max_size=4), inner)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(VALUES)
def test_a_literal_is_the_value(value: Value) -> None:
    assert Expression.compile(literal(value), []).evaluate({}) == value


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(
    VALUES,
    st.sampled_from(
        [
            "value == ${x}",
            "value==${x}",
            "${x}==value",
            "(${x}) == value && true",
            "[${x}][0] == value",
            "{'k':${x}}.k == value",
            "value in [${x},${x}]",
            "false?false:${x}==value",
            "value == ${x} // ${ in a comment, no placeholder",
        ]
    ),
)
def test_a_value_in_an_expression_is_only_ever_that_value(value: Value, text: str) -> None:
    """Whatever is put in, the comparison with itself is true: nothing was added to the text."""
    parts = parts_of(text.replace("${ in", "$${ in"))
    check_formula(parts)
    made = formula(parts, [value] * sum(isinstance(part, Hole) for part in parts))
    assert Expression.compile(made, ["value"]).evaluate({"value": value}) is True


@pytest.mark.parametrize(
    ("text", "value", "made"),
    [
        ("value > ${x}", 5, "value > 5"),
        ("value > ${x}", -5, "value > (-5)"),
        ("value>${x}", 5, "value>(5)"),
        ("a${x}", "b", 'a("b")'),
        ("r${x}", 'a"b', 'r("a\\"b")'),
        ("${x}.size() > 0", "abc", '("abc").size() > 0'),
        ("value == 'it''s' + ${x}", "'", "value == 'it''s' + \"'\""),
    ],
)
def test_a_literal_stands_apart_from_what_is_beside_it(text: str, value: Value, made: str) -> None:
    assert formula(parts_of(text), [value]) == made


@pytest.mark.parametrize(
    "text",
    [
        "value == '${x}'",
        'value == "a ${x} b"',
        "value == '''it's ${x}'''",
        "value == r'\\${x}'",
        "value // ${x}",
        "value == 'open ${x}",
        "value == b'${x}'",
    ],
)
def test_a_placeholder_in_quotes_or_a_comment_of_an_expression_is_refused(text: str) -> None:
    with pytest.raises(PlaceholderFault, match="leave the quotes out"):
        check_formula(parts_of(text))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "a\0b", [{"k": "\0"}]])
def test_what_has_no_literal_is_refused(value: Value) -> None:
    with pytest.raises(PlaceholderFault):
        literal(value)
