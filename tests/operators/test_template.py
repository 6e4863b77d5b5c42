from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.values import Value
from symphony.operators import BUILTIN, TemplateFailed

Call: TypeAlias = "Callable[..., Mapping[str, Value]]"

ROWS: list[Value] = [{"k": 1, "n": "a"}, {"k": 2, "n": "b"}, {"k": 1, "n": "c"}]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ value | length }} in {{ folder }}", "3 in <docs>"),
        ("{% for row in value %}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}", "1,2,3"),
        ("{{ value | map(attribute='n') | join('+') }}", "a+b+c"),
        ("{{ value | join('+', attribute='n') }}", "a+b+c"),
        ("{% for k, of in value | groupby('k') %}{{ k }}{{ of | length }} {% endfor %}", "12 21 "),
        ("{{ value[0] }} {{ none }} {{ true }}", '{"k": 1, "n": "a"} null true'),
        ("{{ (10 / 3) | round(2) }} {{ 7 // 2 }} {{ 2 ** 3 * 2 }} {{ 7 % 4 }}", "3.33 3 16 3"),
        ("{{ 2.6 | round }}", "3"),
        ("{{ folder ~ '/' ~ 1 }} {{ 'a' + 'b' }}", "<docs>/1 ab"),
        ("{{ folder.upper() }} {{ folder | replace('<', '&lt;') }}", "<DOCS> &lt;docs>"),
        ("{% set total = value | sum(attribute='k') %}{{ total }}", "4"),
        ("{% for key, n in value[0] | dictsort %}{{ key }}={{ n }};{% endfor %}", "k=1;n=a;"),
        ("{{ named.items }} {{ named['keys'] }} {{ value[0].items() | list | length }}", "3 4 2"),
        ("{{ 'yes' if folder is string and 'd' in folder else 'no' }}", "yes"),
        ("{% for n in [1, 2] %}{{ n }}{% endfor %}", "12"),
        ("{{ value[0] | tojson }} {{ 5 | string }}", '{"k": 1, "n": "a"} 5'),
        ("line\n", "line\n"),
        ("", ""),
    ],
)  # fmt: skip
def test_values_are_filled_in_unescaped(template: str, expected: str, call: Call) -> None:
    more: Value = {"folder": "<docs>", "named": {"items": 3, "keys": 4}}
    assert call("text.template", template=template, value=ROWS, with_=more) == {"value": expected}


@pytest.mark.parametrize(
    ("template", "line", "reason"),
    [
        ("a\n{{ missing }}", 2, "'missing' is undefined"),
        ("a\n\n{{ value.missing.x }}", 3, "no attribute 'missing'"),
        ("a\n{% for x in value %}", 2, "Unexpected end of template"),
        ("{{ 1 / 0 }}", 1, "division by zero"),
        ("\n{{ value | nofilter }}", 2, "nofilter"),
        ("{{ value.items }}", 1, "call it"),
        ("{{ 'a' * 3 }}", 1, "'*' is for numbers"),
        ("{% include '/etc/passwd' %}", 1, "Include statements are not available"),
    ],
)
def test_a_mistake_tells_its_line(template: str, line: int, reason: str, call: Call) -> None:
    with pytest.raises(TemplateFailed) as caught:
        call("text.template", template=template, value={"a": 1})
    assert caught.value.line == line
    assert reason in caught.value.reason


def test_an_unknown_name_is_answered_with_those_given(call: Call) -> None:
    with pytest.raises(TemplateFailed) as caught:
        call("text.template", template="{{ flie }}", with_={"file": 1})
    assert caught.value.hint == "It was given: file, value."


LOOP = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ value.long }}{% endfor %}{% endfor %}"
)
HOSTILE = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ value.get.__globals__ }}",
    "request": "{{ self.__init__.__globals__ }}",
    "repeat": "{{ 'x' * 10000000000 }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "tower": "{{ 9 ** 64 ** 64 ** 64 }}",
    "percent": "{{ '%9999999999d' % 1 }}",
    "width": "{{ '{:>9999999999}'.format(1) }}",
    "width by index": "{{ '{:>9999999999}'['format'](1) }}",
    "map width": "{{ '{x:>9999999999}'.format_map(value) }}",
    "pad": "{{ 'x'.ljust(9999999999) | length }}",
    "filter": "{{ 'x' | center(9999999999) }}",
    "range": "{{ range(10000000) | list }}",
    "output": LOOP,
    "concat": "{% set s = 'x' %}" + "{% set s = s ~ s %}" * 60 + "{{ s }}",
    "plus": "{% set s = 'x' %}" + "{% set s = s + s %}" * 60 + "{{ s }}",
    "block": "{% set s = 'x' %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * 60 + "{{ s }}",
    "macro": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "nest": "{% set a = [value, value] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "replace": "{% set s = 'x' %}"
    + "{% set s = s | replace('x', 'xxxxxxxxxx') %}" * 60
    + "{{ s }}",
    "join": "{{ range(99999) | join('x' ~ value.long) }}",
    "digits": "{{ 1.5 | round(9999999999) }}",
    "mutate": "{{ value.update({'a': 1}) }}",
    "deep": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "recursive": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_templates_are_stopped_quickly(template: str, call: Call) -> None:
    began = time.process_time()
    with pytest.raises(TemplateFailed):
        call("text.template", template=template, value={"a": 1, "long": "y" * 1000})
    assert time.process_time() - began < 1.0


def test_a_template_may_not_be_longer_than_a_book(call: Call) -> None:
    with pytest.raises(TemplateFailed, match="262,144"):
        call("text.template", template="x" * 300_000)


@settings(max_examples=60)
@given(st.text(alphabet="{}%# abvalue.|[]()'\"\n-+*~1", max_size=40))
def test_any_text_is_filled_in_or_refused(template: str) -> None:
    with suppress(TemplateFailed):
        assert isinstance(BUILTIN["text.template"].function(template, 1), str)
